"""Rules of resources that define others: what they define can be used (FHIR R4 conformance resources)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, TypeAlias

from profiles.definitions import definitions
from profiles.fhirpath.engine import compile_expression
from profiles.fhirpath.errors import FhirPathError
from profiles.validator.place import Place, root
from profiles.validator.run import Run
from profiles.validator.shapes import shape, type_code
from profiles.validator.snapshot import SnapshotError, generate, with_ids

Resource: TypeAlias = dict[str, Any]

_ROOT = re.compile(r"(?:^|[|(])\s*([A-Z][A-Za-z]+)\.")
_CQF_EXPRESSION = "http://hl7.org/fhir/StructureDefinition/cqf-expression"


def check(resource: Resource, type_name: str, place: Place, run: Run) -> None:
    rules = _RULES.get(type_name)
    if rules is not None:
        rules(resource, place, run)
    if run.options.refuse_experimental and resource.get("experimental") is True:
        run.error("business-rule", place, "What is experimental may not be used here.")


def _objects(value: Any) -> Iterator[tuple[int, Resource]]:
    for index, each in enumerate(value if type(value) is list else ()):
        if type(each) is dict:
            yield index, each


@cache
def _parameters() -> Mapping[str, Resource]:
    return {each["url"]: each for each in definitions().parameters}


def _capabilities(statement: Resource, place: Place, run: Run) -> None:
    """A search parameter is of the type that its definition gives."""
    for rest_index, rest in _objects(statement.get("rest")):
        for index, each in _objects(rest.get("resource")):
            at = ((place, "rest", rest_index), "resource", index)
            for number, parameter in _objects(each.get("searchParam")):
                defined = _parameters().get(str(parameter.get("definition")).partition("|")[0])
                if defined is not None and parameter.get("type") != defined["type"]:
                    text = f"The search parameter is of type {defined['type']} by its definition."
                    run.add(run.options.doubtful, "value", (at, "searchParam", number), text)


def _search_parameter(parameter: Resource, place: Place, run: Run) -> None:
    bases = parameter.get("base")
    named = {each for each in bases if type(each) is str} if type(bases) is list else set()
    derived = _parameters().get(str(parameter.get("derivedFrom")).partition("|")[0])
    if derived is not None and not named <= set(derived["base"]):
        run.error("business-rule", place, "A base is none of the search parameter that this one is derived from.")
    expression = parameter.get("expression")
    if type(expression) is str and named:
        _check_expression(expression, named, (place, "expression", None), run)


def _check_expression(expression: str, bases: set[str], place: Place, run: Run) -> None:
    try:
        compile_expression(expression)
    except FhirPathError:
        run.error("invalid", place, "The expression is no FHIRPath.")
        return
    known = set(definitions().resource_types)
    roots = {each for each in _ROOT.findall(expression) if each in known}
    if roots and roots.isdisjoint(bases) and bases.isdisjoint({"Resource", "DomainResource"}):
        run.error("invalid", place, "The expression begins with types that are no base of the search parameter.")


def _structure(structure: Resource, place: Place, run: Run) -> None:
    """The differential fits the base."""
    base = structure.get("baseDefinition")
    differential = structure.get("differential")
    if structure.get("derivation") != "constraint" or type(differential) is not dict or type(base) is not str:
        return
    if run.validator.find(base) is None:
        return
    elements = differential.get("element")
    if type(elements) is not list or not all(type(each) is dict and type(each.get("path")) is str for each in elements):
        return
    try:
        _check_definitions(generate(structure, run.validator.sound), elements, structure, place, run)
    except (SnapshotError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f": {error}" if isinstance(error, SnapshotError) else "."
        run.error("processing", place, f"The differential makes no snapshot{reason}")


def _check_definitions(
    snapshot: list[Resource], elements: list[Resource], structure: Resource, place: Place, run: Run
) -> None:
    by_id = {each["id"]: each for each in snapshot}
    differential = (place, "differential", None)
    for index, (each, given) in enumerate(zip(with_ids(elements), elements, strict=True)):
        at = (differential, "element", index)
        whole = by_id.get(each["id"])
        if type(given.get("slicing")) is dict and whole is not None:
            _check_discriminators(given["slicing"], whole, (at, "slicing", None), run)
    _check_url(structure, elements, run)


def _check_discriminators(slicing: Resource, element: Resource, place: Place, run: Run) -> None:
    codes = [type_code(each) for each in element.get("type", ())]
    of = shape(codes[0]) if len(codes) == 1 and codes[0] not in ("BackboneElement", "Element", "Resource") else None
    for index, each in _objects(slicing.get("discriminator")):
        first = re.match(r"([A-Za-z]\w*)(\.|$)", str(each.get("path")))
        if of is None or first is None:
            continue
        if first[1] not in of.elements and first[1] + "[x]" not in of.elements:
            run.error("invalid", (place, "discriminator", index), "The discriminator's path is none of the element.")


def _check_url(structure: Resource, elements: list[Resource], run: Run) -> None:
    """An extension derived from another keeps its URL: what is fixed once cannot be fixed to something else."""
    if structure.get("type") != "Extension":
        return
    base = run.validator.profile(str(structure.get("baseDefinition")))
    fixed = base.root.children.get("url") if base is not None else None
    own = next((each.get("fixedUri") for each in elements if each["path"] == "Extension.url"), None)
    if fixed is not None and fixed.fixed and own is not None and own != fixed.fixed[0]:
        run.error("value", (root("Extension"), "url", None), "The URL of the base extension is fixed to another value.")


def _operation(operation: Resource, place: Place, run: Run) -> None:
    """Parameters are as often as the profiles of input and output say."""
    for use, name in (("in", "inputProfile"), ("out", "outputProfile")):
        url = operation.get(name)
        profile = run.validator.profile(url) if type(url) is str else None
        listed = profile.root.children.get("parameter") if profile is not None else None
        slices = listed.slicing.slices if listed is not None and listed.slicing else []
        named = {_name_of(each): each for each in slices}
        for index, parameter in _objects(operation.get("parameter")):
            piece = named.get(str(parameter.get("name")))
            if piece is None or parameter.get("use") != use:
                continue
            maximum = "*" if piece.maximum is None else str(piece.maximum)
            if parameter.get("min") != piece.minimum or parameter.get("max") != maximum:
                at = ((place, name, None), "parameter", index)
                run.error("invalid", at, "The parameter is given more or less often by the profile.")


def _name_of(piece: Any) -> str | None:
    child = piece.children.get("name")
    fixed = (child.fixed or child.pattern) if child is not None else None
    return str(fixed[0]) if fixed else None


def _value_set(value_set: Resource, place: Place, run: Run) -> None:
    """Expressions in filters are FHIRPath."""
    compose = value_set.get("compose")
    if type(compose) is not dict:
        return
    for name in ("include", "exclude"):
        for index, part in _objects(compose.get(name)):
            for number, each in _objects(part.get("filter")):
                at = (((place, "compose", None), name, index), "filter", number)
                _check_filter(each.get("_value"), at, run)


def _check_filter(beside: Any, place: Place, run: Run) -> None:
    for index, each in _objects(beside.get("extension") if type(beside) is dict else None):
        value = each.get("valueExpression")
        if each.get("url") == _CQF_EXPRESSION and type(value) is dict and value.get("language") != "text/fhirpath":
            at = ((place, "extension", index), "value.ofType(Expression)", None)
            run.error("invalid", at, "An expression of a value set is FHIRPath.")


_RULES: Mapping[str, Callable[[Resource, Place, Run], None]] = {
    "CapabilityStatement": _capabilities,
    "OperationDefinition": _operation,
    "SearchParameter": _search_parameter,
    "StructureDefinition": _structure,
    "ValueSet": _value_set,
}
