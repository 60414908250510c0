"""Addresses of this server, which stand before what is kept here as anything stands before what is not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bases:
    """Addresses of this server, without scheme and closing slash: `host/fhir`."""

    places: tuple[str, ...] = ()

    @classmethod
    def of(cls, urls: Collection[str]) -> Bases:
        return cls(tuple(dict.fromkeys(_after_scheme(url).rstrip("/") for url in urls)))

    def local(self, reference: str) -> str:
        """A reference without our own base; itself where it is another's."""
        if self.places and "://" in reference:
            rest = _after_scheme(reference)
            for place in self.places:
                if rest.startswith(place) and rest[len(place) : len(place) + 1] == "/":
                    return rest[len(place) + 1 :]
        return reference


def _after_scheme(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return rest if scheme in ("http", "https") else url
