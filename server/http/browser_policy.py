"""What every answer tells browsers: keep no copy, run nothing, frame nothing, name us to nobody (ASVS 5.0, 3.4, 14.3).

Answers of programs are no documents; should one be opened as a page all the same, nothing in it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_CACHE_CONTROL = "cache-control"
_CLOSED = (
    ("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)
_YEAR = 365 * 24 * 3600
_ONLY_HTTPS = ("Strict-Transport-Security", f"max-age={_YEAR}")
"""Of this host only: others below its name may not be ours."""

Header = tuple[bytes, bytes]


class BrowserPolicy:
    """Headers for what an answer does not say itself."""

    def __init__(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        self._headers = tuple((name.lower(), (name.encode(), value.encode())) for name, value in headers)

    def missing(self, given: Sequence[tuple[str, str]], *, is_public: bool) -> list[Header]:
        """What is public may be kept."""
        names = {name.lower() for name, _ in given}
        if is_public:
            names.add(_CACHE_CONTROL)
        return [header for name, header in self._headers if name not in names]


def closed(*, only_https: bool) -> BrowserPolicy:
    """For a server that shows nothing to who has not signed in."""
    return BrowserPolicy((*_CLOSED, _ONLY_HTTPS) if only_https else _CLOSED)


UNSAID = BrowserPolicy()
"""For a server on loopback without sign-in, whose answers local pages may show as they like."""
