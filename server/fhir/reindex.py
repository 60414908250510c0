"""Gives every resource its keys anew while the server runs: for custom search parameters, or after an upgrade.

Versions and bodies stay as they are; only keys change. A page of resources and the place reached are one commit, so
that an interrupted run goes on where it stopped, and two runs at once find each other out. A resource that is written
meanwhile has its new keys already, from a server that has noticed: hence the pause before the first page.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from profiles.definitions import definitions
from server.fhir.access_marker import MARK
from server.fhir.collaborators import Keys
from server.fhir.index.drafts import Definition
from server.fhir.index.in_force import (
    COLLECTION,
    FOLLOWS_WITHIN,
    PARAMETERS,
    InForce,
    SearchParameters,
    by_url,
    read_in_force,
)
from server.fhir.json_form import Resource, decode, encode
from server.fhir.series_labels import label_puts
from server.fhir.stored import collection, from_record
from server.fhir.writing import told
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.errors import VersionConflict
from storage.ports import Delete, Put, Record, Records
from storage.query import EVERYTHING, Between, Order

PLACE = "place"
_PAGE = 200
_ATTEMPTS = 20
_MOST = 1 << 40
_ANY_TYPE = frozenset({"Resource", "DomainResource"})
_FIRST, _AFTER = "", "!"
"""Every id is above the first; `!` is below every character of an id, so no other one comes between."""


@dataclass(frozen=True, slots=True)
class Progress:
    resource_type: str
    """The type that was worked on."""
    done: int
    """Resources of all types that have their keys."""
    total: int


class Place(msgspec.Struct, frozen=True):
    """How far a run has come; it goes on only where the same work is asked for."""

    work: str
    types: tuple[str, ...]
    """Those left, the first of them under way."""
    after: str
    """The id it has come to."""
    done: int


class Reindexer:
    """`keys` computes what is written: by the parameters in force, with whatever else the repository keeps."""

    def __init__(
        self,
        records: Records,
        parameters: SearchParameters,
        keys: Callable[[Resource, int], Keys],
        offload: Offload,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._records = records
        self._parameters = parameters
        self._keys = keys
        self._offload = offload
        self._pause = pause
        self._lock = 0

    async def run(self, types: Sequence[str] = ()) -> AsyncIterator[Progress]:
        """Every resource, or those of some types; parameters that are about others too wait for a whole run."""
        chosen = tuple(dict.fromkeys(types)) or definitions().resource_types
        wanted = await self._publish(frozenset(chosen))
        total = sum([await self._count(each) for each in chosen])
        place = await self._begin(chosen, wanted)
        yield Progress(place.types[0] if place.types else "", place.done, total)
        while place.types:
            place = await self._page(place)
            yield Progress(place.types[0] if place.types else "", place.done, max(total, place.done))
        await self._finish(wanted, [MARK] if set(chosen) >= set(definitions().resource_types) else [])

    async def custom(self) -> list[Definition]:
        """The active SearchParameter resources there are."""
        found: list[Definition] = []
        after = _FIRST
        while page := await self._after("SearchParameter", after):
            found += [decode(from_record("SearchParameter", each).body) for each in page]
            after = page[-1].id
        return [each for each in by_url(found) if each.get("status") == "active"]

    async def _publish(self, types: frozenset[str]) -> tuple[Definition, ...]:
        """Has every process write the keys of the parameters to come; gives these."""
        in_force, version = await read_in_force(self._records)
        wanted = tuple(_changed(in_force.searching, await self.custom(), types))
        if wanted != in_force.indexing:
            await self._record(replace(in_force, indexing=wanted), version)
            await self._parameters.refresh(self._records)
            await self._pause(2 * FOLLOWS_WITHIN)
        return wanted

    async def _finish(self, wanted: tuple[Definition, ...], others: Sequence[Put]) -> None:
        in_force, version = await read_in_force(self._records)
        acts: list[Put | Delete] = [Delete(COLLECTION, PLACE, self._lock), *others]
        if in_force != InForce(wanted, wanted):
            await self._record(InForce(wanted, wanted), version, acts)
        else:
            await self._commit(acts)
        await self._parameters.refresh(self._records)

    async def _record(self, in_force: InForce, version: int, others: Sequence[Put | Delete] = ()) -> None:
        await self._commit([Put(COLLECTION, PARAMETERS, in_force.encode(), expected=version), *others])

    async def _begin(self, types: tuple[str, ...], wanted: tuple[Definition, ...]) -> Place:
        """Where an earlier run for the same work stopped, or the beginning."""
        work = hashlib.sha256(encode({"types": list(types), "wanted": list(wanted)})).hexdigest()
        begun = await self._records.get(COLLECTION, [PLACE])
        self._lock = begun[0].version if begun else 0
        place = msgspec.json.decode(begun[0].body, type=Place) if begun else None
        if place is None or place.work != work:
            place = Place(work, types, _FIRST, 0)
        await self._commit([self._put(place)])
        self._lock += 1
        return place

    async def _page(self, place: Place) -> Place:
        """The next resources of the type under way, or the next type."""
        resource_type = place.types[0]
        found = await self._after(resource_type, place.after)
        if not found:
            return msgspec.structs.replace(place, types=place.types[1:], after=_FIRST)
        after = msgspec.structs.replace(place, after=found[-1].id, done=place.done + len(found))
        for _ in range(_ATTEMPTS):
            puts = await self._offload.cpu(self._puts, resource_type, found)
            try:
                await self._commit([*puts, self._put(after)])
            except VersionConflict:
                found = await self._records.get(collection(resource_type), [each.id for each in found])
                continue
            self._lock += 1
            return after
        raise Problem(Kind.BUSY, f"Resources of type {resource_type} change faster than they can be indexed.")

    def _puts(self, resource_type: str, found: Sequence[Record]) -> list[Put]:
        return [put for each in found for put in self._rewritten(resource_type, each)]

    def _rewritten(self, resource_type: str, record: Record) -> list[Put]:
        stored = from_record(resource_type, record)
        resource = decode(stored.body)
        keys = self._keys(resource, stored.last_updated)
        body = told(stored, keys).record_body()
        put = Put(collection(resource_type), record.id, body, keys, record.version)
        return [put, *(label_puts(resource, self._keys) if resource_type == "ImagingStudy" else ())]

    def _put(self, place: Place) -> Put:
        return Put(COLLECTION, PLACE, msgspec.json.encode(place), expected=self._lock)

    async def _commit(self, acts: Sequence[Put | Delete]) -> None:
        try:
            await self._records.commit(acts)
        except VersionConflict as conflict:
            if conflict.collection == COLLECTION:
                raise Problem(Kind.CONFLICT, "Another reindexing is under way.") from None
            raise

    async def _after(self, resource_type: str, after: str) -> list[Record]:
        """By id, which no rewriting changes."""
        later = Between("_id", after + _AFTER if after else _FIRST, None)
        page = await self._records.find(collection(resource_type), later, order=(Order("_id"),), limit=_PAGE)
        return page.records

    async def _count(self, resource_type: str) -> int:
        return await self._records.count(collection(resource_type), EVERYTHING, at_most=_MOST)


def _changed(before: Sequence[Definition], now: Sequence[Definition], types: frozenset[str]) -> list[Definition]:
    """Definitions as they are now where all resources they are about are among the types, else as they were before."""
    old, new = _by_url(before), _by_url(now)
    found = []
    for url in dict.fromkeys((*old, *new)):
        one, other = old.get(url), new.get(url)
        is_covered = all(_types_of(each) <= types for each in (one, other) if each)
        chosen = other if is_covered or one == other else one
        found += [chosen] if chosen else []
    return sorted(found, key=lambda each: str(each.get("url")))


def _by_url(all_of_them: Sequence[Definition]) -> Mapping[str, Definition]:
    return {str(each.get("url")): each for each in all_of_them}


def _types_of(definition: Definition) -> frozenset[str]:
    base = frozenset(definition.get("base", ()))
    return frozenset(definitions().resource_types) if base & _ANY_TYPE else base
