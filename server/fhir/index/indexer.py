"""The keys that searches see, worked out of a resource when it is written.

For each type the routes of all its parameters make one walk. What is no plain path is evaluated by FHIRPath: none of
HL7's, some of other people's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import partial

from server.access.facets import Places, facets
from server.fhir.index import composites, dates, shaped, texts
from server.fhir.index.access_keys import places_of
from server.fhir.index.bases import Bases
from server.fhir.index.emitters import Evaluated, emitter_of, told_emitter
from server.fhir.index.expressions import told
from server.fhir.index.facets import PRESENT, Emitter, Found, Json
from server.fhir.index.parameters import Parameter
from server.fhir.index.registry import Registry
from server.fhir.index.walks import Branch, branch_of, visit
from server.fhir.json_form import Resource
from storage.query import Key

_ONE: frozenset[Key] = frozenset((1,))
_APART = frozenset({"_id", "_lastUpdated", *texts.CODES})


class Indexer:
    """Computes the keys of resources; the same registry, bases and zone must read the searches."""

    def __init__(
        self, registry: Registry, *, bases: Sequence[str] = (), zone: tzinfo = UTC, full_text: bool = True
    ) -> None:
        self.registry = registry
        self._bases = Bases.of(bases)
        self._zone = zone
        self._full_text = full_text
        self._plans: dict[str, _Plan] = {}

    def keys(self, resource: Resource, last_updated_micros: int) -> dict[str, frozenset[Key]]:
        """All keys of a resource; from any thread."""
        resource_type = resource["resourceType"]
        plan = self._plans.get(resource_type)
        if plan is None:
            plan = self._plans[resource_type] = self._plan(resource_type)
        found = Found(_contained(resource) if "contained" in resource else {})
        visit(plan.walk, resource, found)
        for evaluate in plan.evaluated:
            evaluate(resource, found)
        for each in plan.composites:
            each.add(resource, found)
        if self._full_text:
            texts.add(resource, found)
        keys = _finished(resource, resource_type, last_updated_micros, found)
        return keys | facets(resource, keys, plan.places, self._bases.local)

    def _plan(self, resource_type: str) -> _Plan:
        parameters = [each for each in self.registry.of(resource_type) if each.code not in _APART]
        plain = [each for each in parameters if each.is_indexed and each.type != "composite"]
        walked = [each for each in plain if each.routes and not told(each.expression or "")]
        ways = [
            way for each in parameters if each.type == "composite" for way in each.union or (each,) if way.is_indexed
        ]
        walk = branch_of((route, self._emitter(each, each.code, route.type, route.refers))
                         for each in walked for route in each.routes)  # fmt: skip
        elements = [_Elements(each, self._parts(each)) for each in ways]
        for each in elements:
            for route in each.way.routes:
                walk.add(route, each.gather)
        evaluated = tuple(self._evaluated(each) for each in plain if each not in walked and each.expression)
        return _Plan(walk, evaluated, tuple(elements), places_of(self.registry, resource_type))

    def _emitter(self, parameter: Parameter, name: str, kind: str, refers: str | None = None) -> Emitter:
        return emitter_of(parameter.type, name, kind, refers, bases=self._bases, zone=self._zone)

    def _parts(self, way: Parameter) -> list[tuple[bool, Branch]]:
        """For each part whether it is of the resource, and the walk to it."""
        found = []
        for place, each in enumerate(way.components):
            part = each.parameter
            walk = branch_of((route, self._emitter(part, str(place), route.type)) for route in part.routes)
            found.append((each.expression.startswith("%resource"), walk))
        return found

    def _evaluated(self, parameter: Parameter) -> Emitter:
        if parameter.routes:
            return told_emitter(parameter)
        return Evaluated(parameter.expression or "", partial(self._emitter, parameter, parameter.code))


@dataclass(frozen=True, slots=True)
class _Plan:
    walk: Branch
    evaluated: tuple[Emitter, ...]
    composites: tuple[_Elements, ...]
    places: Places


class _Elements:
    """The elements that one composite parameter is about."""

    def __init__(self, way: Parameter, parts: list[tuple[bool, Branch]]) -> None:
        self.way = way
        self._parts = parts

    def gather(self, value: Json, found: Found) -> None:
        found.elements.setdefault(self.way.code, []).append(value)

    def add(self, resource: Resource, found: Found) -> None:
        for number, element in enumerate(found.elements.get(self.way.code, ())):
            parts = Found(found.contained)
            for is_of_resource, walk in self._parts:
                visit(walk, resource if is_of_resource else element, parts)
            composites.add_rows(self.way.code, self.way.components, number, parts, found)


def _contained(resource: Resource) -> dict[str, str]:
    return {
        each["id"]: each["resourceType"] for each in resource["contained"] if "id" in each and "resourceType" in each
    }


def _finished(resource: Resource, resource_type: str, micros: int, found: Found) -> dict[str, frozenset[Key]]:
    keys: dict[str, frozenset[Key]] = {name: frozenset(values) for name, values in found.keys.items()}
    for name, spans in found.spans.items():
        keys.update(dates.keys_of(name, spans))
    for name in found.present:
        if name not in keys:
            keys[name + PRESENT] = _ONE
    if resource_type in shaped.TYPES and (shape := shaped.keys(found)):
        keys[shaped.NAME] = shape
    keys["_id"] = frozenset((resource["id"],))
    keys["_lastUpdated"] = frozenset((micros,))
    return keys
