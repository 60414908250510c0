"""What a crash leaves: nothing acknowledged is lost, the chain goes on, and verification tells of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from server.audit.findings import Report
from storage.filesystem.journal_frames import encode
from storage.journal import Line
from tests.conftest import ROOT
from tests.server.audit.trails import Desk, event, fill, told


def notes(report: Report) -> list[tuple[str, str]]:
    return [(each.kind.value, each.place) for each in report.findings if each.kind.is_note]


def test_kill_9_amid_recording_loses_nothing_acknowledged(desk: Desk) -> None:
    script = Path(__file__).parent / "recording_process.py"
    process = subprocess.Popen(
        [sys.executable, str(script), str(desk.folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(100)]
    process.send_signal(signal.SIGKILL)
    said += [int(each) for each in process.stdout.read().split("\n")[:-1]]
    process.wait()
    process.stdout.close()

    async def work() -> None:
        audit = await desk.open()
        await audit.recorder.record([event(1_000_000)])
        page = await audit.recorder.events("", 100_000)
        recorded = [int(each.event.request.removeprefix("req-")) for each in page.events]
        assert len(recorded) == len(set(recorded))
        assert set(recorded) >= {*said, 1_000_000}
        await audit.close()
        report = await audit.verifier.verify()
        assert told(report) == []
        assert notes(report)[0][0] == "crash"

    desk.run(work())


def test_what_was_half_written_is_told(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await fill(audit, desk.time, batches=1)
        await audit.close()
        file = next((desk.folder / "journal/log-1").glob("*.log"))
        content = file.read_bytes()
        file.write_bytes(content + encode([Line(12, b"head", b"body" * 50)], len(content))[:-30])
        audit = await desk.open()
        await audit.recorder.record([event(99)])
        await audit.close()
        report = await audit.verifier.verify()
        assert told(report) == []
        assert notes(report) == [("crash", "log-1-12")]
        assert "bytes before it were half written" in str(report.findings[0])
        assert await audit.recorder.event("log-1-13") == event(99)

    desk.run(work())


def test_a_process_that_went_silent_is_told(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await audit.recorder.record([event(1)])
        desk.time.move(minutes=30)
        await audit.recorder.record([event(2)])
        await audit.checkpointer.make()
        desk.time.move(minutes=30)
        report = await audit.verifier.verify()
        assert told(report) == []
        assert notes(report) == [("silence", "log-1-2"), ("crash", "log-1-2")]
        await audit.close()

    desk.run(work())
