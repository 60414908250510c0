"""Pages of a search join, their cursors tell nothing, and totals are true; on every store."""

from __future__ import annotations

from itertools import product

import pytest

from server.kernel.context import LOCAL_ACTOR, Actor, Context
from server.kernel.problem import Kind, Problem
from tests.contract.conftest import Archive
from tests.contract.fhir_search_world import Json, Server, observation, patient


@pytest.fixture
def server(archive: Archive) -> Server:
    return Server(archive)


def test_pages_join_while_resources_come_and_go(server: Server) -> None:
    """What stays is given once, whatever is written between two pages."""

    def born(number: int) -> Json:
        date = {"birthDate": f"19{number:02}-01-01"} if number % 5 else {}
        return patient(f"p{number:02}", gender="male", **date)

    for query in ("Patient?", "Patient?_sort=birthdate", "Patient?_sort=-birthdate,_id", "Patient?_sort=-_lastUpdated",
                  "?_type=Patient,Observation", "?_type=Observation,Patient&_sort=-_id",
                  "Patient?gender=male"):  # fmt: skip
        server.load(*map(born, range(0, 80, 2)), *(observation(f"o{each:02}") for each in range(5)))
        kept = {f"p{each:02}" for each in range(10, 70, 2)}
        page, seen = server.page(f"{query}&_count=7"), list[str]()
        for turn in range(100):
            seen += [each.id for each in page.matches]
            if page.next is None:
                break
            server.load(born(turn * 2 + 1), born(99 - turn * 2))
            server.delete("Patient/p00")
            server.delete("Patient/p78")
            page = server.more(page.next)
        assert len(seen) == len(set(seen))
        assert set(seen) >= kept
        for each in range(100):
            server.delete(f"Patient/p{each:02}")


def test_the_values_of_one_code_come_newest_first(server: Server) -> None:
    """Whatever other codes an Observation has, and whether it has a time or a period or none."""

    def measured(id_: str, *codes: str, **when: Json) -> Json:
        coding = [{"system": "http://loinc.org", "code": each} for each in codes]
        return observation(id_, code="", **when) | {"code": {"coding": coding}}

    server.load(
        measured("d", "y", "x", effectiveDateTime="2020-01-04"),
        measured("a", "x", "z", effectiveDateTime="2020-01-01T10:00:00+08:00"),
        measured("none", "x"),
        measured("open", "x", effectivePeriod={"start": "2019-01-01"}),
        measured("c", "w", "X", effectivePeriod={"start": "2018-01-01", "end": "2020-01-03"}),
        measured("b", "x", effectiveDateTime="2020-01-02T10:00:00Z"),
        measured("y", "y", effectiveDateTime="2020-01-02T10:00:00Z"),
        observation("other", "Patient/b", effectiveDateTime="2020-01-02T10:00:00Z"),
    )
    for count in (1, 2, 3, 9):
        for code in ("x", "http://loinc.org|x"):
            query = f"Observation?patient=a&code={code}&_count={count}"
            assert server.ids(f"{query}&_sort=-date") == ["open", "d", "c", "b", "a", "none"]
            assert server.ids(f"{query}&_sort=date") == ["c", "open", "a", "b", "d", "none"]
            assert server.ids(f"{query}&_sort=-date&date=ge2020-01-02&date=lt2020-01-04") == ["open", "c", "b"]
            assert server.ids(f"{query}&_sort=-date&date:missing=true") == ["none"]
            assert server.ids(f"{query}&_sort=-date&status:not=final") == []
    assert server.page("Observation?patient=a&code=x&_total=accurate&_count=1").total == 6


def test_equal_sort_keys_neither_repeat_nor_vanish(server: Server) -> None:
    server.load(*(patient(f"p{each}", birthDate="1980-01-01", gender="male") for each in range(23)))
    for sort in ("birthdate", "-birthdate", "gender,-birthdate", "-death-date"):
        found = server.ids(f"Patient?_sort={sort}&_count=4")
        assert sorted(found) == sorted(f"p{each}" for each in range(23))


def test_a_total_is_given_where_it_is_asked_or_free(server: Server) -> None:
    server.load(*(patient(f"p{each}") for each in range(6)), observation("o"))
    paths = ("Patient?", "?_type=Patient&", "?_type=Patient,Device&_sort=_id&")
    for path, count in product(paths, range(1, 8)):
        for asked, total in (("", None), ("&_total=none", None), ("&_total=accurate", 6), ("&_total=estimate", 6)):
            pages = list(server.pages(f"{path}_count={count}{asked}"))
            free = 6 if not asked and len(pages) == 1 else total
            assert {page.total for page in pages} == {free}
            assert [len(page.matches) for page in pages] == [count] * (6 // count) + [6 % count] * (6 % count > 0)


@pytest.mark.parametrize("query", ["Patient?_summary=count", "Patient?_count=0", "Patient?gender=male&_summary=count"])
def test_only_counting_gives_no_entries(server: Server, query: str) -> None:
    server.load(patient("a", gender="male"), patient("b", gender="male"), observation("o"))
    page = server.page(f"{query}&_include=Patient:organization&_sort=birthdate")
    assert (page.matches, page.included, page.next, page.total) == ([], [], None, 2)


def test_a_cursor_is_for_one_actor_and_is_never_made_elsewhere(server: Server) -> None:
    server.load(*(patient(f"p{each}") for each in range(5)))
    token = server.page("Patient?_count=2").next
    assert token is not None
    other = Context(Actor("other", "other", LOCAL_ACTOR.grants, LOCAL_ACTOR.roles), "test")
    for text, context in (
        (token, other),
        (token[:-2], None),
        ("x" + token, None),
        ("", None),
        ("ü", None),
        ("A" * 99, None),
    ):
        with pytest.raises(Problem) as caught:
            server.more(text, context)
        assert caught.value.kind is Kind.INVALID
    nobody = Context(Actor("local", "local", ()), "test")
    with pytest.raises(Problem) as caught:
        server.more(token, nobody)
    assert caught.value.kind is Kind.FORBIDDEN


def test_a_cursor_shows_nothing_of_the_request(server: Server) -> None:
    server.load(*(patient(f"p{each}", name=[{"family": "Secret"}]) for each in range(5)))
    one, other = (server.page("Patient?family=secret&_count=2").next for _ in range(2))
    assert one is not None
    assert one != other
    assert "ecret" not in one


def test_the_next_page_keeps_what_was_asked(server: Server) -> None:
    server.load(
        *(observation(f"o{each}", f"Patient/p{each}") for each in range(4)), *map(patient, ("p0", "p1", "p2", "p3"))
    )
    for page in server.pages("Observation?code=x&_count=2&_include=Observation:patient&_elements=code&nothing=1"):
        assert {each.id for each in page.included} == {each.id.replace("o", "p") for each in page.matches}
        assert ("_elements", "code") in page.request.pairs
        assert ("_include", "Observation:patient") in page.used


def test_pages_over_types_join(server: Server) -> None:
    server.load(*(make(f"{each % 4}") for each in range(4) for make in (patient, observation)), patient("9"))
    sorts = ("_id", "-_id", "_lastUpdated", "-_lastUpdated", "-_lastUpdated,_id", "_id,-_lastUpdated", "")
    for sort, count in product(sorts, (1, 2, 3, 5)):
        query = f"?_type=Patient,Observation{'&_sort=' if sort else ''}{sort}"
        whole = [each.reference for each in server.page(f"{query}&_count=99").matches]
        assert len(whole) == len(set(whole)) == 9
        pages = [[each.reference for each in page.matches] for page in server.pages(f"{query}&_count={count}")]
        assert [each for page in pages for each in page] == whole
        assert all(len(page) == count for page in pages[:-1])
