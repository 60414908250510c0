"""What an evaluation knows beside its focus, and what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from profiles import ucum
from profiles.fhirpath.errors import TooCostlyError
from profiles.fhirpath.nodes import Items, Node
from profiles.fhirpath.quantities import Canonical


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one evaluation."""

    steps: int = 2_000_000
    """Items visited in all; about a second."""
    regex_seconds: float = 0.05
    """For one match: a pattern of a stored profile may be of the kind that takes exponential time."""
    text_length: int = 1_048_576
    """Characters a function may build."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What the host gives: the resources around the focus, and answers only it can know."""

    resource: Node | None = None
    """%resource: the resource that holds the focus; `None`: the focus is one."""
    root_resource: Node | None = None
    """%rootResource: the container if %resource is contained, else the same."""
    resolve: Callable[[str], Node | None] | None = None
    """A reference within the same document or elsewhere to its resource."""
    member_of: Callable[[Node, str], bool | None] | None = None
    """Whether a code, Coding or CodeableConcept is in a value set; `None`: cannot be known."""
    subsumes: Callable[[Node, Node], bool | None] | None = None
    """Whether the first concept subsumes the second."""
    conforms_to: Callable[[Node, str], bool | None] | None = None
    """Whether a resource conforms to the structure of that URL."""
    canonical: Canonical = ucum.canonical
    variables: Mapping[str, Any] = field(default_factory=dict)
    """Further `%name`: a list of nodes each."""
    now: datetime | None = None
    """For `now()`, `today()` and `timeOfDay()`; `None`: the moment of evaluation."""
    limits: Limits = Limits()


class Scope(msgspec.Struct):
    """The changing part of one evaluation."""

    environment: Environment
    context: Node
    left: int
    """Steps that may still be made."""
    index: int = 0
    total: Items = []
    now: datetime | None = None
    kept: dict[object, Items] = msgspec.field(default_factory=dict)
    """What parts that do not depend on `$this` gave, by the part."""
    frozen: dict[int, tuple[Any, Hashable]] = msgspec.field(default_factory=dict)
    """Keys of objects, by identity, and the object so that it stays: one is compared often but frozen once."""

    def text_of_length(self, length: int) -> None:
        """Before a text is built."""
        if length > self.environment.limits.text_length:
            raise TooCostlyError("A string grows too long.")

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise TooCostlyError("The expression takes too much work.")
