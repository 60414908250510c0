"""Resources in a store with the keys that searches see, put there without the repository."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from server.access.decision import AccessPoint
from server.fhir.index.indexer import Indexer
from server.fhir.index.reading import Reading
from server.fhir.index.registry import Registry
from server.fhir.json_form import encode
from server.fhir.search.request import Limits
from server.fhir.search.searcher import Searcher
from server.fhir.stored import HISTORY, Stored, collection
from server.kernel.context import LOCAL_ACTOR, Context
from storage.ports import Delete, Put, Records
from tests.contract.brute_force import NOW

Json = Any

BASE = "http://example.org/fhir"
SECRET = bytes(range(32))
_MICROS = 1_600_000_000_000_000
_TOGETHER = 500


class FhirStore:
    def __init__(self, records: Records, access: AccessPoint | None = None, limits: Limits | None = None) -> None:
        self.records = records
        self.registry = Registry()
        self.reading = Reading(NOW, bases=(BASE,))
        self.indexer = Indexer(self.registry, bases=(BASE,))
        self.searcher = Searcher(
            records, access or AccessPoint(), lambda: self.registry, lambda: self.reading, SECRET, limits
        )
        self.context = Context(LOCAL_ACTOR, "test")
        self._written = 0

    async def load(self, resources: Iterable[Json]) -> None:
        batch: list[Put | Delete] = []
        for each in resources:
            batch += self._puts(each)
            if len(batch) >= _TOGETHER:
                await self.records.commit(batch)
                batch = []
        await self.records.commit(batch)

    async def delete(self, resource_type: str, id_: str) -> None:
        await self.records.commit([Delete(collection(resource_type), id_)])

    def _puts(self, resource: Json) -> list[Put]:
        self._written += 1
        micros = _MICROS + self._written * 1000
        version = int(resource.get("meta", {}).get("versionId", 1))
        stored = Stored(resource["resourceType"], resource["id"], version, micros, encode(resource))
        keys = self.indexer.keys(resource, micros)
        return [
            Put(collection(stored.type), stored.id, stored.record_body(), keys),
            Put(HISTORY, f"{stored.reference}/{version}", stored.record_body()),
        ]
