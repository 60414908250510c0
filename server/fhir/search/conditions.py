"""Names of search parameters read as clauses: plain, chained, reversed and mixed (FHIR R4 3.1.1.4.5, 15 and 16)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from server.fhir.index.parameters import Parameter
from server.fhir.index.registry import Registry
from server.fhir.index.splitting import check_escapes, split_or
from server.fhir.search.clauses import Chain, Clause, Filter, Has, Listed
from server.fhir.search.request import Limits, invalid, shown, too_costly
from server.fhir.search.targets import targets
from server.kernel.problem import Issue, Kind, Problem

_HAS = "_has:"


def alternatives(name: str, value: str) -> tuple[str, ...]:
    """What stands between unescaped commas, each once; escapes are still in it."""
    check_escapes(shown(name), value)
    return tuple(dict.fromkeys(split_or(value)))


@dataclass(slots=True)
class Conditions:
    """Reads the conditions of one search."""

    registry: Registry
    limits: Limits
    steps: int = 0
    """Taken so far: a link that may lead to any type multiplies whatever follows it."""

    def clause(self, resource_type: str, name: str, values: tuple[str, ...], depth: int = 0) -> Clause | None:
        """`None` where the first part of the name is no parameter of the type; what follows it has to be known."""
        self.steps += depth > 0
        if self.steps > self.limits.steps:
            raise too_costly("The chains of the search may lead to too many types; name the types.")
        if depth > self.limits.links:
            raise invalid(f"The parameter {shown(name)} chains too many steps.", name)
        if name.startswith(_HAS):
            return self._has(resource_type, name, values, depth)
        head, dot, rest = name.partition(".")
        code, colon, modifier = head.partition(":")
        if head == "_list" and not dot:
            return Listed(tuple(_list_id(each) for each in values))
        parameter = self.registry.find(resource_type, code)
        if parameter is None:
            return None
        if colon and not modifier:
            raise invalid(f"The parameter {shown(name)} has a colon without a modifier.", name)
        if dot:
            chain = self._chain(parameter, modifier or None, rest, values, depth)
            return replace(chain, contained=self._contained(resource_type, f"{code}.{rest}", values))
        return Filter(parameter, modifier or None, values)

    def _chain(self, link: Parameter, target: str | None, rest: str, values: tuple[str, ...], depth: int) -> Chain:
        """Every type the link may lead to and that knows the rest; a type that is named has to know it."""
        if link.type != "reference":
            raise invalid(f"{shown(link.code)} is no reference, so nothing can be chained to it.", link.code)
        possible = targets(link)
        if target is not None:
            if target not in possible:
                raise invalid(f"{shown(link.code)} does not refer to {shown(target)}.", link.code)
            possible = (target,)
        ends = tuple((each, end) for each in possible if (end := self._end(each, rest, values, depth, len(possible))))
        if not ends:
            raise invalid(f"No type that {shown(link.code)} refers to has a parameter {shown(rest)}.", link.code)
        return Chain(link, ends)

    def _contained(self, resource_type: str, name: str, values: tuple[str, ...]) -> Filter | None:
        """A parameter named like the chain has what contained resources would tell."""
        code, _, modifier = name.partition(":")
        parameter = self.registry.find(resource_type, code)
        return Filter(parameter, modifier or None, values) if parameter else None

    def _end(self, target: str, rest: str, values: tuple[str, ...], depth: int, choice: int) -> Clause | None:
        """Of several possible targets those for which the rest makes no sense are passed over."""
        try:
            return self.clause(target, rest, values, depth + 1)
        except Problem as problem:
            if choice == 1 or problem.kind is not Kind.INVALID:
                raise
            return None

    def _has(self, resource_type: str, name: str, values: tuple[str, ...], depth: int) -> Clause:
        source, code, rest = (*name.removeprefix(_HAS).split(":", 2), "", "")[:3]
        link = self.registry.find(source, code)
        if link is None or link.type != "reference" or not rest:
            raise invalid("_has names a type, a reference of it and a parameter: _has:Type:reference:parameter.", name)
        if resource_type not in targets(link):
            raise invalid(f"The parameter {code} of {source} does not refer to {resource_type}.", name)
        end = self.clause(source, rest, values, depth + 1)
        if end is None:
            raise invalid(f"The parameter {shown(rest)} is not known in {source}.", name)
        return Has(source, link, end)


def _list_id(value: str) -> str:
    listed = value.removeprefix("List/")
    if listed.startswith("$"):
        text = "Functional lists such as $current-problems are not kept here."
        raise Problem(Kind.INVALID, text, (Issue(text, "http._list", "not-supported"),))
    return listed
