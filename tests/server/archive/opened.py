"""An archive on SQLite and a folder, with ports that can be made to fail, and a check that it is whole."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess
from server.archive import rows
from server.archive.metadata import pointed
from server.archive.remove import Remover
from server.archive.rows import FRAMES, INSTANCE, METADATA, SERIES, STUDY, SeriesRow, StoredInstance, StudyRow
from server.archive.stage import StoreOutcome
from server.archive.store import IncomingInstance, Store
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.offload import Offload
from server.settings import Settings
from storage.open import open_stores
from storage.ports import Blobs, Bytes, Record, Records
from storage.query import EVERYTHING

CONTEXT = Context(LOCAL_ACTOR, "test")


class Faulty:
    """A port that does what the real one does, but for calls a test has put a step before or in place of."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.instead: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return self.instead.get(name, getattr(self.real, name))


@dataclass
class Archive:
    records: Faulty
    blobs: Faulty
    offload: Offload
    store: Store
    remover: Remover

    def another_store(self) -> Store:
        """As another process would have it: nothing shared but the stores."""
        return Store(self.records.real, self.blobs.real, ImagingAccess(AccessPoint()), self.offload, Settings())

    async def send(self, *files: bytes, study: str | None = None, step: int = 1 << 16) -> list[StoreOutcome]:
        return await self.store.store(CONTEXT, incoming(files, step), study)

    async def every(self, collection: str) -> list[Record]:
        return list((await self.records.find(collection, EVERYTHING, limit=10_000)).records)

    async def blob_names(self) -> set[str]:
        return {name async for name in self.blobs.list()}

    async def study(self, uid: str = "1.2.3") -> StudyRow:
        return StudyRow.decode((await self.records.get(STUDY, [uid]))[0].body)

    async def series(self, uid: str = "1.2.3.1") -> SeriesRow:
        return SeriesRow.decode((await self.records.get(SERIES, [uid]))[0].body)

    async def instance(self, uid: str = "1.2.3.1.1") -> StoredInstance:
        return StoredInstance.decode((await self.records.get(INSTANCE, [uid]))[0].body)

    async def file(self, uid: str = "1.2.3.1.1") -> bytes:
        return bytes(await self.blobs.fetch((await self.instance(uid)).blob))

    async def check(self) -> int:
        """Every record agrees with every other and with the files; how many instances there are."""
        instances = [StoredInstance.decode(record.body) for record in await self.every(INSTANCE)]
        named = set()
        for each in instances:
            assert hashlib.sha256(await self.blobs.fetch(each.blob)).hexdigest() == each.sha256
            named.add(each.blob.name)
        metadata = await self.every(METADATA)
        assert {record.id for record in metadata} == {each.sop_instance_uid for each in instances}
        named |= {ref.name for record in metadata if (ref := pointed(record.body))}
        assert await self.blob_names() == named
        self._check_series(instances, [SeriesRow.decode(record.body) for record in await self.every(SERIES)])
        self._check_studies(instances, [StudyRow.decode(record.body) for record in await self.every(STUDY)])
        long = {each.sop_instance_uid for each in instances if each.frame_count and each.frames is None}
        assert {record.id.split("/")[0] for record in await self.every(FRAMES)} == long
        return len(instances)

    @staticmethod
    def _check_series(instances: Sequence[StoredInstance], series: Sequence[SeriesRow]) -> None:
        for row in series:
            below = [each for each in instances if each.series_instance_uid == row.series_instance_uid]
            assert {each.study_instance_uid for each in below} == {row.study_instance_uid}
            assert row.instance_count == len(below)
            assert set(row.sop_classes) == {each.sop_class_uid for each in below}
        assert {row.series_instance_uid for row in series} == {each.series_instance_uid for each in instances}

    @staticmethod
    def _check_studies(instances: Sequence[StoredInstance], studies: Sequence[StudyRow]) -> None:
        for row in studies:
            below = [each for each in instances if each.study_instance_uid == row.study_instance_uid]
            assert row.instance_count == len(below)
            assert row.series_count == len({each.series_instance_uid for each in below})
            assert set(row.sop_classes) == {each.sop_class_uid for each in below}
        assert {row.study_instance_uid for row in studies} == {each.study_instance_uid for each in instances}


async def chunks(content: bytes, step: int = 1 << 16) -> AsyncIterator[Bytes]:
    for start in range(0, len(content), step):
        yield memoryview(content)[start : start + step]


async def incoming(files: Iterable[bytes], step: int = 1 << 16) -> AsyncIterator[IncomingInstance]:
    for number, content in enumerate(files, 1):
        yield IncomingInstance(number, chunks(content, step))


@asynccontextmanager
async def opened(folder: Path, **settings: Any) -> AsyncIterator[Archive]:
    offload = Offload(io_threads=2, cpu_threads=2)
    stores = await open_stores(
        f"sqlite://{folder}/weft.sqlite",
        f"file://{folder}/blobs",
        encryption="off",
        key_file=folder / "master.key",
        threads=offload,
    )
    await stores.records.prepare(rows.INDEXES)
    records, blobs = Faulty(stores.records), Faulty(stores.blobs)
    real: tuple[Records, Blobs] = (records, blobs)  # type: ignore[assignment]
    store = Store(*real, ImagingAccess(AccessPoint()), offload, replace(Settings(), **settings))
    try:
        yield Archive(records, blobs, offload, store, Remover(*real, ImagingAccess(AccessPoint())))
    finally:
        await stores.close()
        offload.close()
