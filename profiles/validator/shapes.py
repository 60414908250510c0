"""The base definitions of types and elements, compiled to tables of checks by JSON property.

A `Shape` is made once in a process. Its checks run down a resource in one pass and build nothing while all is well:
a place is a tuple of its parent, and becomes text only with a finding.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from profiles.definitions import CANONICAL, definitions
from profiles.validator import bindings, codings, extensions, invariants, members, narrative, references, remembered
from profiles.validator.model import Element, ItemCheck, Property, Shape
from profiles.validator.place import Place
from profiles.validator.primitives import fault, predicate
from profiles.validator.run import Run

_SIMPLE_QUANTITY = CANONICAL + "SimpleQuantity"
_FHIR_TYPE = CANONICAL + "structuredefinition-fhir-type"
_ANY_RESOURCE = ("Resource", "DomainResource")


_ready: dict[str, Shape] = {}
_building: dict[str, Shape] = {}
_lock = threading.RLock()


def shape(name: str) -> Shape | None:
    """The shape of a type (`Patient`, `HumanName`) or element (`Patient.contact`); `None` where there is no such."""
    found = _ready.get(name)
    return found if found is not None else _built(name)


def _built(name: str) -> Shape | None:
    with _lock:
        if name not in _ready and definitions().structure(CANONICAL + name.partition(".")[0]) is None:
            return None
        _shape(name)
        _ready.update(_building)
        return _ready.get(name)


def _shape(name: str) -> Shape:
    found = _building.get(name)
    if found is None:
        _compile(name.partition(".")[0])
        found = _building.get(name) or _building.setdefault(name, Shape(name))
    return found


def _compile(type_name: str) -> None:
    structure = definitions().structure(CANONICAL + type_name)
    if structure is None:
        raise KeyError(type_name)
    children: dict[str, list[dict[str, Any]]] = {}
    for each in structure["snapshot"]["element"]:
        children.setdefault(each["path"].rpartition(".")[0], []).append(each)
    for path in children:
        if path:
            _building[path] = Shape(path)
    root = children[""][0]
    shapes = [_building.setdefault(type_name, Shape(type_name))]
    shapes += [_building[path] for path in children if path and path != type_name]
    for each in shapes:
        for element in children.get(each.name, ()):
            _add(each, element, children)
    shapes[0].rules = invariants.native_or_compiled(root.get("constraint", ()), type_name)
    if structure["kind"] == "resource":
        shapes[0].checks["resourceType"] = _passes


def _passes(item: Any, owner: dict[str, Any], place: Place, run: Run) -> None:
    """The property was looked at before."""


def type_code(described: Mapping[str, Any]) -> str:
    """The FHIR type of an element's type; the types of FHIRPath's system name theirs beside."""
    code: str = described["code"]
    if not code.startswith("http://hl7.org/fhirpath/System."):
        return code
    for extension in described.get("extension", ()):
        if extension["url"] == _FHIR_TYPE:
            return str(extension["valueUrl"])
    return "string"


def _add(owner: Shape, element: dict[str, Any], children: Mapping[str, object]) -> None:
    last = element["path"].rpartition(".")[2]
    name, is_choice = last.removesuffix("[x]"), last.endswith("[x]")
    reference = element.get("contentReference", "").removeprefix("#")
    types = element.get("type") or [{"code": "BackboneElement"}]
    properties: list[Property] = []
    for described in types:
        code = _id_type(element["path"], type_code(described))
        child = reference or (element["path"] if element["path"] in children else "")
        made = _property(name, code, child, is_choice)
        if not any(made.name == each.name for each in properties):
            properties.append(made)
            _add_checks(owner, element, described, made)
    owner.elements[last] = Element(element, tuple(properties))
    names = tuple(each for made in properties for each in _names(made))
    if is_choice:
        group = frozenset(names)
        owner.choices.update(dict.fromkeys(names, group))
    if element["min"] > 0:
        owner.required.append((last, names[0], names[1:]))
        owner.needed.add(names[0])


def _id_type(path: str, code: str) -> str:
    """An id of a resource has the form of `id`, that of an element need not."""
    parent, _, name = path.rpartition(".")
    is_resource = name == "id" and "." not in parent and parent not in definitions().data_types
    return "id" if is_resource and parent not in definitions().primitive_types else code


def _names(made: Property) -> tuple[str, ...]:
    return (made.name, "_" + made.name) if made.is_primitive else (made.name,)


def _property(name: str, code: str, child: str, is_choice: bool) -> Property:
    full = name + code[0].upper() + code[1:] if is_choice else name
    label = f"{name}.ofType({code})" if is_choice else name
    is_primitive = code in definitions().primitive_types
    is_plain = is_primitive or (code in _ANY_RESOURCE)
    return Property(full, code, label, None if is_plain else _shape(child or code), is_primitive)


def _add_checks(owner: Shape, element: dict[str, Any], described: dict[str, Any], made: Property) -> None:
    is_list = element["max"] not in ("0", "1")
    item = _item_check(owner, element, described, made)
    if made.is_primitive:
        check = members.primitive_list(made, item) if is_list else members.primitive(made, item)
        owner.checks["_" + made.name] = members.extensions(made, _shape("Element"), is_list)
    else:
        check = members.listed(made, item) if is_list else members.single(made, item)
    if "[x]" in element["path"].rpartition(".")[2]:
        check = members.exclusive(check, made.name, made, owner)
        if made.is_primitive:
            extended = owner.checks["_" + made.name]
            owner.checks["_" + made.name] = members.exclusive(extended, "_" + made.name, made, owner)
    owner.checks[made.name] = check


def _item_check(owner: Shape, element: dict[str, Any], described: dict[str, Any], made: Property) -> ItemCheck:
    checks = [_form_check(made), *bindings.checks(element.get("binding"), made.type)]
    focus = made.shape.name if made.shape else made.type
    rules = invariants.native_or_compiled(element.get("constraint", ()), focus, skip=_own_rules(made))
    checks += rules
    if made.type == "Extension":
        checks.append(extensions.check(made.name, owner.name))
    if made.type in ("Coding", "Quantity"):
        checks.append(codings.check)
    if made.type == "Reference":
        checks.append(references.check(described.get("targetProfile", ())))
    if _SIMPLE_QUANTITY in described.get("profile", ()):
        checks.append(_no_comparator)
    whole = checks[0] if len(checks) == 1 else _all(tuple(checks))
    # A rule may look at what is around the value.
    return whole if rules else _remembering(whole, made.type)


def _form_check(made: Property) -> ItemCheck:
    if made.shape is not None:
        return _object(made.shape)
    if not made.is_primitive:
        return check_resource
    return narrative.check if made.type == "xhtml" else _value(made.type)


def _remembering(check: ItemCheck, type_name: str) -> ItemCheck:
    if type_name == "Reference":
        return remembered.remembered_reference(check)
    if type_name in remembered.OBJECTS:
        return remembered.remembered(check)
    return remembered.remembered_text(check) if type_name == "code" else check


def _own_rules(made: Property) -> frozenset[str]:
    """Keys of the invariants its type brings along."""
    if made.type in ("xhtml", "BackboneElement", "Element") or made.type in _ANY_RESOURCE:
        return frozenset({"txt-1", "txt-2"})
    structure = definitions().structure(CANONICAL + made.type)
    root = structure["snapshot"]["element"][0] if structure else {}
    return frozenset(each["key"] for each in root.get("constraint", ()))


def _all(checks: tuple[ItemCheck, ...]) -> ItemCheck:
    if len(checks) == 2:
        first, second = checks

        def both(item: Any, place: Place, run: Run) -> None:
            first(item, place, run)
            second(item, place, run)

        return both

    def every(item: Any, place: Place, run: Run) -> None:
        for each in checks:
            each(item, place, run)

    return every


def _no_comparator(item: Any, place: Place, run: Run) -> None:
    if type(item) is dict and "comparator" in item:
        run.error("invariant", place, "A simple quantity has no comparator.", "sqty-1")


_object = cache(members.object_check)
"""One check for a shape wherever it stands, so that what it has seen is remembered once."""


@cache
def _value(type_name: str) -> ItemCheck:
    accepts = predicate(type_name)

    def check(item: Any, place: Place, run: Run) -> None:
        if not accepts(item):
            run.error("value", place, fault(type_name, item), type_name)

    if type_name in ("string", "markdown"):
        return _text(check, type_name)
    if type_name in remembered.TEXTS:
        return remembered.remembered_text(check)
    return _no_example(check) if type_name == "url" else check


def _no_example(check: ItemCheck) -> ItemCheck:
    def checked(item: Any, place: Place, run: Run) -> None:
        check(item, place, run)
        if not run.options.allow_examples and type(item) is str and extensions.is_example(item):
            run.error("invalid", place, "A URL of an example may not be used here.")

    return checked


def _text(check: ItemCheck, type_name: str) -> ItemCheck:
    def checked(item: Any, place: Place, run: Run) -> None:
        if type(item) is str and remembered.is_plain_text(item):
            return
        check(item, place, run)
        if type(item) is str and "<" in item:
            narrative.check_markup(item, type_name, place, run)

    return checked


def check_resource(item: Any, place: Place, run: Run) -> None:
    """A resource wherever one may stand; what it is nested in is told by the run's scope."""
    run.validator.nested(item, place, run)
