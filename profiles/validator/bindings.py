"""Bindings: whether coded elements hold codes of their value sets (FHIR R4 terminologies, 4.1.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from profiles.definitions import CANONICAL
from profiles.findings import Severity
from profiles.validator.model import ItemCheck
from profiles.validator.place import Place
from profiles.validator.run import Run

_LENIENT = "http://hl7.org/fhir/ValueSet/ucum-vitals-common"
"""Units of any vital sign: published as required, but flow rates and other parts of readings need more, and HL7's own
validator takes it as extensible. The unit of each sign itself is fixed by its profile."""
_ADDITIONAL = ("ElementDefinition.binding.additional", "/additional-binding")
_MAXIMUM = CANONICAL + "elementdefinition-maxValueSet"


@dataclass(frozen=True, slots=True)
class Binding:
    value_set: str
    severity: Severity
    """Of a code that is not in the set."""
    is_required: bool


def bindings_of(described: Mapping[str, Any] | None) -> list[Binding]:
    """What a binding of an element definition demands: a required or extensible set, and a largest one."""
    if not described:
        return []
    found = []
    strength, value_set = described.get("strength"), described.get("valueSet")
    if value_set and strength == "required" and not value_set.startswith(_LENIENT):
        found.append(Binding(value_set, Severity.ERROR, True))
    elif value_set and strength in ("extensible", "required"):
        found.append(Binding(value_set, Severity.WARNING, False))
    for each in described.get("extension", ()):
        if each.get("url") == _MAXIMUM:
            largest = (
                each.get("valueCanonical") or each.get("valueUri") or each.get("valueReference", {}).get("reference")
            )
            if largest:
                found.append(Binding(largest, Severity.ERROR, False))
        elif str(each.get("url")).endswith(_ADDITIONAL):
            found += _additional(each)
    return found


def _additional(extension: Mapping[str, Any]) -> list[Binding]:
    """A further value set, as later releases have it (ElementDefinition.binding.additional)."""
    parts = {each.get("url"): each for each in extension.get("extension", ())}
    value_set = parts.get("valueSet", {}).get("valueCanonical")
    is_required = parts.get("purpose", {}).get("valueCode") in ("required", "maximum")
    return [Binding(value_set, Severity.ERROR, True)] if value_set and is_required else []


def checks(described: Mapping[str, Any] | None, type_name: str) -> list[ItemCheck]:
    return [made for each in bindings_of(described) for made in bound(each, type_name)]


def bound(binding: Binding, type_name: str) -> list[ItemCheck]:
    """The check of a binding at a type; none where the type holds no code."""
    check = _CHECKS.get(type_name)
    return [_bound(check, binding)] if check else []


def holds(binding: Binding, item: Any, run: Run) -> bool:
    """Whether a value of any coded type meets a binding; what cannot be known counts as met."""
    with run.aside() as found:
        check_any(binding, item, (None, "$this", None), run)
    return not found


def check_any(binding: Binding, item: Any, place: Place, run: Run) -> None:
    """By the look of the value, where its type is not at hand."""
    if type(item) is str:
        _check_code(binding, item, place, run)
    elif type(item) is dict:
        if "coding" in item or "text" in item:
            _check_concept(binding, item, place, run)
        elif "value" in item or "unit" in item:
            _check_quantity(binding, item, place, run)
        else:
            _check_coding(binding, item, place, run)


def _bound(check: Callable[[Binding, Any, Place, Run], None], binding: Binding) -> ItemCheck:
    def bound(item: Any, place: Place, run: Run) -> None:
        check(binding, item, place, run)

    return bound


def is_member(binding: Binding, system: Any, code: Any, run: Run) -> bool | None:
    if type(code) is not str or not (system is None or type(system) is str):
        return None
    known: bool | None = run.validator.is_member(binding.value_set, system, code)
    return known


def _check_code(binding: Binding, item: Any, place: Place, run: Run) -> None:
    if is_member(binding, None, item, run) is False:
        run.add(binding.severity, "code-invalid", place, _outside(binding), binding.value_set)


def _check_coding(binding: Binding, item: Any, place: Place, run: Run) -> None:
    if type(item) is dict and is_member(binding, item.get("system"), item.get("code"), run) is False:
        run.add(binding.severity, "code-invalid", place, _outside(binding), binding.value_set)


def _check_concept(binding: Binding, item: Any, place: Place, run: Run) -> None:
    if type(item) is not dict:
        return
    codings = item.get("coding")
    if type(codings) is not list or not codings:
        if binding.is_required and "extension" not in item:
            run.error("code-invalid", place, f"A code of {binding.value_set} is required.", binding.value_set)
        return
    for each in codings:
        if type(each) is not dict or is_member(binding, each.get("system"), each.get("code"), run) is not False:
            return
    run.add(binding.severity, "code-invalid", place, _outside(binding), binding.value_set)


def _check_quantity(binding: Binding, item: Any, place: Place, run: Run) -> None:
    if type(item) is not dict or "code" not in item:
        return
    if is_member(binding, item.get("system"), item.get("code"), run) is False:
        run.add(binding.severity, "code-invalid", place, _outside(binding), binding.value_set)


def _outside(binding: Binding) -> str:
    return f"The code is not in the value set {binding.value_set}."


_CHECKS: Mapping[str, Callable[[Binding, Any, Place, Run], None]] = {
    "code": _check_code,
    "string": _check_code,
    "uri": _check_code,
    "url": _check_code,
    "canonical": _check_code,
    "markdown": _check_code,
    "Coding": _check_coding,
    "CodeableConcept": _check_concept,
    "Quantity": _check_quantity,
    "SimpleQuantity": _check_quantity,
    "Age": _check_quantity,
    "Duration": _check_quantity,
    "Distance": _check_quantity,
    "Count": _check_quantity,
    "Money": _check_quantity,
}
