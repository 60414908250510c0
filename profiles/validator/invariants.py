"""Invariants of definitions: the common ones in plain code, every other by FHIRPath."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

from profiles.fhirpath.engine import Expression, compile_expression
from profiles.fhirpath.errors import FhirPathError, TooCostlyError
from profiles.fhirpath.nodes import Node, resource_node
from profiles.fhirpath.scope import Environment
from profiles.findings import Severity
from profiles.validator import references
from profiles.validator.model import ItemCheck
from profiles.validator.native import NATIVE, NATIVE_TEXT
from profiles.validator.place import Place
from profiles.validator.run import Run, Scope

_ELSEWHERE = frozenset({"ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "txt-1", "txt-2", "ele-1"})
"""Rules that are part of other checks: of extensions, contained resources, narrative, and of every object."""


def native_or_compiled(
    constraints: Iterable[Mapping[str, Any]], type_name: str, skip: frozenset[str] = frozenset()
) -> list[ItemCheck]:
    """Checks of HL7's own invariants at one element."""
    kept = (each for each in constraints if each["key"] not in _ELSEWHERE and each["key"] not in skip)
    return [
        made for each in kept if (made := _native(each) or compiled(each, type_name, unless_empty=True)) is not None
    ]


def severity_of(constraint: Mapping[str, Any]) -> Severity:
    return Severity.WARNING if constraint.get("severity") == "warning" else Severity.ERROR


def text_of(constraint: Mapping[str, Any]) -> str:
    human = constraint.get("human")
    return f"The rule {constraint['key']} does not hold" + (f": {human}" if human else ".")


def _native(constraint: Mapping[str, Any]) -> ItemCheck | None:
    holds = NATIVE.get(constraint["key"])
    if holds is None:
        return _native_text(constraint)
    severity, text, key = severity_of(constraint), text_of(constraint), constraint["key"]
    is_advice = key == "dom-6"

    def check(item: Any, place: Place, run: Run) -> None:
        if type(item) is dict and not holds(item, run) and not (is_advice and not run.options.advise):
            run.add(severity, "invariant", place, text, key)

    return check


def _native_text(constraint: Mapping[str, Any]) -> ItemCheck | None:
    holds = NATIVE_TEXT.get(constraint["key"])
    if holds is None:
        return None

    def check(item: Any, place: Place, run: Run) -> None:
        if type(item) is str and not holds(item):
            run.add(severity_of(constraint), "invariant", place, text_of(constraint), constraint["key"])

    return check


def compiled(constraint: Mapping[str, Any], type_name: str, *, unless_empty: bool = False) -> ItemCheck | None:
    """A check by FHIRPath; `None` where there is no expression, or none that can be read.

    `unless_empty`: an empty result passes. HL7's own rules were written for an engine where functions of nothing
    are false rather than nothing; of anybody else's rules empty is not true.
    """
    text = constraint.get("expression")
    if not isinstance(text, str):
        return None
    try:
        expression = compile_expression(text)
    except FhirPathError:
        return None
    severity, says, key = severity_of(constraint), text_of(constraint), str(constraint.get("key"))

    def check(item: Any, place: Place, run: Run) -> None:
        if not _holds(expression, item, type_name, run, unless_empty):
            run.add(severity, "invariant", place, says, key)

    return check


def _holds(expression: Expression, item: Any, type_name: str, run: Run, unless_empty: bool) -> bool:
    """What cannot be evaluated is let pass: the structure is at fault, and that was said."""
    if monotonic() > run.deadline:
        run.give_up()
        return True
    focus = resource_node(item) if type_name == "Resource" and type(item) is dict else Node(item, type_name, None)
    try:
        answer = expression.holds(focus, environment_of(run))
        return unless_empty if answer is None else answer
    except TooCostlyError:
        run.give_up()
        return True
    except (FhirPathError, ArithmeticError):
        return True


def environment_of(run: Run) -> Environment:
    """What expressions know of the resource in the middle; made once for each."""
    scope = run.scope
    if run.environment_of is not scope:
        run.environment = Environment(
            resource=resource_node(scope.resource),
            root_resource=resource_node(scope.root),
            resolve=_resolver(scope),
            member_of=lambda node, value_set: _is_member(node, value_set, run),
            canonical=run.validator.canonical,
        )
        run.environment_of = scope
    return run.environment  # type: ignore[no-any-return]


def _resolver(scope: Scope) -> Callable[[str], Node | None]:
    def resolve(text: str) -> Node | None:
        found = references.resolve(text, scope)
        return resource_node(found) if found is not None else None

    return resolve


def _is_member(node: Node, value_set: str, run: Run) -> bool | None:
    """Whether a code, Coding or CodeableConcept is in a value set."""
    value = node.value
    if type(value) is str:
        found: bool | None = run.validator.is_member(value_set, None, value)
        return found
    codings = value.get("coding", [value]) if type(value) is dict else []
    answers = [
        run.validator.is_member(value_set, each.get("system"), each["code"])
        for each in codings
        if type(each) is dict and type(each.get("code")) is str
    ]
    return True if True in answers else None if None in answers else False
