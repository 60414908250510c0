"""Several rules of writing as one: each is shown the changes of its types, and what they demand is put together."""

from __future__ import annotations

from collections.abc import Sequence

from server.fhir.writing import Act, Change, Rules, Ruling
from server.kernel.problem import Problem


class RuleSet:
    """The first that refuses a change is heard."""

    def __init__(self, rules: Sequence[Rules]) -> None:
        self._rules = tuple(rules)
        self.types = frozenset[str]().union(*(each.types for each in rules))

    async def check(self, changes: Sequence[Change]) -> list[Ruling]:
        acts: list[tuple[Act, ...]] = [()] * len(changes)
        problems: dict[int, Problem] = {}
        for rules in self._rules:
            places = [n for n, each in enumerate(changes) if each.type in rules.types and n not in problems]
            rulings = await rules.check([changes[n] for n in places]) if places else ()
            for n, ruling in zip(places, rulings, strict=True):
                if isinstance(ruling, Problem):
                    problems[n] = ruling
                else:
                    acts[n] += ruling
        return [problems.get(n, each) for n, each in enumerate(acts)]
