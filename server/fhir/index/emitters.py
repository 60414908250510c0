"""What writes the keys of one value, by the type of the parameter and the FHIR type of the value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo

from profiles.fhirpath.engine import Environment, FhirPathError, Node, compile_expression, resource_node
from server.fhir.index import dates, places, quantities, references, strings, tokens, uris
from server.fhir.index.bases import Bases
from server.fhir.index.facets import Emitter, Found, Json
from server.fhir.index.parameters import Parameter
from server.fhir.index.references import type_of
from server.fhir.index.routes import Property
from server.fhir.json_form import Resource


def emitter_of(
    parameter_type: str,
    name: str,
    kind: str,
    refers: str | None = None,
    *,
    bases: Bases | None = None,
    zone: tzinfo = UTC,
) -> Emitter:
    """Writes keys under `name` for values of a FHIR type; `refers` lets only references to a type count."""
    match parameter_type:
        case "token":
            return tokens.emitter(name, kind)
        case "string":
            return strings.emitter(name, kind)
        case "date":
            return dates.emitter(name, kind, zone)
        case "reference":
            return references.emitter(name, kind, refers, bases or Bases())
        case "number":
            return quantities.number_emitter(name, kind)
        case "quantity":
            return quantities.quantity_emitter(name, kind)
        case "uri":
            return uris.emitter(name, kind)
        case _:
            return places.emitter(name)


def told_emitter(parameter: Parameter) -> Emitter:
    """`x.exists() and x != false`: true or false of every resource."""
    members = [move.name for route in parameter.routes for move in route.moves if isinstance(move, Property)]

    def emit(resource: Json, found: Found) -> None:
        value = next((resource[each] for each in members if each in resource), None)
        found.add(parameter.code, "false|" if value is None or value is False else "true|")

    return emit


class Evaluated:
    """A parameter whose values FHIRPath finds; a resource it cannot be evaluated on has none.

    `resolve()` gives of a reference to another resource no more than its type: a key must not depend on others.
    """

    def __init__(self, expression: str, emitter: Callable[[str], Emitter]) -> None:
        self._expression = compile_expression(expression)
        self._emitter = emitter
        self._emitters: dict[str, Emitter] = {}

    def __call__(self, resource: Resource, found: Found) -> None:
        focus = resource_node(resource)
        environment = Environment(focus, focus, lambda reference: _resolve(resource, reference))
        try:
            nodes = self._expression.evaluate(focus, environment)
        except FhirPathError:
            return
        for node in nodes:
            if node.value is None or node.type is None:
                continue
            kind = _fhir_type(node.type)
            emit = self._emitters.get(kind)
            if emit is None:
                emit = self._emitters[kind] = self._emitter(kind)
            emit(node.value, found)


def _resolve(resource: Resource, reference: str) -> Node | None:
    if reference.startswith("#"):
        contained = resource.get("contained", ())
        return next((resource_node(each) for each in contained if each.get("id") == reference[1:]), None)
    kind = type_of(reference)
    return resource_node({"resourceType": kind}) if kind else None


def _fhir_type(kind: str) -> str:
    """A type of FHIRPath's own is named like FHIR's but for its case."""
    name = kind.removeprefix("System.")
    return kind if name == kind else name[0].lower() + name[1:]
