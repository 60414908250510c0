"""The keys that id_tokens are signed with: RS256, made at first need, shared by all processes (OpenID Connect Core 10).

All keys are one record, so that two processes that make or change them at once cannot disagree: one of them finds its
expected version gone and reads again. Private keys are encrypted at rest like every record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from server.kernel.clock import SECOND, Clock, micros
from server.kernel.ids import new_token
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.smart.model import SIGNING_KEY
from storage.errors import VersionConflict
from storage.ports import Put, Records

ALGORITHM = "RS256"
TOKEN_SECONDS = 3600
"""How long an id_token lasts, and so how long a key is published after its last use."""
_SPARE_SECONDS = 60
"""A process may have read the ring just before another one changed it."""
_BITS = 2048
_RING = "ring"
_ATTEMPTS = 8


class StoredKey(msgspec.Struct, frozen=True):
    """One key as kept: PKCS #8 in PEM."""

    kid: str
    private: str
    created: int
    """Microseconds, as all moments here."""
    published_until: int = 0
    """0 for the one in use."""


class _Ring(msgspec.Struct, frozen=True):
    keys: tuple[StoredKey, ...]
    """The first is in use."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    kid: str
    private: rsa.RSAPrivateKey


class KeyRing:
    """Reads the record at each use: it is one small read, and a rotation acts at once in every process."""

    def __init__(self, records: Records, clock: Clock, offload: Offload) -> None:
        self._records = records
        self._clock = clock
        self._offload = offload
        self._loaded: dict[str, rsa.RSAPrivateKey] = {}

    async def signing(self) -> SigningKey:
        """The key in use."""
        key = (await self._ring())[0].keys[0]
        return SigningKey(key.kid, await self._private(key))

    async def public(self) -> list[dict[str, Any]]:
        """What the JWKS shows: public members only, of every key whose tokens may still be about."""
        ring, _ = await self._ring()
        at = micros(self._clock)
        shown = [each for each in ring.keys if not each.published_until or each.published_until > at]
        return [_public(each.kid, await self._private(each)) for each in shown]

    async def listed(self) -> tuple[StoredKey, ...]:
        """Every key kept, the one in use first; none before the first need."""
        found = await self._records.get(SIGNING_KEY, [_RING])
        return msgspec.json.decode(found[0].body, type=_Ring).keys if found else ()

    async def rotate(self, acts: Callable[[str], Sequence[Put]] = lambda _: ()) -> str:
        """Put a new key into use and give its id; the one before stays published until its last token ends.

        `acts` are what goes into the same commit, by the key's id.
        """
        fresh = await self._made()
        for _ in range(_ATTEMPTS):
            ring, version = await self._ring()
            if await self._keep(_rotated(ring, fresh, micros(self._clock)), version, acts(fresh.kid)):
                return fresh.kid
        raise Problem(Kind.CONFLICT, "The signing keys are being changed by others: try again.")

    async def _ring(self) -> tuple[_Ring, int]:
        """The ring and its version; made where there is none yet."""
        for _ in range(_ATTEMPTS):
            for record in await self._records.get(SIGNING_KEY, [_RING]):
                return msgspec.json.decode(record.body, type=_Ring), record.version
            await self._keep(_Ring((await self._made(),)), 0)
        raise Problem(Kind.UNAVAILABLE, "The signing keys cannot be made.", retry_after=5)

    async def _keep(self, ring: _Ring, version: int, more: Sequence[Put] = ()) -> bool:
        try:
            await self._records.commit([Put(SIGNING_KEY, _RING, msgspec.json.encode(ring), expected=version), *more])
        except VersionConflict:
            return False
        return True

    async def _made(self) -> StoredKey:
        private = await self._offload.cpu(rsa.generate_private_key, public_exponent=65537, key_size=_BITS)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return StoredKey(new_token(), pem.decode(), micros(self._clock))

    async def _private(self, key: StoredKey) -> rsa.RSAPrivateKey:
        """Parsing a key checks its primes, which takes longer than signing: it is done once."""
        if key.kid not in self._loaded:
            loaded = await self._offload.cpu(serialization.load_pem_private_key, key.private.encode(), None)
            if not isinstance(loaded, rsa.RSAPrivateKey):
                raise Problem(Kind.FAULT, "A signing key is not an RSA key.")
            self._loaded[key.kid] = loaded
        return self._loaded[key.kid]


def _rotated(ring: _Ring, fresh: StoredKey, at: int) -> _Ring:
    """The new key first, the one before until its tokens end, and no other that is done with."""
    used, *older = ring.keys
    last = msgspec.structs.replace(used, published_until=at + (TOKEN_SECONDS + _SPARE_SECONDS) * SECOND)
    return _Ring((fresh, last, *(each for each in older if each.published_until > at)))


def _public(kid: str, private: rsa.RSAPrivateKey) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(private.public_key()))
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": ALGORITHM,
        "kid": kid,
        "n": members["n"],
        "e": members["e"],
    }
