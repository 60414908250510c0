"""What a compiled definition is made of: shapes, their elements, and the JSON properties of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from profiles.validator.place import Place
from profiles.validator.run import Run

Check: TypeAlias = Callable[[Any, dict[str, Any], Place, Run], None]
"""Of a property: its value, the object it is in, the place of that object."""
ItemCheck: TypeAlias = Callable[[Any, Place, Run], None]
"""Of one value at its own place."""


class Shape:
    """What an object of a type, or at an element with children of its own, may hold."""

    __slots__ = ("checks", "choices", "elements", "name", "needed", "required", "rules")

    def __init__(self, name: str) -> None:
        self.name = name
        self.checks: dict[str, Check] = {}
        self.required: list[tuple[str, str, tuple[str, ...]]] = []
        """Name of the element, its first property, the other properties that serve."""
        self.needed: set[str] = set()
        """The first properties of those: an object that has them all lacks nothing."""
        self.rules: list[ItemCheck] = []
        self.choices: dict[str, frozenset[str]] = {}
        self.elements: dict[str, Element] = {}
        """By the last step of the path as defined: `value[x]`."""


class Element:
    """An element as profiles and paths look it up."""

    __slots__ = ("definition", "maximum", "minimum", "name", "properties")

    def __init__(self, definition: dict[str, Any], properties: tuple[Property, ...]) -> None:
        self.definition = definition
        self.name: str = definition["path"].rpartition(".")[2]
        self.minimum: int = definition["min"]
        self.maximum: str = definition["max"]
        self.properties = properties


class Property:
    """One JSON property of an element."""

    __slots__ = ("is_primitive", "label", "name", "shape", "type")

    def __init__(self, name: str, type_name: str, label: str, shape: Shape | None, is_primitive: bool) -> None:
        self.name = name
        self.type = type_name
        self.label = label
        """As a step of a place: `value.ofType(Quantity)`."""
        self.shape = shape
        """`None` for a primitive, and for a resource, which tells its own."""
        self.is_primitive = is_primitive
