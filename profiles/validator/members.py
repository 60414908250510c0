"""Checks of JSON objects and their properties: single or repeated, null in its place, values beside their extensions.

FHIR R4 JSON representation, 2.6.2: arrays of values and of their extensions run in step, null stands only where the
other array has something, and nothing is ever empty.
"""

from __future__ import annotations

from typing import Any

from profiles.validator.model import Check, ItemCheck, Property, Shape
from profiles.validator.place import Place
from profiles.validator.run import Run


def object_check(child: Shape) -> ItemCheck:
    def check(item: Any, place: Place, run: Run) -> None:
        if type(item) is dict and item:
            check_object(child, item, place, run)
        else:
            _report_no_object(item, place, run)

    return check


def _report_no_object(item: Any, place: Place, run: Run) -> None:
    text = "An object cannot be empty: leave the element out." if item == {} else "This element is an object."
    run.error("structure", place, text)


def check_object(of: Shape, value: dict[str, Any], place: Place, run: Run) -> None:
    """Every property of an object, then what must be there, then the rules of its type."""
    checks = of.checks
    for name, item in value.items():
        check = checks.get(name)
        if check is None:
            _report_unknown(of, name, place, run)
        else:
            check(item, value, place, run)
    if not value.keys() >= of.needed:
        _check_required(of, value, place, run)
    for rule in of.rules:
        rule(value, place, run)


def _check_required(of: Shape, value: dict[str, Any], place: Place, run: Run) -> None:
    for element, first, others in of.required:
        if first not in value and not any(each in value for each in others):
            run.error("required", place, f"{of.name}.{element} is required: at least one.", of.name)


def _report_unknown(of: Shape, name: Any, place: Place, run: Run) -> None:
    known = {each.lower(): each for each in of.checks}
    found = known.get(str(name).lower())
    if found is not None:
        run.error("structure", place, f"Names of properties are case-sensitive: write {found}.")
    elif name == "resourceType":
        run.error("structure", place, "Only resources have a resourceType.")
    else:
        shown = name if str(name).isidentifier() and len(str(name)) <= 64 else "such a name"
        run.error("structure", place, f"{of.name} has no property {shown}.")


def exclusive(check: Check, name: str, made: Property, owner: Shape) -> Check:
    """The check of a choice under one of its names, `valueString` or `_valueString`, beside no other type of it."""
    choices = owner.choices

    def checked(item: Any, parent: dict[str, Any], place: Place, run: Run) -> None:
        group = choices[name]
        for other in parent:
            if other == name:
                break
            if other in group and other.lstrip("_") != made.name:
                run.error("structure", place, f"Only one {made.label.partition('.')[0]}[x] may be given.")
        check(item, parent, place, run)

    return checked


def single(made: Property, item_check: ItemCheck) -> Check:
    label = made.label

    def check(item: Any, owner: dict[str, Any], place: Place, run: Run) -> None:
        if type(item) is list:
            run.error("structure", (place, label, None), "This element does not repeat: it is no array.")
        elif item is None:
            run.error("structure", (place, label, None), "null stands for nothing here: leave the element out.")
        else:
            item_check(item, (place, label, None), run)

    return check


def listed(made: Property, item_check: ItemCheck) -> Check:
    label = made.label

    def check(items: Any, owner: dict[str, Any], place: Place, run: Run) -> None:
        if not _is_array(items, label, place, run):
            return
        for index, item in enumerate(items):
            if item is None:
                run.error("structure", (place, label, index), "null stands for nothing here: leave it out.")
            else:
                item_check(item, (place, label, index), run)

    return check


def _is_array(items: Any, label: str, place: Place, run: Run) -> bool:
    if type(items) is list and items:
        return True
    text = (
        "An array cannot be empty: leave the element out." if items == [] else "This element repeats: it is an array."
    )
    run.error("structure", (place, label, None), text)
    return False


def primitive(made: Property, item_check: ItemCheck) -> Check:
    label = made.label

    def check(item: Any, owner: dict[str, Any], place: Place, run: Run) -> None:
        if item is None or type(item) is list:
            text = "null stands for nothing here: leave the element out." if item is None else "This is no array."
            run.error("structure", (place, label, None), text)
        else:
            item_check(item, (place, label, None), run)

    return check


def primitive_list(made: Property, item_check: ItemCheck) -> Check:
    label, beside = made.label, "_" + made.name

    def check(items: Any, owner: dict[str, Any], place: Place, run: Run) -> None:
        if not _is_array(items, label, place, run):
            return
        for index, item in enumerate(items):
            if item is not None:
                item_check(item, (place, label, index), run)
            elif not _stands_for_extension(owner.get(beside), index):
                run.error("structure", (place, label, index), "null stands for a value that only has extensions.")

    return check


def _stands_for_extension(beside: Any, index: int) -> bool:
    return type(beside) is list and index < len(beside) and bool(beside[index])


def extensions(made: Property, element: Shape, is_list: bool) -> Check:
    """Of `_x`: what a primitive has beside its value."""
    check_one = object_check(element)
    return _extension_list(made, check_one) if is_list else single(made, check_one)


def _extension_list(made: Property, check_one: ItemCheck) -> Check:
    label, name = made.label, made.name

    def check(items: Any, owner: dict[str, Any], place: Place, run: Run) -> None:
        if not _is_array(items, label, place, run):
            return
        values = owner.get(name)
        if type(values) is list and len(values) != len(items):
            run.error("structure", (place, label, None), "Values and their extensions differ in number.")
        for index, item in enumerate(items):
            if item is not None:
                check_one(item, (place, label, index), run)
            elif type(values) is not list or index >= len(values) or values[index] is None:
                run.error("structure", (place, label, index), "null stands for a value without extensions.")

    return check
