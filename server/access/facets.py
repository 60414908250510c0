"""Keys by which access is decided, written beside the search keys of every FHIR record.

`@patient`: `Patient/3` for each Patient compartment the resource is in (CompartmentDefinition patient); a Patient is in
its own alone, for a `link` to somebody else must not open it to their apps; of types outside the compartment that may
still be about somebody, each Patient they name. `@shared`: 1 where that is more than one. `@level`, `@label`: see
`server.access.labels`. `@author`: who made it. `@related`: the Encounter, CarePlan or EpisodeOfCare it belongs to.
`@when`, `@when:end`: the moments between which it happened, where it says so. `@study`: the Study Instance UID of an
ImagingStudy. `@manifest`: those a DocumentReference is about that stands for a list of their images. `@number`:
`system|value` of each identifier of a Patient. `@context`: what a Binary is as secret as.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.access.labels import labels_of, level_of
from server.dicom.key_objects import KEY_OBJECT_SELECTION
from storage.query import Key

PATIENT, SHARED, LEVEL, LABEL = "@patient", "@shared", "@level", "@label"
AUTHOR, RELATED, WHEN, WHEN_END = "@author", "@related", "@when", "@when:end"
STUDY, MANIFEST, NUMBER, CONTEXT = "@study", "@manifest", "@number", "@context"

Json = Mapping[str, Any]
Keys = Mapping[str, frozenset[Key]]
Local = Callable[[str], str]
"""A reference without the address of this server."""

_ONE: frozenset[Key] = frozenset((1,))
_PATIENT = "Patient/"
_AUTHORS = (
    "performer", "author", "recorder", "asserter", "interpreter", "resultsInterpreter", "requester", "referrer",
    "informationSource", "enterer", "sender", "provider", "authenticator", "attester", "agent",
)  # fmt: skip
_ACTORS = ("actor", "who", "party")
_BELONGINGS = ("encounter", "context", "episodeOfCare", "basedOn", "partOf")
_OWNERS = ("Encounter/", "CarePlan/", "EpisodeOfCare/")
_OWNER_TYPES = frozenset({"Encounter", "CarePlan", "EpisodeOfCare"})
_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Places:
    """Of one resource type: the search keys that tell whose a resource is and when it happened."""

    patients: tuple[str, ...] = ()
    moments: tuple[str, ...] = ()
    is_searched: bool = False
    """Whether every reference within is looked at, because the type has no compartment."""


def facets(resource: Json, keys: Keys, places: Places, local: Local) -> dict[str, frozenset[Key]]:
    """What of these can be told of a resource, given its search keys."""
    found: dict[str, frozenset[Key]] = {}
    resource_type = resource["resourceType"]
    patients = _patients(resource, resource_type, keys, places, local)
    if patients:
        found[PATIENT] = patients
        if len(patients) > 1:
            found[SHARED] = _ONE
    if codings := resource.get("meta", {}).get("security"):
        _label(codings, found)
    if authors := _named(resource, _AUTHORS, local):
        found[AUTHOR] = frozenset(authors)
    related = [each for each in _named(resource, _BELONGINGS, local) if each.startswith(_OWNERS)]
    if resource_type in _OWNER_TYPES:
        related.append(f"{resource_type}/{resource['id']}")
    if related:
        found[RELATED] = frozenset(related)
    _moments(keys, places.moments, found)
    if (special := _SPECIAL.get(resource_type)) is not None:
        special(resource, found, local)
    return found


def _patients(resource: Json, resource_type: str, keys: Keys, places: Places, local: Local) -> frozenset[Key]:
    if resource_type == "Patient":
        return frozenset((_PATIENT + resource["id"],))
    named: set[Key] = set()
    for name in places.patients:
        for each in keys.get(name, ()):
            if isinstance(each, str) and each.startswith(_PATIENT) and each.count("/") == 1 and each[8] != "#":
                named.add(each)
    if places.is_searched:
        named.update(_mentioned(resource, local))
    return frozenset(named)


def _label(codings: list[Json], found: dict[str, frozenset[Key]]) -> None:
    found[LABEL] = frozenset(labels_of(codings))
    if (level := level_of(codings)) is not None:
        found[LEVEL] = frozenset((level,))


def _named(resource: Json, names: tuple[str, ...], local: Local) -> list[str]:
    """Local references under elements that hold one, or several, or elements with an actor or an encounter within."""
    found: list[str] = []
    for name in names:
        value = resource.get(name)
        if value is None:
            continue
        for each in value if type(value) is list else (value,):
            if type(each) is dict:
                found += [_bare(local(text)) for text in _texts(each)]
    return found


def _texts(element: Json) -> Iterator[str]:
    reference = element.get("reference")
    if type(reference) is str:
        yield reference
        return
    for name in _ACTORS:
        inner = element.get(name)
        if type(inner) is dict and type(inner.get("reference")) is str:
            yield inner["reference"]
    inner = element.get("encounter")
    for each in inner if type(inner) is list else ():
        if type(each) is dict and type(each.get("reference")) is str:
            yield each["reference"]


def _bare(reference: str) -> str:
    return reference.partition("/_history/")[0]


def _moments(keys: Keys, names: tuple[str, ...], found: dict[str, frozenset[Key]]) -> None:
    for name in names:
        starts, ends = keys.get(name), keys.get(name + ":end")
        if starts and ends:
            found[WHEN] = frozenset((min(starts, key=int),))
            found[WHEN_END] = frozenset((max(ends, key=int),))
            return


def _mentioned(resource: Json, local: Local) -> set[str]:
    """Every Patient that a resource names or holds."""
    found: set[str] = set()
    pending: list[tuple[Any, int]] = [(resource, 0)]
    while pending:
        each, depth = pending.pop()
        if type(each) is dict:
            text = each.get("reference")
            if type(text) is str and (name := _bare(local(text))).startswith(_PATIENT):
                found.add(name)
            if each.get("resourceType") == "Patient" and type(each.get("id")) is str:
                found.add(_PATIENT + each["id"])
        if depth < _DEEPEST:
            within = each.values() if type(each) is dict else each
            pending += [(one, depth + 1) for one in within if type(one) in (dict, list)]
    return found


def _study(resource: Json, found: dict[str, frozenset[Key]], _: Local) -> None:
    if uids := _uids(resource.get("identifier", ())):
        found[STUDY] = uids


def _manifest(resource: Json, found: dict[str, frozenset[Key]], _: Local) -> None:
    formats = (each.get("format", {}).get("code") for each in resource.get("content", ()))
    if KEY_OBJECT_SELECTION in formats:
        related = resource.get("context", {}).get("related", ())
        if uids := _uids(each["identifier"] for each in related if "identifier" in each):
            found[MANIFEST] = uids


def _uids(identifiers: Iterable[Json]) -> frozenset[Key]:
    return frozenset(
        each["value"].removeprefix("urn:oid:")
        for each in identifiers
        if each.get("system") == "urn:dicom:uid" and "value" in each
    )


def _numbers(resource: Json, found: dict[str, frozenset[Key]], _: Local) -> None:
    numbers = {
        f"{each.get('system', '')}|{each['value']}" for each in resource.get("identifier", ()) if "value" in each
    }
    if numbers:
        found[NUMBER] = frozenset(numbers)


def _secrecy(resource: Json, found: dict[str, frozenset[Key]], local: Local) -> None:
    """A Binary is shown to whom its security context is shown."""
    reference = resource.get("securityContext", {}).get("reference")
    if isinstance(reference, str):
        found[CONTEXT] = frozenset((_bare(local(reference)),))


_SPECIAL = {"ImagingStudy": _study, "DocumentReference": _manifest, "Patient": _numbers, "Binary": _secrecy}
