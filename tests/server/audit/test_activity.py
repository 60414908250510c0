from __future__ import annotations

import asyncio

from server.audit.activity import Activity
from server.audit.metrics import Figures, exposition
from tests.server.audit.recording import Clock, Remembered


def test_start_and_stop_are_events() -> None:
    log = Remembered()

    async def run() -> None:
        task = asyncio.create_task(Activity(log, Clock(), "1.0", "ab" * 32).run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert [each.subtype for each in log.events] == ["110120", "110134", "110133", "110121"]
    assert log.events[0].entities[0].reference == "ab" * 32


def test_monitoring_reads_counts_by_kind() -> None:
    text = exposition(Figures({"volume": 3}, 0, False))
    assert 'weft_audit_alerts_total{kind="volume"} 3\n' in text
    assert 'weft_audit_alerts_total{kind="break-glass"} 0\n' in text
    assert "weft_audit_failing 0\n" in text
