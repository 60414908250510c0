"""Conditional references (`Practitioner?identifier=…`) resolved to the one resource they mean (R4 3.1.0.11.2).

Each distinct text is looked up once for a request. Within a transaction what it writes counts as if it were stored
already, and what it deletes as if it were gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from server.fhir.collaborators import Keys, Searcher
from server.fhir.conditional import Criteria, parse_criteria
from server.fhir.links import conditional_parts
from server.fhir.references import Named
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from storage.query import matches

T = TypeVar("T")

_AT_ONCE = 16
MOST = 1000
"""Different conditional references that one request may have."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a transaction does beside the reference that is looked up."""

    written: Mapping[str, Sequence[tuple[str, Keys]]] = field(default_factory=dict)
    """By type: id and keys of each resource it creates or updates."""
    hidden: frozenset[Named] = frozenset()
    """What it deletes or overwrites: as stored, these do not count."""


NOTHING_ELSE = Surroundings()


async def resolve(
    context: Context, searcher: Searcher, references: Iterable[str], around: Surroundings = NOTHING_ELSE
) -> dict[str, str | Problem]:
    """`Type/id` by conditional reference; a problem (precondition) for one that does not mean exactly one resource."""
    texts = list(references)
    if len(texts) > MOST:
        text = f"A request may have at most {MOST} different conditional references."
        raise Problem(Kind.UNSUPPORTED, text, (Issue(text, None, "too-costly"),))
    found: dict[str, str | Problem] = {}
    for start in range(0, len(texts), _AT_ONCE):
        some = texts[start : start + _AT_ONCE]
        outcomes = await together([_one(context, searcher, each, around) for each in some])
        found |= dict(zip(some, outcomes, strict=True))
    return found


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All results; when some fail, the first failure as it is, once all have come to their end."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for each in tasks:
            each.cancel()
        raise
    for failure in [each.exception() for each in tasks]:
        if failure is not None:
            raise failure
    return [each.result() for each in tasks]


async def _one(context: Context, searcher: Searcher, reference: str, around: Surroundings) -> str | Problem:
    try:
        criteria = parse_criteria(*conditional_parts(reference))
        ids = await _within(context, searcher, criteria, around)
        at_most = 2 + sum(1 for kind, _ in around.hidden if kind == criteria.type)
        for stored in await searcher.matching(context, criteria.type, criteria.pairs, at_most):
            if (stored.type, stored.id) not in around.hidden:
                ids.add(stored.id)
    except Problem as problem:
        return problem
    if len(ids) == 1:
        return f"{criteria.type}/{ids.pop()}"
    return _ambiguous() if ids else _unmatched(criteria.type)


async def _within(context: Context, searcher: Searcher, criteria: Criteria, around: Surroundings) -> set[str]:
    written = around.written.get(criteria.type)
    if not written:
        return set()
    predicate = await searcher.predicate(context, criteria.type, criteria.pairs)
    return {resource_id for resource_id, keys in written if matches(predicate, keys)}


def _unmatched(resource_type: str) -> Problem:
    text = f"A conditional reference to {resource_type} matches nothing."
    return Problem(Kind.PRECONDITION, text, (Issue(text, None, "not-found"),))


def _ambiguous() -> Problem:
    text = "A conditional reference matches several resources."
    return Problem(Kind.PRECONDITION, text, (Issue(text, None, "multiple-matches"),))
