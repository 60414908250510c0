"""Content coding: whole bodies and streams come back as they were."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence

import pytest

from server.http.compression import packed_stream, takes_gzip
from server.kernel.offload import Offload


@pytest.mark.parametrize("pieces", [[], [b""], [b"one\n", b"two\n"], [bytes(1 << 20)] * 3])
def test_a_stream_is_packed_piece_by_piece(pieces: Sequence[bytes]) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for each in pieces:
            yield each

    async def packed() -> bytes:
        return b"".join([each async for each in packed_stream(stream(), offload)])

    offload = Offload()
    try:
        assert gzip.decompress(asyncio.run(packed())) == b"".join(pieces)
    finally:
        offload.close()


@pytest.mark.parametrize(
    ("accept", "takes"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("br", False),
    ],
)
def test_who_takes_gzip(accept: str, takes: bool) -> None:
    assert takes_gzip(accept) is takes
