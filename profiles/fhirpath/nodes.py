"""What expressions work on: values with their FHIR types, and how a type's children are read from JSON.

A `Node` is made for every item of every collection, so it is as cheap as an object can be here; the children of a
type are read by functions compiled once for each type and element name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias

import msgspec

from profiles.definitions import Member, Shape, definitions


class Node(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An item of a collection."""

    value: Any
    """As JSON gives it (`str`, `int`, `Decimal`, `bool`, `dict`), or a `Quantity` of FHIRPath's own; `None` where
    a primitive has extensions only."""
    type: str | None = None
    """A FHIR type (`Patient`, `code`), a path where the definition nests children (`Patient.contact`), or a type of the
    System namespace (`System.Integer`)."""
    element: Mapping[str, Any] | None = None
    """Of a primitive: the object that JSON keeps under `_name`."""


Items: TypeAlias = list[Node]
Reader: TypeAlias = Callable[[Any, Items], None]
"""Appends the children of an object to a list."""

TRUE = Node(True, "System.Boolean")
FALSE = Node(False, "System.Boolean")

_BY_PYTHON: Mapping[type, str] = {bool: "boolean", int: "integer", Decimal: "decimal", str: "string"}


def resource_node(resource: Mapping[str, Any]) -> Node:
    return Node(resource, _type_of_resource(resource))


def text(value: str) -> Node:
    return Node(value, "System.String")


def integer(value: int) -> Node:
    return Node(value, "System.Integer")


def decimal(value: Decimal) -> Node:
    return Node(value, "System.Decimal")


def boolean(value: bool) -> Node:
    return TRUE if value else FALSE


def _type_of_resource(value: Any) -> str | None:
    found = value.get("resourceType") if type(value) is dict else None
    return found if type(found) is str else None


@cache
def _shape(type_name: str) -> Shape | None:
    try:
        return definitions().shape(type_name)
    except KeyError:
        return None


def is_known(type_name: str | None) -> bool:
    """Whether the children of the type are defined."""
    return type_name is not None and _shape(type_name) is not None


@cache
def _members(type_name: str, name: str) -> tuple[Member, ...]:
    shape = _shape(type_name)
    return () if shape is None else tuple(each for each in shape.members.values() if each.element.name == name)


@cache
def reader(type_name: str | None, name: str) -> Reader:
    """The function that reads the children of that name from an object of that type."""
    if not is_known(type_name) or type_name is None:
        return lambda value, found: _read_untyped(value, name, found)
    members = _members(type_name, name)
    if not members:
        return _read_nothing
    if len(members) > 1 or members[0].element.is_choice:
        return _choice_reader(members)
    return _member_reader(members[0])


@cache
def property_names(type_name: str | None, name: str) -> frozenset[str]:
    """The JSON properties that hold children of that name, `_name` among them."""
    if not is_known(type_name) or type_name is None:
        return frozenset((name, f"_{name}"))
    members = _members(type_name, name)
    return frozenset(
        key for each in members for key in ((each.name,) if _is_complex(each) else (each.name, f"_{each.name}"))
    )


def _is_complex(member: Member) -> bool:
    return member.shape is not None or member.type in ("Resource", "DomainResource")


def _member_reader(member: Member) -> Reader:
    name = member.name
    if member.shape is not None:
        return _complex_reader(name, member.shape)
    if _is_complex(member):
        return lambda value, found: _read_resources(value.get(name), found)
    return _primitive_reader(name, _primitive_type(member))


def _primitive_type(member: Member) -> str:
    """The definitions call the `id` of a resource a string."""
    root, _, name = member.element.path.partition(".")
    return "id" if name == "id" and root in definitions().resource_types else member.type


def _complex_reader(name: str, type_name: str) -> Reader:
    def read(value: Any, found: Items) -> None:
        child = value.get(name)
        if child is None:
            return
        if type(child) is list:
            for each in child:
                found.append(Node(each, type_name))
        else:
            found.append(Node(child, type_name))

    return read


def _primitive_reader(name: str, type_name: str) -> Reader:
    shadow = f"_{name}"

    def read(value: Any, found: Items) -> None:
        child = value.get(name)
        if shadow in value:
            _read_extended(child, value[shadow], type_name, found)
        elif child is None:
            return
        elif type(child) is list:
            for each in child:
                found.append(Node(each, type_name))
        else:
            found.append(Node(child, type_name))

    return read


def _read_extended(child: Any, extended: Any, type_name: str, found: Items) -> None:
    values = child if isinstance(child, list) else [child]
    elements = extended if isinstance(extended, list) else [extended]
    for place in range(max(len(values), len(elements))):
        value = values[place] if place < len(values) else None
        element = elements[place] if place < len(elements) and type(elements[place]) is dict else None
        if value is not None or element is not None:
            found.append(Node(value, type_name, element))


def _choice_reader(members: tuple[Member, ...]) -> Reader:
    readers = {each.name: _member_reader(each) for each in members}
    owners = {key: each.name for each in members for key in (each.name, f"_{each.name}")}

    def read(value: Any, found: Items) -> None:
        for key in value:
            owner = owners.get(key)
            if owner is not None and (key == owner or owner not in value):
                readers[owner](value, found)

    return read


def _read_resources(child: Any, found: Items) -> None:
    if type(child) is list:
        for each in child:
            found.append(Node(each, _type_of_resource(each)))
    elif child is not None:
        found.append(Node(child, _type_of_resource(child)))


def _read_nothing(value: Any, found: Items) -> None:
    """A type has no such children."""


def _read_untyped(value: Any, name: str, found: Items) -> None:
    child, shadow = value.get(name), value.get(f"_{name}")
    if shadow is not None:
        _read_extended(child, shadow, "string", found)
        return
    for each in child if type(child) is list else [child]:
        if each is not None:
            found.append(Node(each, _type_of_resource(each) or _BY_PYTHON.get(type(each))))


@cache
def _all_readers(type_name: str) -> tuple[dict[str, str], dict[str, Reader]]:
    """Of a type: which member a JSON property belongs to, and how that is read."""
    shape = _shape(type_name)
    members = shape.members if shape else {}
    owners = {key: name for name in members for key in (name, f"_{name}")}
    return owners, {name: _member_reader(each) for name, each in members.items()}


def children(node: Node) -> Items:
    """All child items in the order of the JSON."""
    found: Items = []
    value = node.value
    if type(value) is not dict:
        if type(node.element) is dict:
            _read_all(node.element, "Element", found)
    else:
        _read_all(value, node.type or "", found)
    return found


def _read_all(value: Mapping[str, Any], type_name: str, found: Items) -> None:
    if not is_known(type_name):
        for key in value:
            if key != "resourceType" and not (key.startswith("_") and key[1:] in value):
                _read_untyped(value, key.removeprefix("_"), found)
        return
    owners, readers = _all_readers(type_name)
    for key in value:
        owner = owners.get(key)
        if owner is not None and (key == owner or owner not in value):
            readers[owner](value, found)


def descendants(items: Items) -> Iterator[Node]:
    """Children, then theirs, level by level."""
    level = items
    while level:
        level = [child for node in level for child in children(node)]
        yield from level


def read_child(node: Node, name: str) -> Items:
    found: Items = []
    value = node.value
    if type(value) is dict:
        reader(node.type, name)(value, found)
    elif type(node.element) is dict:
        reader("Element", name)(node.element, found)
    return found
