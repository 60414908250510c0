"""A trail of a hundred thousand events is verified in far less than a minute."""

from __future__ import annotations

from time import monotonic

import pytest

from server.audit.chain import Draft, Kind
from server.audit.pending import encode
from server.audit.proofs import check_inclusion, prove_inclusion
from tests.server.audit.trails import Desk, event

EVENTS = 100_000


@pytest.mark.slow
def test_a_hundred_thousand_events_are_verified_within_a_minute(desk: Desk) -> None:
    async def work() -> float:
        audit = await desk.open()
        body = encode(event(1))
        for number in range(EVENTS // 1000):
            await audit.writers[0].add([Draft(Kind.EVENT, body)] * 1000)
            if number % 10 == 0:
                desk.time.move(minutes=2)
                await audit.checkpointer.look()
        await audit.close()
        begun = monotonic()
        report = await audit.verifier.verify()
        taken = monotonic() - begun
        assert report.findings == ()
        assert report.events == EVENTS
        proof = await prove_inclusion(audit.journal, audit.keys, f"log-1-{EVENTS // 2}")
        assert check_inclusion(proof, audit.keys) == ""
        return taken

    assert desk.run(work()) < 60
