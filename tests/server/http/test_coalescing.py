"""Small writes leave together; nothing is lost, reordered or held back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from server.http.coalescing import ENOUGH, CoalescingTransport


class _Recorder(asyncio.Transport):
    """Remembers each call that would be a write to a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.calls.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.calls.append(b"".join(list_of_data))

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0


@pytest.mark.anyio
async def test_the_writes_of_one_turn_are_one_call() -> None:
    below = _Recorder()
    transport = CoalescingTransport(below, asyncio.get_running_loop())
    transport.write(b"head")
    transport.write(bytearray(b"body"))
    assert (below.calls, transport.get_write_buffer_size()) == ([], 8)
    await asyncio.sleep(0)
    assert (below.calls, transport.get_write_buffer_size()) == ([b"headbody"], 0)


@pytest.mark.anyio
async def test_a_long_body_does_not_wait() -> None:
    below = _Recorder()
    transport = CoalescingTransport(below, asyncio.get_running_loop())
    transport.write(b"head")
    transport.write(bytes(ENOUGH))
    assert [len(each) for each in below.calls] == [4 + ENOUGH]
    transport.write(b"tail")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert below.calls[1:] == [b"tail"]


@pytest.mark.anyio
async def test_closing_sends_what_waits() -> None:
    below = _Recorder()
    transport = CoalescingTransport(below, asyncio.get_running_loop())
    transport.write(b"last words")
    transport.close()
    assert (below.calls, below.closed) == ([b"last words"], True)


@pytest.mark.anyio
async def test_a_turn_without_writes_makes_no_call() -> None:
    below = _Recorder()
    transport = CoalescingTransport(below, asyncio.get_running_loop())
    transport.flush()
    await asyncio.sleep(0)
    assert below.calls == []
