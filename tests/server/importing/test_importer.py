"""Importing into a real archive: what is stored, what is told, and how it goes on after an interruption."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server.archive.rows import INSTANCE
from server.assembly import Services, open_services
from server.importing.importer import GROUP_COUNT, Importer
from server.importing.journal import Journal
from server.importing.sources import FileSource, Found
from server.importing.tally import Tally
from server.importing.walk import find
from server.kernel.context import LOCAL_ACTOR, Context
from server.settings import Settings
from storage.errors import StoreUnavailable
from storage.query import EVERYTHING
from tests.data.instances import instance, write_instances

CONTEXT = Context(LOCAL_ACTOR, "test")


@asynccontextmanager
async def archive(folder: Path) -> AsyncIterator[Services]:
    services = await open_services(Settings(data=folder / "data", auth="off"))
    try:
        yield services
    finally:
        await services.close()


async def run(
    services: Services, found: Iterator[Found], *, stop: asyncio.Event | None = None, **more: object
) -> Tally:
    """One import of its own, with a journal that stays when it is cut short."""
    journal = Journal.of(services.settings.data, ("a", "b"), [Path("x")])
    journal.open()
    importer = Importer(services.store, services.offload, CONTEXT, journal, **more)  # type: ignore[arg-type]
    tally = await importer.run(found, stop or asyncio.Event())
    journal.close(is_finished=not tally.is_interrupted)
    return tally


async def count(services: Services) -> int:
    return await services.stores.records.count(INSTANCE, EVERYTHING, at_most=100_000)


@pytest.mark.anyio
async def test_everything_below_a_folder_is_stored_once(tmp_path: Path) -> None:
    write_instances(tmp_path / "in", 150)
    async with archive(tmp_path) as services:
        first = await run(services, find([tmp_path / "in"]))
        second = await run(services, find([tmp_path / "in"]))
        assert (first.stored, first.there, first.refusals) == (150, 0, 0)
        assert (second.stored, second.there, second.refusals) == (0, 150, 0)
        assert await count(services) == 150


@pytest.mark.anyio
async def test_refusals_are_told_by_reason_with_places(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_instances(folder, 2)
    for number in range(7):
        (folder / f"note{number}.txt").write_text("not an image")
    (folder / "changed.dcm").write_bytes(instance(1, patient_name="Other^Name").data())
    report = io.StringIO()
    async with archive(tmp_path) as services:
        await run(services, find([folder / "study1"]))
        tally = await run(services, find([folder]), report=report)
    assert (tally.stored, tally.there, tally.refusals) == (0, 2, 8)
    samples = {each.count: each.samples for each in tally.refused.values()}
    assert sorted(samples) == [1, 7]
    assert len(samples[7]) == 5
    lines = [json.loads(line) for line in report.getvalue().splitlines()]
    assert sorted(line["outcome"] for line in lines) == ["refused"] * 8 + ["there"] * 2
    assert all(line["reason"] for line in lines if line["outcome"] == "refused")


@pytest.mark.anyio
async def test_an_interrupted_import_goes_on_without_reading_again(tmp_path: Path) -> None:
    write_instances(tmp_path / "in", 4 * GROUP_COUNT)
    stop = asyncio.Event()
    async with archive(tmp_path) as services:
        first = await run(services, find([tmp_path / "in"]), stop=stop, told=lambda _: stop.set())
        assert first.is_interrupted
        assert 0 < first.stored < 4 * GROUP_COUNT
        second = await run(services, find([tmp_path / "in"]))
        assert not second.is_interrupted
        assert second.skipped == first.stored
        assert second.stored == 4 * GROUP_COUNT - first.stored
        assert await count(services) == 4 * GROUP_COUNT


@pytest.mark.anyio
async def test_members_of_a_zip_archive_are_stored(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(1, 80):
            packed.writestr(f"../{number}", instance(number).data())
        packed.writestr("damaged", instance(80).data())
    data = bytearray((tmp_path / "in.zip").read_bytes())
    place = data.rindex(b"damaged", 0, data.index(b"PK\x01\x02")) + 40
    data[place] ^= 0xFF
    (tmp_path / "in.zip").write_bytes(data)
    async with archive(tmp_path) as services:
        tally = await run(services, find([tmp_path / "in.zip"]))
        assert (tally.stored, tally.refusals) == (79, 1)


@pytest.mark.anyio
async def test_a_file_that_vanishes_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    write_instances(tmp_path / "in", 3)
    found = list(find([tmp_path / "in"]))
    assert isinstance(found[1], FileSource)
    found[1].path.unlink()
    async with archive(tmp_path) as services:
        tally = await run(services, iter(found))
    assert (tally.stored, list(tally.refused)) == (2, ["no such file or directory"])


@pytest.mark.anyio
async def test_a_store_that_fails_ends_the_import_early(tmp_path: Path) -> None:
    write_instances(tmp_path / "in", 6 * GROUP_COUNT)

    async def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("no space left on device")

    async with archive(tmp_path) as services:
        services.store.entry._blobs = type("Full", (), {"put_all": full, "delete": full})()  # type: ignore[assignment]
        tally = await run(services, find([tmp_path / "in"]))
    assert tally.is_interrupted
    assert tally.cannot_store
    assert tally.stored == 0
