"""What is held: the sources one after the other, and the code systems made ready from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from profiles.terminology.code_system import CodeSystem, read_code_system
from profiles.terminology.errors import TerminologyError, invalid, not_found
from profiles.terminology.rules import RULED, RuledSystem
from profiles.terminology.source import Resource, TerminologySource

_MOST_KEPT = 4096
_Read = TypeVar("_Read")


class Catalogue:
    """Lookups over sources, first wins; remembers what it made until it is thrown away."""

    def __init__(self, sources: Sequence[TerminologySource]) -> None:
        self._sources = tuple(sources)
        self._systems: dict[tuple[str, str | None], CodeSystem | RuledSystem | None] = {}

    def value_set(self, canonical: str) -> Resource | None:
        url, version = split(canonical)
        found = (each.value_set(url, version) for each in self._sources)
        return next((each for each in found if each is not None), None)

    def concept_map(self, canonical: str) -> Resource | None:
        url, version = split(canonical)
        found = (each.concept_map(url, version) for each in self._sources)
        return next((each for each in found if each is not None), None)

    def concept_maps(self) -> Iterator[Resource]:
        for source in self._sources:
            yield from source.concept_maps()

    def code_system(self, url: str, version: str | None = None) -> CodeSystem | RuledSystem | None:
        """The system made ready, or the rule that stands for it; `None` where neither is held."""
        key = (url, version)
        if key not in self._systems:
            made = self._code_system(url, version)
            if len(self._systems) >= _MOST_KEPT:
                self._systems.clear()
            self._systems[key] = made
        return self._systems[key]

    def _code_system(self, url: str, version: str | None) -> CodeSystem | RuledSystem | None:
        """A stored system that cannot be read counts as not held."""
        found = (each.code_system(url, version) for each in self._sources)
        resource = next((each for each in found if each is not None), None)
        try:
            read = safely(read_code_system, resource) if resource else None
        except TerminologyError:
            read = None
        return read or RULED.get(url)

    def required_system(self, url: str, version: str | None = None) -> CodeSystem | RuledSystem:
        found = self.code_system(url, version)
        if found is None:
            raise not_found(f"The code system {written(url, version)} is not held here.")
        return found


def safely(read: Callable[[Resource], _Read], resource: Resource) -> _Read:
    """Read a resource that a caller sent: what is not shaped as FHIR says is invalid, not a fault of ours."""
    try:
        return read(resource)
    except TerminologyError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise invalid(f"The {resource.get('resourceType', 'resource')} is not well formed.") from None


def split(canonical: str) -> tuple[str, str | None]:
    """A canonical reference as URL and version."""
    url, _, version = canonical.partition("|")
    return url, version or None


def written(url: str, version: str | None) -> str:
    return f"{url}|{version}" if version else url
