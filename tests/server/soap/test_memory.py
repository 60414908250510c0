"""A document of any length goes in and out without ever being held."""

from __future__ import annotations

import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.soap.message import Attachment, Exchange, Reply, placeholder
from server.soap.reading import MessageLimits
from server.soap.scanning import Shares
from tests.server.soap.shell import MTOM, PLAIN, Shell, document, include, message, package, part, root

BLOCK = bytes(range(256)) * 3 * 256
COUNT = 400
SIZE = COUNT * len(BLOCK)
MOST = 24 << 20


class Large(Shell):
    """Answers as much as it was sent, and counts what goes out instead of holding it."""

    async def _echo(self, exchange: Exchange) -> Reply:
        (received,) = exchange.received.values()
        assert received.ref.size == SIZE
        return Reply(b"<e:Said xmlns:e='urn:test'>%s</e:Said>" % placeholder(0), (Attachment(_blocks(), SIZE, "a/b"),))


async def _blocks() -> AsyncIterator[bytes]:
    for _ in range(COUNT):
        yield BLOCK


@pytest.mark.slow
@pytest.mark.parametrize("is_mtom", [True, False])
def test_a_long_document_costs_little_memory(tmp_path: Path, is_mtom: bool) -> None:
    shell = Large(tmp_path / "blobs", limits=MessageLimits(document=1 << 30), unknown=Shares(1 << 30))
    if is_mtom:
        whole = package(root(message(document(include("cid:a@b")))), part(b"@@@", "<a@b>"))
        kind, block = MTOM, BLOCK
    else:
        whole, kind, block = message(document("@@@")), PLAIN, b64encode(BLOCK)
    start, end = whole.split(b"@@@")
    tracemalloc.start()
    try:
        sent = shell.send([start, *([block] * COUNT), end], kind, counts=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sent.status == 200
    assert int(sent.body) == int(sent.header("content-length") or 0) > SIZE
    assert peak < MOST
    assert shell.left == []
