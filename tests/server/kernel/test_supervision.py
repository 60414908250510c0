from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from server.kernel.supervision import Pace, supervised
from tests.unhurried import UnhurriedLoop

QUICK = Pace(pause=0, longest=0, ending=0.01)


def test_a_worker_that_fails_is_started_again_and_ends_with_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        begun, ended = 0, asyncio.Event()
        again = asyncio.Event()

        async def failing() -> None:
            nonlocal begun
            begun += 1
            if begun < 4:
                raise RuntimeError
            again.set()
            await asyncio.Event().wait()

        async def lasting() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with supervised({"failing": failing, "lasting": lasting}, QUICK):
            await asyncio.wait_for(again.wait(), 5)
            assert not ended.is_set()
        assert ended.is_set()

    asyncio.run(body())
    assert caplog.text.count("failing failed") == 3
    assert "Traceback" in caplog.text


def test_the_pauses_grow_to_the_longest(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        begun, enough = 0, asyncio.Event()

        async def failing() -> None:
            nonlocal begun
            begun += 1
            if begun > 3:
                enough.set()
            raise RuntimeError

        async with supervised({"worker": failing}, Pace(pause=0.001, longest=0.003)):
            await asyncio.wait_for(enough.wait(), 5)

    with asyncio.Runner(loop_factory=UnhurriedLoop) as runner:
        runner.run(body())
    said = [each.getMessage().removeprefix("worker failed, and goes on in ") for each in caplog.records]
    assert said[:4] == ["0.001 s", "0.002 s", "0.003 s", "0.003 s"]


def test_a_worker_that_returns_has_done_its_work() -> None:
    async def body() -> None:
        begun, once = 0, asyncio.Event()

        async def brief() -> None:
            nonlocal begun
            begun += 1
            once.set()

        async with supervised({"brief": brief}, QUICK):
            await asyncio.wait_for(once.wait(), 5)
        assert begun == 1

    asyncio.run(body())


def test_one_that_does_not_end_holds_up_the_end_only_so_long(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        stop, begun = asyncio.Event(), asyncio.Event()

        async def stubborn() -> None:
            begun.set()
            while not stop.is_set():
                try:
                    await stop.wait()
                except asyncio.CancelledError:
                    continue

        async with supervised({"stubborn": stubborn}, QUICK):
            await begun.wait()
        stop.set()

    asyncio.run(body())
    assert "stubborn did not end in time" in caplog.text


def test_a_cancellation_that_was_swallowed_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        begun = asyncio.Event()

        async def swallowing() -> None:
            begun.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await asyncio.Event().wait()

        async with supervised({"swallowing": swallowing}, Pace(again=0.01)):
            await begun.wait()

    asyncio.run(body())
    assert not caplog.records
