"""What a compiled part of an expression is: closures over `$this` and a scope.

Each part can be asked in three ways, so that most invariants build no collection at all: for its items, whether there
are any, and for the truth of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.nodes import Items, Node
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.syntax import Tree

Run: TypeAlias = Callable[[Node | None, Scope], Items]
"""The items, given `$this`; `None` as `$this` stands for an empty focus. The list is for reading only."""
Presence: TypeAlias = Callable[[Node | None, Scope], bool]
Truth: TypeAlias = Callable[[Node | None, Scope], bool | None]


class Compiler(Protocol):
    """What the makers of closures ask of each other."""

    @property
    def inner(self) -> Compiler:
        """For what is evaluated for each item of a collection."""
        ...

    def items(self, tree: Tree) -> Run: ...

    def presence(self, tree: Tree) -> Presence: ...

    def truth(self, tree: Tree) -> Truth: ...

    def input(self, base: Tree | None) -> Run:
        """The items a function is called on."""
        ...


def single(items: Items) -> Node | None:
    """The one item, `None` of none (N1, singleton evaluation)."""
    if not items:
        return None
    if len(items) > 1:
        raise FhirPathError("One item is needed where there are several.")
    return items[0]


def truth_of(items: Items) -> bool | None:
    """A collection where a boolean is needed: one item that is none counts as true."""
    node = single(items)
    if node is None:
        return None
    return node.value if type(node.value) is bool else True


Function: TypeAlias = Callable[..., Items]
"""A function of a scope, its input and its arguments, evaluated before it with `$this` of the call."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A row of a table of functions: how many arguments it takes."""

    run: Function
    least: int = 0
    most: int = 0
