"""What `find` and `count` promise, kept by every adapter: the meaning of `storage.query.matches`, order and paging."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.ports import Cursor, Delete, Index, Put, Record, Records
from storage.query import (
    EVERYTHING,
    All,
    Any,
    Between,
    Equals,
    Exists,
    Key,
    Like,
    Not,
    OneOf,
    Order,
    Predicate,
    matches,
)
from tests.contract import predicates
from tests.contract.conftest import Archive

Keys = Mapping[str, frozenset[Key]]

FRESH = count()


def find(archive: Archive, store: Records, collection: str, predicate: Predicate, **how: object) -> list[str]:
    """Ids of the whole result, page by page."""
    how = {"limit": 100} | how
    ids: list[str] = []
    after: Cursor | None = None
    while True:
        page = archive.run(store.find(collection, predicate, after=after, **how))  # type: ignore[arg-type]
        ids += [record.id for record in page.records]
        after, how = page.next, how | {"skip": 0}
        if after is None:
            return ids
        assert len(page.records) == how["limit"]


def fill(archive: Archive, store: Records, records: Sequence[Keys], collection: str = "c") -> None:
    archive.run(store.commit([Put(collection, f"r{number}", b"", keys) for number, keys in enumerate(records)]))


def same(found: Sequence[Key], wanted: frozenset[Key]) -> bool:
    """The same values, each once, texts and numbers apart."""
    return sorted(map(repr, found)) == sorted(repr(int(each) if isinstance(each, int) else each) for each in wanted)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(predicates.keys, max_size=12),
    predicate=predicates.predicates,
    order=predicates.orders,
    limit=st.integers(1, 4),
    skip=st.integers(0, 4),
)
def test_every_adapter_means_the_same(
    archive: Archive,
    store: Records,
    records: list[Keys],
    predicate: Predicate,
    order: list[Order],
    limit: int,
    skip: int,
) -> None:
    old = find(archive, store, "c", EVERYTHING)
    archive.run(store.commit([Delete("c", each) for each in old]))
    fill(archive, store, records)
    wanted = {f"r{number}": keys for number, keys in enumerate(records) if matches(predicate, keys)}
    whole = find(archive, store, "c", predicate, order=order)
    assert sorted(whole) == sorted(wanted)
    places = [predicates.place(wanted[each], order) for each in whole]
    assert places == sorted(places)
    assert find(archive, store, "c", predicate, order=order, limit=limit) == whole
    assert find(archive, store, "c", predicate, order=order, limit=limit, skip=skip) == whole[skip:]
    assert archive.run(store.count("c", predicate, at_most=99)) == len(whole)
    assert archive.run(store.count("c", predicate, at_most=3)) == min(len(whole), 3)
    for name in predicates.NAMES:
        carried = frozenset[Key]().union(*(keys.get(name, frozenset()) for keys in wanted.values()))
        assert same(archive.run(store.values("c", name, predicate, at_most=99)), carried)
        some = archive.run(store.values("c", name, predicate, at_most=2))
        assert len(some) == len(set(some)) == min(len(carried), 2)
        assert set(some) <= carried


def test_many_records_are_searched_as_few_are(archive: Archive, store: Records) -> None:
    """Enough that a store has a choice of ways, and each is taken."""
    chance = random.Random(2)
    archive.run(store.prepare([Index("c", ("date",)), Index("c", ("patient", "date"))]))
    records: list[Keys] = [
        {
            "date": frozenset({f"2024{chance.randrange(12):02}{chance.randrange(28):02}"}),
            "patient": frozenset({f"p{int(chance.expovariate(0.05))}"}),
            "modality": frozenset(chance.sample(["CT", "MR", "US", "XA"], k=chance.randrange(3))),
            "number": frozenset({chance.randrange(1000)} if chance.random() < 0.9 else ()),
        }
        for _ in range(1500)
    ]
    fill(archive, store, records)
    terms: list[Predicate] = [
        Between("date", "202403", "202405"),
        Between("date", "20240901", None),
        Between("date", "20240512", "20240513"),
        Equals("patient", "p1"),
        Equals("patient", "p70"),
        Equals("modality", "CT"),
        OneOf("modality", ("MR", "US")),
        Like("patient", "*7"),
        Like("patient", "p1*"),
        Like("date", "*11"),
        Between("number", 100, 200),
        Not(Equals("modality", "CT")),
        Any((Equals("patient", "p3"), Between("number", None, 20))),
        Exists("number"),
    ]
    ways: list[list[Order]] = [[], [Order("date", True)], [Order("date"), Order("number", True)], [Order("number")]]
    for _ in range(60):
        predicate = All(tuple(chance.sample(terms, k=chance.randrange(4))))
        order = chance.choice(ways)
        limit, skip = chance.choice([7, 50, 400]), chance.choice([0, 0, 3, 100])
        wanted = {f"r{number}": keys for number, keys in enumerate(records) if matches(predicate, keys)}
        whole = find(archive, store, "c", predicate, order=order, limit=5000)
        assert sorted(whole) == sorted(wanted)
        places = [predicates.place(wanted[each], order) for each in whole]
        assert places == sorted(places)
        assert find(archive, store, "c", predicate, order=order, limit=limit, skip=skip) == whole[skip:]
        assert archive.run(store.count("c", predicate, at_most=9999)) == len(whole)
        patients = frozenset[Key]().union(*(keys["patient"] for keys in wanted.values()))
        assert same(archive.run(store.values("c", "patient", predicate, at_most=9999)), patients)


@pytest.mark.parametrize("descending", [False, True])
def test_records_are_sorted_by_their_key_in_the_run_that_is_searched(
    archive: Archive, store: Records, descending: bool
) -> None:
    """Each record carries a key for each of its codes; a search by one code must not sort by another's."""
    records: list[Keys] = [
        {"shaped": frozenset({f"p{number % 3}|a|{number * 7 % 100:02}", f"p{number % 3}|z|{number * 3 % 100:02}"})}
        for number in range(100)
    ]
    fill(archive, store, records)
    low, high = "p1|a|30", "p1|a|~"
    order = [Order("shaped", descending, (low, high))]
    whole = find(archive, store, "c", Between("shaped", low, high), order=order)
    wanted = [number for number in range(1, 100, 3) if number * 7 % 100 >= 30]
    assert whole == [f"r{each}" for each in sorted(wanted, key=lambda each: each * 7 % 100, reverse=descending)]
    assert find(archive, store, "c", Between("shaped", low, high), order=order, limit=4) == whole
    assert find(archive, store, "c", Between("shaped", "p1|a|", high), order=order, limit=9)[: len(whole)] == whole


def test_a_text_never_equals_a_number(archive: Archive, store: Records) -> None:
    fill(archive, store, [{"k": frozenset({1})}, {"k": frozenset({"1"})}, {"k": frozenset({"", 2})}])
    assert find(archive, store, "c", Equals("k", 1)) == ["r0"]
    assert find(archive, store, "c", Equals("k", "1")) == ["r1"]
    assert find(archive, store, "c", Between("k", None, 5)) == ["r0", "r2"]
    assert find(archive, store, "c", Between("k", None, "5")) == ["r1", "r2"]
    assert find(archive, store, "c", Between("k", "0", None)) == ["r1"]


def test_both_bounds_hold_for_one_value(archive: Archive, store: Records) -> None:
    fill(archive, store, [{"k": frozenset({"a", "z"})}, {"k": frozenset({"a", "m"})}, {"k": frozenset({1, 9})}])
    assert find(archive, store, "c", Between("k", "b", "y")) == ["r1"]
    assert find(archive, store, "c", Between("k", 2, 8)) == []


def test_texts_sort_by_code_point(archive: Archive, store: Records) -> None:
    texts = [
        "",
        "\0",
        "\0\0",
        "A",
        "a",
        "a\0",
        "ab",
        "é",
        "王",
        "\ud7ff",
        "\ue000",
        "\uffff",
        "\U00010000",
        "\U0010ffff",
    ]
    fill(archive, store, [{"k": frozenset({text})} for text in texts])
    whole = [f"r{number}" for number in range(len(texts))]
    assert find(archive, store, "c", EVERYTHING, order=[Order("k")]) == whole
    assert find(archive, store, "c", EVERYTHING, order=[Order("k", True)], limit=3) == whole[::-1]
    for number in range(len(texts)):
        assert find(archive, store, "c", Between("k", texts[number], None), order=[Order("k")]) == whole[number:]


@pytest.mark.parametrize("pattern", [
    "*", "?", "", "a*", "*a", "*a*", "a?c", "[a]", "[[]", "a\\*", "*\0*", "?\0", "\ufffe*", "*\uffff", "**", "?*?",
    "a\n?", "^a$", "王*", "\U0010ffff*", "\ud7ff*", "a" * 4000 + "*", "*a" * 2000,
])  # fmt: skip
def test_a_pattern_is_only_what_it_says(archive: Archive, store: Records, pattern: str) -> None:
    texts = [
        *("", "a", "A", "abc", "a\nc", "a\0c", "\0", "x\0", "[a]", "[", "a\\b", "\ufffd", "\ufffe", "\uffff", "^a$"),
        *("王小东", "王", "\U0010ffff", "\U0010ffff!", "\ud7ffx", "\ue000", "a" * 5000, "a\n", "\n", "a*c"),
    ]
    records: list[Keys] = [{"k": frozenset({text})} for text in texts] + [{"k": frozenset({0})}, {}]
    fill(archive, store, records)
    wanted = [f"r{number}" for number, keys in enumerate(records) if matches(Like("k", pattern), keys)]
    assert sorted(find(archive, store, "c", Like("k", pattern))) == sorted(wanted)


def test_a_hostile_pattern_ends(archive: Archive, store: Records) -> None:
    fill(archive, store, [{"k": frozenset({"a" * 4000})}])
    assert find(archive, store, "c", Like("k", "*a" * 1000 + "*b")) == []


@pytest.mark.parametrize("number", [1, 3, 5000, 20_000])
def test_one_of_takes_thousands_of_values(archive: Archive, store: Records, number: int) -> None:
    fill(archive, store, [{"uid": frozenset({f"1.2.{each}", each})} for each in range(20)])
    texts = tuple(f"1.2.{each * 7}" for each in range(number))
    wanted = sorted([f"r{each}" for each in range(0, 20, 7)][:number])
    assert sorted(find(archive, store, "c", OneOf("uid", texts))) == wanted
    more = All((OneOf("uid", (*texts, 3, 3, "x\0y")), Exists("uid")))
    assert sorted(find(archive, store, "c", more)) == sorted([*wanted, "r3"])
    assert archive.run(store.count("c", Not(OneOf("uid", texts)), at_most=99)) == 20 - len(wanted)


def test_wide_and_deep_predicates_are_taken_or_refused(archive: Archive, store: Records) -> None:
    fill(archive, store, [{"k": frozenset({each})} for each in range(5)])
    wide = Any(tuple(All((Between("k", each, each + 1), Not(Equals("k", each)))) for each in range(300)))
    assert find(archive, store, "c", wide) == ["r1", "r2", "r3", "r4"]
    deep: Predicate = Equals("k", 3)
    for _ in range(14):
        deep = Not(All((deep, Exists("k"))))
    assert find(archive, store, "c", deep) == ["r3"]
    for _ in range(3000):
        deep = Not(All((deep, Exists("k"))))
    with pytest.raises(ValueError):
        archive.run(store.find("c", deep, limit=1))


@pytest.mark.parametrize("order", [[], [Order("n")], [Order("n", True)], [Order("t"), Order("n", True)]])
@pytest.mark.parametrize("predicate", [EVERYTHING, Equals("all", 1), Like("id", "*")])
def test_pages_join_while_records_come_and_go(
    archive: Archive, store: Records, order: list[Order], predicate: Predicate
) -> None:
    def keys(number: int) -> Keys:
        return {
            "n": frozenset({number} if number % 10 else ()),
            "t": frozenset({f"t{number % 3}"}),
            "all": frozenset({1}),
            "id": frozenset({str(number)}),
        }

    archive.run(store.commit([Put("c", f"{n}", b"", keys(n)) for n in range(0, 100, 2)]))
    seen: list[str] = []
    after: Cursor | None = None
    for step in count():
        page = archive.run(store.find("c", predicate, order=order, after=after, limit=7))
        seen += [record.id for record in page.records]
        if page.next is None:
            break
        after = page.next
        # The last record given goes, others come all over the place.
        archive.run(store.commit([Delete("c", seen[-1]), *(Put("c", f"{n}", b"", keys(n)) for n in (step, 99 - step))]))
    assert len(seen) == len(set(seen))
    assert set(seen) >= {f"{n}" for n in range(20, 80, 2)}


def test_next_is_none_when_nothing_remains(archive: Archive, store: Records) -> None:
    fill(archive, store, [{"k": frozenset({each})} for each in range(4)])
    for order in ([], [Order("k")], [Order("unknown")]):
        page = archive.run(store.find("c", EVERYTHING, order=order, limit=4))
        assert (len(page.records), page.next) == (4, None)
        page = archive.run(store.find("c", EVERYTHING, order=order, limit=3))
        assert page.next is not None
        page = archive.run(store.find("c", EVERYTHING, order=order, limit=3, after=page.next))
        assert (len(page.records), page.next) == (1, None)
        assert archive.run(store.find("c", EVERYTHING, order=order, limit=3, skip=4)).records == []


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("skip", range(9))
def test_records_without_the_order_key_are_skipped_last(
    archive: Archive, store: Records, descending: bool, skip: int
) -> None:
    fill(archive, store, [{"k": frozenset({each} if each < 3 else ())} for each in range(8)])
    whole = find(archive, store, "c", EVERYTHING, order=[Order("k", descending)])
    assert whole[:3] == (["r2", "r1", "r0"] if descending else ["r0", "r1", "r2"])
    assert find(archive, store, "c", EVERYTHING, order=[Order("k", descending)], skip=skip, limit=2) == whole[skip:]


def test_records_come_with_version_and_body(archive: Archive, store: Records) -> None:
    archive.run(store.commit([Put("c", "a", b"1", {"k": frozenset({1})}), Put("c", "b", b"2", {"k": frozenset({2})})]))
    archive.run(store.commit([Put("c", "b", b"3", {"k": frozenset({2})})]))
    page = archive.run(store.find("c", Between("k", 1, 2), order=[Order("k", True)], limit=9))
    assert page.records == [Record("b", 2, b"3"), Record("a", 1, b"1")]


def test_a_collection_nobody_wrote_to_is_empty(archive: Archive, store: Records) -> None:
    assert find(archive, store, "nothing", EVERYTHING, order=[Order("k")]) == []
    assert archive.run(store.count("nothing", Not(Exists("k")), at_most=5)) == 0
    assert archive.run(store.values("nothing", "k", EVERYTHING, at_most=5)) == []
    fill(archive, store, [{"k": frozenset({1})}])
    assert archive.run(store.values("c", "nothing", EVERYTHING, at_most=5)) == []
    assert archive.run(store.values("c", "k", EVERYTHING, at_most=0)) == []


@pytest.mark.parametrize("text", ["", "x", "é", "W10", "bnVsbA", "eyJhIjoxfQ", "WzEuNSwxXQ", "W" * 9999])
def test_a_cursor_of_somewhere_else_is_refused(archive: Archive, store: Records, text: str) -> None:
    fill(archive, store, [{"k": frozenset({each})} for each in range(4)])
    with pytest.raises(ValueError):
        archive.run(store.find("c", EVERYTHING, order=[Order("k")], after=Cursor(text), limit=1))


@pytest.mark.parametrize("descending", [False, True])
def test_a_cursor_carries_no_right(archive: Archive, store: Records, descending: bool) -> None:
    """One of a wider search gives nothing that the narrower does not allow."""
    fill(archive, store, [{"k": frozenset({f"k{each}"})} for each in range(9)])
    order = [Order("k", descending)]
    wide = archive.run(store.find("c", EVERYTHING, order=order, limit=1)).next
    narrow = archive.run(store.find("c", Between("k", "k3", "k5"), order=order, after=wide, limit=9))
    assert {record.id for record in narrow.records} == {"r3", "r4", "r5"}
