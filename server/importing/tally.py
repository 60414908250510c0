"""What an import comes to: how many files, of what kind of end, and why some were refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import IO

_SAMPLES = 5


@dataclass(slots=True)
class Refusals:
    """How often one reason came up, and the first few places."""

    count: int = 0
    samples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """What became of everything found so far."""

    stored: int = 0
    there: int = 0
    """The same bytes were in the archive already."""
    skipped: int = 0
    """Done by an earlier, interrupted run of the same import."""
    octets: int = 0
    resources: int = 0
    """FHIR resources stored; a file may hold many."""
    refused: dict[str, Refusals] = field(default_factory=dict)
    within: int = 0
    """Refusals that are no file of their own: lines and entries beside others."""
    is_interrupted: bool = False
    cannot_store: str = ""
    """Why the import ended early, where the store itself failed."""

    @property
    def refusals(self) -> int:
        return sum(each.count for each in self.refused.values())

    @property
    def done(self) -> int:
        """Files dealt with."""
        return self.stored + self.there + self.skipped + self.refusals - self.within

    def refuse(self, label: str, reason: str) -> None:
        each = self.refused.setdefault(reason, Refusals())
        each.count += 1
        if len(each.samples) < _SAMPLES:
            each.samples.append(label)


def write_line(report: IO[str] | None, label: str, outcome: str, **more: object) -> None:
    """One line of the report, where one is written."""
    if report is not None:
        line = {"path": label, "outcome": outcome, **{name: each for name, each in more.items() if each}}
        report.write(json.dumps(line, ensure_ascii=False) + "\n")
