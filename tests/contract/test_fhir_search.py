"""What a search promises beside finding the right resources: what is understood, refused and said; on every store."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest

from server.fhir.search.request import SearchRequest, SearchResult
from server.kernel.problem import Kind, Problem
from tests.contract.brute_force import number_holds
from tests.contract.conftest import Archive
from tests.contract.fhir_search_world import Server, observation, patient


@pytest.fixture
def server(archive: Archive) -> Server:
    return Server(archive)


UNKNOWN = [
    "Patient?nothing=1", "Patient?_nothing=1", "Patient?nothing:exact=1", "Patient?nothing.name=1",
    "Patient?_sort=nothing", "Patient?_include=Patient:nothing", "Patient?_include=Nothing:at-all",
    "Patient?_include=Patient:name", "Patient?_contained=true", "Patient?_type=Patient", "Patient?_filter=a",
    "Observation?_sort=combo-code", "?_sort=name",
]  # fmt: skip


def test_what_is_unknown_is_left_out_and_said_or_refused(server: Server) -> None:
    server.load(patient("a"), observation("o"))
    for query in UNKNOWN:
        page = server.page(query)
        assert len(page.matches) == 2 if query.startswith("?") else 1
        assert page.used == ()
        assert [(each.code, "ignored" in each.text) for each in page.warnings] == [("not-supported", True)]
        assert server.refused(query, strict=True).kind is Kind.INVALID


WRONG = [
    "Patient?name:nothing=a", "Patient?name:=a", "Patient?gender:exact=male", "Patient?birthdate:contains=1",
    "Patient?birthdate=2013-02-30", "Patient?birthdate=xx2013", "Patient?active:missing=maybe",
    "Patient?active:missing=true,false", r"Patient?name=a\b", r"Patient?name=a\,b\\\c", "Patient?_count=-1",
    "Patient?_count=many", "Patient?_total=some", "Patient?_query=all", "Patient?_list=$current-problems",
    "Patient?name.family=a", "Patient?general-practitioner.nothing=a", "Patient?general-practitioner:Device.type=a",
    "Patient?general-practitioner:Practitioner.nothing=a", "Patient?_has:Observation:patient=1",
    "Patient?_has:Observation:patient:nothing=1", "Patient?_has:Nothing:patient:code=1",
    "Patient?_has:Observation:code:code=1", "Patient?_has:Observation:encounter:code=1",
    "Observation?code-value-quantity=1", "Observation?code-value-quantity=a$b$c", "Observation?value-quantity=ten",
    "Observation?subject:Device:Patient=1", "?name=a", "?_type=Patient,Observation&birthdate=2020", "?_type=Nothing",
    "Patient?_include=Patient:organization&_summary=text", "Patient?name:contains=" + "b" * 9999,
    "Patient?general-practitioner" + ".partof" * 12 + "=1",
]  # fmt: skip


def test_what_is_known_and_wrong_is_always_refused(server: Server) -> None:
    server.load(patient("a", name=[{"family": "A"}]))
    for query in WRONG:
        assert server.refused(query).kind is Kind.INVALID
        assert server.refused(query, strict=True).kind is Kind.INVALID


def test_what_cannot_match_finds_nothing(server: Server) -> None:
    server.load(patient("a", gender="male"))
    for query in (
        "_id=nothing",
        "gender=nothing",
        "organization=none",
        "_has:Observation:patient:code=1",
        "_list=none",
    ):
        page = server.page(f"Patient?{query}", strict=True)
        assert (page.matches, page.total, page.next, page.warnings) == ([], 0, None, ())


def test_an_empty_value_says_nothing(server: Server) -> None:
    server.load(patient("a"), patient("b", name=[{"family": "B"}]))
    page = server.page("Patient?name=&_sort=&gender=,,&_count=", strict=True)
    assert len(page.matches) == 2
    assert page.used == ()


def test_the_answer_says_what_was_used(server: Server) -> None:
    page = server.page("Patient?name=a,b&nothing=1&_sort=-birthdate,nothing&_count=5000&_format=json&_elements=name")
    assert page.used == (
        ("name", "a,b"), ("_sort", "-birthdate"), ("_count", "1000"), ("_format", "json"), ("_elements", "name"),
    )  # fmt: skip
    assert len(page.warnings) == 3


def test_alternatives_and_repetitions(server: Server) -> None:
    server.load(
        patient("a", name=[{"given": ["Anna"]}, {"given": ["Bea"]}]),
        patient("b", name=[{"given": ["Bea"]}]),
        patient("c", name=[{"given": ["Cora, Dora"]}]),
    )
    assert sorted(server.ids("Patient?given=anna,cora")) == ["a", "c"]
    assert server.ids("Patient?given=anna&given=bea") == ["a"]
    assert server.ids(r"Patient?given:exact=Cora\, Dora") == ["c"]
    assert server.ids(r"Patient?given:exact=x,Cora\, Dora,y") == ["c"]
    assert sorted(server.ids("Patient?_id=b,a,b&given=bea")) == ["a", "b"]


def test_a_bare_id_of_several_types_is_ambiguous(server: Server) -> None:
    server.load(observation("1", "Patient/x"), observation("2", "Device/x"), observation("3", "Patient/y"))
    assert server.refused("Observation?subject=x").kind is Kind.INVALID
    assert server.ids("Observation?subject=y") == ["3"]
    assert server.ids("Observation?subject:Device=x") == ["2"]
    assert server.ids("Observation?patient=x") == ["1"]


def test_numbers_compare_by_value_and_by_what_they_leave_open(server: Server) -> None:
    stored = ["0.449", "0.45", "0.46", "0.4949", "0.495", "0.5", "0.500", "0.505", "0.549999999999999999999", "0.55",
              "0.551", "1", "0.9", "1.10", "1.5", "0", "-1", "-0.95", "-1.05", "1e-30",
              "12345678901234567890.5"]  # fmt: skip
    server.load(*(
        {"resourceType": "RiskAssessment", "id": f"r{place}", "status": "final",
         "prediction": [{"probabilityDecimal": Decimal(each)}]}
        for place, each in enumerate(stored)
    ))  # fmt: skip
    for prefix in ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"):
        for number in ("0.5", "0.50", "1", "0.4999", "-1"):
            holds = (number_holds(prefix or "eq", number, Decimal(each)) for each in stored)
            wanted = {f"r{place}" for place, is_held in enumerate(holds) if is_held}
            assert set(server.ids(f"RiskAssessment?probability={prefix}{number}")) == wanted, (prefix, number)


def test_types_are_searched_together(server: Server) -> None:
    server.load(patient("a"), patient("b"), observation("a"), observation("c", code="y"))
    assert sorted(each.reference for each in server.page("?_type=Patient,Observation").matches) == [
        "Observation/a", "Observation/c", "Patient/a", "Patient/b",
    ]  # fmt: skip
    assert len(server.page("").matches) == 4
    assert sorted(each.reference for each in server.page("?_id=a").matches) == ["Observation/a", "Patient/a"]
    assert [each.reference for each in server.page("?_sort=-_id,-_lastUpdated").matches] == [
        "Observation/c", "Patient/b", "Observation/a", "Patient/a",
    ]  # fmt: skip
    assert [each.reference for each in server.page("?_sort=_lastUpdated").matches] == [
        "Patient/a", "Patient/b", "Observation/a", "Observation/c",
    ]  # fmt: skip
    assert server.ids("?_type=Observation&code=y") == ["c"]
    assert server.ids("?_type=Patient,Device&_has:Observation:subject:code=x") == ["a"]


def test_members_of_a_list_are_found(server: Server) -> None:
    entries = [{"item": {"reference": each}} for each in ("Patient/a", "Patient/gone", "Observation/c", "Patient/b")]
    server.load(patient("a"), patient("b"), patient("c"), observation("c"))
    server.load({"resourceType": "List", "id": "l", "status": "current", "mode": "working", "entry": entries})
    assert sorted(server.ids("Patient?_list=l")) == ["a", "b"]
    assert sorted(server.ids("Patient?_list=List/l&_id=b,c")) == ["b"]
    assert sorted(server.ids("?_list=l")) == ["a", "b", "c"]


def matching(server: Server, query: str, at_most: int = 9) -> list[str]:
    pairs = tuple(parse_qsl(query, keep_blank_values=True))
    found = server.archive.run(server.store.searcher.matching(server.store.context, "Patient", pairs, at_most))
    return sorted(each.id for each in found)


def test_criteria_find_what_meets_them(server: Server) -> None:
    server.load(*(patient(each, identifier=[{"system": "s", "value": each}]) for each in "abc"), observation("o"))
    assert matching(server, "identifier=s|a") == ["a"]
    assert matching(server, "identifier=s|") == ["a", "b", "c"]
    assert len(matching(server, "identifier=s|", 2)) == 2
    assert matching(server, "_has:Observation:patient:code=x") == ["a"]
    assert matching(server, "identifier=s|a&_id=b") == []


NO_CRITERIA = [
    "", "identifier=", "nothing=1", "_count=1", "_sort=name", "_format=json", "_include=Patient:organization",
    "identifier=s|a&nothing=1", "identifier=s|a&name=", "_contained=true", "name:nothing=a",
]  # fmt: skip


def test_criteria_that_say_nothing_or_too_much_are_refused(server: Server) -> None:
    for query in NO_CRITERIA:
        with pytest.raises(Problem) as caught:
            matching(server, query)
        assert caught.value.kind is Kind.INVALID


def test_searches_run_beside_each_other(server: Server) -> None:
    server.load(*(patient(f"p{each}") for each in range(9)))

    async def many() -> list[SearchResult]:
        request = SearchRequest("Patient", (("_count", "4"),))
        return await asyncio.gather(*(server.store.searcher.search(server.store.context, request) for _ in range(8)))

    assert [len(each.matches) for each in server.archive.run(many())] == [4] * 8
