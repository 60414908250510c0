"""Predicates as rights make them: long, the same objects again and again, and mostly about what is not to be found."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from storage.ports import Put, Records
from storage.query import All, Any, Between, Equals, Exists, Key, Not, OneOf, Order, Predicate, matches, settled
from storage.simplify import Memo, simplify
from tests.contract import predicates
from tests.contract.conftest import Archive

NUMBERS = range(40)
LIMITED = tuple(f"p{n}" for n in range(0, 2000, 3))


def keys_of(number: int) -> Mapping[str, frozenset[Key]]:
    found: dict[str, frozenset[Key]] = {"n": frozenset((number,)), "of": frozenset((f"p{number}",))}
    if number % 4:
        found["level"] = frozenset((number % 5,))
    if number == 5:
        found["of"] = frozenset(("p5", "p6"))
    return found


LONG: list[Predicate] = [
    Not(OneOf("of", LIMITED)),
    OneOf("of", LIMITED),
    Any((Not(OneOf("of", LIMITED)), All((Not(OneOf("of", LIMITED[:500])), Between("level", 0, 3))))),
    All(tuple(Any((Not(Equals("of", f"p{n}")), Not(Exists("level")))) for n in range(30))),
    Any((Not(Exists("of")), All((OneOf("of", LIMITED), Not(Exists("later")))))),
]


def test_they_find_what_they_mean_however_often_they_are_asked(archive: Archive, store: Records) -> None:
    archive.run(store.commit([Put("c", str(n), b"-", keys_of(n)) for n in NUMBERS]))
    for _ in range(2):
        for predicate in LONG:
            expected = {str(n) for n in NUMBERS if n % 2 == 0 and matches(predicate, keys_of(n))}
            even = All((OneOf("n", tuple(range(0, 40, 2))), predicate))
            for order in ((), (Order("n", descending=True),), (Order("level"), Order("n"))):
                page = archive.run(store.find("c", even, order=order, limit=100))
                assert {each.id for each in page.records} == expected
            assert archive.run(store.count("c", even, at_most=100)) == len(expected)


def test_pages_in_order_leave_no_gap(archive: Archive, store: Records) -> None:
    archive.run(store.commit([Put("c", str(n), b"-", keys_of(n)) for n in NUMBERS]))
    seen = All((Between("n", 0, 100), LONG[2]))
    expected = [str(n) for n in reversed(NUMBERS) if matches(seen, keys_of(n))]
    found: list[str] = []
    after = None
    while True:
        page = archive.run(store.find("c", seen, order=(Order("n", descending=True),), after=after, limit=3))
        found += [each.id for each in page.records]
        after = page.next
        if after is None:
            break
    assert found == expected


def test_a_name_that_becomes_known_is_heeded(archive: Archive, store: Records) -> None:
    archive.run(store.commit([Put("c", "1", b"-", keys_of(1))]))
    predicate = All((Equals("of", "p1"), LONG[4], Not(Equals("later", 1))))
    open_ = All((Exists("n"), Any((Not(OneOf("of", LIMITED)), *(Equals("later", n) for n in range(20))))))
    assert archive.run(store.count("c", predicate, at_most=9)) == 0
    archive.run(store.commit([Put("c", "3", b"-", keys_of(3))]))
    assert archive.run(store.count("c", open_, at_most=9)) == 1
    archive.run(store.commit([Put("c", "3", b"-", {**keys_of(3), "later": frozenset((7,))})]))
    assert archive.run(store.count("c", open_, at_most=9)) == 2


@given(st.lists(predicates.predicates, min_size=6, max_size=8).map(tuple), predicates.keys)
def test_what_is_remembered_means_the_same(terms: tuple[Predicate, ...], keys: Mapping[str, frozenset[Key]]) -> None:
    memo, names = Memo(), set[str]()

    def known(name: str) -> bool | None:
        return name in names or None

    predicate = All((Exists("a"), Any(terms)))
    for more in ({"a"}, {"a", "b.c"}, set(predicates.NAMES)):
        names.update(more)
        held = {name: values for name, values in keys.items() if name in names}
        for _ in range(2):
            simple = simplify(predicate, known, memo=memo)
            assert matches(simple, held) is matches(predicate, held)


@given(predicates.predicates, predicates.keys, st.sets(st.sampled_from(predicates.NAMES)))
def test_what_is_settled_by_some_keys_is_so_by_all(
    predicate: Predicate, keys: Mapping[str, frozenset[Key]], names: set[str]
) -> None:
    told = {name: values for name, values in keys.items() if name in names}
    assert settled(predicate, told, names) in (None, matches(predicate, keys))
    assert settled(predicate, keys, {*predicates.NAMES, "unknown"}) is matches(predicate, keys)
