"""Our own resources where a validator looks for structures and a terminology for code systems and value sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from profiles.packages.load import by_url

Resource = dict[str, Any]


class Packages:
    """By canonical URL, which may carry `|version`."""

    def find(self, url: str) -> Resource | None:
        """A StructureDefinition."""
        plain, _, version = url.partition("|")
        return self._named(plain, version or None, "StructureDefinition")

    def code_system(self, url: str, version: str | None = None) -> Resource | None:
        return self._named(url, version, "CodeSystem")

    def value_set(self, url: str, version: str | None = None) -> Resource | None:
        return self._named(url, version, "ValueSet")

    def concept_map(self, url: str, version: str | None = None) -> Resource | None:
        return None

    def concept_maps(self) -> Iterator[Resource]:
        return iter(())

    @staticmethod
    def _named(url: str, version: str | None, resource_type: str) -> Resource | None:
        found = by_url().get(url)
        if found is None or found["resourceType"] != resource_type or version not in (None, found["version"]):
            return None
        return found
