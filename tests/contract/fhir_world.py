"""The synthetic patients of the sample data as one world of resources that refer to each other by id."""

from __future__ import annotations

import bz2
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

Json = Any
Key = tuple[str, str]


@dataclass
class World:
    """Resources by type and id."""

    types: dict[str, dict[str, Json]] = field(default_factory=dict)
    _pointing: dict[Key, dict[str, set[str]]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Json]:
        return (each for listed in self.types.values() for each in listed.values())

    def of(self, resource_type: str) -> Iterable[Json]:
        return self.types.get(resource_type, {}).values()

    def find(self, reference: str | None) -> Json | None:
        resource_type, _, id_ = (reference or "").partition("/")
        return self.types.get(resource_type, {}).get(id_)

    def pointing(self, resource_type: str, name: str) -> dict[str, set[str]]:
        """By reference, which resources of a type hold it under a member of that name; `*` for any type and member."""
        known = self._pointing.get((resource_type, name))
        if known is None:
            known = self._pointing[resource_type, name] = {}
            for each in self if resource_type == "*" else self.of(resource_type):
                for reference in references(each if name == "*" else each.get(name)):
                    known.setdefault(reference, set()).add(f"{each['resourceType']}/{each['id']}")
        return known

    def where(self, resource_type: str, holds: Callable[[Json], bool]) -> set[str]:
        return {each["id"] for each in self.of(resource_type) if holds(each)}

    def add(self, resource: Json) -> None:
        self.types.setdefault(resource["resourceType"], {})[resource["id"]] = resource


def references(value: Json) -> set[str]:
    """Every reference within, but those of contained resources, which are not indexed."""
    if isinstance(value, dict):
        own = {value["reference"]} if isinstance(value.get("reference"), str) else set()
        return own.union(*(references(each) for name, each in value.items() if name != "contained"))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def load(folder: Path, every: int) -> World:
    """The two bundles all others refer to, and each `every`th of the patients."""
    paths = sorted(folder.glob("*.json.bz2"), key=lambda path: (not path.name.startswith("0-"), path.stat().st_size))
    chosen = paths[:2] + paths[2::every]
    bundles = [json.loads(bz2.decompress(path.read_bytes()), parse_float=Decimal) for path in chosen]
    entries = [entry for bundle in bundles for entry in bundle["entry"]]
    names = {entry["fullUrl"]: f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in entries}
    for entry in entries:
        resource = entry["resource"]
        for each in resource.get("identifier", ()):
            names[f"{resource['resourceType']}?identifier={each.get('system')}|{each.get('value')}"] = names[
                entry["fullUrl"]
            ]
    world = World()
    for entry in entries:
        world.add(_resolved(entry["resource"], names))
    return world


def _resolved(value: Json, names: dict[str, str]) -> Json:
    if isinstance(value, dict):
        return {
            name: names.get(each, each) if name == "reference" else _resolved(each, names)
            for name, each in value.items()
        }
    return [_resolved(each, names) for each in value] if isinstance(value, list) else value
