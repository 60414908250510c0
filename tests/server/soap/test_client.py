"""Requests to others: whatever answers, what comes of it is an answer or a problem, in time and with nothing left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.soap.client import Answered, Pace, SoapClient
from server.soap.names import SOAP, WSA
from server.soap.reading import MessageLimits
from server.soap.scanning import Room
from storage.filesystem.blobs import FolderBlobs
from tests.data.soap_messages import envelope, mtom

ANSWER = envelope("urn:answer", b'<x:R xmlns:x="urn:ihe:iti:xds-b:2007"><x:Document>%s</x:Document></x:R>')
INCLUDE = b'<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:1@x"/>'
PLAIN = {"content-type": "application/soap+xml"}


class Answering(httpx.AsyncBaseTransport):
    def __init__(self, headers: dict[str, str], content: Callable[[bytes], AsyncIterator[bytes]]) -> None:
        self._headers = headers
        self._content = content

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = self._content(await request.aread())
        return httpx.Response(200, headers=self._headers, content=content)


def once(content: bytes) -> Callable[[bytes], AsyncIterator[bytes]]:
    async def give(_: bytes) -> AsyncIterator[bytes]:
        yield content

    return give


async def called(folder: Path, transport: httpx.AsyncBaseTransport, seconds: float = 5, **more: bool) -> Kind | str:
    """What a call came to; nothing is left behind it."""
    offload = Offload()
    blobs = FolderBlobs(folder, offload)
    limits = MessageLimits(1 << 20, 8 << 20, 4)
    client = SoapClient(blobs, offload, limits, transport=transport, room=Room(4 << 20), staged=Room(16 << 20))
    try:
        answered: Answered = await client.call("https://x.example/", "urn:ask", b"<a/>", seconds=seconds, **more)
        await answered.close()
        return str(answered.body.tag)
    except Problem as problem:
        return problem.kind
    finally:
        assert [each async for each in blobs.list()] == []
        await client.close()
        await blobs.close()
        offload.close()


@pytest.mark.parametrize(("relates_to", "outcome"), [("asked", "answer"), ("", "answer"), ("urn:uuid:other", "none")])
def test_an_answer_to_another_message_is_none(tmp_path: Path, relates_to: str, outcome: str) -> None:
    async def answer(asked: bytes) -> AsyncIterator[bytes]:
        named = asked.partition(b"MessageID>")[2].partition(b"<")[0].decode() if relates_to == "asked" else relates_to
        told = f"<a:RelatesTo>{named}</a:RelatesTo>" if named else ""
        yield envelope("urn:answer", b"<x/>").replace(b"</s:Header>", told.encode() + b"</s:Header>")

    came = asyncio.run(called(tmp_path, Answering(PLAIN, answer)))
    assert came == ("x" if outcome == "answer" else Kind.UNAVAILABLE)


class Moment:
    """A clock and a deadline by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.deadline = 0.0

    def reschedule(self, when: float) -> None:
        self.deadline = when


def test_a_long_answer_has_time_as_long_as_it_comes() -> None:
    moment = Moment()
    pace = Pace(moment, 10, lambda: moment.now)
    for _ in range(60):
        moment.now += 1
        pace.come(2 << 20)
        assert moment.deadline == moment.now + 10
    for _ in range(600):
        moment.now += 1
        pace.come(1 << 10)
    assert moment.deadline < moment.now


def test_a_long_answer_is_read_to_its_end(tmp_path: Path) -> None:
    head, kind = mtom(ANSWER % INCLUDE)
    start, _, end = head.partition(b"\r\n--B--")
    whole = start + b"\r\n--B\r\nContent-ID: <1@x>\r\n\r\n" + bytes(6 << 20) + b"\r\n--B--" + end
    transport = Answering({"content-type": kind}, once(whole))
    assert asyncio.run(called(tmp_path, transport, is_paced=True)) == "{urn:ihe:iti:xds-b:2007}R"


def test_a_trickle_is_cut_off(tmp_path: Path) -> None:
    async def trickle(_: bytes) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield b" "

    assert asyncio.run(called(tmp_path, Answering(PLAIN, trickle), 0.3, is_paced=True)) is Kind.UNAVAILABLE


def test_an_answer_without_end_is_cut_off(tmp_path: Path) -> None:
    async def endless(_: bytes) -> AsyncIterator[bytes]:
        while True:
            yield b"<a>" + bytes(1 << 16)

    assert asyncio.run(called(tmp_path, Answering(PLAIN, endless), 20)) is Kind.UNAVAILABLE


TYPES = st.sampled_from(["application/soap+xml", "multipart/related; boundary=B", "text/html", "", "x"])
PIECES = st.sampled_from([
    b"<", b"--B\r\n", b"--B--", b"\r\n\r\n", b"Content-ID: <1@x>", INCLUDE, ANSWER, b"<!DOCTYPE a>", b"</s:Body>",
    f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}">'.encode(), b"<s:Fault/>", b"\xff",
])  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TYPES, st.lists(PIECES | st.binary(max_size=40), max_size=12))
def test_whatever_comes_is_an_answer_or_a_problem(tmp_path: Path, kind: str, pieces: list[bytes]) -> None:
    came = asyncio.run(called(tmp_path, Answering({"content-type": kind}, once(b"".join(pieces)))))
    assert isinstance(came, str)
