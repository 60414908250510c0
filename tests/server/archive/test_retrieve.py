"""Reading ahead, places of frames and bulk values: what the retrieve endpoints stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess
from server.archive.frames_reader import FileReader, FramePlace, swapped
from server.archive.read_ahead import Job, read_ahead
from server.archive.retrieve import Retriever, begun
from server.dicom.instance import BulkValue
from server.kernel.problem import Kind, Problem
from storage.ports import Bytes, Delete, Put, Record
from tests.server.archive.opened import CONTEXT, Archive, opened
from tests.server.dicomweb import samples


class Under:
    """Jobs that know how many of them run at once and how many bytes they hold."""

    def __init__(self) -> None:
        self.running = self.most = self.started = self.cancelled = 0

    def job(self, number: int, size: int) -> Job[int]:
        return Job(size, partial(self._run, number))

    async def _run(self, number: int) -> int:
        self.started += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            for _ in range(number % 3 + 1):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return number


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 5), st.integers(0, 40))
def test_results_come_in_order_and_within_bounds(sizes: list[int], most: int, room: int) -> None:
    under = Under()

    async def main() -> list[int]:
        jobs = [under.job(number, size) for number, size in enumerate(sizes)]
        return [result async for result in read_ahead(jobs, room=room, most=most)]

    assert asyncio.run(main()) == list(range(len(sizes)))
    assert under.most <= most
    if sizes and min(sizes) > room:
        assert under.most == 1


def test_a_reader_that_leaves_takes_what_is_under_way_with_it() -> None:
    under = Under()

    async def main() -> None:
        async with aclosing(read_ahead([under.job(number, 1) for number in range(50)], room=100, most=4)) as results:
            async for _ in results:
                break
        assert under.running == 0

    asyncio.run(main())
    assert under.started <= 5


def test_the_failure_of_one_job_is_the_failure_of_the_stream() -> None:
    under = Under()

    async def failing() -> int:
        raise Problem(Kind.NOT_FOUND, "gone")

    async def main() -> None:
        jobs = [under.job(0, 1), Job(1, failing), under.job(2, 1), under.job(5, 1)]
        with pytest.raises(Problem):
            async for _ in read_ahead(jobs, room=100, most=4):
                pass
        assert under.running == 0

    asyncio.run(main())


def test_a_stream_is_begun_before_it_is_handed_on() -> None:
    closed = []

    async def stream() -> Bytes:  # type: ignore[misc]
        try:
            yield b"one"
            yield b"two"
        finally:
            closed.append(True)

    async def main() -> None:
        async with aclosing(await begun(stream())) as pieces:  # type: ignore[arg-type,type-var]
            async for piece in pieces:
                assert piece == b"one"
                break
        assert closed

    asyncio.run(main())


@pytest.mark.parametrize("unit", [1, 2, 4, 8])
@given(st.binary(max_size=100))
def test_swapping_twice_is_nothing(unit: int, content: bytes) -> None:
    assert swapped(swapped(content, unit), unit) == content
    assert swapped(b"12345678", unit)[:unit] == b"12345678"[:unit][::-1]


def retriever(archive: Archive) -> Retriever:
    return Retriever(archive.records, archive.blobs, ImagingAccess(AccessPoint()), archive.offload)  # type: ignore[arg-type]


def test_fragments_of_a_frame_are_joined_without_their_headers(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as archive:
            content = samples.written(samples.image())
            await archive.send(content)
            reader = await FileReader.of(retriever(archive), await archive.instance())
            assert (
                await reader.frame(FramePlace(((10, 4), (20, 2), (30, 3))))
                == content[10:14] + content[20:22] + content[30:33]
            )
            assert await reader.frame(FramePlace(())) == b""

    asyncio.run(main())


def test_items_of_a_nested_encapsulated_value_are_found(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as archive:
            content = samples.compressed(samples.image(array=samples.pixels(2)), "1.2.840.10008.1.2.5")
            await archive.send(content)
            instance = await archive.instance()
            reader = await FileReader.of(retriever(archive), instance)
            (bulk,) = [each for each in instance.bulk if each.path == "7FE00010"]
            places = await reader.places([1, 2])
            assert await reader.fragments(bulk) == [place.fragments[0] for place in places]
            assert await reader.fragments(BulkValue("7FE00010", "OB", 0, 100)) is None

    asyncio.run(main())


def test_an_instance_is_found_only_where_it_lies(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as archive:
            await archive.send(samples.written(samples.image()))
            service = retriever(archive)
            assert (await service.instance(CONTEXT, "1.2.3", "1.2.3.1", "1.2.3.1.1")).sop_instance_uid == "1.2.3.1.1"
            for place in (
                ("1.2.3", "1.2.3.2", "1.2.3.1.1"),
                ("1.2.4", "1.2.3.1", "1.2.3.1.1"),
                ("1.2.3", "1.2.3.1", "1"),
            ):
                with pytest.raises(Problem) as caught:
                    await service.instance(CONTEXT, *place)
                assert caught.value.kind is Kind.NOT_FOUND
            for below in (("1.2.4", None), ("1.2.3", "1.2.3.2"), ("1.2.4", "1.2.3.1")):
                with pytest.raises(Problem):
                    await service.listed(CONTEXT, *below)

    asyncio.run(main())


def test_a_row_is_read_once_until_something_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process or in another, which is as well another connection."""

    async def main() -> None:
        async with opened(tmp_path) as archive, opened(tmp_path) as another:
            await archive.send(samples.written(samples.image()))
            service = retriever(archive)
            reads: list[object] = []
            read = archive.records.get

            async def counted(collection: str, ids: Sequence[str]) -> list[Record]:
                reads.append(ids)
                return await read(collection, ids)

            monkeypatch.setattr(archive.records, "get", counted)
            place = ("1.2.3", "1.2.3.1", "1.2.3.1.1")
            first = await service.instance(CONTEXT, *place)
            assert await service.instance(CONTEXT, *place) == first
            assert len(reads) == 1
            with pytest.raises(Problem):
                await service.instance(CONTEXT, "1.2.4", "1.2.3.1", "1.2.3.1.1")
            (row,) = await another.every("instance")
            await another.records.commit([Delete("instance", row.id)])
            with pytest.raises(Problem):
                await service.instance(CONTEXT, *place)
            await archive.records.commit([Put("instance", row.id, row.body)])
            assert await service.instance(CONTEXT, *place) == first
            await archive.records.commit([Delete("instance", row.id)])
            with pytest.raises(Problem):
                await service.instance(CONTEXT, *place)

    asyncio.run(main())


def test_a_study_of_many_pages_is_listed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.archive.retrieve._PAGE", 3)
    monkeypatch.setattr(Retriever._pages, "__defaults__", (3,))

    async def main() -> None:
        async with opened(tmp_path) as archive:
            files = [samples.written(samples.image(f"1.2.3.1.{number}", number=number)) for number in range(1, 9)]
            await archive.send(*files)
            listed = await retriever(archive).listed(CONTEXT, "1.2.3")
            assert [each.sop_instance_uid for each in listed] == [f"1.2.3.1.{number}" for number in range(1, 9)]

    asyncio.run(main())
