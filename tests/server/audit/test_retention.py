"""What events said is let go after its time or for a duty to erase; the trail stays sound, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.audit.retention import Retention
from storage.filesystem.journal_frames import frames
from tests.server.audit.trails import Desk, event, fill, told


def test_contents_past_their_time_are_dropped_and_hashes_stay(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await fill(audit, desk.time, batches=2)
        desk.time.move(days=179)
        assert await audit.retention.enforce() == 0
        await fill(audit, desk.time, batches=1)
        desk.time.move(days=2)
        assert await audit.retention.enforce() == 20
        assert await audit.retention.enforce() == 0
        assert len((await audit.recorder.events("", 100)).events) == 10
        assert await audit.recorder.event("log-1-1") is None
        await audit.close()
        report = await audit.verifier.verify()
        assert told(report) == []
        assert (report.events, report.dropped) == (30, 20)

    desk.run(work())


def test_reasons_are_found_outside_the_range_that_is_verified(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await fill(audit, desk.time, batches=2)
        begun = desk.time.now()
        desk.time.move(days=181)
        await fill(audit, desk.time, batches=1)
        await audit.retention.enforce()
        assert told(await audit.verifier.verify(until=begun)) == []
        assert told(await audit.verifier.verify(since=begun)) == []
        await audit.close()

    desk.run(work())


def test_a_drop_that_a_crash_interrupted_is_repeated(desk: Desk) -> None:
    """The reason is written first; the bodies go after it."""

    async def work() -> None:
        audit = await desk.open()
        await fill(audit, desk.time, batches=1)
        desk.time.move(days=181)
        await audit.journal.drop("log-1", 1, 5)
        assert await audit.retention.enforce() == 10
        assert (await audit.recorder.events("", 100)).events == []
        await audit.close()
        assert told(await audit.verifier.verify()) == []

    desk.run(work())


def test_single_events_are_erased_with_a_reason(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await fill(audit, desk.time, batches=1)
        assert await audit.retention.erase(["log-1-3", "log-1-4", "log-1-9"], "order of a court") == 3
        assert await audit.retention.erase(["log-1-0", "log-7-1", "nothing", "log-1-99"], "a start is no event") == 0
        with pytest.raises(ValueError, match="reason"):
            await audit.retention.erase(["log-1-5"], " ")
        left = [each.id for each in (await audit.recorder.events("", 100)).events]
        assert left == [f"log-1-{number}" for number in (1, 2, 5, 6, 7, 8, 10)]
        await audit.close()
        report = await audit.verifier.verify()
        assert told(report) == []
        assert report.dropped == 3

    desk.run(work())


def test_less_than_half_a_year_is_refused(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        with pytest.raises(ValueError, match="at least 180 days"):
            Retention(audit.journal, desk.records, audit.writers[0].add, desk.time, 179)

    desk.run(work())


def test_the_day_is_passed_with_an_event_of_its_own(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await fill(audit, desk.time, batches=1)
        report = await audit.upkeep.pass_day()
        assert report.is_sound
        last = (await audit.recorder.events("", 100)).events[-1].event
        assert (last.code, last.subtype, last.outcome) == ("110101", "verify", 0)
        await audit.close()

    desk.run(work())


def test_the_day_waits_for_a_quiet_moment_an_hour_at_most(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await audit.recorder.record([event(1)])
        await audit.sealing.seal()
        assert audit.sealing.is_here
        pauses: list[float] = []

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            if seconds > 60:
                raise TimeoutError

        with pytest.raises(TimeoutError):
            await audit.upkeep.run(pause, lambda: True)
        assert pauses == [60.0] * 61 + [86_340.0]
        assert (await audit.recorder.events("", 100)).events[-1].event.subtype == "verify"
        await audit.close()

    desk.run(work())


def change_last(chain: Path) -> None:
    """A byte of what was recorded last."""
    file = max(chain.glob("*.log"))
    content = bytearray(file.read_bytes())
    content[max(each.end for each in frames(bytes(content))) - 20] ^= 1
    with file.open("r+b") as opened:
        opened.write(content)


def test_busyness_is_that_of_the_last_look_and_not_of_the_day(desk: Desk) -> None:
    """A quiet night does not make the morning quiet, nor a busy day the evening busy."""

    async def work() -> None:
        audit = await desk.open()
        await audit.recorder.record([event(1)])
        await audit.sealing.seal()
        asked: list[float] = []
        passed = 0.0

        async def pause(seconds: float) -> None:
            nonlocal passed
            passed += seconds
            if passed >= 2 * 86_400:
                raise TimeoutError

        def is_busy() -> bool:
            asked.append(passed)
            return False

        with pytest.raises(TimeoutError):
            await audit.upkeep.run(pause, is_busy)
        assert asked == [0.0, 60.0, 86_400.0, 86_460.0]
        await audit.close()

    desk.run(work())


def test_nothing_lies_between_the_verifications_of_two_days(desk: Desk) -> None:
    """However late the second is, and what sleeps a little longer than it was to."""

    async def work() -> None:
        audit = await desk.open()
        await fill(audit, desk.time, batches=1)
        await audit.sealing.seal()
        passes = 0

        async def pause(seconds: float) -> None:
            nonlocal passes
            if seconds > 60:
                passes += 1
                if passes == 2:
                    raise TimeoutError
                await fill(audit, desk.time, batches=1)
                change_last(desk.folder / "journal" / "log-1")
            desk.time.move(seconds=seconds + 2)

        with pytest.raises(TimeoutError):
            await audit.upkeep.run(pause, lambda: True)
        events = [each.event for each in (await audit.recorder.events("", 100)).events]
        assert [each.outcome for each in events if each.subtype == "verify"] == [0, 8]
        await audit.close()

    desk.run(work())


def test_a_trail_without_a_witness_is_verified_as_well(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open(witnessed=False)
        await audit.recorder.record([event(1)])
        await audit.close()
        assert (await audit.verifier.verify()).witnessed == -1

    desk.run(work())
