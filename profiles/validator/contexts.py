"""Where an extension may stand (StructureDefinition.context): elements are known by every path that leads to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles.definitions import CANONICAL, definitions
from profiles.fhirpath.engine import compile_expression
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.nodes import resource_node
from profiles.validator.invariants import environment_of
from profiles.validator.model import Property, Shape
from profiles.validator.place import Place
from profiles.validator.run import Run
from profiles.validator.shapes import shape

_MISPUBLISHED = frozenset({
    CANONICAL + "structuredefinition-fhir-type", CANONICAL + "structuredefinition-normative-version",
})  # fmt: skip
"""Extensions that HL7 itself uses at other places than their definitions say."""


def check_context(structure: Mapping[str, Any], place: Place, run: Run) -> None:
    contexts = structure.get("context")
    if not isinstance(contexts, list) or not contexts or structure.get("url") in _MISPUBLISHED:
        return
    if not any(_allows(each, place, run) for each in contexts if isinstance(each, dict)):
        run.error("structure", place[0], "An extension is not allowed at this place.", structure.get("url"))


def _allows(context: Mapping[str, Any], place: Place, run: Run) -> bool:
    expression = str(context.get("expression", ""))
    match context.get("type"):
        case "element":
            return _is_element(expression, place[0], run)
        case "extension":
            return _is_within(expression, place[0], run)
        case "fhirpath":
            return _is_selected(expression, place[0], run)
        case _:
            return True


def _is_element(expression: str, place: Place, run: Run) -> bool:
    expression = (expression.partition("#")[2] or expression).removeprefix(CANONICAL)
    return expression == "Element" or expression in element_names(place, run)


def element_names(place: Place, run: Run) -> set[str]:
    """What the element at a place may be called: paths from the types it lies in, and its own type and their bases."""
    labels: list[str] = []
    step = place
    while step is not run.scope.place and step is not None:
        labels.insert(0, step[1])
        step = step[0]
    type_name = str(run.scope.resource.get("resourceType"))
    names, of = _with_bases(type_name), shape(type_name)
    for label in labels:
        stem = label.partition(".ofType(")[0]
        found = _property(of, label) if of is not None else None
        names = {f"{each}.{stem}" for each in names} | {f"{each}.{stem}[x]" for each in names if stem != label}
        if found is not None:
            names |= _with_bases(found.type)
        of = found.shape if found is not None else None
        if of is not None:
            names.add(of.name)
    return names


def _with_bases(type_name: str) -> set[str]:
    names = set()
    step: str | None = type_name
    while step is not None and step not in names:
        names.add(step)
        step = definitions().base_of(step)
    return names


def _property(of: Shape, label: str) -> Property | None:
    listed = (each for element in of.elements.values() for each in element.properties)
    return next((each for each in listed if each.label == label), None)


def _is_within(url: str, place: Place, run: Run) -> bool:
    """Whether what carries the extension is an extension of this URL, or the value of one."""
    wanted = url.partition("#")[0]
    carriers = [value_at(each, run) for each in (place, place[0]) if each is not None]
    return any(type(each) is dict and each.get("url") == wanted for each in carriers)


def _is_selected(expression: str, place: Place, run: Run) -> bool:
    """Whether the element that carries the extension is among what an expression gives; unsure is yes."""
    carrier = value_at(place, run)
    try:
        found = compile_expression(expression).evaluate(resource_node(run.scope.resource), environment_of(run))
    except FhirPathError:
        return True
    return any(each.value is carrier for each in found)


def value_at(place: Place, run: Run) -> Any:
    """What stands at a place of the resource in the middle."""
    steps: list[Place] = []
    step: Place | None = place
    while step is not run.scope.place and step is not None:
        steps.append(step)
        step = step[0]
    value: Any = run.scope.resource
    of = shape(str(value.get("resourceType")))
    for _, label, index in reversed(steps):
        found = _property(of, label) if of is not None else None
        value = value.get(found.name if found else label) if type(value) is dict else None
        if index is not None:
            value = value[index] if type(value) is list and index < len(value) else None
        of = found.shape if found else None
    return value
