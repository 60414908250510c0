"""Cursors of searches: the request and a place in its result, sealed so that only this server can read or make one.

A search that was posted to keep its criteria out of URLs and logs must not show them in the link to its next page, so
a cursor is encrypted and not only signed. It is bound to the actor it was given to, and it is no permission: every
page asks again what the actor may see.

JSON, compressed where it is long, is encrypted with a key stream of SHAKE256 over a key and a random nonce, and then
authenticated by HMAC-SHA256 under a second key. This construction needs the standard library only, for the ciphers of
the stores belong to the stores; and it takes some five microseconds, a tenth of what compressing a short text would.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from server.fhir.search.request import Pairs, SearchRequest
from server.kernel.problem import Issue, Kind, Problem

_NONCE, _TAG = 12, 16
_PLAIN, _PACKED = b"\0", b"\1"
_WORTH_PACKING = 512
_LONGEST = 1 << 16
"""Characters of a cursor; and 16 times as many bytes when it is inflated."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: opaque parts that the search itself wrote, and the total found on the first page."""

    request: SearchRequest
    at: tuple[str | int, ...]
    total: int | None


class Cursors:
    """Seals places and opens them again."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 32:
            raise ValueError("the secret of the search cursors has to be 32 bytes long")
        self._stream_key = _mac(secret, b"weft search cursor: stream")
        self._seal_key = _mac(secret, b"weft search cursor: seal")

    def seal(self, place: Place, actor: str, purpose: str = "search") -> str:
        clear = _packed(_written(place))
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._crypted(nonce, clear)
        return base64.urlsafe_b64encode(sealed + self._tag(sealed, actor, purpose)).decode().rstrip("=")

    def open(self, token: str, actor: str, purpose: str = "search") -> Place:
        """A `Problem` (invalid) for what this server did not give to this actor for this purpose."""
        try:
            if len(token) > _LONGEST:
                raise ValueError
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            sealed, tag = raw[:-_TAG], raw[-_TAG:]
            if len(sealed) < _NONCE or not hmac.compare_digest(tag, self._tag(sealed, actor, purpose)):
                raise ValueError
            clear = self._crypted(sealed[:_NONCE], sealed[_NONCE:])
            return _read(_unpacked(clear))
        except (ValueError, binascii.Error, zlib.error):
            text = "This link to a page is not one of ours, or it was given to somebody else."
            raise Problem(Kind.INVALID, text, (Issue(text, None, "invalid"),)) from None

    def _tag(self, sealed: bytes, actor: str, purpose: str) -> bytes:
        return _mac(self._seal_key, len(sealed).to_bytes(8, "big") + sealed + f"{purpose}\0{actor}".encode())[:_TAG]

    def _crypted(self, nonce: bytes, text: bytes) -> bytes:
        """The text with the key stream laid over it: the same act encrypts and decrypts."""
        stream = hashlib.shake_256(self._stream_key + nonce).digest(len(text))
        number = int.from_bytes(text, "big") ^ int.from_bytes(stream, "big")
        return number.to_bytes(len(text), "big")


def _packed(text: bytes) -> bytes:
    return _PLAIN + text if len(text) < _WORTH_PACKING else _PACKED + zlib.compress(text, 1)


def _unpacked(clear: bytes) -> bytes:
    if clear[:1] == _PLAIN:
        return clear[1:]
    return zlib.decompressobj().decompress(clear[1:], 16 * _LONGEST)


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, hashlib.sha256)


def _written(place: Place) -> bytes:
    request = place.request
    parts = [request.type, request.compartment, request.pairs, place.at, place.total]
    return orjson.dumps(parts)


def _read(text: bytes) -> Place:
    """What passed the seal was written here, so nothing about its form is in doubt."""
    resource_type, compartment, pairs, at, total = orjson.loads(text)
    request = SearchRequest(resource_type, _pairs(pairs), compartment and (compartment[0], compartment[1]))
    return Place(request, tuple(at), total)


def _pairs(listed: Sequence[Any]) -> Pairs:
    return tuple((name, value) for name, value in listed)
