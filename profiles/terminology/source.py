"""Where code systems, value sets and concept maps come from: HL7's published tables, and what users stored."""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import msgspec

from profiles.definitions import FHIR_VERSION

Resource = dict[str, Any]

_TABLES = Path(__file__).parent.parent / "tables"
_V2 = "http://terminology.hl7.org/CodeSystem/v2-"
_V3 = "http://terminology.hl7.org/CodeSystem/v3-"


class TerminologySource(Protocol):
    """Resources by canonical URL; without a version the newest that is held. Nobody changes what is given out."""

    def code_system(self, url: str, version: str | None = None) -> Resource | None: ...

    def value_set(self, url: str, version: str | None = None) -> Resource | None: ...

    def concept_map(self, url: str, version: str | None = None) -> Resource | None: ...

    def concept_maps(self) -> Iterator[Resource]: ...


class Published:
    """HL7's R4 4.0.1 tables, unpacked when first asked for. Ask `published()` for the one instance."""

    def code_system(self, url: str, version: str | None = None) -> Resource | None:
        return _found(self._systems_beside(url), url, version)

    def value_set(self, url: str, version: str | None = None) -> Resource | None:
        return _found(self._value_sets, url, version)

    def concept_map(self, url: str, version: str | None = None) -> Resource | None:
        return _found(self._concept_maps, url, version)

    def concept_maps(self) -> Iterator[Resource]:
        return map(_decoded, self._concept_maps.values())

    def _systems_beside(self, url: str) -> dict[str, msgspec.Raw]:
        """The table that would hold a code system: most processes never need those of v2 and v3."""
        if url.startswith(_V2):
            return self._code_systems_v2
        return self._code_systems_v3 if url.startswith(_V3) else self._code_systems

    @cached_property
    def _code_systems(self) -> dict[str, msgspec.Raw]:
        return _table("codesystems")

    @cached_property
    def _code_systems_v2(self) -> dict[str, msgspec.Raw]:
        return _table("codesystems-v2")

    @cached_property
    def _code_systems_v3(self) -> dict[str, msgspec.Raw]:
        return _table("codesystems-v3")

    @cached_property
    def _value_sets(self) -> dict[str, msgspec.Raw]:
        return _table("valuesets")

    @cached_property
    def _concept_maps(self) -> dict[str, msgspec.Raw]:
        return _table("conceptmaps")


class Held:
    """Resources kept in memory: what a server's users stored, or what a package brings.

    Whoever changes it must tell the `Terminology` built upon it to forget.
    """

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._held: dict[tuple[str, str], dict[str | None, Resource]] = {}
        self.use(resources)

    def use(self, resources: Iterable[Resource]) -> None:
        """Hold these and nothing else; later ones win over earlier ones of the same URL and version."""
        held: dict[tuple[str, str], dict[str | None, Resource]] = {}
        for each in resources:
            _put(held, each)
        self._held = held

    def put(self, resource: Resource) -> None:
        """Hold a CodeSystem, ValueSet or ConceptMap, instead of one of the same URL and version."""
        _put(self._held, resource)

    def remove(self, resource_type: str, url: str, version: str | None = None) -> None:
        versions = self._held.get((resource_type, url), {})
        versions.pop(version, None)
        if not versions:
            self._held.pop((resource_type, url), None)

    def code_system(self, url: str, version: str | None = None) -> Resource | None:
        return self._one("CodeSystem", url, version)

    def value_set(self, url: str, version: str | None = None) -> Resource | None:
        """Also the set of all codes that a code system names in `valueSet`."""
        return self._one("ValueSet", url, version) or self._of_all_codes(url, version)

    def concept_map(self, url: str, version: str | None = None) -> Resource | None:
        return self._one("ConceptMap", url, version)

    def concept_maps(self) -> Iterator[Resource]:
        kinds = tuple(self._held.items())
        return (each for (kind, _), versions in kinds if kind == "ConceptMap" for each in tuple(versions.values()))

    def _one(self, resource_type: str, url: str, version: str | None) -> Resource | None:
        versions = self._held.get((resource_type, url))
        if not versions:
            return None
        if version is None:
            return versions[max(versions, key=version_order)]
        return versions.get(version) or versions.get(None)

    def _of_all_codes(self, url: str, version: str | None) -> Resource | None:
        systems = [self._one(kind, each, None) for kind, each in tuple(self._held) if kind == "CodeSystem"]
        named = (each for each in systems if each and each.get("valueSet") == url)
        system = next((each for each in named if version in (None, each.get("version"))), None)
        if system is None:
            return None
        compose = {"include": [{"system": system["url"]}]}
        return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose}


def _put(held: dict[tuple[str, str], dict[str | None, Resource]], resource: Resource) -> None:
    url, version = resource.get("url"), resource.get("version")
    if isinstance(url, str) and isinstance(version, str | None):
        held.setdefault((resource["resourceType"], url), {})[version] = resource


def version_order(version: str | None) -> tuple[tuple[int, int, str], ...]:
    """Orders versions as people number them: `4.10` after `4.9`, none before all."""
    if version is None:
        return ()
    parts = version.replace("-", ".").split(".")
    return tuple((1, int(each), "") if each.isdecimal() else (0, 0, each) for each in parts)


def _found(table: dict[str, msgspec.Raw], url: str, version: str | None) -> Resource | None:
    """R4's bindings name all that R4 publishes by R4's version, also what has a version of its own."""
    raw = table.get(url)
    if raw is None:
        return None
    resource = _decoded(raw)
    return resource if version in (None, resource.get("version"), FHIR_VERSION) else None


def _decoded(raw: msgspec.Raw) -> Resource:
    resource: Resource = msgspec.json.decode(raw)
    return resource


def _table(name: str) -> dict[str, msgspec.Raw]:
    text = lzma.decompress((_TABLES / f"{name}.json.xz").read_bytes())
    return msgspec.json.decode(text, type=dict[str, msgspec.Raw])


@cache
def published() -> Published:
    return Published()
