"""Operations are rows, like endpoints: the router, the capability statement and the tests read the same ones.

A handler is a service: it gets on whose behalf and what is asked, and gives back a resource, a stored version or a page
of a search. How the parameters came and how the answer is written is the surface's matter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from profiles.definitions import definitions
from server.fhir.json_form import Resource
from server.fhir.operations.parameters import OperationParameters
from server.fhir.search.request import SearchResult
from server.fhir.stored import Stored
from server.kernel.context import Context


class Level(StrEnum):
    """Where an operation is called: at the base, on a type, on a resource, on a version of one."""

    SYSTEM = "system"
    TYPE = "type"
    INSTANCE = "instance"
    VERSION = "version"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of an operation."""

    level: Level
    parameters: OperationParameters
    """From the query and from a Parameters resource in the body; without `_format`, `_pretty` and their like."""
    base: str
    """The absolute URL of the service."""
    type: str | None = None
    id: str | None = None
    version: str | None = None
    body: Resource | None = None
    """A posted resource that is no Parameters, as `$validate` takes one."""
    strict: bool = False
    """`Prefer: handling=strict`."""
    lenient: bool = False
    """`Prefer: handling=lenient`, said by the client."""
    media_type: str = ""
    """Of the body, where there was one: `application/fhir+json` or `application/fhir+xml`."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The work was begun and goes on in the background; its status is told at the URL."""

    url: str


OperationAnswer: TypeAlias = Resource | Stored | SearchResult | Accepted
OperationHandler: TypeAlias = Callable[[Context, Invocation], Awaitable[OperationAnswer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row: what an operation is called, where, on which types, and who answers."""

    name: str
    """With its dollar sign: `$validate`."""
    levels: frozenset[Level]
    types: frozenset[str] | None
    """Resource types it is called on; `None` for all."""
    affects_state: bool
    """Whether it may change something: then it is only called by POST."""
    definition: str
    """Canonical URL of its OperationDefinition."""
    handler: OperationHandler
    interaction: str = "read"
    """Under which the access decision is asked."""

    def is_on(self, resource_type: str) -> bool:
        return self.types is None or resource_type in self.types


class Catalogue:
    """All operations there are; a row may not claim the name, level and type of another."""

    def __init__(self, rows: Iterable[Operation]) -> None:
        self.rows = tuple(rows)
        self._found: dict[tuple[str, Level, str | None], Operation] = {}
        for row in self.rows:
            for level in row.levels:
                self._add(row, level)

    def find(self, name: str, level: Level, resource_type: str | None = None) -> Operation | None:
        return self._found.get((name, level, resource_type))

    def levels(self, name: str) -> frozenset[Level]:
        """All levels an operation of this name is called at; none where it is unknown."""
        return frozenset(level for row in self.rows if row.name == name for level in row.levels)

    def _add(self, row: Operation, level: Level) -> None:
        types = definitions().resource_types if row.types is None else sorted(row.types)
        for resource_type in (None,) if level is Level.SYSTEM else types:
            if (row.name, level, resource_type) in self._found:
                raise ValueError(f"two operations are called {row.name} at level {level} of {resource_type}")
            self._found[row.name, level, resource_type] = row
