"""Resources as somebody may see them who sees some of a patient's data and not all (REDACT of our consent table).

What a visible resource holds of hidden ones is taken out: contained resources, references with whatever they display,
elements with an inline label of their own (Security Label DS4P). The narrative may tell of any of it and goes too. What
is left says so: REDACTED among its labels, SUBSETTED among its tags.

Only resources of patients whose consents make such a difference are looked into, a page of them with one question for
each type they refer to; everybody else's are passed on as the stored bytes they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from server.access.consent.predicate import negated
from server.fhir.collaborators import Keys
from server.fhir.identity import is_id
from server.fhir.json_form import Resource, decode, encode
from server.fhir.stored import Stored, collection
from server.kernel.context import SERVER, Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.ports import Records
from storage.query import EVERYTHING, NOTHING, All, OneOf, Predicate, matches

INLINE_LABEL = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
_VALUES = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_REDACTED = {"system": _VALUES, "code": "REDACTED", "display": "redacted"}
_SUBSETTED = {"system": _VALUES, "code": "SUBSETTED", "display": "subsetted"}
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_MASKED = {"extension": [{"url": _ABSENT, "valueCode": "masked"}]}
_FEW = 8
"""So many resources are parsed and rendered without leaving the event loop."""

Hides = Callable[[Mapping[str, Any]], bool]


class Consents(Protocol):
    async def predicate(self, context: Context, resource_type: str, interaction: str) -> Predicate: ...

    async def redacted_patients(self, context: Context) -> frozenset[str] | None: ...


class Rights(Protocol):
    async def constrain(self, context: Context, interaction: str, resource_type: str) -> Predicate: ...


@dataclass(frozen=True, slots=True)
class Hidden:
    """What a page must not show, found before it is worked on."""

    references: frozenset[str]
    predicates: Mapping[str, Predicate]
    """What may be seen, by the types of contained resources and of those with inline labels."""


@dataclass(frozen=True, slots=True)
class ConsentRedaction:
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
        patients = await self.consents.redacted_patients(context)
        if patients is not None and not patients:
            return page
        if patients is None:
            places = [n for n, each in enumerate(page) if each.body]
        else:
            places = [n for n, each in enumerate(page) if not patients.isdisjoint(each.patients) and each.body]
        if not places:
            return page
        made = list(page)
        for n, stored in zip(places, await self._redacted(context, [page[n] for n in places]), strict=True):
            made[n] = stored
        return made

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

    async def _redacted(self, context: Context, page: Sequence[Stored]) -> list[Stored]:
        is_short = len(page) <= _FEW
        resources = _decoded(page) if is_short else await self.offload.cpu(_decoded, page)
        hidden = await self._hidden(context, page, resources)
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

    async def _hidden(self, context: Context, page: Sequence[Stored], resources: Sequence[Resource]) -> Hidden:
        named: dict[str, set[str]] = {}
        types: set[str] = set()
        for stored, resource in zip(page, resources, strict=True):
            for reference in self._references(resource):
                if reference not in stored.patients:
                    resource_type, _, name = reference.partition("/")
                    named.setdefault(resource_type, set()).add(name)
            types |= {str(each.get("resourceType")) for each in resource.get("contained", ())} | {stored.type}
        predicates = {each: await self.consents.predicate(context, each, "read") for each in types | named.keys()}
        references = {
            f"{each}/{name}"
            for each, names in named.items()
            for name in await self._hidden_of(each, predicates[each], names)
        }
        return Hidden(frozenset(references), predicates)

    async def _hidden_of(self, resource_type: str, predicate: Predicate, names: set[str]) -> list[str]:
        """Those that are there and may not be seen."""
        if predicate == EVERYTHING:
            return []
        asked: Predicate = OneOf("_id", tuple(sorted(names)))
        if predicate != NOTHING:
            asked = All((asked, negated(predicate)))
        return list(map(str, await self.records.values(collection(resource_type), "_id", asked, at_most=len(names))))

    def _references(self, resource: Resource) -> Iterator[str]:
        """`Type/id` of everything referred to here, once or more often."""
        for element in _elements(resource):
            text = element.get("reference")
            if isinstance(text, str) and (found := self._local(text)):
                yield found

    def _local(self, text: str) -> str:
        found = self.local(text).partition("/_history/")[0]
        resource_type, _, name = found.partition("/")
        return found if resource_type.isalpha() and is_id(name) else ""

    def _one(self, stored: Stored, resource: Resource, hidden: Hidden) -> Stored:
        contained = [each for each in resource.get("contained", ()) if self._is_hidden_within(resource, each, hidden)]
        gone = {f"#{each.get('id')}" for each in contained}

        def hides(element: Mapping[str, Any]) -> bool:
            if "resourceType" in element:
                return False
            text = element.get("reference")
            if isinstance(text, str) and (text in gone or self._local(text) in hidden.references):
                return True
            return "extension" in element and self._is_barred(resource, element, hidden)

        made = _without(resource, hides)
        if contained:
            kept = [each for each in made["contained"] if f"#{each.get('id')}" not in gone]
            made = {name: value for name, value in made.items() if name != "contained"}
            made |= {"contained": kept} if kept else {}
        if made is resource:
            return stored
        return stored._replace(body=encode(_marked(_recounted(made, resource))))

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


def _elements(resource: Resource) -> Iterator[Mapping[str, Any]]:
    pending: list[Any] = [resource]
    while pending:
        each = pending.pop()
        if type(each) is dict:
            yield each
        pending += [one for one in (each.values() if type(each) is dict else each) if type(one) in (dict, list)]


def _without(element: dict[str, Any], hides: Hides) -> dict[str, Any]:
    """The element without what is hidden within: gone from lists, masked where it stands alone."""
    made: dict[str, Any] | None = None
    for name, value in element.items():
        new = _kept(value, hides)
        if new is not value:
            made = dict(element) if made is None else made
            if new is None:
                del made[name]
                made.pop(name.removeprefix("_"), None)
            else:
                made[name] = new
    return element if made is None else made


def _kept(value: Any, hides: Hides) -> Any:
    """`None` for a list of which nothing is left."""
    if type(value) is dict:
        return dict(_MASKED) if hides(value) else _without(value, hides)
    if type(value) is not list:
        return value
    left = [_without(each, hides) if type(each) is dict else each for each in value if not _is_hidden(each, hides)]
    if len(left) == len(value) and all(new is old for new, old in zip(left, value, strict=True)):
        return value
    return left or None


def _is_hidden(value: Any, hides: Hides) -> bool:
    return type(value) is dict and hides(value)


def _recounted(made: Resource, before: Resource) -> Resource:
    """An ImagingStudy tells only of the series that are left."""
    if made["resourceType"] != "ImagingStudy" or made.get("series") is before.get("series"):
        return made
    series = made.get("series", ())
    counted = {**made, "numberOfSeries": len(series)}
    counted["numberOfInstances"] = sum(each.get("numberOfInstances", 0) for each in series)
    modalities = _different(each["modality"] for each in series if "modality" in each)
    if "modality" in counted:
        counted = {**counted, "modality": modalities} if modalities else _but(counted, "modality")
    return counted


def _different(codings: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list({(each.get("system"), each.get("code")): each for each in codings}.values())


def _but(resource: Resource, name: str) -> Resource:
    return {each: value for each, value in resource.items() if each != name}


def _marked(resource: Resource) -> Resource:
    meta = resource.get("meta", {})
    security, tags = meta.get("security", ()), meta.get("tag", ())
    meta = {**meta, "security": [*security, _REDACTED], "tag": [*tags, _SUBSETTED]}
    return {**_but(resource, "text"), "meta": meta}
