"""What stands of a resource now: its current version or its deletion, and the locks that guard both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from server.fhir.stored import DELETED, Stored, collection, from_history, from_record
from storage.ports import Records

TICK = 1000
"""Microseconds between two versions of a resource at the least: `meta.lastUpdated` tells milliseconds."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A resource as it was read; the locks are versions of records, 0 where there is no record."""

    current: Stored | None = None
    lock: int = 0
    deletion: Stored | None = None
    deletion_lock: int = 0

    @property
    def version(self) -> int | None:
        """The current version, `None` where there is none or it is deleted."""
        return None if self.current is None else self.current.version

    @property
    def last(self) -> Stored | None:
        return self.current or self.deletion

    def next_version(self) -> int:
        return self.last.version + 1 if self.last else 1

    def next_moment(self, micros: int) -> int:
        """`lastUpdated` of the next version: later than the last, whatever the clock did."""
        return max(micros, self.last.last_updated + TICK) if self.last else micros


ABSENT = Standing()
"""Of what has never been: also what a new id stands for, without looking."""


async def standings(records: Records, resource_type: str, ids: Sequence[str]) -> dict[str, Standing]:
    """What stands under each id."""
    current = {record.id: record for record in await records.get(collection(resource_type), ids)}
    found = {i: Standing(from_record(resource_type, record), record.version) for i, record in current.items()}
    missing = [f"{resource_type}/{each}" for each in ids if each not in current]
    for record in await records.get(DELETED, missing) if missing else ():
        deletion = from_history(record)
        found[deletion.id] = Standing(deletion=deletion, deletion_lock=record.version)
    return {each: found.get(each, ABSENT) for each in ids}


async def standing(records: Records, resource_type: str, resource_id: str) -> Standing:
    return (await standings(records, resource_type, [resource_id]))[resource_id]


async def standing_of(records: Records, named: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Standing]:
    """What stands under each type and id, read type by type."""
    by_type: dict[str, dict[str, None]] = {}
    for resource_type, resource_id in named:
        by_type.setdefault(resource_type, {})[resource_id] = None
    found: dict[tuple[str, str], Standing] = {}
    for resource_type, ids in by_type.items():
        for resource_id, each in (await standings(records, resource_type, list(ids))).items():
            found[resource_type, resource_id] = each
    return found
