"""How a result is sorted (FHIR R4 3.1.1.5.1), and the one search that is answered by a key made for it.

The newest values of one code for one patient is what wards ask all day. Its Observations lie beside each other in the
shaped key, already in the order of time, so a page costs the same whether the patient has ten of them or ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from server.fhir.index import shaped
from server.fhir.index.facets import END, SEPARATOR
from server.fhir.index.parameters import Parameter
from server.fhir.search.clauses import Sort
from storage.query import All, Between, Equals, Order, Predicate

_NEWEST = (Order("date" + END, True),)
_OF_RUN = frozenset({"code", "date", "date" + END})
_LAST = "~"
"""Above every digit that ends a shaped key."""


def is_sortable(parameter: Parameter) -> bool:
    """One key holds its values, so a resource has a least and a greatest."""
    return parameter.type not in ("composite", "special") and len(parameter.sources) == 1


def order_name(parameter: Parameter, descending: bool) -> str:
    """The key a parameter sorts by: of dates the start, and descending the end."""
    name = parameter.sources[0].name
    return name + END if descending and parameter.type == "date" and name != "_lastUpdated" else name


def hastened(resource_type: str, predicate: Predicate) -> Predicate:
    """The same search, by the shaped key where that can answer it."""
    if resource_type not in shaped.TYPES:
        return predicate
    terms = tuple(_conjuncts(predicate))
    run = _run(terms)
    if run is None:
        return predicate
    return All((Between(shaped.NAME, *run), *(each for each in terms if not _is_said_by_run(each))))


def orders_of(sort: Sequence[Sort], predicate: Predicate) -> tuple[Order, ...]:
    """Without any, the order is the store's own."""
    orders = tuple(Order(order_name(each.parameter, each.descending), each.descending) for each in sort)
    match predicate:
        case All((Between(shaped.NAME, str(low), str(high)), *rest)) if orders == _NEWEST:
            return (Order(shaped.NAME, True, (low, high), is_dense=all(_is_mild(each) for each in rest)),)
        case _:
            return orders


def _is_said_by_run(term: Predicate) -> bool:
    """The subject, and a code of any system: the run holds no other."""
    match term:
        case Equals("subject", _):
            return True
        case Between("code", str(code), str(last)):
            return code.isascii() and _is_of_any_system(code, last)
        case _:
            return False


def _is_of_any_system(low: str, high: str) -> bool:
    """Whether a stretch of token keys holds one code and all systems: from `code|` to the character after the bar."""
    return low.endswith("|") and high == low[:-1] + chr(ord("|") + 1)


def _is_mild(term: Predicate) -> bool:
    """Most of one patient's values of one code meet this: they differ in time and hardly in the system of the code."""
    return isinstance(term, Equals | Between) and term.name in _OF_RUN


def _conjuncts(predicate: Predicate) -> Iterator[Predicate]:
    if isinstance(predicate, All):
        for each in predicate.terms:
            yield from _conjuncts(each)
    else:
        yield predicate


def _run(terms: Iterable[Predicate]) -> tuple[str, str] | None:
    """The stretch of shaped keys that all matches have: one subject, one code, and what is said of the time."""
    subjects, codes, low, high = set[str](), set[str](), "", _LAST
    for each in terms:
        match each:
            case Equals("subject", str(subject)):
                subjects.add(subject)
            case Equals("code", str(code)):
                codes.add(code.partition("|")[0].casefold())
            case Between("code", str(code), str(last)) if _is_of_any_system(code, last):
                codes.add(code.partition("|")[0].casefold())
            case Between("date:end", int(earliest), _):
                low = max(low, f"{earliest + shaped.OFFSET:016x}")
            case _:
                pass
    if len(subjects) != 1 or len(codes) != 1:
        return None
    start = f"{subjects.pop()}{SEPARATOR}{codes.pop()}{SEPARATOR}"
    return start + low, start + high
