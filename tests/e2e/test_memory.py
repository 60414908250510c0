"""Memory stays flat while a long study comes in and while it goes out to four clients at once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.data.instances import long_instance
from tests.e2e.clients import opened, post_stream
from tests.e2e.running import Place, Server, resident_bytes, running

MOST_GROWTH = 200 << 20
CLIENTS = 4
STUDY = "2.25.999"


@contextmanager
def peak_growth(server: Server) -> Iterator[Callable[[], int]]:
    """How many bytes more than at the start the server has held at most."""
    before = resident_bytes(server.pid)
    peak = [before]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            peak[0] = max(peak[0], resident_bytes(server.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: peak[0] - before
    finally:
        ended.set()
        watcher.join()


def test_a_long_study_is_stored_and_streamed_in_little_memory(new_place: Callable[[], Place], is_full: bool) -> None:
    megabytes = 500 if is_full else 75
    with running(new_place()) as server:
        with peak_growth(server) as growth:
            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(lambda number: _send(server, number, megabytes), range(4)))
            assert [status for status, _ in answers] == [200] * 4
            assert growth() < MOST_GROWTH, f"storing took {growth() >> 20} MB"
        with peak_growth(server) as growth:
            with ThreadPoolExecutor(CLIENTS) as pool:
                lengths = list(pool.map(lambda _: _drain(server), range(CLIENTS)))
            assert all(length > 4 * (megabytes << 20) for length in lengths)
            assert growth() < MOST_GROWTH, f"streaming took {growth() >> 20} MB"


def test_a_client_that_does_not_read_costs_little(small_place: Place) -> None:
    with running(small_place) as server:
        status, _ = _send(server, 1, 150)
        assert status == 200
        with peak_growth(server) as growth, opened(server, f"/studies/{STUDY}") as answer:
            assert answer.read(10)
            with opened(server, f"/studies/{STUDY}") as other:
                assert len(other.read()) > 150 << 20
            assert growth() < MOST_GROWTH


def test_a_long_instance_comes_back_as_it_was(small_place: Place) -> None:
    with running(small_place) as server:
        sent = hashlib.sha256()
        chunks = []
        for chunk in long_instance(STUDY, 9, 20):
            sent.update(chunk)
            chunks.append(chunk)
        assert post_stream(server, chunks)[0] == 200
        with opened(server, f"/studies/{STUDY}") as answer:
            body = answer.read()
        start = body.index(b"\r\n\r\n") + 4
        assert hashlib.sha256(body[start : start + sum(map(len, chunks))]).hexdigest() == sent.hexdigest()


def _send(server: Server, number: int, megabytes: int) -> tuple[int, bytes]:
    return post_stream(server, long_instance(STUDY, number, megabytes))


def _drain(server: Server) -> int:
    length = 0
    with opened(server, f"/studies/{STUDY}") as answer:
        assert answer.status == 200
        while piece := answer.read(1 << 20):
            length += len(piece)
    return length
