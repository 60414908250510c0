"""Cross-origin requests from browser viewers (the Fetch standard's CORS protocol)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from server.http.surface import Answer, Call

_EXPOSED = (
    "Content-Location, Content-Range, ETag, Last-Modified, Location, Warning, X-Correlation-Id, X-Request-Id,"
    " X-Total-Count"
)
_ALLOWED_HEADERS = (
    "Accept, Authorization, Cache-Control, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match,"
    " Prefer, Range, X-Request-Id"
)
_PREFLIGHT_SECONDS = "7200"


LOCAL = "local"
_LOCAL_ORIGIN = re.compile(r"https?://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Cors:
    """Origins that pages may call from: `*` stands for every one, `local` for those of this machine; beside them those
    that `is_registered` tells of, the origins of apps that were let in.

    No answer allows credentials, so a page acts with what it holds itself, never with a browser's cookies.
    """

    origins: frozenset[str]
    is_registered: Callable[[str], Awaitable[bool]] | None = None

    @staticmethod
    def parse(setting: str, is_registered: Callable[[str], Awaitable[bool]] | None = None) -> Cors:
        listed = frozenset(origin.strip().rstrip("/") for origin in setting.split(",") if origin.strip())
        return Cors(listed, is_registered)

    async def headers(self, origin: str, *, is_public: bool = False) -> list[tuple[str, str]]:
        """What an answer to a page at `origin` carries; nothing where the origin is not allowed.

        Every page may read what `is_public`: a document that is the same for everybody.
        """
        if is_public or "*" in self.origins:
            return [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", _EXPOSED)]
        if await self._allows(origin):
            return [
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Expose-Headers", _EXPOSED),
                ("Vary", "Origin"),
            ]
        return []

    async def _allows(self, origin: str) -> bool:
        if origin in self.origins or (LOCAL in self.origins and _LOCAL_ORIGIN.fullmatch(origin)):
            return True
        return self.is_registered is not None and await self.is_registered(origin)

    async def preflight(self, call: Call, methods: list[str], *, is_public: bool = False) -> Answer | None:
        """The answer to a preflight request, or `None` when the call is none."""
        origin = call.header("origin")
        if origin is None or call.header("access-control-request-method") is None:
            return None
        allowed = await self.headers(origin, is_public=is_public)
        if not allowed:
            return Answer(403)
        return Answer(
            204,
            headers=[
                ("Access-Control-Allow-Methods", ", ".join(methods)),
                ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
                ("Access-Control-Max-Age", _PREFLIGHT_SECONDS),
            ],
        )
