"""What was acknowledged is there: after SIGKILL at any moment of a 4-client STOW, on both pairs of stores."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from conformance.kit.samples import Sample
from conformance.kit.verdict import Failed
from tests.data.instances import ROOT, instance
from tests.e2e.clients import fetch, store, stored
from tests.e2e.running import Place, Server, start, weft

CLIENTS = 4
PER_REQUEST = 5


class Sender:
    """Stores instances nobody else stores until the server is gone, and notes what was acknowledged."""

    def __init__(self, server: Server, number: int, round_number: int) -> None:
        self.server = server
        self.number = number
        self.round_number = round_number
        self.acknowledged: dict[str, bytes] = {}

    def run(self, answered: threading.Semaphore) -> None:
        for batch in range(100_000):
            files = {each.instance: each.data() for each in self._batch(batch)}
            try:
                answer = store(self.server, *files.values())
                done = stored(answer)
            except (Failed, OSError, ValueError):
                return
            assert answer.status in (200, 202), answer.status
            self.acknowledged |= {uid: files[uid] for uid in done}
            answered.release()

    def _batch(self, batch: int) -> list[Sample]:
        """Studies of two requests each; clients share a study now and then, so that rows are fought over."""
        shared = batch % 3 == 0
        study = self.round_number * 10_000 + (batch if shared else 1_000 * (self.number + 1) + batch // 2)
        first = (self.number * 1000 + batch) * PER_REQUEST
        return [instance(first + each, study=study, series=1 + each % 2) for each in range(1, PER_REQUEST + 1)]


def test_kill_at_random_moments_loses_nothing_acknowledged(new_place: Callable[[], Place], is_full: bool) -> None:
    place = new_place()
    rng = random.Random(20)
    acknowledged: dict[str, bytes] = {}
    for round_number in range(1, (20 if is_full else 3) + 1):
        server = start(place)
        acknowledged |= _store_until_killed(server, round_number, rng.uniform(0.05, 1.5))
        again = start(place)
        try:
            _check(again, acknowledged)
        finally:
            assert again.stop() in (0, -15)
        assert not again.faults(), again.tail()
        verified = weft(place, "verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    assert len(acknowledged) > 50


def _store_until_killed(server: Server, round_number: int, seconds: float) -> dict[str, bytes]:
    senders = [Sender(server, number, round_number) for number in range(CLIENTS)]
    answered = threading.Semaphore(0)
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(sender.run, answered) for sender in senders]
        for _ in range(CLIENTS):  # so that a slow machine has something to lose as well
            answered.acquire(timeout=30)
        threading.Event().wait(seconds)
        server.kill()
        for each in running:
            each.result()
    return {uid: data for sender in senders for uid, data in sender.acknowledged.items()}


def _check(server: Server, acknowledged: dict[str, bytes]) -> None:
    """Every acknowledged instance, byte for byte; by study, so that listing and reading agree too."""
    studies = {uid[len(ROOT) + 1 :].split(".")[0] for uid in acknowledged}
    there: set[bytes] = set()
    for study in studies:
        there.update(fetch(server, f"/studies/{ROOT}.{study}"))
    lost = [uid for uid, data in acknowledged.items() if data not in there]
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged instances are gone or changed"
