"""What is acknowledged is durable and whole; what is refused leaves nothing behind and costs its neighbours nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.archive.metadata import INLINE, load_metadata, pointed
from server.archive.rows import FRAMES, METADATA, SERIES, STUDY
from server.archive.stage import STUDY_MISMATCH, StoreOutcome
from server.archive.store import IN_MEMORY, MEMORY, IncomingInstance, Memory
from server.kernel.context import Actor, Context
from server.kernel.problem import Kind, Problem
from storage.errors import StoreUnavailable
from storage.ports import Bytes
from tests.data.small_files import MR_IMAGE, element, instance_file
from tests.server.archive.opened import CONTEXT, Archive, chunks, incoming, opened

LONG = instance_file(uid="1.2.3.1.9", pixels=bytes(IN_MEMORY + 1000))


def kinds(outcomes: list[StoreOutcome]) -> list[str]:
    return [outcome.failure.kind if outcome.failure else "stored" for outcome in outcomes]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    """Run a test's body on an open archive; afterwards it must be whole and all memory given back."""

    def runner(body: Callable[[Archive], Coroutine[Any, Any, None]], **changes: Any) -> None:
        async def whole() -> None:
            async with opened(tmp_path, **changes) as archive:
                room = archive.store.memory
                await body(archive)
                archive.records.instead.clear()
                archive.blobs.instead.clear()
                await archive.check()
                assert room.take(MEMORY)

        asyncio.run(whole())

    return runner


def test_an_instance_is_stored_as_it_came(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        sent = b"II*\0" + instance_file()[4:]
        [outcome] = await archive.send(sent, step=100)
        assert outcome == StoreOutcome(1, "1.2.3", "1.2.3.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.1.1")
        assert outcome.path == "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1"
        assert await archive.file() == sent
        study = await archive.study()
        assert (study.series_count, study.instance_count, study.modalities) == (1, 1, ("CT",))
        assert study.attributes["00100010"]["Value"] == [{"Alphabetic": "Müller^Änne"}]
        [text] = await load_metadata(archive.records, archive.blobs, ["1.2.3.1.1"])
        assert text.startswith(b'{"00080005"')

    run(body)


def test_the_same_bytes_again_are_success_and_write_nothing(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        await archive.send(instance_file())
        before = (await archive.records.get(STUDY, ["1.2.3"]), await archive.blob_names())
        [again] = await archive.send(instance_file())
        assert again.failure is None
        assert again.was_there
        assert (await archive.records.get(STUDY, ["1.2.3"]), await archive.blob_names()) == before

    run(body)


@pytest.mark.parametrize(
    "other",
    [
        instance_file(pixels=bytes(30) + b"\1\0"),
        instance_file(series="1.2.3.2"),
        instance_file(study="1.2.4", series="1.2.4.1"),
        instance_file(study="1.2.4", uid="1.2.3.1.2"),
    ],
    ids=["other bytes", "another series", "another study", "a series in another study"],
)
def test_what_contradicts_the_archive_is_a_conflict_and_overwrites_nothing(
    run: Callable[..., None], other: bytes
) -> None:
    async def body(archive: Archive) -> None:
        await archive.send(instance_file())
        outcomes = await archive.send(other, instance_file(uid="1.2.3.1.7"))
        assert kinds(outcomes) == [Kind.CONFLICT, "stored"]
        assert outcomes[0].sop_instance_uid
        assert await archive.file() == instance_file()

    run(body)


def test_of_contradictions_in_one_request_the_first_counts(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        outcomes = await archive.send(
            instance_file(),
            instance_file(),
            instance_file(modality="MR"),
            instance_file(study="1.2.4", uid="1.2.4.1"),
            instance_file(uid="1.2.3.1.2"),
        )
        assert kinds(outcomes) == ["stored", "stored", Kind.CONFLICT, Kind.CONFLICT, "stored"]
        assert [outcome.number for outcome in outcomes] == [1, 2, 3, 4, 5]
        assert [outcome.was_there for outcome in outcomes] == [False, True, False, False, False]

    run(body)


def test_bad_instances_cost_their_neighbours_nothing(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        good = [instance_file(uid=f"1.2.3.1.{i}") for i in range(1, 4)]
        outcomes = await archive.send(b"", good[0], b"no DICOM at all", good[1], good[2][:-20], b"\0" * 500, good[2])
        assert kinds(outcomes) == [Kind.INVALID, "stored", Kind.INVALID, "stored", Kind.INVALID, Kind.INVALID, "stored"]

    run(body)


def test_any_bytes_are_stored_or_refused(tmp_path: Path) -> None:
    contents = st.one_of(st.binary(max_size=300), st.binary(max_size=80).map(lambda tail: instance_file()[:400] + tail))
    with asyncio.Runner() as runner:
        opening = opened(tmp_path)
        archive = runner.run(opening.__aenter__())

        @given(contents)
        @settings(max_examples=100, deadline=None)
        def each(content: bytes) -> None:
            outcomes = runner.run(archive.send(content, instance_file(uid="1.2.3.1.5")))
            assert kinds(outcomes)[0] in ("stored", Kind.INVALID, Kind.UNSUPPORTED, Kind.TOO_LARGE)
            assert kinds(outcomes)[1] == "stored"

        each()
        runner.run(archive.check())
        runner.run(opening.__aexit__(None, None, None))


def test_studies_and_series_grow_and_first_values_stay(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        await archive.send(instance_file(more={0x00100020: ("LO", "")}))
        first = await archive.study()
        await archive.send(
            instance_file(uid="1.2.3.1.2", more={0x00081030: ("LO", "Head"), 0x00100010: ("PN", "Other")}),
            instance_file(series="1.2.3.2", uid="1.2.3.2.1", modality="MR", sop_class=MR_IMAGE),
        )
        study, series = await archive.study(), await archive.series()
        assert (study.series_count, study.instance_count) == (2, 3)
        assert study.modalities == ("CT", "MR")
        assert len(study.sop_classes) == 2
        assert study.revision != first.revision
        assert study.attributes["00100010"]["Value"] == [{"Alphabetic": "Müller^Änne"}]
        assert study.attributes["00100020"]["Value"] == ["P1"]
        assert study.attributes["00081030"]["Value"] == ["Head"]
        assert series.instance_count == 2

    run(body)


def test_only_instances_of_the_study_of_the_url_are_stored(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        outcomes = await archive.send(
            instance_file(), instance_file(study="9.9", series="9.9.1", uid="9.9.1.1"), study="9.9"
        )
        assert kinds(outcomes) == [Kind.CONFLICT, "stored"]
        assert outcomes[0].failure is not None
        assert outcomes[0].failure.issues[0].code == STUDY_MISMATCH
        [streamed] = await archive.send(LONG, study="9.9")
        assert streamed.failure is not None

    run(body)


def test_who_may_not_store_stores_nothing(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        reader = Context(Actor("r", "reader", ()), "test")
        with pytest.raises(Problem) as raised:
            await archive.store.store(reader, incoming([instance_file(), LONG]))
        assert raised.value.kind is Kind.FORBIDDEN
        assert await archive.check() == 0

    run(body)


def test_what_does_not_fit_in_memory_is_streamed(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        outcomes = await archive.send(instance_file(), LONG, instance_file(uid="1.2.3.1.2"), LONG, LONG[:-2] + b"\1\1")
        assert kinds(outcomes) == ["stored", "stored", "stored", "stored", Kind.CONFLICT]
        assert await archive.file("1.2.3.1.9") == LONG
        refused = await archive.send(b"no DICOM" * (IN_MEMORY // 4), LONG[:-10])
        assert kinds(refused) == [Kind.INVALID, Kind.INVALID]

    run(body)


def test_when_memory_is_scarce_short_instances_are_streamed_too(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        archive.store.memory = Memory(1000)
        files = [instance_file(uid=f"1.2.3.1.{i}", pixels=bytes(400 * i)) for i in range(1, 6)]
        assert kinds(await archive.send(*files)) == ["stored"] * 5
        assert archive.store.memory.take(1000)
        assert [await archive.file(f"1.2.3.1.{i}") for i in range(1, 6)] == files

    run(body)


def test_a_long_request_is_entered_group_by_group(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        outcomes = await archive.send(*[instance_file(uid=f"1.2.3.1.{i}") for i in range(1, 151)])
        assert kinds(outcomes) == ["stored"] * 150
        assert (await archive.study()).instance_count == 150
        assert (await archive.records.get(STUDY, ["1.2.3"]))[0].version > 1

    run(body)


@pytest.mark.parametrize("content", [instance_file(pixels=bytes(3000)), LONG], ids=["short", "long"])
def test_an_instance_longer_than_allowed_is_refused(run: Callable[..., None], content: bytes) -> None:
    async def body(archive: Archive) -> None:
        assert kinds(await archive.send(content, instance_file(uid="1.2.3.1.5"))) == [Kind.TOO_LARGE, "stored"]

    run(body, max_part=2000)


def test_very_long_metadata_is_kept_in_a_blob_and_leaves_with_its_instance(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        texts = {0x00091000 + i: ("LO", f"private {i} " + "x" * 900) for i in range(1, 1300)}
        content = instance_file(more={0x00090010: ("LO", "ACME"), **texts})
        await archive.send(content, instance_file(uid="1.2.3.1.2"))
        [record] = await archive.records.get(METADATA, ["1.2.3.1.1"])
        assert pointed(record.body)
        long, short = await load_metadata(archive.records, archive.blobs, ["1.2.3.1.1", "1.2.3.1.2"])
        assert len(long) > INLINE
        assert b"private 1299 " in long
        assert short.startswith(b"{")
        assert await archive.check() == 2
        await archive.remover.remove(CONTEXT, "1.2.3")
        assert await archive.check() == 0

    run(body)


def test_a_long_frame_index_is_kept_in_chunks(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        await archive.send(_encapsulated(1100))
        instance = await archive.instance()
        assert (instance.frame_count, instance.frames) == (1100, None)
        assert len(await archive.every(FRAMES)) == 3
        await archive.remover.remove(CONTEXT, "1.2.3", "1.2.3.1", "1.2.3.1.1")
        assert await archive.every(FRAMES) == []

    run(body)


def _encapsulated(frames: int) -> bytes:
    """RLE, where a fragment is a frame."""
    item = b"\xfe\xff\x00\xe0"
    fragments = item + bytes(4) + (item + b"\x04\0\0\0" + b"abcd") * frames + b"\xfe\xff\xdd\xe0" + bytes(4)
    whole = instance_file(more={0x00280008: ("IS", str(frames))})
    native = element(0x7FE00010, "OW", bytes(32))
    pixels = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + fragments
    rle = element(0x00020010, "UI", "1.2.840.10008.1.2.5")
    explicit = element(0x00020010, "UI", "1.2.840.10008.1.2.1")
    assert len(rle) == len(explicit)
    return whole.replace(native, pixels).replace(explicit, rle)


def test_concurrent_requests_on_one_study_all_succeed(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        stores = [archive.store, archive.another_store(), archive.another_store()]
        results = await asyncio.gather(
            *(
                store.store(CONTEXT, incoming([instance_file(uid=f"1.2.3.{i}.{j}.{k}") for k in range(40)]))
                for i, store in enumerate(stores)
                for j in range(2)
            )
        )
        assert {kind for outcomes in results for kind in kinds(outcomes)} == {"stored"}
        assert (await archive.study()).instance_count == 240

    run(body)


def test_of_two_writers_of_one_uid_one_succeeds(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        versions = [instance_file(modality=modality) for modality in ("CT", "MR", "CT", "US")]
        results = await asyncio.gather(
            *(archive.another_store().store(CONTEXT, incoming([each])) for each in versions for _ in range(2))
        )
        successes = [i // 2 for i, [outcome] in enumerate(results) if outcome.failure is None]
        assert successes
        assert len({versions[i] for i in successes}) == 1
        assert {outcome.failure.kind for [outcome] in results if outcome.failure} == {Kind.CONFLICT}

    run(body)


def test_when_files_cannot_be_written_nothing_is_entered(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        async def full(*_: Any) -> None:
            raise StoreUnavailable("no space left")

        archive.blobs.instead["put_all"] = full
        archive.blobs.instead["put"] = full
        assert kinds(await archive.send(instance_file(), LONG)) == [Kind.UNAVAILABLE] * 2
        assert await archive.check() == 0
        archive.blobs.instead.clear()
        assert kinds(await archive.send(instance_file(), LONG)) == ["stored"] * 2

    run(body)


@pytest.mark.parametrize("call", ["get", "commit"])
def test_when_the_index_dies_after_the_files_are_written_they_are_removed(run: Callable[..., None], call: str) -> None:
    async def body(archive: Archive) -> None:
        async def gone(collection: Any, *rest: Any) -> Any:
            if call == "get" and collection not in (STUDY, SERIES):
                return await archive.records.real.get(collection, *rest)
            raise StoreUnavailable("connection lost")

        archive.records.instead[call] = gone
        outcomes = await archive.send(instance_file(), LONG)
        assert kinds(outcomes) == [Kind.UNAVAILABLE] * 2
        assert all(outcome.failure and outcome.failure.retry_after for outcome in outcomes)
        assert await archive.blob_names() == set()
        archive.records.instead.clear()
        assert kinds(await archive.send(instance_file(), LONG)) == ["stored"] * 2

    run(body)


def test_a_commit_whose_answer_is_lost_keeps_its_files(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        async def lost(batch: Any) -> None:
            await archive.records.real.commit(batch)
            raise StoreUnavailable("connection lost after the commit")

        archive.records.instead["commit"] = lost
        assert kinds(await archive.send(instance_file())) == [Kind.UNAVAILABLE]
        archive.records.instead.clear()
        assert await archive.check() == 1
        [again] = await archive.send(instance_file())
        assert again.was_there

    run(body)


def test_an_index_that_stays_away_leaves_files_rather_than_rows_without_files(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        async def lost(batch: Any) -> None:
            await archive.records.real.commit(batch)
            archive.records.instead["get"] = gone
            raise StoreUnavailable("connection lost after the commit")

        async def gone(*_: Any) -> None:
            raise StoreUnavailable("still away")

        archive.records.instead["commit"] = lost
        assert kinds(await archive.send(instance_file())) == [Kind.UNAVAILABLE]
        archive.records.instead.clear()
        assert await archive.check() == 1

    run(body)


@pytest.mark.parametrize("last", [instance_file(uid="1.2.3.1.99"), LONG], ids=["short", "long"])
def test_when_the_sender_leaves_the_archive_stays_whole(run: Callable[..., None], last: bytes) -> None:
    async def body(archive: Archive) -> None:
        async def cut() -> AsyncIterator[Bytes]:
            async for chunk in chunks(last[:-10]):
                yield chunk
            raise ConnectionError

        async def leaving() -> AsyncIterator[IncomingInstance]:
            async for each in incoming([instance_file(uid=f"1.2.3.1.{i}") for i in range(70)]):
                yield each
            yield IncomingInstance(71, cut())

        with pytest.raises(ConnectionError):
            await archive.store.store(CONTEXT, leaving())
        assert await archive.check() <= 70

    run(body)


@pytest.mark.parametrize("moment", ["reading", "writing", "committing"])
@pytest.mark.parametrize("content", [instance_file(), LONG], ids=["short", "long"])
def test_a_cancelled_request_leaves_the_archive_whole(run: Callable[..., None], moment: str, content: bytes) -> None:
    async def body(archive: Archive) -> None:
        reached = asyncio.Event()
        goes_on = asyncio.Event()

        async def pause(*_: Any) -> None:
            reached.set()
            await goes_on.wait()

        async def paused_chunks() -> AsyncIterator[Bytes]:
            async for chunk in chunks(content[:-10]):
                yield chunk
            await pause()
            yield content[-10:]

        async def paused_commit(batch: Any) -> Any:
            await pause()
            return await archive.records.real.commit(batch)

        async def paused_put_all(contents: Any) -> Any:
            await pause()
            return await archive.blobs.real.put_all(contents)

        async def source() -> AsyncIterator[IncomingInstance]:
            yield IncomingInstance(1, chunks(instance_file(uid="1.2.3.1.5")))
            yield IncomingInstance(2, paused_chunks() if moment == "reading" else chunks(content))

        if moment == "committing":
            archive.records.instead["commit"] = paused_commit
        if moment == "writing":
            archive.blobs.instead["put_all"] = paused_put_all
        task = asyncio.create_task(archive.store.store(CONTEXT, source()))
        await reached.wait()
        task.cancel()
        asyncio.get_running_loop().call_soon(goes_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await archive.check() in (0, 2)

    run(body)


def test_a_source_that_fails_fails_the_request_and_leaves_the_archive_whole(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        async def broken() -> AsyncIterator[IncomingInstance]:
            yield IncomingInstance(1, chunks(instance_file()))
            yield IncomingInstance(2, None, Problem(Kind.UNSUPPORTED_MEDIA, "a picture"))
            raise Problem(Kind.INVALID, "the frame is broken")

        with pytest.raises(Problem):
            await archive.store.store(CONTEXT, broken())

    run(body)


def test_an_endless_contest_ends_as_busy(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        async def contested(batch: Any) -> Any:
            row = await archive.records.real.get(STUDY, ["1.2.3"])
            await archive.records.real.commit([replace(batch[-1], body=row[0].body, expected=None)])
            return await archive.records.real.commit(batch)

        await archive.send(instance_file())
        archive.records.instead["commit"] = contested
        assert kinds(await archive.send(instance_file(uid="1.2.3.1.2"))) == [Kind.BUSY]

    run(body)


def test_bulk_values_are_named_by_their_instance(run: Callable[..., None]) -> None:
    async def body(archive: Archive) -> None:
        await archive.send(instance_file(more={0x00420011: ("OB", bytes(5000))}))
        [text] = await load_metadata(archive.records, archive.blobs, ["1.2.3.1.1"])
        place = b'"\x01/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/bulkdata/'
        assert place + b'00420011"' in text
        assert place + b'7FE00010"' in text
        assert b"weft-" not in text + b"".join([record.body for record in await archive.every(STUDY)])

    run(body)
