"""What FHIR asks of an index of persons: to follow what is written of patients (IHE PIXm ITI-104)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import parse_qsl

from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import Entry
from server.fhir.committing import Written
from server.fhir.json_form import Resource
from server.fhir.stored import Stored
from server.kernel.context import Context

FEED = "ITI-104"
_PATIENT = "Patient"


class Persons(Protocol):
    async def criteria(self, context: Context, query: str) -> str:
        """By which the one Patient is found that a source means by an identifier that several of a person carry."""
        ...

    async def check_feed(self, context: Context, query: str, resource: Resource) -> None:
        """A `Problem` where a source names patients by identifiers that are not its own to feed."""
        ...

    async def asked(self, context: Context, resource: Resource, criteria: str = "") -> Resource:
        """A Patient as it is to be written; a `Problem` where the persons could not follow. `criteria`: of a source."""
        ...

    async def written(self, context: Context, stored: Stored, *, is_fed: bool) -> Stored:
        """The Patient as it stands when they have followed."""
        ...


class NoPersons:
    """Where there is no index."""

    async def criteria(self, context: Context, query: str) -> str:
        return query

    async def check_feed(self, context: Context, query: str, resource: Resource) -> None:
        """Nobody feeds."""

    async def asked(self, context: Context, resource: Resource, criteria: str = "") -> Resource:
        return resource

    async def written(self, context: Context, stored: Stored, *, is_fed: bool) -> Stored:
        return stored


@dataclass(frozen=True, slots=True)
class Following:
    """Passes over all types but Patient."""

    persons: Persons

    async def criteria(self, context: Context, resource_type: str, query: str) -> str:
        return await self.persons.criteria(context, query) if is_feed(resource_type, query) else query

    async def asked(self, context: Context, resource: Resource, criteria: str = "") -> Resource:
        if resource.get("resourceType") != _PATIENT:
            return resource
        return await self.persons.asked(context, resource, criteria)

    async def written(self, context: Context, written: Written, query: str = "") -> Written:
        """`query`: by which the Patient was found; a source feeds by identifier."""
        if written.stored.type != _PATIENT:
            return written
        stored = await self.persons.written(context, written.stored, is_fed=is_feed(_PATIENT, query))
        return replace(written, stored=stored)

    async def check_feed(self, context: Context, resource_type: str, query: str, resource: Resource) -> None:
        """Whatever else the query asks for besides: what it finds is then as much named by an identifier."""
        if resource_type == _PATIENT and any(name == "identifier" for name, _ in parse_qsl(query)):
            await self.persons.check_feed(context, query, resource)

    async def asked_all(self, context: Context, entries: Sequence[Entry]) -> list[Entry]:
        """The entries of a transaction."""
        for each in entries:
            if each.resource is not None:
                await self.check_feed(context, each.type, each.query or "", each.resource)
        return [
            replace(each, resource=await self.asked(context, each.resource)) if each.resource is not None else each
            for each in entries
        ]

    async def written_all(
        self, context: Context, entries: Sequence[Entry], answers: Sequence[EntryAnswer]
    ) -> list[EntryAnswer]:
        found = []
        for entry, answer in zip(entries, answers, strict=True):
            stored = answer.stored
            if entry.is_write and stored is not None and stored.type == _PATIENT and not stored.is_deleted:
                is_fed = is_feed(entry.type, entry.query or "")
                answer = replace(answer, stored=await self.persons.written(context, stored, is_fed=is_fed))
            found.append(answer)
        return found


def is_feed(resource_type: str, query: str) -> bool:
    return resource_type == _PATIENT and query.startswith("identifier=")
