"""Origins of the apps that were let in: pages there may call the server (SMART App Launch 2.2, CORS)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from server.kernel.clock import SECOND, Clock, micros
from server.smart.model import Client
from server.smart.stores import SmartStore
from storage.errors import StoreUnavailable

_FRESH = SECOND


class ClientOrigins:
    """Asked with each request of a page, so the answer is kept for a second."""

    def __init__(self, store: SmartStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: frozenset[str] = frozenset()
        self._read_at = -_FRESH

    async def is_registered(self, origin: str) -> bool:
        at = micros(self._clock)
        if not 0 <= at - self._read_at < _FRESH:
            try:
                self._known = origins(held.value for held in await self._store.every(Client))
                self._read_at = at
            except StoreUnavailable:
                return False
        return origin in self._known


def origins(clients: Iterable[Client]) -> frozenset[str]:
    """Where approved apps come back to, or begin."""
    urls = [url for client in clients if client.is_approved for url in (*client.redirects, client.launch_url)]
    return frozenset(filter(None, map(origin_of, urls)))


def origin_of(url: str) -> str:
    """Scheme, host and port as a browser says them; empty for what is no web page (a native app's own scheme)."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return ""
    default = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(default)}"
