"""The style sheet and the script of the pages, served under names that change with their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from server.http.surface import Answer, Call, Endpoint
from server.kernel.problem import Kind, Problem

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    content: bytes
    media_type: str


@cache
def files() -> dict[str, StaticFile]:
    """Every file by the name it is served under."""
    return {hashed(path.name): StaticFile(path.read_bytes(), _TYPES[path.suffix]) for path in _FOLDER.iterdir()}


@cache
def hashed(name: str) -> str:
    """`pages.css` as `pages.<hash>.css`."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{hashlib.sha256((_FOLDER / name).read_bytes()).hexdigest()[:16]}.{suffix}"


def endpoints() -> tuple[Endpoint, ...]:
    return (Endpoint("oauth.static", "GET", "/static/{name}", "capabilities", _serve, "RFC 8246"),)


async def _serve(call: Call) -> Answer:
    found = files().get(call.path["name"])
    if found is None:
        raise Problem(Kind.NOT_FOUND, "There is no such file.")
    lasting = [
        ("Cache-Control", "public, max-age=31536000, immutable"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ]
    return Answer(200, found.content, found.media_type, lasting)
