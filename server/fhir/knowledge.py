"""What the server knows of FHIR itself: R4's definitions, our own, and those that users stored.

What was stored takes effect at once in the process that wrote it, and within a second or so in every other. Only search
parameters wait for `weft reindex`, since resources have to get their keys first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from profiles.findings import Severity
from profiles.packages.load import resources
from profiles.packages.source import Packages
from profiles.terminology.service import Terminology
from profiles.validator.validator import Validator
from server.fhir.conformance import STRUCTURES, TYPES, StoredConformance
from server.fhir.feed import SETTLING, Feed
from server.fhir.index.in_force import SearchParameters
from server.fhir.stored import HISTORY, Stored, collection, from_history, from_record, micros_of
from server.fhir.validation import Structures, Validation
from server.fhir.writing import Act
from server.kernel.clock import Clock
from server.kernel.offload import Offload
from server.kernel.supervision import Worker
from storage.errors import StorageError
from storage.ports import Cursor, Put, Record, Records
from storage.query import EVERYTHING

_POLL_SECONDS = 1.0
_PAGE = 200
_COLLECTIONS = frozenset(map(collection, TYPES))

_log = logging.getLogger("weft.fhir.knowledge")


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Search parameters, structures and terminology, and the validation that goes by them."""

    parameters: SearchParameters
    stored: StoredConformance
    terminology: Terminology
    validation: Validation

    def take(self, versions: Iterable[Stored]) -> None:
        """Go by these versions from now on; what was worked out before is forgotten where it may have changed."""
        changed = {each.type for each in versions if self.stored.take(each)}
        if changed - {STRUCTURES}:
            self.terminology.forget()
        if changed:
            self.validation.forget()

    def committed(self, acts: Sequence[Act]) -> None:
        """Take up what this process has just written."""
        if not _COLLECTIONS.isdisjoint(each.collection for each in acts):
            self.take(_versions(acts))


def knowledge_of(bases: Sequence[str], zone: tzinfo, offload: Offload, declared: Severity) -> Knowledge:
    """R4's and our own; `declared`: what breaking a profile that a resource claims amounts to."""
    custom = [each for each in resources() if each["resourceType"] == "SearchParameter"]
    stored, packages = StoredConformance(), Packages()
    terminology = Terminology((stored, packages))
    validator = Validator(Structures(stored, packages), terminology, unusable=_warn)
    validation = Validation(validator, offload, declared=declared)
    return Knowledge(SearchParameters(custom, bases=bases, zone=zone), stored, terminology, validation)


class KnowledgeFollower:
    """Keeps the knowledge of this process equal to the store."""

    def __init__(self, knowledge: Knowledge, records: Records, clock: Clock, offload: Offload) -> None:
        self._knowledge = knowledge
        self._records = records
        self._offload = offload
        start = micros_of(clock.now()) - SETTLING
        self._feeds = [Feed(records, clock, each, start) for each in TYPES]

    async def load(self) -> None:
        """Everything there is; what is written meanwhile comes by the feeds, which begin before it."""
        await self._knowledge.parameters.refresh(self._records)
        for each in TYPES:
            await self._load(each)

    def workers(self) -> Mapping[str, Worker]:
        return {
            "search parameters": lambda: self._knowledge.parameters.follow(self._records, self._offload),
            "conformance resources": self.follow,
        }

    async def follow(self) -> None:
        """Take up what other processes write, until cancelled."""
        while True:
            try:
                await self.look()
            except StorageError as error:
                _log.warning("conformance resources wait for the store: %s", error)
            await asyncio.sleep(_POLL_SECONDS)

    async def look(self) -> None:
        """Take up what is there by now."""
        for each in self._feeds:
            while versions := await each.next():
                self._knowledge.take(versions)

    async def _load(self, resource_type: str) -> None:
        cursor: Cursor | None = None
        while True:
            page = await self._records.find(collection(resource_type), EVERYTHING, after=cursor, limit=_PAGE)
            self._knowledge.take([from_record(resource_type, each) for each in page.records])
            cursor = page.next
            if cursor is None:
                return


def _versions(acts: Sequence[Act]) -> list[Stored]:
    history = [each for each in acts if isinstance(each, Put) and each.collection == HISTORY]
    versions = [from_history(Record(each.id, 0, each.body)) for each in history if each.id.split("/", 1)[0] in TYPES]
    return versions


def _warn(url: str) -> None:
    _log.warning("a profile cannot be used and is left out: %s", url)
