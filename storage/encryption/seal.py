"""The form of a sealed blob: a header, then chunks of 64 KiB of content, each followed by its tag.

Header, 48 bytes: `WEFT`, version, algorithm, binary logarithm of the chunk size, zero; data key id (8); salt (32).
Every blob has a key of its own, derived from a data key and the whole header. The nonce of a chunk is its number, with
a flag on the last one (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015): a chunk that was
changed, moved, taken from another blob or cut off fails to open. An empty blob is one empty chunk.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag

from storage.encryption.ciphers import TAG, Aead, Algorithm, derived
from storage.encryption.keys import KEY_ID, KeyRing
from storage.errors import Damaged
from storage.ports import Bytes

CHUNK_BITS = 16
CHUNK = 1 << CHUNK_BITS
HEADER = 48
_SEALED_CHUNK = CHUNK + TAG
_SALT = 32
_PARAMETERS = 1 + KEY_ID + _SALT
_BEFORE, _BETWEEN = b"WEFT\x01", bytes((CHUNK_BITS, 0))
_MARK = "~"


@dataclass(frozen=True, slots=True)
class Seal:
    """How one blob is sealed. `parameters` is what differs between blobs: algorithm, data key id, salt."""

    parameters: bytes

    @property
    def algorithm(self) -> Algorithm:
        return Algorithm(self.parameters[0])

    @property
    def key_id(self) -> bytes:
        return self.parameters[1 : 1 + KEY_ID]

    @property
    def header(self) -> bytes:
        return _BEFORE + self.parameters[:1] + _BETWEEN + self.parameters[1:]

    def name(self, inner: str) -> str:
        """The name to give out for a blob that the inner store calls `inner`."""
        return f"{inner}{_MARK}{base64.urlsafe_b64encode(self.parameters).decode().rstrip('=')}"

    def cipher(self, keys: KeyRing) -> Aead:
        data_key = keys.find(self.key_id)
        return derived(self.algorithm, data_key, b"weft blob", self.header)


def new_seal(keys: KeyRing, algorithm: Algorithm) -> Seal:
    return seal_under(keys.active.id, algorithm)


def seal_under(key_id: bytes, algorithm: Algorithm) -> Seal:
    return Seal(bytes((algorithm.value,)) + key_id + secrets.token_bytes(_SALT))


def inner_name(name: str) -> str:
    """What the inner store calls the blob of that name."""
    return name.partition(_MARK)[0]


def seal_of_name(name: str) -> Seal:
    text = name.partition(_MARK)[2]
    try:
        parameters = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except ValueError:
        raise Damaged("damaged: the name of a blob does not tell how it is sealed") from None
    return _checked(parameters)


def seal_of_header(header: bytes) -> Seal:
    seal = _checked(header[5:6] + header[8:])
    if seal.header != header:
        raise Damaged("damaged: the header of a blob")
    return seal


def _checked(parameters: bytes) -> Seal:
    if len(parameters) != _PARAMETERS or not 1 <= parameters[0] <= len(Algorithm):
        raise Damaged("damaged: a blob does not tell how it is sealed")
    return Seal(parameters)


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a sealed blob that a range of its content needs: whole chunks, and the header before the first."""

    first: int
    count: int
    final: int
    """The number of the blob's last chunk, which carries the flag."""
    skip: int
    """Where in its first chunk the range begins."""
    length: int
    """Bytes of the range."""
    content: int
    """Bytes of content in these chunks."""
    sealed_start: int
    sealed_length: int


def sealed_size(size: int) -> int:
    """How long a blob of `size` is once sealed."""
    return HEADER + size + TAG * (_final(size) + 1)


def content_size(sealed: int) -> int:
    """How long a blob is that is so long once sealed; `Damaged` where none is."""
    size = sealed - HEADER - TAG * max(1, -(-(sealed - HEADER) // _SEALED_CHUNK))
    if size < 0 or sealed_size(size) != sealed:
        raise Damaged("damaged: cut short")
    return size


def span(size: int, start: int, length: int) -> Span:
    """The span of a range that lies within a blob of `size`. An empty range needs the header, to show it is there."""
    final = _final(size)
    if length == 0 and size > 0:
        return Span(0, 0, final, 0, 0, 0, 0, HEADER)
    first = start >> CHUNK_BITS
    last = (start + max(length, 1) - 1) >> CHUNK_BITS
    content = min(size, (last + 1) << CHUNK_BITS) - (first << CHUNK_BITS)
    count = last - first + 1
    sealed_start = HEADER + first * _SEALED_CHUNK if first else 0
    sealed_length = content + count * TAG + (0 if first else HEADER)
    return Span(first, count, final, start - (first << CHUNK_BITS), length, content, sealed_start, sealed_length)


def _final(size: int) -> int:
    return max(0, size - 1) >> CHUNK_BITS


def seal_content(seal: Seal, cipher: Aead, content: Bytes, first: int = 0, *, ends: bool = True) -> bytearray:
    """Seal the chunks of a blob from number `first` on, the header before the first; `ends`: with the last one."""
    view = memoryview(content)
    before = 0 if first else HEADER
    final = _final(len(view))
    sealed = bytearray(before + len(view) + TAG * (final + 1))
    out = memoryview(sealed)
    if before:
        out[:before] = seal.header
    for index in range(final + 1):
        chunk = view[index << CHUNK_BITS : (index + 1) << CHUNK_BITS]
        at = before + index * _SEALED_CHUNK
        nonce = _nonce(first + index, ends and index == final)
        cipher.encrypt_into(nonce, chunk, None, out[at : at + len(chunk) + TAG])
    return sealed


def open_content(seal: Seal, cipher: Aead, sealed: Bytes, part: Span, content: Bytes | None = None) -> Bytes:
    """The range that `sealed` was read for; no byte of what fails its tag is ever given out.

    `content`, if it is given, is memory of that many bytes to open it into.
    """
    view = memoryview(sealed)
    at = 0
    if part.sealed_start == 0:
        if view[:HEADER] != seal.header:
            raise Damaged("damaged: the header of a blob")
        at = HEADER
    if content is None:
        content = bytearray(part.content)
    out = memoryview(content)
    try:
        for index in range(part.count):
            end = min(at + _SEALED_CHUNK, part.sealed_length)
            low, number = index << CHUNK_BITS, part.first + index
            nonce = _nonce(number, number == part.final)
            cipher.decrypt_into(nonce, view[at:end], None, out[low : low + end - at - TAG])
            at = end
    except InvalidTag:
        raise Damaged("damaged: a blob fails its seal") from None
    return _range_of(content, part)


def _range_of(content: Bytes, part: Span) -> Bytes:
    """A view of the range, unless it would keep much more in memory than it shows."""
    if part.length == part.content:
        return content
    view = memoryview(content)[part.skip : part.skip + part.length]
    return view if part.length > part.content // 2 else view.tobytes()


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")
