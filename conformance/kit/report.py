"""What a run found: one outcome per check, each check named by its clause of the standard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from conformance.kit.session import Session
from conformance.kit.verdict import Verdict

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Check(Generic[S]):
    """One question put to a server; `clause` is of PS3.18, or of FHIR R4, unless it names another document."""

    name: str
    clause: str
    ask: Callable[[S], None]
    id: str = ""
    """Where checks are numbered: the row this one stands for."""


Checks: TypeAlias = tuple[Check[Session], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    check: Check[Any]
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
        names = [f"{each.check.id} {each.check.name}".strip() for each in self.outcomes]
        width = max(map(len, names), default=0)
        rows = [
            f"{each.verdict:8} {name:{width}}  {each.check.clause}{': ' if each.text else ''}{each.text}"
            for each, name in zip(self.outcomes, names, strict=True)
        ]
        counts = ", ".join(f"{self.count(verdict)} {verdict}" for verdict in Verdict)
        return [*rows, f"{self.base_url}: {counts}"]
