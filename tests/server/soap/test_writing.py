"""Answers go out packed as their requests came, of a length that is known before the first byte."""

from __future__ import annotations

import asyncio
import random
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from lxml import etree

from server.http.media_type import parse_media_type
from server.kernel.hosts import Hosts
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.soap.client import SoapClient
from server.soap.message import Attachment, Reply
from server.soap.reading import Incoming, MessageLimits
from server.soap.replying import Replies
from server.soap.writing import Addressed, pack
from storage.filesystem.blobs import FolderBlobs
from tests.server.soap.shell import ACTION, MTOM, PLAIN, XDSB, Shell, document, message, package, root

OCTETS = random.Random(3).randbytes(300_001)
WSA = "http://www.w3.org/2005/08/addressing"


def test_a_simple_request_is_answered_simply_with_base64(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "blobs", answers=(OCTETS, b"", b"x"))

    sent = shell.send(message())

    assert sent.header("content-length") == str(len(sent.body))
    assert parse_media_type(sent.header("content-type") or "")[0] == "application/soap+xml"
    texts = [each.text or "" for each in etree.fromstring(sent.body).iter("{urn:test}Binary")]
    assert [b64decode(each) for each in texts] == [OCTETS, b"", b"x"]


def test_an_mtom_request_is_answered_with_mtom(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "blobs", answers=(OCTETS, b"x"))

    sent = shell.send(package(root(message())), MTOM)

    kind, parameters = parse_media_type(sent.header("content-type") or "")
    assert (kind, parameters["type"], parameters["start-info"], parameters["action"]) == (
        "multipart/related", "application/xop+xml", "application/soap+xml", ACTION + "Response",
    )  # fmt: skip
    assert sent.header("content-length") == str(len(sent.body))
    first, *others, _ = sent.body.split(b"--" + parameters["boundary"].encode())[1:]
    assert parameters["start"].encode() in first
    assert [each.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for each in others] == [OCTETS, b"x"]


def test_an_answer_without_attachments_is_packed_alike(tmp_path: Path) -> None:
    sent = Shell(tmp_path / "blobs").send(package(root(message())), MTOM)

    assert (sent.header("content-type") or "").startswith("multipart/related")
    assert sent.header("content-length") == str(len(sent.body))


async def _chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for each in pieces:
        yield each


@pytest.mark.parametrize("is_mtom", [True, False])
def test_what_is_written_is_read_back(tmp_path: Path, is_mtom: bool) -> None:
    async def there_and_back() -> None:
        offload = Offload()
        blobs = FolderBlobs(tmp_path, offload)
        body = f'<x:Document xmlns:x="{XDSB}"><?attachment 0?></x:Document>'.encode()
        attachment = Attachment(_chunks(OCTETS), len(OCTETS), "text/plain")
        packed = pack(Addressed("urn:a", to="http://x/?a&b"), Reply(body, (attachment,)), offload, is_mtom=is_mtom)
        assert not isinstance(packed.body, list)
        incoming = Incoming(_bytes(packed.body), packed.media_type, blobs, offload, MessageLimits())
        envelope = await incoming.envelope()
        await incoming.attachments()
        (received,) = incoming.received.values()
        assert b"".join([bytes(each) async for each in blobs.read(received.ref)]) == OCTETS
        assert envelope.header is not None
        await incoming.close()
        assert [name async for name in blobs.list()] == []
        offload.close()

    asyncio.run(there_and_back())


async def _bytes(stream: AsyncIterator[object]) -> AsyncIterator[bytes]:
    async for each in stream:
        yield bytes(each)  # type: ignore[call-overload]


def elsewhere(address: str) -> bytes:
    header = f'<a:Action xmlns:a="{WSA}">{ACTION}</a:Action><a:MessageID>urn:uuid:m1</a:MessageID>'
    return message(header=header + f"<a:ReplyTo><a:Address>{address}</a:Address></a:ReplyTo>")


def test_an_answer_goes_to_a_listed_address_later(tmp_path: Path) -> None:
    got: list[httpx.Request] = []
    both = asyncio.Event()

    def receive(request: httpx.Request) -> httpx.Response:
        got.append(request)
        if len(got) == 2:
            both.set()
        return httpx.Response(202 if len(got) > 1 else 500)

    replies = Replies(Hosts.parse("replies.example"), transport=httpx.MockTransport(receive))
    shell = Shell(tmp_path / "blobs", answers=(b"the answer",), replies=replies)

    first = shell.send(elsewhere("http://replies.example/back"))
    second = shell.send(elsewhere("https://replies.example/back"))

    assert [(each.status, each.body) for each in (first, second)] == [(202, b"")] * 2
    asyncio.run(_until(replies, both))
    assert got[0].headers["content-type"].startswith("application/soap+xml")
    assert b"<a:RelatesTo>urn:uuid:m1<" in got[1].content
    assert b"dGhlIGFuc3dlcg==" in got[1].content


async def _until(replies: Replies, done: asyncio.Event) -> None:
    worker = asyncio.create_task(replies.run())
    async with asyncio.timeout(5):
        await done.wait()
    worker.cancel()
    await asyncio.wait([worker])


def answering(status: int, body: bytes, kind: str = PLAIN) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, content=_chunks(body), headers={"content-type": kind}))


def call(folder: Path, transport: httpx.AsyncBaseTransport, **more: object) -> bytes:
    async def asked() -> bytes:
        offload = Offload()
        blobs = FolderBlobs(folder, offload)
        client = SoapClient(blobs, offload, transport=transport)
        try:
            answer = await client.call("http://other.example/x", "urn:do", b"<e/>", **{"seconds": 5, **more})  # type: ignore[arg-type]
            received = answer.binary(next(answer.body.iter(f"{{{XDSB}}}Document")))
            assert received is not None
            octets = b"".join([bytes(each) async for each in blobs.read(received.ref)])
            await answer.close()
            return octets
        finally:
            await client.close()
            assert [name async for name in blobs.list()] == []
            offload.close()

    return asyncio.run(asked())


def test_a_client_streams_what_it_is_sent(tmp_path: Path) -> None:
    assert call(tmp_path, answering(200, message(document("eHl6"))), is_mtom=True) == b"xyz"


FAULT = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value>'
    b"<s:Subcode><s:Value>wsse:FailedAuthentication</s:Value></s:Subcode></s:Code><s:Reason><s:Text>nobody we know"
    b"</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"
)


@pytest.mark.parametrize(
    ("transport", "kind"),
    [
        (answering(400, FAULT), Kind.FORBIDDEN),
        (answering(500, FAULT.replace(b"wsse:FailedAuthentication", b"x:y")), Kind.UNAVAILABLE),
        (answering(502, b"bad gateway"), Kind.UNAVAILABLE),
        (answering(302, b""), Kind.UNAVAILABLE),
        (answering(200, b"<html/>", "text/html"), Kind.UNAVAILABLE),
        (answering(200, message(document("eHl6") + document("eHl"))), Kind.UNAVAILABLE),
        (answering(200, b"<!DOCTYPE x>" + message()), Kind.UNAVAILABLE),
    ],
)
def test_a_client_says_what_the_other_side_did(tmp_path: Path, transport: httpx.MockTransport, kind: Kind) -> None:
    with pytest.raises(Problem) as caught:
        call(tmp_path, transport)

    assert caught.value.kind is kind


def test_a_client_waits_no_longer_than_it_was_told(tmp_path: Path) -> None:
    class Hung(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(Problem, match="in time"):
        call(tmp_path, Hung(), seconds=0.01)
