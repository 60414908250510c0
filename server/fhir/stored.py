"""How a version of a resource lies in the records: a line of facts, then the JSON exactly as it is served.

The line is `version micros`, both decimal: so a read sends ETag, Last-Modified and body without parsing JSON. A
deletion is a version with an empty body.

Collections: `fhir-<Type>` holds the current version of each resource that is not deleted, under its logical id, with
the keys of its search parameters; `fhir-history` holds every version, also the current one and deletions, under
`Type/id/version`; `fhir-deleted` holds the deletion of what is deleted now, under `Type/id`, so that a version number
is never given twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from storage.ports import Record

HISTORY = "fhir-history"
DELETED = "fhir-deleted"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def collection(resource_type: str) -> str:
    """The collection of current versions of a type."""
    return f"fhir-{resource_type}"


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a resource."""

    type: str
    id: str
    version: int
    last_updated: int
    """Microseconds since 1970 UTC; whole milliseconds, as `meta.lastUpdated` says it."""
    body: bytes
    """JSON as it is served; empty for a deletion."""

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
        return b"%d %d\n" % (self.version, self.last_updated) + self.body

    @property
    def last_updated_text(self) -> str:
        """As an instant: `2026-11-22T09:00:00.123Z`."""
        return instant_text(self.last_updated)


def from_record(resource_type: str, record: Record) -> Stored:
    """A current version out of its record."""
    return _parsed(resource_type, record.id, record.body)


def from_history(record: Record) -> Stored:
    """A version out of `HISTORY`, or a deletion out of `DELETED`."""
    resource_type, resource_id = record.id.split("/")[:2]
    return _parsed(resource_type, resource_id, record.body)


def _parsed(resource_type: str, resource_id: str, body: bytes) -> Stored:
    end = body.index(b"\n")
    version, micros = body[:end].split(b" ")
    return Stored(resource_type, resource_id, int(version), int(micros), body[end + 1 :])


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware moment, cut to whole milliseconds."""
    return (moment - _EPOCH) // timedelta(milliseconds=1) * 1000


def instant_text(micros: int) -> str:
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
