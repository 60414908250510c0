"""A request body sent compressed (RFC 9110 8.4): gzip is inflated as it arrives, anything else is refused.

Inflating is bounded by ratio: what grows beyond it is an attack or a file of nothing, and nothing is stored of it.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from server.http.multipart import TRUNCATED
from server.http.surface import Call
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem

RATIO = 200
GRACE = 64 << 20
"""Bytes that may come out before the ratio counts."""

_PIECE = 1 << 20
_GZIP = 31
"""zlib's window bits for a gzip wrapper."""


def decoded(call: Call, offload: Offload) -> AsyncIterator[bytes]:
    """The request body as it was before its Content-Encoding."""
    coding = (call.header("content-encoding") or "identity").strip().lower()
    if coding in ("", "identity"):
        return call.stream()
    if coding in ("gzip", "x-gzip"):
        return inflated(call.stream(), offload)
    text = "The Content-Encoding of a request must be gzip or identity."
    raise Problem(Kind.UNSUPPORTED_MEDIA, text, headers={"Accept-Encoding": "gzip, identity"})


async def inflated(stream: AsyncIterator[bytes], offload: Offload) -> AsyncIterator[bytes]:
    """The stream inflated; several gzip members may follow one another (RFC 1952 2.2)."""
    inflater = zlib.decompressobj(_GZIP)
    taken = given = 0
    async for chunk in stream:
        taken += len(chunk)
        waiting, is_more = chunk, True
        while is_more:
            if inflater.eof:
                inflater = zlib.decompressobj(_GZIP)
            piece = await offload.cpu(_inflate, inflater, waiting)
            given += len(piece)
            if given > GRACE + RATIO * taken:
                raise Problem(Kind.TOO_LARGE, f"A compressed request may grow to {RATIO} times its size at most.")
            if piece:
                yield piece
            waiting = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            # With a full piece, output may be pending though all input is taken.
            is_more = bool(waiting) or (len(piece) == _PIECE and not inflater.eof)
    if not inflater.eof:
        text = "The gzip body ends before its end marker."
        raise Problem(Kind.INVALID, text, (Issue(text, code=TRUNCATED),))


def _inflate(inflater: zlib._Decompress, compressed: bytes) -> bytes:
    try:
        return inflater.decompress(compressed, _PIECE)
    except zlib.error as error:
        raise Problem(Kind.INVALID, "The body is not gzip, as its Content-Encoding says.") from error
