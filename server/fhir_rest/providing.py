"""What FHIR asks of a repository of documents: to take those that are provided as resources (MHD ITI-65, ITI-105)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import Entry
from server.fhir.json_form import Resource
from server.fhir.stored import Stored
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem


class Provide(Protocol):
    def is_for(self, bundle: Resource) -> bool:
        """Whether a transaction is one that provides documents."""
        ...

    async def provide(self, context: Context, bundle: Resource, entries: Sequence[Entry]) -> list[EntryAnswer]:
        """An answer for each entry; a `Problem` where the bundle is refused, and then nothing of it is kept."""
        ...

    def is_published(self, resource: Resource) -> bool:
        """Whether a DocumentReference carries its document and is to be provided."""
        ...

    async def publish(self, context: Context, resource: Resource) -> Stored:
        """The DocumentReference as it then stands."""
        ...


class NoProvide:
    """Where there is no repository."""

    def is_for(self, bundle: Resource) -> bool:
        return False

    async def provide(self, context: Context, bundle: Resource, entries: Sequence[Entry]) -> list[EntryAnswer]:
        raise _unsupported()

    def is_published(self, resource: Resource) -> bool:
        return False

    async def publish(self, context: Context, resource: Resource) -> Stored:
        raise _unsupported()


def _unsupported() -> Problem:
    return Problem(Kind.UNSUPPORTED, "No documents are taken here.")
