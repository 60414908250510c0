"""The two ciphers and how a key for one use is derived: AES-256-GCM (NIST SP 800-38D), SM4-GCM (RFC 8998 section 2).

A data key never seals anything itself. Each blob, and each run of records, has a key of its own, derived with
HMAC-SHA256 in counter mode (NIST SP 800-108r1 section 4.1) from the data key and random salt, so that a counter may
serve as nonce and no limit on messages under one key is near. SM4 is for where it is prescribed: it runs at a tenth of
the speed, and a build of OpenSSL restricted to FIPS 140 does not have it.
"""

from __future__ import annotations

import hmac
from enum import Enum
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4

from storage.ports import Bytes

TAG = 16
NONCE = 12


class Aead(Protocol):
    """Authenticated encryption under one key; what is sealed is `TAG` bytes longer."""

    def encrypt(self, nonce: Bytes, data: Bytes, associated_data: Bytes | None) -> bytes: ...

    def decrypt(self, nonce: Bytes, data: Bytes, associated_data: Bytes | None) -> bytes: ...

    def encrypt_into(self, nonce: Bytes, data: Bytes, associated_data: Bytes | None, buf: Bytes) -> int: ...

    def decrypt_into(self, nonce: Bytes, data: Bytes, associated_data: Bytes | None, buf: Bytes) -> int: ...


class Algorithm(Enum):
    """The value is what stands in headers."""

    AES_256_GCM = 1
    SM4_GCM = 2

    @property
    def key_size(self) -> int:
        return 32 if self is Algorithm.AES_256_GCM else 16

    def under(self, key: bytes) -> Aead:
        return AESGCM(key) if self is Algorithm.AES_256_GCM else _Sm4Gcm(key)

    @property
    def is_fast(self) -> bool:
        """Whether a MiB takes about as long as handing it to a thread."""
        return self is Algorithm.AES_256_GCM


class _Sm4Gcm:
    def __init__(self, key: bytes) -> None:
        self._cipher = SM4(key)

    def encrypt(self, nonce: Bytes, data: Bytes, associated_data: Bytes | None) -> bytes:
        encryptor = Cipher(self._cipher, modes.GCM(bytes(nonce))).encryptor()
        encryptor.authenticate_additional_data(associated_data or b"")
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: Bytes, data: Bytes, associated_data: Bytes | None) -> bytes:
        view = memoryview(data)
        decryptor = Cipher(self._cipher, modes.GCM(bytes(nonce), bytes(view[-TAG:]))).decryptor()
        decryptor.authenticate_additional_data(associated_data or b"")
        return decryptor.update(view[:-TAG]) + decryptor.finalize()

    def encrypt_into(self, nonce: Bytes, data: Bytes, associated_data: Bytes | None, buf: Bytes) -> int:
        memoryview(buf)[:] = self.encrypt(nonce, data, associated_data)
        return len(buf)

    def decrypt_into(self, nonce: Bytes, data: Bytes, associated_data: Bytes | None, buf: Bytes) -> int:
        memoryview(buf)[:] = self.decrypt(nonce, data, associated_data)
        return len(buf)


def algorithm_named(name: str) -> Algorithm:
    """The algorithm a setting names, tried once: this machine's OpenSSL may lack it."""
    known = {"aes-256-gcm": Algorithm.AES_256_GCM, "sm4-gcm": Algorithm.SM4_GCM}
    if name not in known:
        raise ValueError(f"encryption {name!r}: one of {', '.join(known)}, off")
    algorithm = known[name]
    try:
        algorithm.under(bytes(algorithm.key_size)).encrypt_into(bytes(NONCE), b"", None, bytearray(TAG))
    except UnsupportedAlgorithm as error:
        raise ValueError(f"encryption {name!r}: this machine's OpenSSL does not have it") from error
    return algorithm


def derived(algorithm: Algorithm, data_key: bytes, label: bytes, context: bytes) -> Aead:
    """The cipher for one use. SP 800-108: counter, label, a zero byte, context, length in bits."""
    size = algorithm.key_size
    text = b"\x00\x00\x00\x01" + label + b"\x00" + context + (8 * size).to_bytes(4, "big")
    mac = _keyed(data_key).copy()
    mac.update(text)
    return algorithm.under(mac.digest()[:size])


@lru_cache(maxsize=16)
def _keyed(data_key: bytes) -> hmac.HMAC:
    """Looking an algorithm up in OpenSSL takes longer than one hash: it is done once for a data key."""
    return hmac.new(data_key, digestmod="sha256")
