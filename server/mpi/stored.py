"""What the master index keeps: persons by number, whose number each Patient has, and every act with what it changed.

A person that another one replaced stays as it was, members and all, and only points to the survivor; so undoing a merge
moves nobody. The survivor names all numbers below it, so that one more read gives all members.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from storage.ports import Index, Put
from storage.query import Key

PERSONS = "mpi-person"
"""By master number."""
MEMBERS = "mpi-member"
"""By `Patient/3`: the number it was given; of merged persons the one that was replaced."""
ACTS = "mpi-act"
PROPOSALS = "mpi-proposal"
BLOCKS = "mpi-block"
"""By `Patient/3`: what similar patients are found by."""
DUE = "mpi-due"
"""By `Patient/3`: members that were written by others, to be looked at again."""

STATE = "mpi-state"
INSTITUTIONS = "mpi-institution"
"""By code."""
EXAMINATIONS = "mpi-index"
"""By regional index."""
EXAMINATION_NUMBERS = "mpi-examination"
"""By institution and number: its index, so that each is given once."""
CONFLICTS = "mpi-conflict"

STATED, ALIKE = "stated", "same number"
"""How a Patient came to a person: with its number, or known by another number of both; else it was `enrolled`."""

INDEXES = (
    Index(BLOCKS, ("block",)),
    Index(ACTS, ("patient", "at")),
    Index(PROPOSALS, ("status", "at")),
    Index(PROPOSALS, ("patient",)),
    Index(INSTITUTIONS, ("mark",)),
    Index(EXAMINATIONS, ("number",)),
    Index(EXAMINATIONS, ("citizen",)),
    Index(EXAMINATIONS, ("patient",)),
)

T = TypeVar("T", bound=msgspec.Struct)


class Member(msgspec.Struct, frozen=True):
    """A Patient of a person, and how it came to be one."""

    patient: str
    how: str
    by: str
    at: int


class Person(msgspec.Struct, frozen=True):
    members: tuple[Member, ...]
    replaced_by: str = ""
    absorbed: tuple[str, ...] = ()
    """Every number this one stands for besides its own, also at second hand."""


class Kept(msgspec.Struct, frozen=True):
    """The parts of a Patient that the master index writes."""

    identifiers: tuple[dict[str, object], ...] = ()
    links: tuple[dict[str, object], ...] = ()
    active: bool | None = None


class Act(msgspec.Struct, frozen=True, omit_defaults=True):
    """One act upon persons, as history tells it and undoing reads it."""

    kind: str
    """`join`, `link`, `merge`, `unlink`, `undo`."""
    by: str
    at: int
    why: str
    survivor: str
    """Number that others came to, or were taken from."""
    other: str
    """Number that was replaced, or is its own again."""
    patient: str = ""
    """The one Patient that was moved, where it was not a whole person."""
    place: str = ""
    """Of an `unlink`: the number that was parted from; it may have been replaced itself."""
    before: dict[str, Kept] = msgspec.field(default_factory=dict)
    after: dict[str, Kept] = msgspec.field(default_factory=dict)
    undoes: str = ""
    undone_by: str = ""


class Proposal(msgspec.Struct, frozen=True):
    """Two Patients that may be one person: for somebody to confirm or reject."""

    patients: tuple[str, str]
    score: float
    grade: str
    reasons: tuple[str, ...]
    """What speaks for it and what against, without anything of the persons themselves."""
    at: int
    status: str = "open"
    """`open`, `confirmed`, `rejected`."""
    by: str = ""
    decided: int = 0
    why: str = ""


def put(collection: str, id: str, value: msgspec.Struct, expected: int | None, **keys: Iterable[Key]) -> Put:
    found = {name: frozenset(values) for name, values in keys.items()}
    return Put(collection, id, msgspec.json.encode(value), found, expected)


def decode(body: bytes, kind: type[T]) -> T:
    return msgspec.json.decode(body, type=kind)
