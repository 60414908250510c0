"""Where a client's keys come from: its registration, or the address it publishes them at (RFC 7591 2, `jwks_uri`).

An address is fetched over HTTPS from public hosts only, in bounded time and size, following no redirect; what came is
kept no longer than its Cache-Control allows. A key id that is not known is reason to fetch again, but seldom: anybody
can make one up.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol
from urllib.parse import urlsplit

import httpx
import msgspec

from server.kernel.clock import Clock
from server.kernel.hosts import Hosts, Unreachable
from server.smart.jwks import JsonKey, WrongKeys, key_set
from server.smart.model import Client

_SECONDS = 5.0
_MOST_BYTES = 1 << 16
_KEPT_SECONDS, _MOST_KEPT_SECONDS = 300, 3600
"""Without word from the publisher, and at most."""
_SELDOM_SECONDS = 30
"""Between two fetches that an unknown key id, or a failure, was the reason of."""
_MOST_REMEMBERED = 1000
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Weft"}

_log = logging.getLogger("weft.smart")


@dataclass(frozen=True, slots=True)
class Published:
    """What an address gave, and how many seconds it may be kept."""

    keys: list[JsonKey]
    seconds: int


class Publisher(Protocol):
    async def fetch(self, url: str) -> Published:
        """Raises `WrongKeys` unless a key set came."""
        ...


@dataclass(slots=True)
class _Kept:
    keys: list[JsonKey] = field(default_factory=list)
    until: float = 0
    failed_at: float = float("-inf")
    forced_at: float = float("-inf")
    """When an unknown key id was last the reason of a fetch."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def holds(self, kid: str, now: float) -> bool:
        return now < self.until and any(each.get("kid") == kid for each in self.keys)

    def has_just_failed(self, now: float) -> bool:
        return now - self.failed_at < _SELDOM_SECONDS

    def may_be_forced(self, now: float) -> bool:
        """Whether an unknown key id is reason enough; what has to be fetched anyway needs none."""
        if now >= self.until:
            return True
        is_first = now - self.forced_at >= _SELDOM_SECONDS
        if is_first:
            self.forced_at = now
        return is_first


class ClientKeys:
    """The keys of clients; those that came from an address are remembered in this process."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def of(self, client: Client, kid: str) -> list[JsonKey]:
        """Every key the client has now; `kid` is the one looked for. Raises `WrongKeys`."""
        if client.jwks is not None:
            return key_set(client.jwks)
        if not client.jwks_url:
            raise WrongKeys("the client has no keys")
        kept = self._place(client.jwks_url)
        async with kept.lock:
            now = self._clock.now().timestamp()
            if kept.holds(kid, now):
                return kept.keys
            if kept.has_just_failed(now):
                raise WrongKeys("the keys of the client could not be fetched a moment ago")
            if not kept.may_be_forced(now):
                return kept.keys
            return await self._refreshed(client.jwks_url, kept, now)

    async def _refreshed(self, url: str, kept: _Kept, now: float) -> list[JsonKey]:
        kept.failed_at = now
        published = await self._publisher.fetch(url)
        kept.failed_at = float("-inf")
        kept.keys, kept.until = published.keys, now + min(published.seconds, _MOST_KEPT_SECONDS)
        return kept.keys

    def _place(self, url: str) -> _Kept:
        if url not in self._kept and len(self._kept) >= _MOST_REMEMBERED:
            self._kept.pop(next(iter(self._kept)))
        return self._kept.setdefault(url, _Kept())


@cache
def _public() -> ssl.SSLContext:
    """The authorities this machine trusts: read (35 ms) once a client has its keys fetched, which most have not."""
    return ssl.create_default_context()


class HttpPublisher:
    """Fetches key sets over HTTPS."""

    def __init__(self, hosts: Hosts, trust: ssl.SSLContext | None = None) -> None:
        self._hosts = hosts
        self._trust = trust

    async def fetch(self, url: str) -> Published:
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._fetched(url)
        except (Unreachable, TimeoutError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            _log.info("keys of a client cannot be fetched: %s", type(error).__name__)
            raise WrongKeys("the keys of the client cannot be fetched") from None

    async def _fetched(self, url: str) -> Published:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise WrongKeys("keys are fetched over HTTPS only")
        address = await self._hosts.address(url)
        place = httpx.URL(url) if address is None else httpx.URL(url).copy_with(host=address)
        headers = {"Host": parts.netloc.rpartition("@")[2], **_HEADERS}
        trust = self._trust or _public()
        async with (
            httpx.AsyncClient(verify=trust, trust_env=False, follow_redirects=False, timeout=_SECONDS) as client,
            client.stream("GET", place, headers=headers, extensions={"sni_hostname": parts.hostname}) as answer,
        ):
            if answer.status_code != 200:
                raise WrongKeys(f"the address of the keys answered {answer.status_code}")
            body = await _bounded(answer)
        return Published(key_set(_document(body)), _seconds(answer.headers.get("cache-control", "")))


def _document(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise WrongKeys("the key set is not JSON") from None


async def _bounded(answer: httpx.Response) -> bytes:
    """The body up to the limit; it was asked for uncompressed, so that its length is its length."""
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise WrongKeys("the key set is compressed")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > _MOST_BYTES:
            raise WrongKeys("the key set is too long")
    return bytes(body)


def _seconds(cache_control: str) -> int:
    """How long an answer may be kept (RFC 9111 5.2.2)."""
    directives = {each.strip().lower() for each in cache_control.split(",")}
    if directives & {"no-store", "no-cache"}:
        return 0
    for each in directives:
        if found := re.fullmatch(r'max-age="?(\d{1,9})"?', each):
            return int(found[1])
    return _KEPT_SECONDS
