"""Searches that need no limits: nothing of the patients they name is held back from the actor.

What an actor may not see is a few studies among many, mostly, and told by a long predicate. Whose these are is looked
up once for as long as the records and the rights stay the same; a search for the studies of others then runs as if
there were no limits, and finds the same.
"""

from __future__ import annotations

from server.access.kept import Kept
from server.access.narrowing import negated
from server.archive.rows import STUDY
from storage.ports import Records
from storage.query import All, Any, Equals, OneOf, Predicate

MOST = 10_000
"""Patient IDs kept for one right; beyond it every search runs with its limits."""
_KEPT = 16
_LONGEST = 64
"""Of a Patient ID (LO): what is longer is not told apart here."""
_PATIENT_ID = "PatientID"


class Unhidden:
    """Of one archive, in one process."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._hidden: Kept[tuple[frozenset[object], bool]] = Kept(_KEPT)

    async def covers(self, visible: Predicate, query: Predicate) -> int | None:
        """The revision of the records for as long as which every study that matches the query is visible; `None` where
        that cannot be told without looking at them."""
        named = named_in(query)
        revision = await self._records.revision()
        if revision is None or named is None or any(len(each) > _LONGEST for each in named):
            return None
        hidden, is_whole = await self._of(visible, revision)
        return revision if is_whole and hidden.isdisjoint(named) else None

    async def _of(self, visible: Predicate, revision: int) -> tuple[frozenset[object], bool]:
        known = self._hidden.get(id(visible), revision, visible)
        if known is None:
            found = await self._records.values(STUDY, _PATIENT_ID, negated(visible), at_most=MOST + 1)
            known = frozenset(found), len(found) <= MOST
            self._hidden.put(id(visible), revision, visible, known)
        return known


def named_in(query: Predicate) -> frozenset[str] | None:
    """The Patient IDs one of which every match has; `None` where the query does not say."""
    match query:
        case Equals("PatientID", value):
            return frozenset((str(value),))
        case OneOf("PatientID", values):
            return frozenset(map(str, values))
        case All(terms):
            return next((found for each in terms if (found := named_in(each)) is not None), None)
        case Any(terms):
            named = [each for each in map(named_in, terms) if each is not None]
            return frozenset().union(*named) if len(named) == len(terms) else None
        case _:
            return None
