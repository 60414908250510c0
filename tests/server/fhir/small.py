"""A repository over real records with a small index, a small search and a small check, enough to try its own rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from server.access.decision import AccessPoint
from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import Entry
from server.fhir.history import History
from server.fhir.json_form import Resource, decode, encode
from server.fhir.repository import Repository
from server.fhir.search.cursor import Cursors
from server.fhir.stored import Stored, collection, from_record
from server.fhir.writing import Writing
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Records
from storage.query import All, Between, Equals, Key, Predicate

CONTEXT = Context(LOCAL_ACTOR, "test")


@dataclass
class TickingClock:
    """Moves on by a tenth of a second each time it is asked."""

    moment: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=100)
        return self.moment


class SmallIndexer:
    """`_id`, `_lastUpdated`, `identifier`, `family`, `subject`."""

    def keys(self, resource: Resource, last_updated_micros: int) -> dict[str, frozenset[Key]]:
        given: dict[str, set[Key]] = {"_id": {resource.get("id", "")}, "_lastUpdated": {last_updated_micros}}
        for each in resource.get("identifier", []):
            given.setdefault("identifier", set()).add(f"{each['value']}|{each.get('system', '')}")
        for each in resource.get("name", []) if resource["resourceType"] == "Patient" else []:
            given.setdefault("family", set()).add(each.get("family", "").casefold())
        if "subject" in resource:
            given["subject"] = {resource["subject"]["reference"]}
        for each in resource.get("link", []):
            given.setdefault("link", set()).add(each["other"]["reference"])
        return {name: frozenset(values) for name, values in given.items()}


class SmallSearcher:
    def __init__(self, records: Records) -> None:
        self.records = records
        self.searches = 0

    async def matching(
        self, context: Context, resource_type: str, pairs: Sequence[tuple[str, str]], at_most: int
    ) -> list[Stored]:
        self.searches += 1
        predicate = await self.predicate(context, resource_type, pairs)
        page = await self.records.find(collection(resource_type), predicate, limit=at_most)
        return [from_record(resource_type, record) for record in page.records]

    async def predicate(self, context: Context, resource_type: str, pairs: Sequence[tuple[str, str]]) -> Predicate:
        return All(tuple(_term(name, value) for name, value in pairs))


def _term(name: str, value: str) -> Predicate:
    match name:
        case "identifier" if "|" in value:
            system, _, code = value.partition("|")
            return Equals("identifier", f"{code}|{system}")
        case "identifier":
            return Between("identifier", f"{value}|", f"{value}|\U0010ffff")
        case "family":
            return Between("family", value.casefold(), value.casefold() + "\U0010ffff")
        case "_id" | "subject":
            return Equals(name, value)
        case _:
            raise Problem(Kind.INVALID, "The parameter is not known.")


class SmallValidation:
    """Knows that a gender is one of four."""

    async def check_all(self, resources: Sequence[Resource]) -> list[Problem | None]:
        return [_checked(each) for each in resources]


def _checked(resource: Resource) -> Problem | None:
    if resource.get("gender") in (None, "male", "female", "other", "unknown"):
        return None
    text = "The code is not in the value set."
    return Problem(Kind.UNSUPPORTED, text, (Issue(text, f"{resource['resourceType']}.gender", "code-invalid"),))


@dataclass
class Small:
    """A repository and what is around it."""

    records: Records
    offload: Offload
    enforces_references: bool = False
    most_deleted: int = 0
    clock: TickingClock = field(default_factory=TickingClock)
    access: AccessPoint = field(default_factory=AccessPoint)

    def __post_init__(self) -> None:
        self.searcher = SmallSearcher(self.records)
        writing = Writing(self.offload, SmallValidation(), SmallIndexer(), keeps_references=self.enforces_references)
        self.repository = Repository(
            self.records,
            self.access,
            self.clock,
            self.offload,
            writing,
            self.searcher,
            enforces_references=self.enforces_references,
            most_deleted=self.most_deleted,
        )
        self.history = History(self.records, self.repository.reading, Cursors(bytes(32)))


def patient(family: str = "Wang", **more: Any) -> Resource:
    return {"resourceType": "Patient", "name": [{"family": family}]} | more


def content(stored: Stored) -> Resource:
    return decode(stored.body)


async def no_reads(context: Context, entry: Entry) -> EntryAnswer:
    raise AssertionError(f"nothing reads here: {entry.url}")


def copied(resource: Resource) -> Resource:
    return decode(encode(resource))
