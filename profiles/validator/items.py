"""The values of an element of an object, as profiles and slices look at them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from profiles.validator.model import Property, Shape
from profiles.validator.place import Place
from profiles.validator.shapes import shape
from profiles.validator.tree import Node

_OPEN = frozenset({"Resource", "DomainResource"})


class Item(NamedTuple):
    """One value of an element."""

    value: Any
    """`None` where a primitive has extensions only."""
    beside: Any
    """Of a primitive: what JSON keeps under `_name`."""
    type: str
    place: Place
    shape: Shape | None
    """Of an object: what it may hold."""


def resource_item(resource: dict[str, Any], place: Place) -> Item:
    type_name = str(resource.get("resourceType"))
    return Item(resource, None, type_name, place, shape(type_name))


def items_of(node: Node, owner: dict[str, Any], place: Place) -> list[Item]:
    """The values of an element of an object."""
    return _of(node.properties, owner, place)


def named_items(item: Item, name: str) -> list[Item]:
    """The values of an element by name, found through the shape of the object."""
    holder = item.value if type(item.value) is dict else item.beside
    of = item.shape or (shape("Element") if type(item.value) is not dict else None)
    if type(holder) is not dict or of is None:
        return []
    element = of.elements.get(name) or of.elements.get(name + "[x]")
    return _of(element.properties, holder, item.place) if element else []


def _of(properties: Iterable[Property], owner: dict[str, Any], place: Place) -> list[Item]:
    found: list[Item] = []
    for each in properties:
        name = each.name
        if each.is_primitive:
            if name in owner or "_" + name in owner:
                _add_primitives(each, owner.get(name), owner.get("_" + name), place, found)
        elif name in owner:
            _add(each, owner[name], place, found)
    return found


def _add(each: Property, value: Any, place: Place, found: list[Item]) -> None:
    if type(value) is list:
        found += [_item(each, one, (place, each.label, index)) for index, one in enumerate(value)]
    elif value is not None:
        found.append(_item(each, value, (place, each.label, None)))


def _item(each: Property, value: Any, place: Place) -> Item:
    if each.shape is None and type(value) is dict:
        return resource_item(value, place)
    return Item(value, None, each.type, place, each.shape)


def _add_primitives(each: Property, value: Any, beside: Any, place: Place, found: list[Item]) -> None:
    if type(value) is not list and type(beside) is not list:
        found.append(Item(value, beside, each.type, (place, each.label, None), None))
        return
    values = value if type(value) is list else []
    others = beside if type(beside) is list else []
    for index in range(max(len(values), len(others))):
        one = values[index] if index < len(values) else None
        other = others[index] if index < len(others) else None
        found.append(Item(one, other, each.type, (place, each.label, index), None))
