"""What is removed is gone from index and store, and what remains counts right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from server.archive.rows import INSTANCE, SERIES, STUDY
from server.kernel.context import Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from storage.errors import StoreUnavailable
from tests.data.small_files import MR_IMAGE, instance_file
from tests.server.archive.opened import CONTEXT, Archive, incoming, opened

FILES = [
    instance_file(),
    instance_file(uid="1.2.3.1.2", sop_class=MR_IMAGE),
    instance_file(series="1.2.3.2", uid="1.2.3.2.1", modality="MR", sop_class=MR_IMAGE),
    instance_file(study="1.2.4", series="1.2.4.1", uid="1.2.4.1.1"),
]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[Archive], Coroutine[Any, Any, None]]], None]:
    """Run a test's body on an archive of the four files; afterwards it must be whole."""

    def runner(body: Callable[[Archive], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            async with opened(tmp_path) as archive:
                await archive.send(*FILES)
                await body(archive)
                archive.records.instead.clear()
                archive.blobs.instead.clear()
                await archive.check()

        asyncio.run(whole())

    return runner


Run = Callable[[Callable[[Archive], Coroutine[Any, Any, None]]], None]


def test_an_instance_leaves_and_its_series_and_study_shrink(run: Run) -> None:
    async def body(archive: Archive) -> None:
        before = await archive.study()
        await archive.remover.remove(CONTEXT, "1.2.3", "1.2.3.1", "1.2.3.1.2")
        study, series = await archive.study(), await archive.series()
        assert (study.series_count, study.instance_count, study.modalities) == (2, 2, ("CT", "MR"))
        assert study.revision != before.revision
        assert series.sop_classes == ("1.2.840.10008.5.1.4.1.1.2",)
        assert await archive.records.get(INSTANCE, ["1.2.3.1.2"]) == []
        assert study.attributes == before.attributes

    run(body)


def test_with_its_last_instance_a_series_leaves(run: Run) -> None:
    async def body(archive: Archive) -> None:
        await archive.remover.remove(CONTEXT, "1.2.3", "1.2.3.2", "1.2.3.2.1")
        study = await archive.study()
        assert (study.series_count, study.instance_count, study.modalities) == (1, 2, ("CT",))
        assert await archive.records.get(SERIES, ["1.2.3.2"]) == []

    run(body)


def test_a_series_leaves_whole(run: Run) -> None:
    async def body(archive: Archive) -> None:
        await archive.remover.remove(CONTEXT, "1.2.3", "1.2.3.1")
        study = await archive.study()
        assert (study.series_count, study.instance_count, study.modalities) == (1, 1, ("MR",))
        assert study.sop_classes == (MR_IMAGE,)

    run(body)


def test_a_study_leaves_whole_and_its_neighbour_stays(run: Run) -> None:
    async def body(archive: Archive) -> None:
        await archive.remover.remove(CONTEXT, "1.2.3")
        assert await archive.records.get(STUDY, ["1.2.3"]) == []
        assert await archive.check() == 1
        assert await archive.file("1.2.4.1.1") == FILES[3]

    run(body)


def test_with_its_last_series_a_study_leaves(run: Run) -> None:
    async def body(archive: Archive) -> None:
        await archive.remover.remove(CONTEXT, "1.2.4", "1.2.4.1", "1.2.4.1.1")
        assert await archive.records.get(STUDY, ["1.2.4"]) == []

    run(body)


def test_what_was_removed_can_be_stored_anew(run: Run) -> None:
    async def body(archive: Archive) -> None:
        await archive.remover.remove(CONTEXT, "1.2.3")
        [outcome] = await archive.send(instance_file(modality="MR"))
        assert outcome.failure is None
        assert not outcome.was_there
        assert (await archive.study()).instance_count == 1

    run(body)


@pytest.mark.parametrize(
    "place",
    [
        ("1.2.9",),
        ("1.2.3", "1.2.9"),
        ("1.2.3", "1.2.4.1"),
        ("1.2.3", "1.2.3.1", "1.2.9"),
        ("1.2.3", "1.2.3.2", "1.2.3.1.1"),
        ("1.2.4", "1.2.3.1", "1.2.3.1.1"),
    ],
)
def test_what_is_not_at_that_place_is_not_found(run: Run, place: tuple[str, ...]) -> None:
    async def body(archive: Archive) -> None:
        with pytest.raises(Problem) as raised:
            await archive.remover.remove(CONTEXT, *place)
        assert raised.value.kind is Kind.NOT_FOUND
        assert await archive.check() == 4

    run(body)


def test_who_may_not_delete_deletes_nothing(run: Run) -> None:
    async def body(archive: Archive) -> None:
        reader = Context(Actor("r", "reader", (Grant(frozenset({"read", "search"})),)), "test")
        with pytest.raises(Problem) as raised:
            await archive.remover.remove(reader, "1.2.3")
        assert raised.value.kind is Kind.FORBIDDEN
        assert await archive.check() == 4

    run(body)


def test_removals_and_stores_at_once_leave_the_archive_whole(run: Run) -> None:
    async def body(archive: Archive) -> None:
        async def remove(place: tuple[str, ...]) -> None:
            with suppress(Problem):
                await archive.remover.remove(CONTEXT, *place)

        async def store(i: int) -> None:
            outcomes = await archive.another_store().store(
                CONTEXT, incoming([instance_file(uid=f"1.2.3.1.1{i}{j}") for j in range(10)])
            )
            assert all(outcome.failure is None for outcome in outcomes)

        removals = [remove(place) for place in [("1.2.3",), ("1.2.3", "1.2.3.1"), ("1.2.3", "1.2.3.1", "1.2.3.1.1")]]
        await asyncio.gather(store(1), removals[2], store(2), removals[1], store(3), removals[0], store(4))
        await archive.check()

    run(body)


def test_when_files_cannot_be_removed_the_index_is_right_all_the_same(run: Run) -> None:
    async def body(archive: Archive) -> None:
        names = await archive.blob_names()
        left = (await archive.instance("1.2.4.1.1")).blob

        async def stuck(_: Any) -> None:
            raise StoreUnavailable("read-only")

        archive.blobs.instead["delete"] = stuck
        await archive.remover.remove(CONTEXT, "1.2.4")
        assert await archive.records.get(STUDY, ["1.2.4"]) == []
        archive.blobs.instead.clear()
        assert await archive.blob_names() == names
        await archive.blobs.delete(left)

    run(body)
