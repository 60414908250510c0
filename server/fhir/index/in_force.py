"""Which custom search parameters are in force, kept in the records so that all processes of an archive agree.

A stored SearchParameter has no effect by itself: `weft reindex` first has every process write its keys, then gives all
resources theirs, and only then lets searches use it. So there are two lists, and searches see the older one meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, tzinfo

from server.fhir.index.drafts import Definition
from server.fhir.index.indexer import Indexer
from server.fhir.index.registry import Registry
from server.fhir.json_form import Resource, decode, encode
from server.kernel.offload import Offload
from storage.errors import StorageError
from storage.ports import Records
from storage.query import Key

COLLECTION = "fhir-index"
PARAMETERS = "parameters"

FOLLOWS_WITHIN = 2.0
"""Seconds in which a serving process notices what is in force; whoever changes it waits a little longer."""


@dataclass(frozen=True, slots=True)
class InForce:
    """Custom definitions that searches use, and those that keys are written for."""

    searching: tuple[Definition, ...] = ()
    indexing: tuple[Definition, ...] = ()

    def encode(self) -> bytes:
        return encode({"searching": list(self.searching), "indexing": list(self.indexing)})

    @classmethod
    def decode(cls, body: bytes) -> InForce:
        lists = decode(body)
        return cls(tuple(lists["searching"]), tuple(lists["indexing"]))


async def read_in_force(records: Records) -> tuple[InForce, int]:
    """What is in force and the version of its record; 0 where there is none yet."""
    for record in await records.get(COLLECTION, [PARAMETERS]):
        return InForce.decode(record.body), record.version
    return InForce(), 0


class SearchParameters:
    """The registry of searches and the indexer of writes; `own` definitions are always in force unless replaced."""

    def __init__(self, own: Sequence[Definition] = (), *, bases: Sequence[str] = (), zone: tzinfo = UTC) -> None:
        self.own = tuple(own)
        self._bases = tuple(bases)
        self._zone = zone
        self._version = 0
        self.use(InForce())

    @property
    def registry(self) -> Registry:
        """What searches use."""
        return self._registry

    @property
    def indexing(self) -> Registry:
        """What keys are written for."""
        return self._indexer.registry

    def keys(self, resource: Resource, last_updated_micros: int) -> dict[str, frozenset[Key]]:
        return self._indexer.keys(resource, last_updated_micros)

    def use(self, in_force: InForce) -> None:
        self._registry = Registry(by_url((*self.own, *in_force.searching)))
        is_same = in_force.searching == in_force.indexing
        indexing = self._registry if is_same else Registry(by_url((*self.own, *in_force.indexing)))
        self._indexer = Indexer(indexing, bases=self._bases, zone=self._zone)

    async def refresh(self, records: Records) -> bool:
        """Take up what is in force; gives whether that had changed."""
        in_force, version = await read_in_force(records)
        if version == self._version:
            return False
        self.use(in_force)
        self._version = version
        return True

    async def follow(self, records: Records, offload: Offload) -> None:
        """Take up every change, until cancelled; what a store fails at once is tried again.

        What is in force is worked out for all types, so that the first search of them all need not wait for it.
        """
        await offload.cpu(self._registry.complete)
        while True:
            await asyncio.sleep(FOLLOWS_WITHIN / 2)
            with suppress(StorageError):
                if await self.refresh(records):
                    await offload.cpu(self._registry.complete)


def by_url(definitions: Iterable[Definition]) -> list[Definition]:
    """Of definitions of one URL the last."""
    return list({str(each.get("url")): each for each in definitions}.values())
