"""Criteria of conditional interactions: what they find, and the guards that let only one of two equal ones act.

A search cannot lock what is not there. So each criterion has a guard, a record read before the search and written with
the change: of two that searched at the same time the second fails to commit, searches again and finds what the first
made. Guards are few and shared by hash, for a needless repetition costs less than an endless collection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from server.fhir.collaborators import Searcher
from server.fhir.stored import Stored
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Put, Records

GUARD = "fhir-guard"
_GUARDS = 4096
_LONGEST = 4096
_MOST_PAIRS = 64

_OF_THE_ANSWER = frozenset({"_format", "_pretty", "_summary", "_elements"})
"""Parameters that say how the answer shall look: they may stand beside criteria."""
_OF_SEARCHES = frozenset({
    "_sort", "_count", "_include", "_revinclude", "_total", "_contained", "_containedType", "_score", "_query",
})  # fmt: skip

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Criteria:
    """A conditional's query of one type, percent-decoded."""

    type: str
    pairs: Pairs

    @property
    def guard(self) -> str:
        text = "\0".join((self.type, *(f"{name}={value}" for name, value in sorted(self.pairs))))
        return str(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) % _GUARDS)


@dataclass(frozen=True, slots=True)
class Matched:
    """What criteria found, and the guard of the search."""

    found: tuple[Stored, ...]
    guard: Put

    @property
    def only(self) -> Stored | None:
        """The one match, `None` for none; `PRECONDITION` (multiple-matches) for several."""
        if len(self.found) > 1:
            text = "Several resources match the criteria."
            raise Problem(Kind.PRECONDITION, text, (Issue(text, None, "multiple-matches"),))
        return self.found[0] if self.found else None


def parse_criteria(resource_type: str, query: str) -> Criteria:
    """From the value of If-None-Exist or the query of a URL; `Type?query` and a leading `?` are taken too."""
    text = query.removeprefix(resource_type).removeprefix("?") if query.startswith(f"{resource_type}?") else query
    text = text.removeprefix("?")
    if len(text) > _LONGEST:
        raise _bad("The criteria are too long.")
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MOST_PAIRS
        )
    except ValueError:
        raise _bad("The criteria are no query of search parameters.") from None
    return checked(resource_type, pairs)


def checked(resource_type: str, pairs: Sequence[tuple[str, str]]) -> Criteria:
    """Criteria that select something: they must have a filter, no filter may be empty, and nothing else is there."""
    filters = tuple((name, value) for name, value in pairs if name not in _OF_THE_ANSWER)
    if not filters:
        raise _bad("The criteria have no search parameter that selects resources.")
    if any(not value.strip() for _, value in filters):
        raise _bad("A search parameter of the criteria has no value.")
    if any(name.partition(":")[0] in _OF_SEARCHES for name, _ in filters):
        raise _bad("The criteria have a parameter that selects nothing.")
    return Criteria(resource_type, filters)


async def match(
    context: Context, records: Records, searcher: Searcher, criteria: Criteria, at_most: int = 2
) -> Matched:
    """What there is, searched under the guard of the criteria."""
    [guard] = await guards(records, [criteria])
    return Matched(tuple(await searcher.matching(context, criteria.type, criteria.pairs, at_most)), guard)


async def guards(records: Records, criteria: Collection[Criteria]) -> list[Put]:
    """What is written with a change after these were searched for; read before the search, each once."""
    names = list(dict.fromkeys(each.guard for each in criteria))
    versions = {each.id: each.version for each in await records.get(GUARD, names)}
    return [Put(GUARD, each, b"-", expected=versions.get(each, 0)) for each in names]


def _bad(text: str) -> Problem:
    return Problem(Kind.INVALID, text, (Issue(text, None, "invalid"),))
