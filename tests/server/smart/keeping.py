"""Records of the authorization server on a real SQLite, a clock that tests move, and clients' keys made once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from server.kernel.offload import Offload
from server.smart.site import Site
from server.smart.stores import SmartStore
from storage.open import open_stores

T = TypeVar("T")

SITE = Site("https://weft.example")
PUBLIC_MEMBERS = {"kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"}


@dataclass
class HeldClock:
    moment: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def move(self, **by: float) -> None:
        self.moment += timedelta(**by)

    @property
    def seconds(self) -> int:
        return int(self.moment.timestamp())


@dataclass(frozen=True)
class Kept:
    store: SmartStore
    clock: HeldClock
    offload: Offload


def keeping(folder: Path, work: Callable[[Kept], Awaitable[T]]) -> T:
    """Do this over empty records."""

    async def run() -> T:
        offload = Offload(io_threads=2, cpu_threads=2)
        stores = await open_stores(
            f"sqlite:///{folder}/smart.sqlite",
            f"file://{folder}/blobs",
            encryption="off",
            key_file=folder / "master.key",
            threads=offload,
        )
        try:
            return await work(Kept(SmartStore(stores.records), HeldClock(), offload))
        finally:
            await stores.close()
            offload.close()

    return asyncio.run(run())


@dataclass(frozen=True)
class ClientKey:
    """A key pair of a client."""

    kid: str
    algorithm: str
    private: Any

    @property
    def public(self) -> dict[str, Any]:
        maker: Any = RSAAlgorithm if self.algorithm.startswith("RS") else ECAlgorithm
        members = json.loads(maker.to_jwk(self.private.public_key()))
        return {name: value for name, value in {**members, "kid": self.kid}.items() if name in PUBLIC_MEMBERS}

    def signed(self, claims: Mapping[str, Any], **header: Any) -> str:
        named = {name: value for name, value in {"kid": self.kid, **header}.items() if value is not None}
        return jwt.encode(dict(claims), self.private, algorithm=self.algorithm, headers=named)


@cache
def rsa_key(kid: str = "rsa-1", bits: int = 2048, algorithm: str = "RS384") -> ClientKey:
    return ClientKey(kid, algorithm, rsa.generate_private_key(65537, bits))


@cache
def ec_key(kid: str = "ec-1") -> ClientKey:
    return ClientKey(kid, "ES384", ec.generate_private_key(ec.SECP384R1()))


@cache
def small_curve_key(kid: str = "p256") -> ClientKey:
    return ClientKey(kid, "ES256", ec.generate_private_key(ec.SECP256R1()))
