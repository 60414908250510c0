"""What is held back of resources that are shown, as searches meet it: references to hidden ones, and barred series.

A search for the resources that refer to something hidden would tell that they do, though the reference is taken out of
what they show; so it is carried out as if no resource had it. A patient is no secret of what is shown of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from server.access.classes import Class, class_of
from server.access.compartments import all_of, any_of
from server.access.consent.predicate import negated
from server.fhir.identity import is_id
from server.fhir.series_labels import LABELLED
from server.fhir.stored import collection
from server.kernel.problem import Kind, Problem
from storage.ports import Records
from storage.query import EVERYTHING, NOTHING, All, Any, Equals, Key, Not, OneOf, Predicate

_MOST_SERIES = 10_000
_OF_SERIES = frozenset({
    "series", "instance", "modality", "bodysite", "dicom-class", "performer", "started", "_content", "_text",
})  # fmt: skip
"""Search parameters of ImagingStudy that tell of its series."""
_NEVER_HIDDEN = (Class.DIRECTORY, Class.DEFINITION)


async def barred_series(records: Records, right: Predicate, within: Predicate) -> frozenset[str]:
    """`id/uid` of the labelled series that a right over ImagingStudy refuses, of studies `within`."""
    if right in (EVERYTHING, NOTHING):
        return frozenset()
    found = await records.find(LABELLED, All((within, negated(right))), limit=_MOST_SERIES)
    if found.next is not None:
        raise Problem(Kind.TOO_LARGE, "Too many studies differ in who may see them; name the study.")
    return frozenset(each.id for each in found.records)


def study_of(series: str) -> str:
    return series.partition("/")[0]


def tells_of_series(predicate: Predicate) -> bool:
    match predicate:
        case All(terms) | Any(terms):
            return any(tells_of_series(each) for each in terms)
        case Not(term):
            return tells_of_series(term)
        case _:
            return predicate.name.partition(":")[0] in _OF_SERIES


async def hidden_among(
    records: Records, named: Mapping[str, Collection[str]], predicates: Mapping[str, Predicate]
) -> frozenset[str]:
    """`Type/id` of those that are there and may not be seen, of ids by type."""
    found: set[str] = set()
    for each, names in named.items():
        predicate = predicates[each]
        if predicate == EVERYTHING:
            continue
        ids = await hidden_values(records, each, "_id", names, predicate, at_most=len(names))
        found.update(f"{each}/{id_}" for id_ in ids)
    return frozenset(found)


async def hidden_values(
    records: Records, resource_type: str, key: str, asked: Collection[str], predicate: Predicate, *, at_most: int
) -> list[Key]:
    """Values of a key, of resources that have one of those asked for and do not match what may be seen."""
    hidden: Predicate = OneOf(key, tuple(sorted(asked)))
    if predicate != NOTHING:
        hidden = All((hidden, negated(predicate)))
    return await records.values(collection(resource_type), key, hidden, at_most=at_most)


def references_of(predicate: Predicate) -> dict[str, set[str]]:
    """Ids of what could be hidden and a search names, by type."""
    found: dict[str, set[str]] = {}
    for reference in _named(predicate):
        resource_type, _, name = reference.partition("/")
        if is_id(name) and resource_type != "Patient" and class_of(resource_type) not in _NEVER_HIDDEN:
            found.setdefault(resource_type, set()).add(name)
    return found


def without(predicate: Predicate, hidden: frozenset[str]) -> Predicate:
    """The search as if nothing referred to these."""
    if not hidden:
        return predicate
    match predicate:
        case All(terms):
            return all_of([without(each, hidden) for each in terms])
        case Any(terms):
            return any_of([without(each, hidden) for each in terms])
        case Not(term):
            return negated(without(term, hidden))
        case Equals(name, value) if _reference(name, value) in hidden:
            return NOTHING
        case OneOf(name, values):
            kept = tuple(each for each in values if _reference(name, each) not in hidden)
            return predicate if len(kept) == len(values) else OneOf(name, kept) if kept else NOTHING
        case _:
            return predicate


def _named(predicate: Predicate) -> Iterator[str]:
    match predicate:
        case All(terms) | Any(terms):
            for term in terms:
                yield from _named(term)
        case Not(term):
            yield from _named(term)
        case Equals(name, value):
            yield _reference(name, value)
        case OneOf(name, values):
            for each in values:
                yield _reference(name, each)
        case _:
            return


def _reference(name: str, value: Key) -> str:
    """`Type/id` where the key may be a reference, else nothing."""
    if not isinstance(value, str) or name[:1] in "@_" or "/" not in value:
        return ""
    found = value.partition("/_history/")[0]
    return found if found.partition("/")[0].isalpha() else ""
