"""Which resource each entry of a transaction is about: searched, matched, or given a new id (R4 3.1.0.11.2).

Deletes come first, so what they remove matches no criteria of the others. Two creates under the same criteria make one
resource; any other resource named twice, by id or by criteria, fails the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.fhir.bundle.entries import Entry, located
from server.fhir.conditional import Criteria, Matched, parse_criteria
from server.fhir.identity import check_id, new_id
from server.fhir.references import Named
from server.fhir.repository import Repository, check_own_id, check_type
from server.fhir.resolving import together
from server.fhir.stored import Stored
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Put

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Identified:
    """An entry and its resource."""

    entry: Entry
    id: str
    matched: Stored | None = None
    """What a conditional create found, so that it writes nothing."""
    is_created: bool = False
    """The server chose the id."""
    is_repeated: bool = False
    """A conditional create whose resource another entry of the bundle makes."""

    @property
    def named(self) -> Named:
        return self.entry.type, self.id

    @property
    def reference(self) -> str:
        return f"{self.entry.type}/{self.id}"

    @property
    def writes(self) -> bool:
        return self.matched is None and not self.is_repeated


@dataclass(frozen=True, slots=True)
class Identities:
    entries: tuple[Identified, ...]
    """Of the entries that write; a delete that finds nothing is left out."""
    guards: tuple[Put, ...]


async def identify(context: Context, repository: Repository, entries: Sequence[Entry], micros: int) -> Identities:
    """`entries`: those that write."""
    asked = {each.number: criteria for each in entries if (criteria := _criteria(each))}
    deletes = sum(each.method == "DELETE" for each in entries)
    answers = await _search(context, repository, set(asked.values()), 2 + deletes)
    matched = {number: answers[criteria] for number, criteria in asked.items()}
    found = await repository.offload.cpu(_identified, entries, _Identifying(matched, asked, micros))
    return Identities(found, tuple({each.guard.id: each.guard for each in answers.values()}.values()))


def _identified(entries: Sequence[Entry], identifying: _Identifying) -> tuple[Identified, ...]:
    for each in sorted(entries, key=lambda entry: entry.method != "DELETE"):
        try:
            identifying.add(each)
        except Problem as problem:
            raise located(problem, each) from None
    by_number = tuple(sorted(identifying.found, key=lambda found: found.entry.number))
    _check_once(by_number)
    return by_number


def _criteria(entry: Entry) -> Criteria | None:
    query = entry.if_none_exist if entry.method == "POST" else entry.query
    if query is None:
        return None
    try:
        return parse_criteria(entry.type, query)
    except Problem as problem:
        raise located(problem, entry) from None


async def _search(
    context: Context, repository: Repository, criteria: set[Criteria], at_most: int
) -> dict[Criteria, Matched]:
    found: dict[Criteria, Matched] = {}
    waiting = list(criteria)
    for start in range(0, len(waiting), _AT_ONCE):
        some = waiting[start : start + _AT_ONCE]
        outcomes = await together([repository.match(context, each, at_most) for each in some])
        found |= dict(zip(some, outcomes, strict=True))
    return found


class _Identifying:
    """Entry by entry, deletes first."""

    def __init__(self, matched: dict[int, Matched], asked: dict[int, Criteria], micros: int) -> None:
        self._matched = matched
        self._asked = asked
        self._micros = micros
        self._gone: set[Named] = set()
        self._made: dict[Criteria, Identified] = {}
        self.found: list[Identified] = []

    def add(self, entry: Entry) -> None:
        if entry.resource is not None and entry.method != "PATCH":
            check_type(entry.type, entry.resource)
        match entry.method:
            case "DELETE":
                self._delete(entry)
            case "POST":
                self._post(entry)
            case _:
                self.found.append(self._put(entry))

    def _only(self, entry: Entry) -> Stored | None:
        """The one match of the entry's criteria that the transaction does not delete."""
        matched = self._matched[entry.number]
        left = tuple(each for each in matched.found if (each.type, each.id) not in self._gone)
        return Matched(left, matched.guard).only

    def _delete(self, entry: Entry) -> None:
        if entry.id is not None:
            self.found.append(Identified(entry, entry.id))
        elif (only := self._matched[entry.number].only) is not None:
            self.found.append(Identified(entry, only.id))
        else:
            return
        self._gone.add(self.found[-1].named)

    def _post(self, entry: Entry) -> None:
        criteria = self._asked.get(entry.number)
        if criteria is None:
            self.found.append(Identified(entry, new_id(self._micros), is_created=True))
            return
        if criteria in self._made:
            first = self._made[criteria]
            self.found.append(Identified(entry, first.id, first.matched, is_repeated=first.matched is None))
            return
        only = self._only(entry)
        found = Identified(entry, only.id, only) if only else Identified(entry, new_id(self._micros), is_created=True)
        self._made[criteria] = found
        self.found.append(found)

    def _put(self, entry: Entry) -> Identified:
        if entry.id is not None:
            if entry.method == "PUT" and entry.resource is not None:
                check_own_id(entry.resource, entry.id)
            return Identified(entry, entry.id)
        if any(self._asked[entry.number] == each for each in self._made):
            raise _twice()
        only = self._only(entry)
        if entry.method == "PATCH":
            if only is None:
                raise Problem(Kind.NOT_FOUND, f"No {entry.type} matches the criteria.")
            return Identified(entry, only.id)
        sent = (entry.resource or {}).get("id")
        if sent is not None:
            check_id(sent, f"{entry.type}.id")
        if only is None:
            return Identified(entry, sent or new_id(self._micros), is_created=sent is None)
        if sent not in (None, only.id):
            raise Problem(Kind.INVALID, "The resource has another id than the one that matches the criteria.")
        return Identified(entry, only.id)


def _check_once(found: Sequence[Identified]) -> None:
    """A resource may be written once; two conditional updates under the same criteria would be two writes too."""
    written: set[Named] = set()
    updating: set[tuple[str, str]] = set()
    for each in found:
        if not each.writes:
            continue
        if each.named in written:
            raise located(_twice(), each.entry)
        written.add(each.named)
        if each.entry.query is not None:
            criteria = each.entry.type, each.entry.query
            if criteria in updating:
                raise located(_twice(), each.entry)
            updating.add(criteria)


def _twice() -> Problem:
    text = "A transaction may change a resource once only."
    return Problem(Kind.INVALID, text, (Issue(text, None, "invalid"),))
