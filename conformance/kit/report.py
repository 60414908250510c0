"""What a run found: one outcome per check, each check named by its clause of DICOM PS3.18."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from conformance.kit.session import Session
from conformance.kit.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Check:
    """One question put to a server; `clause` is of PS3.18 unless it names another document."""

    name: str
    clause: str
    ask: Callable[[Session], None]


Checks: TypeAlias = tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    check: Check
    verdict: Verdict
    text: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    base_url: str
    outcomes: tuple[Outcome, ...]

    def count(self, verdict: Verdict) -> int:
        return sum(outcome.verdict is verdict for outcome in self.outcomes)

    @property
    def is_clean(self) -> bool:
        return self.count(Verdict.FAILED) == 0

    def lines(self) -> list[str]:
        """The report as text, one line per check and a closing one."""
        width = max((len(each.check.name) for each in self.outcomes), default=0)
        rows = [
            f"{each.verdict:8} {each.check.name:{width}}  {each.check.clause}{': ' if each.text else ''}{each.text}"
            for each in self.outcomes
        ]
        counts = ", ".join(f"{self.count(verdict)} {verdict}" for verdict in Verdict)
        return [*rows, f"{self.base_url}: {counts}"]
