"""Finds parameters whose values others cover already, so that one set of keys serves several names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from server.fhir.index.drafts import Draft
from server.fhir.index.parameters import Source
from server.fhir.index.routes import Move

Moves = frozenset[tuple[Move, ...]]

_NEVER = frozenset({"composite", "special"})


def sources_of(drafts: Iterable[Draft]) -> dict[str, tuple[Source, ...]]:
    """Where the keys of each parameter lie. No published parameter ever depends on a custom one."""
    found: dict[str, tuple[Source, ...]] = {}
    owners: dict[tuple[str, Moves], str] = {}
    waiting = []
    for each in sorted(drafts, key=_rank):
        if each.type in _NEVER or not each.routes or each.paths is None:
            found[each.code] = (Source(each.code),)
        elif each.is_restricted:
            waiting.append(each)
        else:
            owner = owners.setdefault((each.type, each.moves), each.code)
            found[each.code] = (Source(owner),)
    for each in waiting:
        found[each.code] = (_restricted(each, owners) or Source(each.code),)
    for (kind, moves), code in owners.items():
        found[code] = _union(kind, moves, owners) or (Source(code),)
    for code, sources in found.items():
        if len(sources) == 1 and sources[0].name != code and not sources[0].target:
            found[code] = found[sources[0].name]
    return found


def _rank(draft: Draft) -> tuple[bool, bool, str]:
    """Who owns keys first: a published parameter, one named like the element (`version`, not `fhirversion`)."""
    return not draft.is_published, draft.code not in draft.element_names, draft.code


def _restricted(draft: Draft, owners: Mapping[tuple[str, Moves], str]) -> Source | None:
    """`patient` of most types is `subject` where that refers to a Patient."""
    owner = owners.get((draft.type, draft.moves))
    return Source(owner, draft.only_refers) if owner and draft.only_refers else None


def _union(kind: str, moves: Moves, owners: Mapping[tuple[str, Moves], str]) -> tuple[Source, ...] | None:
    """`combo-code` is `code` and `component-code`."""
    if len(moves) < 2:
        return None
    parts = [(code, each) for (other, each), code in owners.items() if other == kind and each < moves]
    covered: set[tuple[Move, ...]] = set()
    chosen = []
    for code, each in sorted(parts, key=lambda part: (-len(part[1]), part[0])):
        if covered.isdisjoint(each):
            covered |= each
            chosen.append(code)
    return tuple(Source(code) for code in sorted(chosen)) if covered == moves else None
