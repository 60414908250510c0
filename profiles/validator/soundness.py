"""Whether a StructureDefinition has the form that R4 gives it, so that a profile can be compiled from it."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from profiles.findings import Finding
from profiles.validator.members import check_object
from profiles.validator.place import Place
from profiles.validator.run import Run
from profiles.validator.shapes import shape

_USED = ("differential", "snapshot", "type", "baseDefinition", "context")


def is_sound(structure: dict[str, Any], place: Place, run: Run) -> bool:
    of_type = shape("StructureDefinition")
    if of_type is None or not isinstance(structure.get("url"), str):
        return False
    try:
        check_object(of_type, _known_parts(structure), place, run)
    except RecursionError:
        return False
    return not any(each.is_error and _is_of_form(each) for each in run.findings)


def _is_of_form(finding: Finding) -> bool:
    """Whether what a profile is compiled from breaks the base definition, rather than a profile of an extension."""
    part = finding.expression.partition(".")[2]
    return finding.code in ("structure", "value") and "://" not in str(finding.rule) and part.startswith(_USED)


def _known_parts(structure: dict[str, Any]) -> dict[str, Any]:
    """Without what later releases may have given their elements: that does no harm."""
    definition = shape("ElementDefinition")
    known = definition.checks.keys() if definition is not None else ()
    forms = (form for form in ("snapshot", "differential") if form in structure)
    return structure | {form: _pruned(structure[form], known) for form in forms}


def _pruned(form: Any, known: Container[str]) -> Any:
    elements = form.get("element") if isinstance(form, dict) else None
    if not isinstance(elements, list) or not all(isinstance(each, dict) for each in elements):
        return form
    return {"element": [{name: value for name, value in each.items() if name in known} for each in elements]}
