"""An export while it runs and afterwards: one record, so any process can run it and any can answer for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from server.access.decision import Extent
from server.fhir.export.request import ExportRequest
from server.kernel.context import Actor
from storage.ports import BlobRef, Put, Record
from storage.query import Key

COLLECTION = "fhir-export"


class State(StrEnum):
    ACCEPTED = "accepted"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in (State.COMPLETE, State.FAILED)


@dataclass(frozen=True, slots=True)
class File:
    """One written file: resources of one type, one on each line."""

    kind: str
    """Where the manifest lists it: `output`, `deleted` or `error`."""
    type: str
    blob: BlobRef
    count: int


@dataclass(frozen=True, slots=True)
class Job:
    """One export. Times are microseconds since 1970 UTC."""

    id: str
    actor: Actor
    """Who asked, with the rights of that moment: nobody else may see the job or its files."""
    request: ExportRequest
    url: str
    """The request as it was sent, for the manifest."""
    time: int
    """Transaction time: everything stored up to it is in, nothing later."""
    expires: int
    """When its files are removed."""
    state: State = State.ACCEPTED
    done: tuple[str, ...] = ()
    """Types whose files are written."""
    files: tuple[File, ...] = ()
    failure: str = ""
    purpose: str = "TREAT"
    extent: Extent = Extent()
    """How far consents let the actor see when it began."""
    lease: int = 0
    """Until when the process that runs it need not show life."""

    def put(self, expected: int) -> Put:
        keys: dict[str, frozenset[Key]] = {
            "state": frozenset({self.state.value}),
            "expires": frozenset({self.expires}),
            "lease": frozenset({self.lease}),
        }
        return Put(COLLECTION, self.id, msgspec.json.encode(self), keys, expected)


def from_record(record: Record) -> Job:
    return msgspec.json.decode(record.body, type=Job)
