"""The tree that a profile is compiled to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from profiles.validator.bindings import Binding
from profiles.validator.model import ItemCheck, Property


@dataclass(frozen=True, slots=True)
class Type:
    """A type that an element may have."""

    code: str
    profiles: tuple[str, ...]
    targets: tuple[str, ...]
    aggregation: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Discriminator:
    type: str
    path: str


@dataclass(eq=False, slots=True)
class Slicing:
    discriminators: tuple[Discriminator, ...]
    rules: str
    is_ordered: bool
    slices: list[Node] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Node:
    """One element of a profile."""

    id: str
    name: str
    """Last step of its path: `value[x]`."""
    slice_name: str | None
    definition: Mapping[str, Any]
    properties: tuple[Property, ...]
    types: tuple[Type, ...]
    minimum: int
    maximum: int | None
    needs_count: bool
    """Whether the cardinality is narrower than the base's."""
    needs_type: bool
    needs_targets: bool
    fixed: tuple[Any] | None
    pattern: tuple[Any] | None
    bindings: list[Binding]
    rules: list[ItemCheck]
    has_limits: bool
    has_native_rules: bool
    """Its rules look at the value alone, with nothing around it; true where there are none."""
    children: dict[str, Node] = field(default_factory=dict)
    slicing: Slicing | None = None
    active: list[Node] = field(default_factory=list)
    """The children that demand something."""
    is_active: bool = False
    has_values: bool = False
    """Whether it demands something of a value that is there."""
    names: frozenset[str] = frozenset()
    """The members of JSON that hold it."""
    is_closed: bool = False
    """Whether its JSON says everything that it and what is below it are judged by, and no number in it matters."""
    is_worth_remembering: bool = False


@dataclass(eq=False, slots=True)
class Profile:
    url: str
    type: str
    structure: Mapping[str, Any]
    root: Node
    is_modifier: bool

    @property
    def parts(self) -> frozenset[str]:
        """Of an extension: the URLs of the parts it names."""
        listed = self.root.children.get("extension")
        slices = listed.slicing.slices if listed is not None and listed.slicing else ()
        urls = (each.children.get("url") for each in slices)
        return frozenset(str(each.fixed[0]) for each in urls if each is not None and each.fixed)

    def at(self, element_id: str) -> Profile | None:
        """The part of it at one element."""
        found = next((each for each in walk(self.root) if each.id == element_id), None)
        if found is None:
            return None
        return Profile(f"{self.url}#{element_id}", self.type, self.structure, found, False)


def walk(node: Node) -> Iterator[Node]:
    yield node
    for each in node.children.values():
        yield from walk(each)
    for each in node.slicing.slices if node.slicing else ():
        yield from walk(each)
