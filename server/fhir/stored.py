"""How a version of a resource lies in the records: a line of facts, then the JSON exactly as it is served.

The line is `version micros`, both decimal, then `POST` where a create made the version, `L4` where it has a label of
confidentiality, and the patients it is about. So a read sends ETag, Last-Modified and body without parsing JSON, most
rights are judged without asking the index, and the audit trail knows whose it is. A deletion is a version with an empty
body.

Collections: `fhir-<Type>` holds the current version of each resource that is not deleted, under its logical id, with
the keys of its search parameters; `fhir-history` holds every version, also the current one and deletions, under
`Type/id/version`; `fhir-deleted` holds the deletion of what is deleted now, under `Type/id`, so that a version number
is never given twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from server.access.facets import LEVEL, PATIENT, SHARED
from storage.ports import Record
from storage.query import Key, Predicate, settled

MOST_PATIENTS = 32
"""So many of a resource's patients its line names at most."""
_TOLD = frozenset({PATIENT, SHARED, LEVEL})
_ONE: frozenset[Key] = frozenset((1,))

HISTORY = "fhir-history"
DELETED = "fhir-deleted"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def collection(resource_type: str) -> str:
    """The collection of current versions of a type."""
    return f"fhir-{resource_type}"


class Stored(NamedTuple):
    """One version of a resource. A tuple: pages make dozens, and a frozen dataclass costs four times as much."""

    type: str
    id: str
    version: int
    last_updated: int
    """Microseconds since 1970 UTC; whole milliseconds, as `meta.lastUpdated` says it."""
    body: bytes
    """JSON as it is served; empty for a deletion."""
    is_created: bool = False
    """Made by a create, where the server chose the id."""
    patients: tuple[str, ...] = ()
    """`Patient/3`: in whose compartments it is; of very many the first."""
    level: int | None = None
    """Of confidentiality, as `server.access.labels` counts them."""

    @property
    def method(self) -> str:
        """What history says of it: POST for a create, PUT, or DELETE."""
        if not self.body:
            return "DELETE"
        return "POST" if self.is_created else "PUT"

    @property
    def is_deleted(self) -> bool:
        return not self.body

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def versioned(self) -> str:
        return f"{self.type}/{self.id}/_history/{self.version}"

    def record_body(self) -> bytes:
        told = " ".join((f"{self.version} {self.last_updated}", *self._others()))
        return told.encode() + b"\n" + self.body

    def _others(self) -> tuple[str, ...]:
        level = () if self.level is None else (f"L{self.level}",)
        return ("POST", *level, *self.patients) if self.is_created else (*level, *self.patients)

    def is_among(self, predicate: Predicate) -> bool | None:
        """Whether a predicate of access holds of it; `None` where the line does not tell, but the index would."""
        return _told(predicate, self.patients, self.level)

    @property
    def last_updated_text(self) -> str:
        """As an instant: `2026-11-22T09:00:00.123Z`."""
        return instant_text(self.last_updated)


@lru_cache(maxsize=8192)
def _told(predicate: Predicate, patients: tuple[str, ...], level: int | None) -> bool | None:
    """Kept, because whoever reads a patient's resources asks the same of each of them."""
    if len(patients) >= MOST_PATIENTS:
        return None
    keys: dict[str, frozenset[Key]] = {PATIENT: frozenset(patients)}
    if len(patients) > 1:
        keys[SHARED] = _ONE
    if level is not None:
        keys[LEVEL] = frozenset((level,))
    return settled(predicate, keys, _TOLD)


def from_record(resource_type: str, record: Record) -> Stored:
    """A current version out of its record."""
    return _parsed(resource_type, record.id, record.body)


def from_records(resource_type: str, records: Iterable[Record]) -> list[Stored]:
    """Current versions out of their records: a page of a search."""
    return [_parsed(resource_type, record_id, body) for record_id, _, body in records]


def from_history(record: Record) -> Stored:
    """A version out of `HISTORY`, or a deletion out of `DELETED`."""
    resource_type, resource_id = record.id.split("/")[:2]
    return _parsed(resource_type, resource_id, record.body)


def _parsed(resource_type: str, resource_id: str, body: bytes) -> Stored:
    facts, _, resource = body.partition(b"\n")
    version, micros, *others = facts.decode().split(" ")
    if not others:
        return Stored(resource_type, resource_id, int(version), int(micros), resource)
    is_created = others[0] == "POST"
    if is_created:
        del others[0]
    level = int(others.pop(0)[1:]) if others and others[0][0] == "L" else None
    return Stored(resource_type, resource_id, int(version), int(micros), resource, is_created, tuple(others), level)


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware moment, cut to whole milliseconds."""
    return (moment - _EPOCH) // timedelta(milliseconds=1) * 1000


def instant_text(micros: int) -> str:
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
