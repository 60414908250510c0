"""How a check is declared: a function named as a sentence, under the id of its row and the clause it rests on.

    rest = Section()

    @rest.check("R12", "http.html#read")
    def tells_deleted_from_never_there(fhir: Fhir) -> None: ...

Clauses are pages of http://hl7.org/fhir/R4/ unless they name another document.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from conformance.kit.fhir.session import Fhir
from conformance.kit.report import Check

Ask: TypeAlias = Callable[[Fhir], None]


@dataclass(frozen=True, slots=True)
class Section:
    """The checks of one module in the order they were declared."""

    checks: list[Check[Fhir]] = field(default_factory=list)

    def check(self, id: str, clause: str) -> Callable[[Ask], Ask]:
        def declare(ask: Ask) -> Ask:
            self.checks.append(Check(ask.__name__.replace("_", " "), clause, ask, id))
            return ask

        return declare
