"""Expands a value set into its codes (FHIR R4 ValueSet/$expand).

What cannot be listed is an error that says why, never a shorter list. A list is flat unless nesting is asked for and
no page of it; codes that only group others, which nobody may select, are part of a nested list alone, as HL7's own
expansions have it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from profiles.terminology.code_system import CodeSystem, Concept, Resource
from profiles.terminology.compose import ANY_VERSION, SystemVersions
from profiles.terminology.errors import invalid, too_costly
from profiles.terminology.extent import NOTHING, Extent, Listed, Wording, codes_listed
from profiles.terminology.wording import concept_of, designations, display, words

_DEEPEST = 32
_FARTHEST = 1000
_HEAD = ("url", "version", "name", "title", "status")


@dataclass(frozen=True, slots=True)
class ExpansionRequest:
    """The parameters of `$expand`, by the names of its definition."""

    filter: str | None = None
    offset: int | None = None
    count: int | None = None
    include_designations: bool = False
    include_definition: bool = False
    active_only: bool = False
    exclude_nested: bool = True
    exclude_not_for_ui: bool = False
    display_language: str | None = None
    exclude_systems: frozenset[str] = frozenset()
    versions: SystemVersions = ANY_VERSION
    parameters: tuple[Resource, ...] = ()
    """As the caller gave them, for the record in the expansion."""


EVERYTHING = ExpansionRequest()


@dataclass(frozen=True, slots=True)
class _Entry:
    system: str
    code: str
    wording: Wording | None
    concept: Concept | None


def expand(
    value_set: Resource, extent: Extent, request: ExpansionRequest, identifier: str, timestamp: str, most: int
) -> Resource:
    """The value set with its expansion; `most` codes at once."""
    if request.offset is not None and request.count is None:
        raise invalid("An expansion from an offset needs a count.")
    entries = [each for each in _entries(extent, request) if _passes(each, request)]
    expansion: Resource = {"identifier": identifier, "timestamp": timestamp, "total": len(entries)}
    if request.offset is not None:
        expansion["offset"] = request.offset
    expansion["parameter"] = [*request.parameters, *_used(extent)]
    page = _page(entries, request, most)
    contains = _tree(page, extent.systems, request) if _nests(request) else [_contained(each, request) for each in page]
    head = value_set if request.include_definition else {name: value_set[name] for name in _HEAD if name in value_set}
    kept = {key: value for key, value in head.items() if key != "expansion"}
    kept = {"resourceType": "ValueSet", **kept, "status": kept.get("status", "active")}
    filled = {key: value for key, value in expansion.items() if value != []}
    return kept | {"expansion": filled | ({"contains": contains} if contains else {})}


def _nests(request: ExpansionRequest) -> bool:
    return not request.exclude_nested and request.count is None


def _entries(extent: Extent, request: ExpansionRequest) -> Iterator[_Entry]:
    if extent.rest != NOTHING:
        codes_listed(extent.rest)
    for url, part in extent.parts.items():
        if url not in request.exclude_systems:
            system = extent.systems.get(url)
            for code, wording in codes_listed(part).items():
                yield _Entry(url, code, wording, concept_of(system, code))


def _passes(entry: _Entry, request: ExpansionRequest) -> bool:
    concept = entry.concept
    if concept and concept.is_abstract and (request.exclude_not_for_ui or not _nests(request)):
        return False
    if concept and concept.is_inactive and request.active_only:
        return False
    return request.filter is None or _has_words(entry, request.filter)


def _has_words(entry: _Entry, text: str) -> bool:
    """Each word asked for lies in the code or in what it is called."""
    found = "\n".join((entry.code, *words(entry.wording, entry.concept))).casefold()
    return all(word in found for word in text.casefold().split())


def _page(entries: Sequence[_Entry], request: ExpansionRequest, most: int) -> Sequence[_Entry]:
    offset = request.offset or 0
    page = entries if request.count is None else entries[offset : offset + request.count]
    if len(page) > most:
        raise too_costly(f"The expansion has {len(page)} codes, more than the {most} that are given at once.")
    return page


def _used(extent: Extent) -> Iterator[Resource]:
    """Which versions of the code systems the list is made from, and whether it may lack some."""
    for url, system in extent.systems.items():
        if system.version:
            yield {"name": "version", "valueUri": f"{url}|{system.version}"}
    if not all(isinstance(part, Listed) for part in extent.parts.values()):
        yield {"name": "limitedExpansion", "valueBoolean": True}


def _contained(entry: _Entry, request: ExpansionRequest) -> Resource:
    concept = entry.concept
    found: Resource = {"system": entry.system}
    if concept and concept.is_abstract:
        found["abstract"] = True
    if concept and concept.is_inactive:
        found["inactive"] = True
    found["code"] = entry.code
    name = display(entry.wording, concept, request.display_language)
    if name is not None:
        found["display"] = name
    stated = designations(entry.wording, concept) if request.include_designations else []
    return found | ({"designation": stated} if stated else {})


def _tree(entries: Sequence[_Entry], systems: Mapping[str, CodeSystem], request: ExpansionRequest) -> list[Resource]:
    """Each code below the nearest code above it that is in the set; what has none stands at the top."""
    made = {(each.system, each.code): _contained(each, request) for each in entries}
    below: dict[_Key | None, list[_Key]] = {}
    for key in made:
        below.setdefault(_nearest(key, systems, made.keys()), []).append(key)
    top: list[Resource] = []
    pending = [(key, top, 1) for key in reversed(below.get(None, []))]
    while pending:
        key, into, depth = pending.pop()
        into.append(made[key])
        children = below.get(key, [])
        inner = made[key].setdefault("contains", []) if children and depth < _DEEPEST else into
        pending += [(each, inner, depth + 1) for each in reversed(children)]
    placed = {id(each) for each in _all(top)}
    return top + [each for each in made.values() if id(each) not in placed]


_Key = tuple[str, str]


def _nearest(key: _Key, systems: Mapping[str, CodeSystem], among: Collection[_Key]) -> _Key | None:
    """A code of a cycle has itself above: such codes hang from each other, and end at the top."""
    system = systems.get(key[0])
    if system is None:
        return None
    seen = {key[1]}
    pending = deque(system.parents.get(key[1], ()))
    while pending and len(seen) < _FARTHEST:
        above = pending.popleft()
        if (key[0], above) in among and above != key[1]:
            return key[0], above
        if above not in seen:
            seen.add(above)
            pending.extend(system.parents.get(above, ()))
    return None


def _all(contains: Sequence[Resource]) -> Iterator[Resource]:
    for each in contains:
        yield each
        yield from _all(each.get("contains", ()))
