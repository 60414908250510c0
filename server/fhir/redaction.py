"""Resources as somebody may see them who sees some of what they lead to and not all (REDACT of our consent table).

What a visible resource holds of hidden ones is taken out: contained resources, references with whatever they display
(also by URL, or by identifier alone), elements with an inline label of their own (Security Label DS4P). The narrative
may tell of any of it and goes too. What is left says so: REDACTED among its labels, SUBSETTED among its tags.

Only resources of patients whose consents make such a difference are looked into, those of nobody (a Provenance tells of
whatever it names), studies with a series that is barred, and documents and lists that name others, from which whatever
the reader has no right to is gone (`server.fhir.listed`): a page of them with one question for each type they refer to.
Everybody else's are passed on as the stored bytes they are. What is taken out does not find a resource either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from server.access.classes import Class, class_of
from server.access.consent.predicate import negated
from server.fhir.collaborators import Keys
from server.fhir.held_back import barred_series, hidden_among, references_of, study_of, tells_of_series, without
from server.fhir.json_form import Resource, decode, encode, reread
from server.fhir.listed import LISTED, Rights, naming, visible
from server.fhir.naming import Names, addressed, hidden_identifiers, identified
from server.fhir.stored import Stored, collection, from_record
from server.fhir.taken_out import elements, left_of, marked, recounted
from server.kernel.context import SERVER, Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.ports import Records
from storage.query import EVERYTHING, All, OneOf, Predicate, matches

INLINE_LABEL = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
_STUDY = "ImagingStudy"
_PUBLIC = (Class.DIRECTORY, Class.DEFINITION)
_FEW = 8
"""So many resources are parsed and rendered without leaving the event loop."""


class Consents(Protocol):
    async def predicate(self, context: Context, resource_type: str, interaction: str) -> Predicate: ...

    async def redacted_patients(self, context: Context) -> frozenset[str] | None: ...


@dataclass(frozen=True, slots=True)
class Hidden:
    """What a page must not show, found before it is worked on."""

    references: frozenset[str]
    predicates: Mapping[str, Predicate]
    """What may be seen, by the types of contained resources and of those with inline labels."""
    identifiers: frozenset[Names]
    series: frozenset[str]
    """`id/uid` of series that are barred, in whichever version of their study."""


@dataclass(frozen=True, slots=True)
class RightsRedaction:
    """Asked with each page that leaves, and before each change of what stands."""

    records: Records
    consents: Consents
    rights: Rights
    offload: Offload
    keys: Callable[[Resource, int], Keys]
    local: Callable[[str], str]
    """A reference without the address of this server."""

    async def shown(self, context: Context, page: Sequence[Stored]) -> Sequence[Stored]:
        """The page as this actor may see it; the same objects where nothing is taken out."""
        if SERVER in context.actor.roles:
            return page
        series = await self._barred([each.id for each in page if each.type == _STUDY], context)
        places = await self._places(context, page, {study_of(each) for each in series})
        named = await naming(self.records, self.rights, context, page)
        places |= named.places
        if not places:
            return page
        made = list(page)
        for is_listed, seen in (False, {}), (True, named.seen):
            some = sorted(n for n in places if (page[n].type in LISTED) is is_listed)
            redacted = await self._redacted(context, [page[n] for n in some], series, seen)
            for n, stored in zip(some, redacted, strict=True):
                made[n] = stored
        return made

    async def searched(self, context: Context, resource_type: str, predicate: Predicate) -> Predicate:
        """A search as it holds of what the actor is shown."""
        if SERVER in context.actor.roles:
            return predicate
        if named := references_of(predicate):
            seen = await self._seen(context, resource_type, named)
            predicate = without(predicate, await hidden_among(self.records, named, seen))
        if resource_type == _STUDY and tells_of_series(predicate):
            predicate = await self._of_shown_series(context, predicate)
        return predicate

    async def guard(self, context: Context, current: Stored) -> None:
        """`CONFLICT` where the actor would read this redacted: a change would lose what is not shown."""
        [shown] = await self.shown(context, (current,))
        if shown is not current:
            context.trail.refuse("it is seen redacted")
            raise Problem(Kind.CONFLICT, "Parts of this resource are not shown to who sent the change.")

    async def written(self, context: Context, stored: Stored) -> Stored | None:
        """What a write may be answered with; `None` where its content may not be shown."""
        if SERVER in context.actor.roles:
            return stored
        predicate = await self.rights.constrain(context, "read", stored.type)
        if predicate != EVERYTHING:
            own = All((OneOf("_id", (stored.id,)), predicate))
            if not await self.records.values(collection(stored.type), "_id", own, at_most=1):
                return None
        return (await self.shown(context, (stored,)))[0]

    async def _places(self, context: Context, page: Sequence[Stored], studies: set[str]) -> set[int]:
        """Which of a page are to be looked into for what consents and labels of series hide."""
        patients = await self.consents.redacted_patients(context)
        nobodys = {each.type for each in page if not each.patients and class_of(each.type) not in _PUBLIC}
        if not studies and not nobodys and patients is not None and not patients:
            return set()
        if nobodys and not await self._differs(context):
            nobodys.clear()

        def is_looked_into(each: Stored) -> bool:
            if patients is None or not patients.isdisjoint(each.patients):
                return True
            return (each.type in nobodys and not each.patients) or (each.type == _STUDY and each.id in studies)

        return {n for n, each in enumerate(page) if each.body and is_looked_into(each)}

    async def _differs(self, context: Context) -> bool:
        """Whether consents hold back anything at all from this actor."""
        patients = await self.consents.redacted_patients(context)
        if patients is None or patients:
            return True
        return await self.consents.predicate(context, "Patient", "read") != EVERYTHING

    async def _seen(self, context: Context, resource_type: str, named: Collection[str]) -> defaultdict[str, Predicate]:
        """What may be seen of types that a search within another one names."""
        found: defaultdict[str, Predicate] = defaultdict(lambda: EVERYTHING)
        if await self._differs(context):
            found |= {each: await self.consents.predicate(context, each, "read") for each in named}
        if resource_type in LISTED and not LISTED.isdisjoint(named):
            found |= await visible(self.rights, context)
        return found

    async def _barred(self, studies: Sequence[str], context: Context) -> frozenset[str]:
        """`id/uid` of the barred series of these ImagingStudies."""
        if not studies:
            return frozenset()
        right = await self.rights.constrain(context, "read", _STUDY)
        return await barred_series(self.records, right, OneOf("_id", tuple(sorted(set(studies)))))

    async def _of_shown_series(self, context: Context, predicate: Predicate) -> Predicate:
        """Without the studies that only a series found which is barred: labelled series are found as studies are."""
        right = await self.rights.constrain(context, "search", _STUDY)
        found = sorted({study_of(each) for each in await barred_series(self.records, right, predicate)})
        if not found:
            return predicate
        records = await self.records.get(collection(_STUDY), found)
        shown = await self.shown(context, [from_record(_STUDY, each) for each in records])
        told = {each.id for each in shown if matches(predicate, self.keys(reread(each.body), each.last_updated))}
        return All((predicate, negated(OneOf("_id", tuple(each for each in found if each not in told)))))

    async def _redacted(
        self, context: Context, page: Sequence[Stored], series: frozenset[str], seen: Mapping[str, Predicate]
    ) -> list[Stored]:
        """`seen`: what may be seen of some types, beside what consents leave of all."""
        if not page:
            return []
        is_short = len(page) <= _FEW
        resources = _decoded(page) if is_short else await self.offload.cpu(_decoded, page)
        hidden = await self._hidden(context, page, resources, series, seen)
        made = (
            self._made(page, resources, hidden)
            if is_short
            else await self.offload.cpu(self._made, page, resources, hidden)
        )
        if number := sum(new is not old for new, old in zip(made, page, strict=True)):
            context.trail.hide("redacted", number)
        return made

    def _made(self, page: Sequence[Stored], resources: Sequence[Resource], hidden: Hidden) -> list[Stored]:
        return [self._one(*each, hidden) for each in zip(page, resources, strict=True)]

    async def _hidden(
        self,
        context: Context,
        page: Sequence[Stored],
        resources: Sequence[Resource],
        series: frozenset[str],
        seen: Mapping[str, Predicate],
    ) -> Hidden:
        named: dict[str, set[str]] = {}
        tokens: dict[str, set[str]] = {}
        types: set[str] = set()
        for stored, resource in zip(page, resources, strict=True):
            for element in elements(resource):
                for reference in addressed(element, self.local):
                    if reference not in stored.patients:
                        resource_type, _, name = reference.partition("/")
                        named.setdefault(resource_type, set()).add(name)
                for resource_type, token in identified(element):
                    tokens.setdefault(resource_type, set()).add(token)
            types |= {str(each.get("resourceType")) for each in resource.get("contained", ())} | {stored.type}
        asked = types | named.keys() | tokens.keys()
        predicates = {each: await self.consents.predicate(context, each, "read") for each in asked}
        # Rights include what consents leave; what is contained is as open as what contains it, so these are for names.
        met = {**predicates, **seen}
        references = await hidden_among(self.records, named, met)
        return Hidden(references, predicates, await hidden_identifiers(self.records, tokens, met), series)

    def _one(self, stored: Stored, resource: Resource, hidden: Hidden) -> Stored:
        contained = [each for each in resource.get("contained", ()) if self._is_hidden_within(resource, each, hidden)]
        gone = {f"#{each.get('id')}" for each in contained}

        def hides(element: Mapping[str, Any]) -> bool:
            if "resourceType" in element:
                return False
            if hidden.series and f"{stored.id}/{element.get('uid')}" in hidden.series:
                return True
            text = element.get("reference")
            if (isinstance(text, str) and text in gone) or self._names_hidden(element, hidden):
                return True
            return "extension" in element and self._is_barred(resource, element, hidden)

        made = left_of(resource, hides)
        if contained:
            kept = [each for each in made["contained"] if f"#{each.get('id')}" not in gone]
            made = {name: value for name, value in made.items() if name != "contained"}
            made |= {"contained": kept} if kept else {}
        if made is resource:
            return stored
        return stored._replace(body=encode(marked(recounted(made, resource))))

    def _names_hidden(self, element: Mapping[str, Any], hidden: Hidden) -> bool:
        return (
            bool(hidden.references) and any(each in hidden.references for each in addressed(element, self.local))
        ) or (bool(hidden.identifiers) and any(each in hidden.identifiers for each in identified(element)))

    def _is_hidden_within(self, resource: Resource, contained: Mapping[str, Any], hidden: Hidden) -> bool:
        """By what is told of it, and for the rest by what is told of what it is contained in."""
        predicate = hidden.predicates.get(str(contained.get("resourceType")), EVERYTHING)
        if predicate == EVERYTHING:
            return False
        own = self.keys(_labelled({"id": "", **contained}, contained), 0)
        return not matches(predicate, {**_facets(self.keys(resource, 0)), **_facets(own)})

    def _is_barred(self, resource: Resource, element: Mapping[str, Any], hidden: Hidden) -> bool:
        """By the labels of one element, as if they were the whole's."""
        predicate = hidden.predicates[resource["resourceType"]]
        if predicate == EVERYTHING or not any(map(_is_label, element["extension"])):
            return False
        return not matches(predicate, self.keys(_labelled(resource, element), 0))


def _decoded(page: Sequence[Stored]) -> list[Resource]:
    return [decode(each.body) for each in page]


def _facets(keys: Keys) -> Keys:
    """Of a contained resource only the keys of access count: it has no others that anything is searched by."""
    return {name: values for name, values in keys.items() if name[:1] == "@"}


def _labelled(resource: Resource, element: Mapping[str, Any]) -> Resource:
    """The resource with the inline labels of an element among its own."""
    labels = [each["valueCoding"] for each in element.get("extension", ()) if _is_label(each)]
    if not labels:
        return resource
    meta = resource.get("meta", {})
    return {**resource, "meta": {**meta, "security": [*meta.get("security", ()), *labels]}}


def _is_label(extension: Any) -> bool:
    return (
        isinstance(extension, Mapping)
        and extension.get("url") == INLINE_LABEL
        and isinstance(extension.get("valueCoding"), Mapping)
    )
