"""Requests read: each pair of a query becomes a clause, a control, or a remark that it was left out (FHIR R4 3.1.1).

What is unknown is left out with a warning, or refused where the client asked for strict handling; what is known and
wrong is always refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from server.fhir.index.parameters import Parameter
from server.fhir.index.registry import Registry
from server.fhir.search.clauses import Clause, Include, Search, Sort
from server.fhir.search.conditions import Conditions, alternatives
from server.fhir.search.controls import INCLUDES, PASSED_ON, Unknown, count_of, include_of, wants_total
from server.fhir.search.request import Limits, Pairs, SearchRequest, ignored, invalid, shown, too_costly
from server.fhir.search.sorting import is_sortable
from server.kernel.problem import Issue, Kind, Problem

_EVERY_TYPE_HAS = ("_id", "_lastUpdated")
_MOST_SORTS = 8


@dataclass(frozen=True, slots=True)
class Understood:
    """What came of a request."""

    search: Search
    used: Pairs
    warnings: tuple[Issue, ...]


@dataclass(slots=True)
class Reader:
    """Reads one request."""

    registry: Registry
    limits: Limits
    request: SearchRequest
    types: tuple[str, ...]
    """The types searched, each of which has to know a parameter."""
    conditions: Conditions
    clauses: dict[str, list[Clause]] = field(default_factory=dict)
    includes: list[Include] = field(default_factory=list)
    sort: list[Sort] = field(default_factory=list)
    count: int | None = None
    only_count: bool = False
    wants_total: bool | None = None
    used: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[Issue] = field(default_factory=list)
    values: int = 0

    def read(self) -> Understood:
        self.clauses = {each: [] for each in self.types}
        for name, value in self.request.pairs:
            _check_text(name + value)
            if value.strip(","):
                kept = self._pair(name, value)
                if kept:
                    self.used.append((name, kept))
        if self.includes and ("_summary", "text") in self.used:
            raise invalid("Includes and _summary=text exclude each other.", "_summary")
        search = Search(
            {each: tuple(listed) for each, listed in self.clauses.items()},
            tuple(self.includes),
            tuple(self.sort),
            min(self.limits.count, self.limits.max_count) if self.count is None else self.count,
            self.only_count or self.count == 0,
            self.wants_total,
        )
        return Understood(search, tuple(self.used), tuple(self.warnings))

    def _pair(self, name: str, value: str) -> str | None:
        """The value as it is used; `None` where the pair is left out."""
        try:
            kept = self._control(name, value) if name[:1] == "_" else None
            if kept is not None:
                return kept
            self._condition(name, value)
            return value
        except Unknown as unknown:
            self._left_out(name, str(unknown))
            return None

    def _left_out(self, name: str, text: str) -> None:
        """Nothing of this is used, and the answer says so."""
        if self.request.strict:
            raise Problem(Kind.INVALID, text, (Issue(text, f"http.{shown(name)}", "not-supported"),))
        self.warnings.append(ignored(name, text + " It was ignored."))

    def _control(self, name: str, value: str) -> str | None:
        """The value of a control as it is used; `None` where the name is none's."""
        match name:
            case "_count":
                return self._counted(value)
            case "_sort":
                return self._sorted(value)
            case "_total":
                self.wants_total = wants_total(value)
            case "_summary":
                self.only_count = value == "count"
            case "_type" if self.request.type is None:
                pass
            case "_contained" if value != "false":
                raise Unknown("Contained resources are not searched.")
            case "_query":
                raise _no_query()
            case _ if name in INCLUDES:
                self.includes.append(include_of(self.registry, name, value))
            case _ if name not in PASSED_ON and name != "_contained":
                return None
        return value

    def _counted(self, value: str) -> str:
        wanted = count_of(value)
        self.count = min(wanted, self.limits.max_count)
        if self.count < wanted:
            text = f"A page holds no more than {self.limits.max_count} resources."
            self.warnings.append(Issue(text, "http._count", "informational"))
        return str(self.count)

    def _sorted(self, value: str) -> str:
        kept = []
        for each in value.split(","):
            code = each.removeprefix("-")
            parameter = self._sortable(code)
            if parameter is None or len(self.sort) == _MOST_SORTS:
                unsortable = f"Results cannot be sorted by {shown(code)}."
                if "," not in value:
                    raise Unknown(unsortable)
                self._left_out("_sort", unsortable)
            else:
                self.sort.append(Sort(parameter, each.startswith("-")))
                kept.append(each)
        return ",".join(kept)  # empty where none was left: then it is not shown

    def _sortable(self, code: str) -> Parameter | None:
        if not self.types or (self.request.type is None and code not in _EVERY_TYPE_HAS):
            return None
        parameter = self.registry.find(self.types[0], code)
        return parameter if parameter is not None and is_sortable(parameter) else None

    def _condition(self, name: str, value: str) -> None:
        """One clause more for every type; a parameter that only some of the types know is refused."""
        found = {each: clause for each in self.types if (clause := self._clause(each, name, value)) is not None}
        if not found and self.types:
            where = f" in a search for {self.types[0]}" if len(self.types) == 1 else ""
            raise Unknown(f"The parameter {shown(name)} is not known{where}.")
        for each in self.types:
            if each not in found:
                raise invalid(f"The parameter {shown(name)} is not one of all types that are searched.", name)
            self.clauses[each].append(found[each])

    def _clause(self, resource_type: str, name: str, value: str) -> Clause | None:
        listed = alternatives(name, value)
        self.values += len(listed)
        if self.values > self.limits.values * len(self.types):
            raise too_costly("The search has too many conditions.")
        return self.conditions.clause(resource_type, name, listed)


def _no_query() -> Problem:
    text = "There is no named query of that name."
    return Problem(Kind.INVALID, text, (Issue(text, "http._query", "not-supported"),))


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid("The request holds characters that are no Unicode.") from None
