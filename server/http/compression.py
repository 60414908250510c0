"""Content coding of answers: JSON, XML and HTML shrink to a tenth, images are left alone (RFC 9110 8.4)."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from server.http.surface import Answer, Call
from server.kernel.answers import AnswerCache
from server.kernel.offload import Offload
from storage.ports import Bytes

_SMALLEST = 1400
"""Below one network packet compression gains nothing."""

_INLINE = 16 << 10
_WORTH = (
    "application/dicom+json", "application/json", "application/dicom+xml", "text/", "application/xml",
    "application/fhir+json", "application/fhir+xml",
)  # fmt: skip


async def compressed(call: Call, answer: Answer, offload: Offload, packed: AnswerCache) -> Answer:
    """The answer, gzip-coded where the client asks for it and it pays.

    What took long is kept in `packed` under the body itself: an answer that is kept ready is one object, whose hash
    is computed once, so finding its packed form again compares nothing.
    """
    body = answer.body
    if not isinstance(body, bytes) or len(body) < _SMALLEST or not (answer.media_type or "").startswith(_WORTH):
        return answer
    answer.headers.append(("Vary", "Accept-Encoding"))
    if not takes_gzip(call.header("accept-encoding") or ""):
        return answer
    answer.body = _gzip(body) if len(body) <= _INLINE else await _kept(body, offload, packed)
    answer.length = None
    answer.headers.append(("Content-Encoding", "gzip"))
    return answer


async def packed_stream(pieces: AsyncIterator[Bytes], offload: Offload) -> AsyncIterator[bytes]:
    """A stream of any length, gzip-coded piece by piece."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    async for piece in pieces:
        if packed := await offload.cpu(packer.compress, piece):
            yield packed
    yield packer.flush()


async def _kept(body: bytes, offload: Offload, packed: AnswerCache) -> bytes:
    known = packed.get(body)
    if known is None:
        known = await offload.cpu(_gzip, body)
        packed.put(body, known)
    return known


def takes_gzip(accept: str) -> bool:
    for choice in accept.lower().split(","):
        coding, _, weight = choice.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            return weight.replace(" ", "").rstrip("0.") not in ("q=", "q")
    return False


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()
