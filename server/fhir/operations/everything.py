"""Patient and Encounter `$everything`: a compartment and what its members refer to (OperationDefinition
Patient-everything, Encounter-everything).

The answer is a search over all types at once, so it has the same pages and the same rights: of each type the members
of the compartment, and those resources that some member names. Nothing is read to find them but the index.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from server.fhir.index.terms import term
from server.fhir.operations.parameters import OperationParameters
from server.fhir.search.compartments import compartment, compartment_types
from server.fhir.search.controls import types_of
from server.fhir.search.cursor import Place
from server.fhir.search.everywhere import At, Everywhere
from server.fhir.search.request import SearchRequest, SearchResult, invalid, too_costly
from server.fhir.search.scope import Scope
from server.fhir.search.searcher import Searcher
from server.fhir.search.targets import all_types
from server.fhir.stored import DELETED
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from storage.query import EVERYTHING, NOTHING, All, Any, Equals, OneOf, Predicate

PARAMETERS = ("start", "end", "_since", "_type", "_count")
WHOLE = 10_000
"""Resources that an answer without pages may hold."""

_CARE_DATES: Mapping[str, str] = {
    "AllergyIntolerance": "date", "Appointment": "date", "Basic": "created", "CarePlan": "date", "Claim": "created",
    "ClaimResponse": "created", "ClinicalImpression": "date", "Communication": "sent",
    "CommunicationRequest": "occurrence", "Composition": "date", "Condition": "onset-date", "Consent": "date",
    "CoverageEligibilityRequest": "created", "DeviceRequest": "event-date", "DiagnosticReport": "date",
    "DocumentReference": "date", "Encounter": "date", "ExplanationOfBenefit": "created",
    "FamilyMemberHistory": "date", "Flag": "date", "Goal": "start-date", "ImagingStudy": "started",
    "Immunization": "date", "List": "date", "Media": "created", "MedicationAdministration": "effective-time",
    "MedicationDispense": "whenhandedover", "MedicationRequest": "authoredon", "MedicationStatement": "effective",
    "NutritionOrder": "datetime", "Observation": "date", "Procedure": "date", "QuestionnaireResponse": "authored",
    "RequestGroup": "authored", "RiskAssessment": "date", "ServiceRequest": "occurrence", "Specimen": "collected",
    "SupplyDelivery": "occurrence", "SupplyRequest": "date", "VisionPrescription": "datewritten",
}  # fmt: skip
"""The parameter that says when care was given, of each type that has one."""
_SUPPORTING = frozenset((
    "Binary", "BodyStructure", "CareTeam", "Device", "Endpoint", "HealthcareService", "Location", "Medication",
    "Organization", "Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Specimen", "Substance",
))  # fmt: skip
"""What is included because a member refers to it."""


_CONTENT = "http://hl7.org/fhir/SearchParameter/DocumentReference-location"
"""Where the content of a document is: mostly a Binary."""
_PURPOSE = "everything"


@dataclass(frozen=True, slots=True)
class Everything:
    """Answers `$everything` upon one resource."""

    searcher: Searcher

    async def first(
        self, context: Context, resource_type: str, id_: str, parameters: OperationParameters
    ) -> SearchResult:
        """The first page; without `_count` the whole, up to a limit."""
        parameters.allow(PARAMETERS)
        pairs = tuple((name, ",".join(_texts(parameters, name))) for name in PARAMETERS if parameters.given(name))
        return await self._page(context, SearchRequest(resource_type, pairs, (resource_type, id_)), ())

    async def more(self, context: Context, token: str) -> SearchResult:
        place = self.searcher.cursors.open(token, context.actor.id, _PURPOSE)
        return await self._page(context, place.request, place.at)

    async def _page(self, context: Context, request: SearchRequest, at: At) -> SearchResult:
        scope = self.searcher.scope(context)
        name, id_ = request.compartment or ("", "")
        await _check_presence(scope, name, id_)
        asked = dict(request.pairs)
        limit = self._limit(asked.get("_count"))
        found = await _Gathering(scope, self.searcher.limits.inner, name, id_, asked).found()
        resources, next_ = await Everywhere(scope, found, limit or WHOLE).page((), at)
        if next_ and limit is None:
            raise too_costly(f"There are more than {WHOLE} resources: ask for pages with _count.")
        members = compartment_types(name)
        resources = list(await self.searcher.redaction.shown(context, resources))
        return SearchResult(
            [each for each in resources if each.type in members],
            [each for each in resources if each.type not in members],
            len(resources) if not at and not next_ else None,
            self.searcher.cursors.seal(Place(request, next_, None), context.actor.id, _PURPOSE) if next_ else None,
            request.pairs,
            request=request,
        )

    def _limit(self, count: str | None) -> int | None:
        if count is None:
            return None
        if not (count.isascii() and count.isdigit() and int(count[:9]) > 0):
            raise invalid("_count is a whole number from 1.", "_count")
        return min(int(count[:9]), self.searcher.limits.max_count)


def _texts(parameters: OperationParameters, name: str) -> list[str]:
    if name == "_count":
        return [str(parameters.integer(name, 1))]
    return parameters.strings(name) if name == "_type" else [parameters.required(name)]


async def _check_presence(scope: Scope, resource_type: str, id_: str) -> None:
    await scope.permit(resource_type)
    if await scope.count(resource_type, Equals("_id", id_), 1):
        return
    if await scope.constraint(resource_type) == EVERYTHING and await scope.records.get(
        DELETED, [f"{resource_type}/{id_}"]
    ):
        raise Problem(Kind.GONE, "The resource was deleted.", (Issue("The resource was deleted.", None, "deleted"),))
    raise Problem(Kind.NOT_FOUND, "There is no such resource.")


@dataclass(frozen=True, slots=True)
class _Gathering:
    """What belongs to one resource, by type, as predicates."""

    scope: Scope
    most: int
    name: str
    id: str
    asked: Mapping[str, str]

    async def found(self) -> dict[str, Predicate]:
        """In the sequence of the types, so that a page begins where the last one ended."""
        types = types_of(tuple(self.asked.items()), all_types())
        for each in types or ():
            await self.scope.permit(each)
        members = {each: predicate async for each, predicate in self._members()}
        whole = members | await self._supporting(members)
        whole["Provenance"] = await self._provenance(members)
        since = self.asked.get("_since")
        return {
            each: All((whole[each], self.scope.term(each, "_lastUpdated", f"ge{since}"))) if since else whole[each]
            for each in sorted(whole)
            if (types is None or each in types) and await self.scope.constraint(each) != NOTHING
        }

    async def _members(self) -> AsyncIterator[tuple[str, Predicate]]:
        """The resource and its compartment within the period asked; types of which there is nothing are left out."""
        for each, predicate in compartment(self.scope.registry, self.name, self.id).items():
            if each != self.name and each in _CARE_DATES:
                predicate = All((predicate, *self._in_period(each)))
            if await self.scope.constraint(each) != NOTHING and await self.scope.count(each, predicate, 1):
                yield each, predicate

    def _in_period(self, resource_type: str) -> Sequence[Predicate]:
        """Care given between start and end; what does not say when stays in."""
        date = self.scope.registry.find(resource_type, _CARE_DATES[resource_type])
        bounds = [
            f"{prefix}{self.asked[name]}" for name, prefix in (("start", "ge"), ("end", "le")) if name in self.asked
        ]
        if date is None or not bounds:
            return ()
        reading = self.scope.reading
        within = All(tuple(term(date, None, each, reading) for each in bounds))
        return (Any((term(date, "missing", "true", reading), within)),)

    async def _supporting(self, members: Mapping[str, Predicate]) -> dict[str, Predicate]:
        """What members refer to and is worth having with them."""
        ids: dict[str, set[str]] = {}
        for each, predicate in members.items():
            for parameter in self.scope.registry.of(each):
                if parameter.is_indexed and (parameter.type == "reference" or parameter.url == _CONTENT):
                    for name in await self.scope.values(each, parameter.code, predicate, self.most):
                        type_, _, id_ = name.partition("/")
                        if type_ in _SUPPORTING and "/" not in id_:
                            ids.setdefault(type_, set()).add(id_)
        if self.name == "Patient":
            ids.pop("Patient", None)
        found: dict[str, Predicate] = {type_: OneOf("_id", tuple(sorted(each))) for type_, each in ids.items()}
        return {type_: Any((members.get(type_, NOTHING), each)) for type_, each in found.items()}

    async def _provenance(self, members: Mapping[str, Predicate]) -> Predicate:
        targets = [
            f"{each}/{id_}"
            for each, predicate in members.items()
            for id_ in await self.scope.values(each, "_id", predicate, self.most)
        ]
        link = self.scope.registry.find("Provenance", "target")
        own = members.get("Provenance", NOTHING)
        return Any((own, *(OneOf(each.name, tuple(targets)) for each in link.sources))) if link else own
