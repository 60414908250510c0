"""Events are recorded together and for good, or what made them is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from server.audit.chain import Kind, parse_head
from server.audit.findings import Report
from server.kernel.problem import Kind as ProblemKind
from server.kernel.problem import Problem
from storage.errors import StoreUnavailable
from storage.filesystem.journal import FolderJournal
from storage.journal import Appender, Journal, Line
from tests.server.audit.trails import Desk, event, told


class Full(FolderJournal):
    """A journal on a disk that is full now and then; counts what is appended."""

    is_full = False
    appends: int = 0

    async def claim(self, chain: str) -> Appender | None:
        found = await super().claim(chain)
        return None if found is None else FullAppender(found, self)


class FullAppender:
    def __init__(self, inner: Appender, journal: Full) -> None:
        self._inner = inner
        self._journal = journal
        self.chain, self.last, self.cut, self.damage = inner.chain, inner.last, inner.cut, inner.damage
        self.renew, self.release = inner.renew, inner.release

    def write(self, lines: Sequence[Line]) -> bool:
        return not self._journal.is_full and self._inner.write(lines)

    async def append(self, lines: Sequence[Line]) -> None:
        if self._journal.is_full:
            raise StoreUnavailable("the audit journal: no space left")
        self._journal.appends += 1
        await self._inner.append(lines)


def full_journal(desk: Desk) -> Full:
    return Full(desk.folder / "journal", desk.threads)


def kinds(lines: Sequence[Line]) -> list[int]:
    return [head.kind for line in lines if (head := parse_head(line.head)) is not None]


def test_events_come_back_with_their_ids(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await audit.recorder.record([])
        await audit.recorder.record([event(1), event(2)])
        page = await audit.recorder.events("", 100)
        assert [(each.id, each.event) for each in page.events] == [("log-1-1", event(1)), ("log-1-2", event(2))]
        assert not page.has_more
        assert await audit.recorder.event("log-1-2") == event(2)
        for unknown in ("log-1-0", "log-1-3", "log-2-1", "log-1", "", "log-1--1", "../x-1", "log-1-9" + "9" * 30):
            assert await audit.recorder.event(unknown) is None
        await audit.close()

    desk.run(work())


def test_contents_are_not_readable_in_the_files(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await audit.recorder.record([event(1, "Patient/wang-xiaoming")])
        await audit.close()

    desk.run(work())
    assert b"xiaoming" not in b"".join(file.read_bytes() for file in desk.folder.rglob("*.log"))


def test_those_who_wait_share_one_append(desk: Desk) -> None:
    async def work() -> None:
        journal = full_journal(desk)
        audit = await desk.open(journal)
        await audit.recorder.record([event(0)])
        journal.appends = 0
        await asyncio.gather(*(audit.recorder.record([event(each)]) for each in range(1, 101)))
        assert journal.appends == 1
        assert len((await audit.recorder.events("", 500)).events) == 101
        await audit.close()

    desk.run(work())


def test_reads_are_written_and_what_is_grave_is_flushed_before_the_answer(desk: Desk) -> None:
    async def work() -> None:
        journal = full_journal(desk)
        audit = await desk.open(journal)
        await audit.recorder.record([event(0)])
        journal.appends = 0
        await audit.recorder.record([event(1)])
        assert journal.appends == 0
        await audit.recorder.record([changed(event(2), purpose="BTG")])
        await audit.recorder.record([changed(event(3), code="110114")])
        await audit.recorder.record([changed(event(4), code="110113")])
        assert journal.appends == 3
        await audit.recorder.record([event(5)])
        assert journal.appends == 3
        found = (await audit.recorder.events("", 10)).events
        assert [each.event.request for each in found] == [f"req-{number}" for number in range(6)]
        journal.is_full = True
        with pytest.raises(Problem):
            await audit.recorder.record([event(6)])
        journal.is_full = False
        await audit.close()
        assert (await audit.verifier.verify()).is_sound

    desk.flushes = False
    desk.run(work())


def test_those_who_came_together_are_waited_for_together(desk: Desk) -> None:
    """And not for long: where the others stay away, the one who came is served."""

    async def work() -> None:
        journal = full_journal(desk)
        audit = await desk.open(journal)

        async def ask_twice(number: int) -> None:
            await audit.recorder.record([event(number)])
            for _ in range(5 * number):
                await asyncio.sleep(0)
            await audit.recorder.record([event(number)])

        await audit.recorder.record([event(0)])
        journal.appends = 0
        await asyncio.gather(*map(ask_twice, range(8)))
        assert journal.appends <= 3
        await audit.recorder.record([event(9)])
        assert len((await audit.recorder.events("", 500)).events) == 18
        await audit.close()

    desk.run(work())


def test_one_who_leaves_disturbs_nobody(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        leaving = asyncio.create_task(audit.recorder.record([event(1)]))
        staying = asyncio.create_task(audit.recorder.record([event(2)]))
        await asyncio.sleep(0)
        leaving.cancel()
        await staying
        assert [each.event for each in (await audit.recorder.events("", 9)).events] == [event(1), event(2)]
        await audit.close()

    desk.run(work())


def test_positions_give_each_event_once_while_others_write(desk: Desk) -> None:
    async def work() -> None:
        one, other = await desk.open(), await desk.open()
        found: list[str] = []
        position, number = "", 0
        for _ in range(6):
            for audit in (one, other):
                await audit.recorder.record([event(number + each) for each in range(5)])
                number += 5
            for _ in range(3):
                page = await one.recorder.events(position, 4)
                position = page.position
                found += [each.event.request for each in page.events]
        while (page := await one.recorder.events(position, 7)).events or page.has_more:
            position = page.position
            found += [each.event.request for each in page.events]
        assert sorted(found) == sorted(f"req-{each}" for each in range(number))
        assert len((await one.recorder.events("", 1000)).events) == number
        with pytest.raises(ValueError, match="not a position"):
            await one.recorder.events("elsewhere", 5)
        await one.close()
        await other.close()

    desk.run(work())


def test_what_cannot_be_recorded_is_refused(desk: Desk) -> None:
    async def work() -> Report:
        journal = full_journal(desk)
        audit = await desk.open(journal)
        await audit.recorder.record([event(1)])
        journal.is_full = True
        with pytest.raises(Problem) as refused:
            await audit.recorder.record([event(2)])
        assert refused.value.kind is ProblemKind.UNAVAILABLE
        assert refused.value.retry_after
        assert audit.recorder.is_failing
        journal.is_full = False
        await audit.recorder.record([event(3)])
        assert not audit.recorder.is_failing
        assert [each.event for each in (await audit.recorder.events("", 9)).events] == [event(1), event(3)]
        assert kinds(await journal.read("log-1", 0, 9)) == [Kind.STARTED, Kind.EVENT, Kind.STARTED, Kind.EVENT]
        await audit.close()
        return await audit.verifier.verify()

    assert told(desk.run(work())) == []


def test_where_it_is_to_proceed_what_is_owed_is_written_later(desk: Desk) -> None:
    async def work() -> None:
        journal = full_journal(desk)
        audit = await replace(desk, refuses=False).open(journal)
        journal.is_full = True
        await audit.recorder.record([event(1)])
        await audit.recorder.record([event(2)])
        assert audit.recorder.is_failing
        with pytest.raises(StoreUnavailable):
            await audit.recorder.beat()
        journal.is_full = False
        await audit.recorder.beat()
        assert not audit.recorder.is_failing
        await audit.recorder.record([event(3)])
        assert [each.event for each in (await audit.recorder.events("", 9)).events] == [event(1), event(2), event(3)]
        assert audit.recorder.lost == 0
        await audit.close()

    desk.run(work())


def test_an_event_of_any_length_is_not_taken(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        with pytest.raises(ValueError, match="longer than"):
            await audit.recorder.record([event(1, "Patient/" + "9" * 70_000)])
        await audit.close()

    desk.run(work())


def test_a_silent_chain_says_that_it_is_silent(desk: Desk) -> None:
    async def work(journal: Journal) -> None:
        audit = await desk.open(journal)
        await audit.recorder.beat()
        await audit.recorder.beat()
        desk.time.move(seconds=301)
        await audit.recorder.beat()
        desk.time.move(seconds=100)
        await audit.recorder.beat()
        await audit.close()

    journal = desk.journal()
    desk.run(work(journal))
    assert kinds(desk.run(journal.read("log-1", 0, 9))) == [Kind.STARTED, Kind.HEARTBEAT, Kind.STOPPED]


def test_a_process_goes_on_with_the_chain_of_one_before(desk: Desk) -> None:
    async def work() -> Report:
        for number in range(3):
            audit = await desk.open()
            await audit.recorder.record([event(number)])
            await audit.close()
        audit = await desk.open()
        assert await audit.journal.chains() == ["checkpoints", "log-1"]
        return await audit.verifier.verify()

    report = desk.run(work())
    assert report.findings == ()
    assert (report.entries, report.events) == (9, 3)
