"""The parts of a backup, sealed: named by a keyed hash of what they say, so that what is there already is known by its
name, and nobody without the key can tell what it may be.

A part is sealed as a blob is. The hash is HMAC-SHA256 under a key derived from the data key that seals, so a new data
key makes all parts anew once. A part that was changed fails its seal; one put in another's place is not what its name
says.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import Protocol

from storage.encryption.ciphers import Algorithm
from storage.encryption.keys import KeyRing
from storage.encryption.seal import (
    HEADER,
    Seal,
    content_size,
    open_content,
    seal_content,
    seal_of_header,
    seal_under,
    span,
)
from storage.errors import Damaged
from storage.ports import Bytes

DIGEST = 32
_CLEAR = b"WEFTBACKUP"
"""What a part in clear begins with, so that neither kind is taken for the other."""


class Chunks(Protocol):
    """How parts are named and sealed. Work for a processor, to be done in threads."""

    @property
    def is_sealed(self) -> bool: ...

    def digest(self, content: bytes) -> bytes: ...

    def seal(self, content: bytes) -> Bytes: ...

    def open(self, stored: Bytes) -> tuple[bytes, bytes]:
        """The digest of what a part says, and this. `Damaged` for what was not sealed so."""
        ...


class SealedChunks:
    def __init__(self, keys: KeyRing, algorithm: Algorithm) -> None:
        self._keys = keys
        self._algorithm = algorithm
        # One for a whole run: a part's name and its seal are of the same data key, whenever that is changed.
        self._active = keys.active

    @property
    def is_sealed(self) -> bool:
        return True

    def digest(self, content: bytes) -> bytes:
        return _digest(self._active.key, content)

    def seal(self, content: bytes) -> Bytes:
        seal = seal_under(self._active.id, self._algorithm)
        return seal_content(seal, seal.cipher(self._keys), content)

    def open(self, stored: Bytes) -> tuple[bytes, bytes]:
        if bytes(stored[: len(_CLEAR)]) == _CLEAR:
            raise Damaged("it was made with WEFT_ENCRYPTION=off, and is read so only")
        seal = seal_of_header(bytes(stored[:HEADER]))
        content = bytes(self._opened(seal, stored))
        return _digest(self._keys.find(seal.key_id), content), content

    def _opened(self, seal: Seal, stored: Bytes) -> Bytes:
        size = content_size(len(stored))
        return open_content(seal, seal.cipher(self._keys), stored, span(size, 0, size))


class ClearChunks:
    """Where nothing is encrypted at rest."""

    @property
    def is_sealed(self) -> bool:
        return False

    def digest(self, content: bytes) -> bytes:
        return hashlib.sha256(content).digest()

    def seal(self, content: bytes) -> Bytes:
        return _CLEAR + content

    def open(self, stored: Bytes) -> tuple[bytes, bytes]:
        if bytes(stored[: len(_CLEAR)]) != _CLEAR:
            raise Damaged("it is sealed, or damaged; with WEFT_ENCRYPTION=off nothing sealed can be read")
        content = bytes(stored[len(_CLEAR) :])
        return self.digest(content), content


def _digest(data_key: bytes, content: bytes) -> bytes:
    return hmac.digest(_naming_key(data_key), content, "sha256")


@lru_cache(maxsize=16)
def _naming_key(data_key: bytes) -> bytes:
    return hmac.digest(data_key, b"weft backup names", "sha256")
