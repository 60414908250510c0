"""What verification finds, in plain words and with its place."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class FindingKind(StrEnum):
    CHANGED = "changed"
    MISSING = "missing"
    MOVED = "moved"
    UNLINKED = "unlinked"
    """Not linked by the key: written, or written anew, without it."""
    CUT = "cut"
    """The end of a chain, or of the checkpoints, is gone."""
    ABSENT = "absent"
    """A content was taken away, and no entry says why."""
    UNSIGNED = "unsigned"
    """A checkpoint that does not fit, or entries that no checkpoint covers though it is time."""
    WITNESS = "witness"
    """The witness tells otherwise."""
    CRASH = "crash"
    SILENCE = "silence"
    UNCOPIED = "uncopied"

    @property
    def is_note(self) -> bool:
        """Worth knowing, and no sign of tampering by itself."""
        return self in (FindingKind.CRASH, FindingKind.SILENCE, FindingKind.UNCOPIED)


class Finding(NamedTuple):
    kind: FindingKind
    chain: str
    first: int
    last: int
    """Numbers of entries (of checkpoints, where the chain is that of checkpoints), both included."""
    text: str

    @property
    def place(self) -> str:
        if self.first == self.last:
            return f"{self.chain}-{self.first}"
        return f"{self.chain}-{self.first} to {self.chain}-{self.last}"

    def __str__(self) -> str:
        return f"{self.kind}: {self.place}: {self.text}"


class Findings:
    """Collects findings; one that goes on from entry to entry becomes one finding."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._ends: dict[tuple[FindingKind, str, int, str], int] = {}

    def add(self, kind: FindingKind, chain: str, first: int, text: str, last: int | None = None) -> None:
        last = first if last is None else last
        at = self._ends.pop((kind, chain, first, text), None)
        if at is None:
            at = len(self._found)
            self._found.append(Finding(kind, chain, first, last, text))
        else:
            self._found[at] = self._found[at]._replace(last=last)
        self._ends[kind, chain, last + 1, text] = at

    def all(self) -> tuple[Finding, ...]:
        """What matters first."""
        return tuple(sorted(self._found, key=lambda each: each.kind.is_note))


class Report(NamedTuple):
    entries: int
    events: int
    dropped: int
    """Contents that were dropped, with reason."""
    checkpoints: int
    unsigned: int
    """Entries after the newest checkpoint."""
    witnessed: int
    """Copies of checkpoints at the witness; -1 without one."""
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        return all(each.kind.is_note for each in self.findings)
