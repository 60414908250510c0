"""FHIRPath Patch: a Parameters resource of operations (R4, FHIRPath Patch)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from profiles.definitions import Member as Property
from profiles.fhirpath.engine import resource_node
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.parser import parse as parse_path
from profiles.fhirpath.syntax import Member, Tree
from server.fhir.json_form import Resource
from server.fhir.patch.change import MAX_OPERATIONS, Change, inapplicable, unreadable
from server.fhir.patch.elements import Object, edited, read, write
from server.fhir.patch.places import Place, locate, properties, type_below
from server.fhir.patch.values import Given, parts_of

MAX_DEPTH_OF_PARTS = 16


@dataclass(frozen=True, slots=True)
class _Operation:
    number: int
    path: Tree
    parts: dict[str, Resource]

    def text(self, name: str) -> str:
        value = self.parts.get(name, {}).get("valueString")
        if not isinstance(value, str) or not value:
            raise unreadable(f"The operation needs a string {name}.", self.number)
        return value

    def integer(self, name: str) -> int:
        value = self.parts.get(name, {}).get("valueInteger")
        if not isinstance(value, int) or isinstance(value, bool):
            raise unreadable(f"The operation needs an integer {name}.", self.number)
        return value

    @property
    def value(self) -> Given:
        if "value" not in self.parts:
            raise unreadable("The operation needs a value.", self.number)
        return Given(self.parts["value"], self.number)


def parse(parameters: Resource) -> Change:
    """The change that a Parameters resource describes; a `Problem` (invalid) where it describes none.

    What a path finds and whether a value fits there shows when the change is applied.
    """
    listed = parameters.get("parameter", [])
    if parameters.get("resourceType") != "Parameters" or not isinstance(listed, list):
        raise unreadable("A FHIRPath Patch is a Parameters resource.")
    if len(listed) > MAX_OPERATIONS:
        raise unreadable(f"A patch may have {MAX_OPERATIONS} operations.")
    steps = [_step(each, number) for number, each in enumerate(listed)]
    return lambda resource: _patched(resource, steps)


def _step(parameter: Any, number: int) -> Callable[[Resource], Resource]:
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise unreadable("Each parameter of a FHIRPath Patch is named operation.", number)
    if _depth(parameter) > MAX_DEPTH_OF_PARTS:
        raise unreadable("The parts of the operation are nested too deeply.", number)
    parts = {each["name"]: each for each in parts_of(parameter) if isinstance(each.get("name"), str)}
    kind = parts.get("type", {})
    name = kind.get("valueCode", kind.get("valueString"))
    if not isinstance(name, str) or name not in _APPLY:
        raise unreadable("The type of an operation is add, insert, delete, replace or move.", number)
    try:
        path = parse_path(_Operation(number, Member(None, ""), parts).text("path"))
    except FhirPathError as error:
        raise unreadable(str(error), number) from None
    operation = _Operation(number, path, parts)
    _check_parts(operation, name)
    apply = _APPLY[name]
    return lambda resource: apply(operation, resource)


def _depth(parameter: Resource) -> int:
    return 1 + max((_depth(each) for each in parts_of(parameter)), default=0)


def _check_parts(operation: _Operation, name: str) -> None:
    if name == "add":
        operation.text("name")
    if name in ("add", "insert", "replace"):
        _ = operation.value
    for needed in {"insert": ("index",), "move": ("source", "destination")}.get(name, ()):
        operation.integer(needed)


def _patched(resource: Resource, steps: list[Callable[[Resource], Resource]]) -> Resource:
    for step in steps:
        resource = step(resource)
    return resource


def _places(path: Tree, resource: Resource, number: int) -> list[Place]:
    try:
        return locate(path, resource_node(resource))
    except FhirPathError as error:
        raise unreadable(str(error), number) from None


def _one_place(path: Tree, resource: Resource, number: int) -> Place:
    found = _places(path, resource, number)
    if len(found) != 1:
        text = "The path finds several elements." if found else "The path finds no element."
        raise inapplicable(text, number)
    return found[0]


def _add(operation: _Operation, resource: Resource) -> Resource:
    place = _one_place(operation.path, resource, operation.number)
    candidates = properties(type_below(place.node), operation.text("name"))
    member, element = operation.value.element(candidates)
    is_list = member.element.maximum != 1

    def edit(owner: Object) -> Object:
        if not is_list and any(read(owner, each.name) for each in candidates):
            raise inapplicable("The element is there already and may be there once.", operation.number)
        before = read(owner, member.name) if is_list else []
        return write(owner, member.name, [*before, element], is_list=is_list)

    return edited(resource, place.owner, edit)


def _insert(operation: _Operation, resource: Resource) -> Resource:
    place, members = _list_at(operation, resource)
    member, element = operation.value.element(members)

    def edit(owner: Object) -> Object:
        elements = read(owner, member.name)
        elements.insert(_within(operation, "index", len(elements) + 1), element)
        return write(owner, member.name, elements, is_list=True)

    return edited(resource, place.owner, edit)


def _move(operation: _Operation, resource: Resource) -> Resource:
    place, members = _list_at(operation, resource)

    def edit(owner: Object) -> Object:
        elements = read(owner, members[0].name)
        moved = elements.pop(_within(operation, "source", len(elements)))
        elements.insert(_within(operation, "destination", len(elements) + 1), moved)
        return write(owner, members[0].name, elements, is_list=True)

    return edited(resource, place.owner, edit)


def _list_at(operation: _Operation, resource: Resource) -> tuple[Place, tuple[Property, ...]]:
    """The element that holds the list a path names, and the property it lies under."""
    path = operation.path
    if not isinstance(path, Member):
        raise unreadable("The path must name a list.", operation.number)
    base = Member(None, resource["resourceType"]) if path.base is None else path.base
    place = _one_place(base, resource, operation.number)
    members = properties(type_below(place.node), path.name)
    if not members or members[0].element.maximum == 1:
        raise unreadable("The path must name a list.", operation.number)
    return place, members


def _within(operation: _Operation, name: str, length: int) -> int:
    value = operation.integer(name)
    if not 0 <= value < length:
        raise inapplicable(f"The {name} is not within the list.", operation.number)
    return value


def _delete(operation: _Operation, resource: Resource) -> Resource:
    found = _places(operation.path, resource, operation.number)
    if not found:
        return resource
    if len(found) > 1 or not found[0].path:
        raise inapplicable("The path must find one element of the resource.", operation.number)
    return _exchanged(found[0], resource, lambda owner, name, index: _without(owner, name, index))


def _without(owner: Object, name: str, index: int | None) -> Object:
    elements = read(owner, name)
    del elements[index or 0]
    return write(owner, name, elements, is_list=index is not None)


def _replace(operation: _Operation, resource: Resource) -> Resource:
    place = _one_place(operation.path, resource, operation.number)
    if not place.path:
        raise unreadable("A patch does not replace the whole resource.", operation.number)

    def exchange(owner: Object, name: str, index: int | None) -> Object:
        member, element = operation.value.element(_alternatives(place, resource, name))
        if index is None:
            return write(owner, member.name, [element], is_list=False, at=name)
        elements = read(owner, name)
        elements[index] = element
        return write(owner, name, elements, is_list=True)

    return _exchanged(place, resource, exchange)


def _exchanged(place: Place, resource: Resource, exchange: Callable[[Object, str, int | None], Object]) -> Resource:
    *before, (name, index) = place.path
    return edited(resource, tuple(before), lambda owner: exchange(owner, name, index))


def _alternatives(place: Place, resource: Resource, name: str) -> tuple[Property, ...]:
    """The properties the element may lie under: for a choice one for each type."""
    owner = _type_at(resource, place)
    named = properties(owner, name)
    return properties(owner, named[0].element.name) if named else ()


def _type_at(resource: Resource, place: Place) -> str | None:
    """The type of the element that owns the place."""
    value: Any = resource
    type_name: str | None = resource["resourceType"]
    for name, index in place.path[:-1]:
        member = next(iter(properties(type_name, name.removeprefix("_"))), None)
        value = value[name] if index is None else value[name][index]
        if name.startswith("_"):
            type_name = "Element"
        elif member is None or member.shape is None:
            type_name = value.get("resourceType")
        else:
            type_name = member.shape
    return type_name


_APPLY: dict[str, Callable[[_Operation, Resource], Resource]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}
