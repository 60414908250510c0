"""What a request did, as services tell it: turned into audit events before the answer leaves.

Services note facts they have anyway (which resource, whose); they never wait here and know nothing of audit events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Note(NamedTuple):
    """One object of an act."""

    reference: str
    """`Observation/7`, or `urn:oid:<Study Instance UID>` for a study."""
    patients: tuple[str, ...] = ()
    """`Patient/3`: whose it is; an event is written for each."""
    detail: str = ""
    """Short facts of the object without content: `version 3`, `120 instances`."""


class Failure(NamedTuple):
    """One thing of an act that came to nothing, where the answer as a whole is no refusal."""

    code: str
    """Of its dialect: `XDSUnknownRepositoryId`."""
    reference: str = ""
    """What was asked for, as in a note."""
    detail: str = ""


class Trail:
    """Facts of one request, in the order they came; empty for requests that touch no patient data."""

    __slots__ = ("act", "consents", "failures", "hidden", "is_kept", "notes", "numbers", "patients", "query", "reason")

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.patients: dict[str, None] = {}
        """`Patient/3`: whose data an answer of many holds, where each single object would be too much to note."""
        self.numbers: dict[str, str] = {}
        """How the request named a patient (`123^^^&1.2.3&ISO`), by `Patient/3`, or by "" where nobody is known so."""
        self.failures: list[Failure] = []
        """What was asked for and could not be done; it has an event of its own."""
        self.query = ""
        """The raw query where it was sent in a body; else the surface knows it."""
        self.hidden: dict[str, int] = {}
        """How many objects each consent rule left out or redacted, by rule id."""
        self.consents: dict[str, None] = {}
        """`Consent/4`: those that narrowed or refused the act."""
        self.reason = ""
        """The true reason of a refusal; the answer may say less."""
        self.is_kept = False
        """Whether what was written has its events already, in the commit that wrote it."""
        self.act = ""
        """The transaction (`ITI-18`), where one endpoint serves several."""

    @property
    def has_patients(self) -> bool:
        """Whether it was noted whose data was touched."""
        return bool(self.patients) or any(note.patients for note in self.notes)

    def add(self, reference: str, patients: tuple[str, ...] = (), detail: str = "") -> None:
        self.notes.append(Note(reference, patients, detail))

    def ask(self, query: str) -> None:
        self.query = query

    def name(self, act: str) -> None:
        self.act = act

    def touch(self, patients: Iterable[str]) -> None:
        for each in patients:
            self.patients[each] = None

    def number(self, patient: str, number: str) -> None:
        self.numbers[patient] = number

    def fail(self, code: str, reference: str = "", detail: str = "") -> None:
        self.failures.append(Failure(code, reference, detail))

    def keep(self) -> None:
        self.is_kept = True

    def hide(self, rule: str, count: int = 1) -> None:
        self.hidden[rule] = self.hidden.get(rule, 0) + count

    def rely(self, consent: str) -> None:
        self.consents[consent] = None

    def refuse(self, reason: str) -> None:
        self.reason = reason


class _Silent(Trail):
    """Of the server's own work, whose contexts live as long as the server."""

    __slots__ = ()

    def add(self, reference: str, patients: tuple[str, ...] = (), detail: str = "") -> None:
        """Kept nowhere."""

    def ask(self, query: str) -> None:
        """Kept nowhere."""

    def name(self, act: str) -> None:
        """Kept nowhere."""

    def touch(self, patients: Iterable[str]) -> None:
        """Kept nowhere."""

    def number(self, patient: str, number: str) -> None:
        """Kept nowhere."""

    def fail(self, code: str, reference: str = "", detail: str = "") -> None:
        """Kept nowhere."""

    def keep(self) -> None:
        """Kept nowhere."""

    def hide(self, rule: str, count: int = 1) -> None:
        """Kept nowhere."""

    def rely(self, consent: str) -> None:
        """Kept nowhere."""

    def refuse(self, reason: str) -> None:
        """Kept nowhere."""


SILENT: Trail = _Silent()
