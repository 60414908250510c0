"""Bodies of a journal, sealed one by one before they are linked into its chains.

A sealed body has the form of a sealed record's: version and algorithm (1 byte), data key id (8), salt (16), nonce (12),
then the body and its tag. A run of bodies has a key of its own, so that a counter serves as nonce. Whoever verifies a
journal needs no key of these, because the chains go over what is stored.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag

from storage.encryption.ciphers import NONCE, TAG, Aead, Algorithm, derived
from storage.encryption.keys import KEY_ID, KeyRing
from storage.errors import Damaged

_VERSION = 0x20
_SALT = 16
_PREFIX = 1 + KEY_ID + _SALT
_BODY = _PREFIX + NONCE
_RUN = 1 << 30
_LOOK = 1024
"""After so many bodies it is looked whether the data key was changed."""
_CIPHERS_KEPT = 256


class SealedBodies:
    """Used by one event loop."""

    def __init__(self, keys: KeyRing, algorithm: Algorithm) -> None:
        self._keys = keys
        self._algorithm = algorithm
        self._ciphers: dict[bytes, Aead] = {}
        self._prefix = b""
        self._count = 0
        self._sealing: Aead
        self._begin()

    def seal(self, body: bytes, bound: bytes) -> bytes:
        if not self._count % _LOOK:
            self._begin()
        self._count += 1
        nonce = self._count.to_bytes(NONCE, "big")
        return b"%s%s%s" % (self._prefix, nonce, self._sealing.encrypt(nonce, body, bound))

    def _begin(self) -> None:
        """A new run, at first and when the data key was changed."""
        active = self._keys.active.id
        if self._count >= _RUN or self._prefix[1 : 1 + KEY_ID] != active:
            self._prefix = bytes((_VERSION | self._algorithm.value,)) + active + os.urandom(_SALT)
            self._count = 0
            self._sealing = self._cipher(self._prefix)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        if len(sealed) < _BODY + TAG or sealed[0] ^ _VERSION not in (1, 2):
            raise Damaged("damaged: an entry of the audit journal is not sealed")
        try:
            return self._cipher(sealed[:_PREFIX]).decrypt(sealed[_PREFIX:_BODY], sealed[_BODY:], bound)
        except InvalidTag:
            raise Damaged("damaged: an entry of the audit journal fails its seal") from None

    def _cipher(self, prefix: bytes) -> Aead:
        cipher = self._ciphers.get(prefix)
        if cipher is None:
            if len(self._ciphers) >= _CIPHERS_KEPT:
                self._ciphers.clear()
            data_key = self._keys.find(prefix[1 : 1 + KEY_ID])
            algorithm = Algorithm(prefix[0] ^ _VERSION)
            cipher = self._ciphers[prefix] = derived(algorithm, data_key, b"weft journal", prefix)
        return cipher


class ClearBodies:
    """Where nothing is encrypted at rest."""

    def seal(self, body: bytes, bound: bytes) -> bytes:
        return body

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        return sealed
