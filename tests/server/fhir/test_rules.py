"""Several rules of writing put together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from server.fhir.rules import RuleSet
from server.fhir.versions import ABSENT
from server.fhir.writing import Change, Ruling
from server.kernel.problem import Kind, Problem
from storage.ports import Put


@dataclass
class Noting:
    types: frozenset[str]
    refused: str = ""
    shown: list[str] = field(default_factory=list)

    async def check(self, changes: Sequence[Change]) -> list[Ruling]:
        self.shown += [each.id for each in changes]
        return [
            Problem(Kind.CONFLICT, "no") if each.id == self.refused else (Put("noted", each.id, b"-"),)
            for each in changes
        ]


def test_each_is_shown_its_types_and_what_they_demand_is_put_together() -> None:
    strict, second = Noting(frozenset(("A", "B")), refused="b1"), Noting(frozenset(("B", "C")))
    rules = RuleSet((strict, second))
    assert rules.types == {"A", "B", "C"}
    changes = [Change(each[0].upper(), each, {}, ABSENT) for each in ("a1", "b1", "b2", "c1")]
    rulings = asyncio.run(rules.check(changes))
    assert (strict.shown, second.shown) == (["a1", "b1", "b2"], ["b2", "c1"])
    assert [len(each) if isinstance(each, tuple) else each.kind for each in rulings] == [1, Kind.CONFLICT, 2, 1]
