"""What the repository asks of its neighbours, so that it depends on none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from server.fhir.json_form import Resource
from server.fhir.stored import Stored
from server.kernel.context import Context
from server.kernel.problem import Problem
from storage.query import Key, Predicate

Keys = Mapping[str, frozenset[Key]]


class Validation(Protocol):
    """Says whether a resource may be stored."""

    async def check_all(self, resources: Sequence[Resource]) -> Sequence[Problem | None]:
        """For each resource why it is refused, `None` where it is not."""
        ...


class Indexer(Protocol):
    """Computes the keys that searches see; from any thread."""

    def keys(self, resource: Resource, last_updated_micros: int) -> Keys: ...


class Searcher(Protocol):
    """Finds resources by criteria, strictly: what is not understood is a `Problem` (invalid)."""

    async def matching(
        self, context: Context, resource_type: str, pairs: Sequence[tuple[str, str]], at_most: int
    ) -> list[Stored]: ...

    async def predicate(self, context: Context, resource_type: str, pairs: Sequence[tuple[str, str]]) -> Predicate:
        """The criteria over the keys of a resource, chains already resolved to ids."""
        ...


class Redaction(Protocol):
    """Takes out of what is shown what the reader may not see of what it leads to."""

    async def shown(self, context: Context, page: Sequence[Stored]) -> Sequence[Stored]:
        """The page as this actor may see it; the same where nothing is held back."""
        ...

    async def searched(self, context: Context, resource_type: str, predicate: Predicate) -> Predicate:
        """A search as it holds of what this actor is shown."""
        ...

    async def guard(self, context: Context, current: Stored) -> None:
        """`CONFLICT` where the actor would read this redacted: a change would lose what is not shown."""
        ...

    async def written(self, context: Context, stored: Stored) -> Stored | None:
        """What a write may be answered with; `None` where its content may not be shown."""
        ...


class NoRedaction:
    """All is shown as it is."""

    async def shown(self, context: Context, page: Sequence[Stored]) -> Sequence[Stored]:
        return page

    async def searched(self, context: Context, resource_type: str, predicate: Predicate) -> Predicate:
        return predicate

    async def guard(self, context: Context, current: Stored) -> None:
        """Nothing is hidden, so nothing is lost."""

    async def written(self, context: Context, stored: Stored) -> Stored | None:
        return stored
