"""The check of the archive: clean after any store, and every kind of harm found by its name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from server.archive.findings import Finding, FindingKind
from server.archive.rows import INSTANCE, METADATA, SERIES, STUDY, SeriesRow, StudyRow
from server.archive.store import IncomingInstance
from server.archive.verify import Verifier
from server.assembly import Services, open_services
from server.kernel.context import LOCAL_ACTOR, Context
from server.settings import Settings
from server.xds.contents import Contents, entered
from storage.ports import Delete, Put
from tests.data.instances import instance

CONTEXT = Context(LOCAL_ACTOR, "test")
UID = instance(2).instance


@dataclass
class Later:
    """A clock that stands some time after now."""

    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def real(name: str) -> bytes:
    return Path(get_testdata_file(name)).read_bytes()


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _incoming(files: list[bytes]) -> AsyncIterator[IncomingInstance]:
    for number, content in enumerate(files, 1):
        yield IncomingInstance(number, _chunks(content))


@asynccontextmanager
async def archive(folder: Path, *files: bytes, encryption: str = "off") -> AsyncIterator[Services]:
    services = await open_services(Settings(data=folder, auth="off", encryption=encryption))
    try:
        stored = list(files) or [instance(number, series=1 + number // 3).data() for number in (1, 2, 3)]
        outcomes = await services.store.store(CONTEXT, _incoming(stored))
        assert not [each for each in outcomes if each.failure]
        yield services
    finally:
        await services.close()


async def findings(services: Services, ahead: timedelta = timedelta(), **options: Any) -> list[Finding]:
    verifier = Verifier(services.retriever, Later(ahead), **options)
    return [event async for event in verifier.verify() if isinstance(event, Finding)]


def files_in(folder: Path) -> Iterator[Path]:
    return (path for path in (folder / "blobs").rglob("*") if path.is_file())


def file_of(folder: Path, uid: str) -> Path:
    (found,) = (path for path in files_in(folder) if f"{uid}\0".encode() in path.read_bytes().replace(b" ", b"\0"))
    return found


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.anyio
async def test_an_archive_that_is_whole_is_clean(tmp_path: Path) -> None:
    async with archive(tmp_path, encryption="aes-256-gcm") as services:
        assert await findings(services, timedelta(days=2), decode=True) == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("harm", "kind"),
    [(Path.unlink, FindingKind.FILE_MISSING), (_flip, FindingKind.FILE_DAMAGED), (_shorten, FindingKind.FILE_DAMAGED)],
)
async def test_harm_to_a_file_is_found(tmp_path: Path, harm: Callable[[Path], None], kind: FindingKind) -> None:
    async with archive(tmp_path) as services:
        file = file_of(tmp_path, UID)
        harm(file)
        (found,) = await findings(services)
        assert (found.kind, found.subject) == (kind, UID)
        assert file.name in found.text


@pytest.mark.anyio
async def test_harm_to_an_encrypted_file_is_found(tmp_path: Path) -> None:
    async with archive(tmp_path, instance(2).data(), encryption="aes-256-gcm") as services:
        _flip(next(files_in(tmp_path)))
        assert [(each.kind, each.subject) for each in await findings(services)] == [(FindingKind.FILE_DAMAGED, UID)]


@pytest.mark.anyio
async def test_missing_metadata_is_found(tmp_path: Path) -> None:
    async with archive(tmp_path) as services:
        await services.stores.records.commit([Delete(METADATA, UID)])
        assert [(each.kind, each.subject) for each in await findings(services)] == [(FindingKind.METADATA_MISSING, UID)]


@pytest.mark.anyio
async def test_a_missing_instance_row_shows_in_counts_and_as_a_file_left_over(tmp_path: Path) -> None:
    async with archive(tmp_path) as services:
        await services.stores.records.commit([Delete(INSTANCE, UID)])
        found = await findings(services, timedelta(days=2))
        assert sorted(each.kind for each in found) == [
            FindingKind.COUNT_WRONG,
            FindingKind.COUNT_WRONG,
            FindingKind.FILE_UNREFERENCED,
        ]


@pytest.mark.anyio
@pytest.mark.parametrize(("collection", "uid"), [(STUDY, instance(1).study), (SERIES, instance(1).series)])
async def test_a_missing_row_above_instances_is_found(tmp_path: Path, collection: str, uid: str) -> None:
    async with archive(tmp_path) as services:
        await services.stores.records.commit([Delete(collection, uid)])
        found = {(each.kind, each.subject) for each in await findings(services)}
        assert (FindingKind.ROW_MISSING, uid) in found


@pytest.mark.anyio
async def test_wrong_counts_are_found(tmp_path: Path) -> None:
    async with archive(tmp_path) as services:
        records = services.stores.records
        study = StudyRow.decode((await records.get(STUDY, [instance(1).study]))[0].body)
        series = SeriesRow.decode((await records.get(SERIES, [instance(1).series]))[0].body)
        wrong = replace(study, series_count=7, instance_count=8)
        short = replace(series, instance_count=1)
        await records.commit(
            [
                Put(STUDY, wrong.study_instance_uid, wrong.encode(), wrong.keys()),
                Put(SERIES, short.series_instance_uid, short.encode(), short.keys({})),
            ]
        )
        found = await findings(services)
        assert {each.kind for each in found} == {FindingKind.COUNT_WRONG}
        assert sorted(each.text for each in found) == [
            "the series row states 1 of instance, there are 2",
            "the study row states 7 of series, there are 2",
            "the study row states 8 of instance, there are 3",
        ]


@pytest.mark.anyio
async def test_a_file_no_record_names_is_told_when_old_and_removed_on_request(tmp_path: Path) -> None:
    async with archive(tmp_path) as services:
        (ref,) = await services.stores.blobs.put_all([b"left over"])
        assert await findings(services) == []
        late = timedelta(days=2)
        assert await findings(services, late) == [Finding(FindingKind.FILE_UNREFERENCED, ref.name)]
        named = Contents(services.stores.records, services.stores.blobs, services.offload)
        kept = await named.receive(_chunks(b"a document"))
        await services.stores.records.commit([entered("1.2.3", kept, 0)])
        swept = await findings(services, late, sweep=True, others=named.named)
        assert bytes(await services.stores.blobs.fetch(kept.ref)) == b"a document"
        assert [each.was_removed for each in swept] == [True]
        assert await findings(services, late, others=named.named) == []


@pytest.mark.anyio
async def test_frames_that_cannot_be_decoded_are_found_on_request(tmp_path: Path) -> None:
    async with archive(tmp_path, real("JPEG2000-embedded-sequence-delimiter.dcm")) as services:
        assert await findings(services) == []
        assert [each.kind for each in await findings(services, decode=True)] == [FindingKind.UNDECODABLE]


@pytest.mark.anyio
async def test_every_coding_of_the_sample_images_decodes(tmp_path: Path) -> None:
    names = ("MR_small_RLE.dcm", "image_dfl.dcm", "JPGExtended.dcm", "693_J2KI.dcm", "rtdose.dcm")
    async with archive(tmp_path, *map(real, names)) as services:
        assert await findings(services, decode=True) == []
