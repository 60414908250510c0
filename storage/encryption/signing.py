"""The key file of the audit journal: Ed25519 keys (RFC 8032) that sign, and from each a key that links a chain.

It lies outside the database, and best under another owner's eyes: with it the journal could be written anew, without
it nobody can, whatever rights they have on what is stored. It is another file than the one that seals what is stored,
so that whoever only verifies need not be able to read patients' data, and the other way round. Losing it leaves the
journal readable but no longer provable, so a copy belongs elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage.encryption.keys import KeyFileError, fingerprint, publish, read_private, renewing

KEY_ID = 4
_FORMAT = "weft signing keys 1"
_SEED = 32
_BLOCK = 64


@dataclass(frozen=True)
class SigningKey:
    """One key pair and what is derived from it."""

    seed: bytes
    created: str

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def public(self) -> bytes:
        """The raw public key: enough to check signatures."""
        return self._private.public_key().public_bytes_raw()

    @cached_property
    def id(self) -> bytes:
        return hashlib.sha256(self.public).digest()[:KEY_ID]

    @cached_property
    def _pads(self) -> tuple[hashlib._Hash, hashlib._Hash]:
        """Both hashes of HMAC (RFC 2104) as far as the key goes: copying them takes half as long as `hmac.digest`."""
        secret = hmac.digest(self.seed, b"weft journal link", "sha256").ljust(_BLOCK, b"\0")
        inner, outer = (hashlib.sha256(bytes(each ^ pad for each in secret)) for pad in (0x36, 0x5C))
        return inner, outer

    def link(self, text: bytes) -> bytes:
        """HMAC-SHA256 under a secret that is derived from this key: what links a chain's entries."""
        inner, outer = self._pads
        hashed, result = inner.copy(), outer.copy()
        hashed.update(text)
        result.update(hashed.digest())
        return result.digest()

    def sign(self, text: bytes) -> bytes:
        return self._private.sign(text)


class SigningKeys:
    """The keys of one file: the active one signs, the others still check what they signed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = fingerprint(path)
        self._active, self._keys = _read(path)

    @property
    def active(self) -> SigningKey:
        return self._keys[self._active]

    def find(self, key_id: bytes) -> SigningKey | None:
        """The key of that id; the file is read again where it is not known, for it may have been renewed."""
        if key_id not in self._keys:
            with suppress(KeyFileError, OSError):
                self._reload()
        return self._keys.get(key_id)

    def _reload(self) -> None:
        seen = fingerprint(self._path)
        if seen != self._seen:
            self._active, self._keys = _read(self._path)
            self._seen = seen


def is_signed(public: bytes, text: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def open_signing_keys(path: Path, *, may_create: bool) -> SigningKeys:
    """The key file's keys; it is made where there is none, unless something was signed with it already."""
    try:
        if may_create and not path.exists():
            with suppress(FileExistsError):
                publish(path, _encoded([_new_key()]), replacing=False)
        return SigningKeys(path)
    except FileNotFoundError as error:
        raise KeyFileError(
            f"key file {path} is missing: the audit journal cannot be gone on with; restore it"
        ) from error
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}") from error


def renew_signing_key(path: Path) -> str:
    """Make a new key the active one and give its id; a running server goes on with the one it has until it restarts."""
    with renewing(path):
        _, keys = _read(path)
        fresh = _new_key()
        publish(path, _encoded([*keys.values(), fresh]), replacing=True)
    return fresh.id.hex()


def _new_key() -> SigningKey:
    return SigningKey(secrets.token_bytes(_SEED), datetime.now(UTC).isoformat(timespec="seconds"))


def _encoded(keys: list[SigningKey]) -> bytes:
    entries = [{"seed": base64.b64encode(each.seed).decode(), "created": each.created} for each in keys]
    return json.dumps({"format": _FORMAT, "keys": entries}, indent=1).encode() + b"\n"


def _read(path: Path) -> tuple[bytes, Mapping[bytes, SigningKey]]:
    try:
        keys = _parsed(json.loads(read_private(path)))
    except KeyFileError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, binascii.Error, RecursionError) as error:
        raise KeyFileError(
            f"key file {path}: not a signing key file of Weft, or damaged; restore it from its backup"
        ) from error
    return keys[-1].id, {each.id: each for each in keys}


def _parsed(content: Any) -> list[SigningKey]:
    """The last one is active."""
    if content["format"] != _FORMAT:
        raise ValueError("another format")
    keys = [SigningKey(base64.b64decode(each["seed"], validate=True), str(each["created"])) for each in content["keys"]]
    if any(len(each.seed) != _SEED for each in keys):
        raise ValueError("a seed of another length")
    return [keys[0], *keys[1:]]
