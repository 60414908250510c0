"""What a search promises beside finding the right resources: handling, pages, includes, rights; on every store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from typing import Any
from urllib.parse import parse_qsl

import pytest

from server.access.decision import AccessPoint
from server.fhir.search.request import Limits, SearchRequest, SearchResult
from server.kernel.context import INTERACTIONS, LOCAL_ACTOR, SERVER, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from storage.query import EVERYTHING, NOTHING, Equals, Predicate
from tests.contract.brute_force import number_holds
from tests.contract.conftest import Archive
from tests.contract.fhir_store import FhirStore

Json = Any


def patient(id_: str, **members: Json) -> Json:
    return {"resourceType": "Patient", "id": id_} | members


def observation(id_: str, subject: str = "Patient/a", code: str = "x", **members: Json) -> Json:
    coding = [{"system": "http://loinc.org", "code": code}]
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": coding},
        "subject": {"reference": subject},
    } | members


class Server:
    """A store and the searches upon it, waited for."""

    def __init__(self, archive: Archive, access: AccessPoint | None = None, limits: Limits | None = None) -> None:
        self.archive = archive
        self.store = FhirStore(archive.open(), access, limits)

    def load(self, *resources: Json) -> None:
        self.archive.run(self.store.load(resources))

    def delete(self, reference: str) -> None:
        self.archive.run(self.store.delete(*reference.split("/")))

    def page(self, query: str, *, strict: bool = False, context: Context | None = None) -> SearchResult:
        path, _, parameters = query.partition("?")
        *compartment, resource_type = path.split("/")
        request = SearchRequest(
            resource_type if resource_type not in ("", "*") else None,
            tuple(parse_qsl(parameters, keep_blank_values=True)),
            (compartment[0], compartment[1]) if compartment else None,
            strict,
        )
        return self.archive.run(self.store.searcher.search(context or self.store.context, request))

    def more(self, token: str | None, context: Context | None = None) -> SearchResult:
        assert token is not None
        return self.archive.run(self.store.searcher.more(context or self.store.context, token))

    def pages(self, query: str) -> Iterator[SearchResult]:
        page = self.page(query)
        yield page
        while page.next:
            page = self.more(page.next)
            yield page

    def ids(self, query: str) -> list[str]:
        return [each.id for page in self.pages(query) for each in page.matches]

    def refused(self, query: str, *, strict: bool = False) -> Problem:
        with pytest.raises(Problem) as caught:
            self.page(query, strict=strict)
        return caught.value


@pytest.fixture
def server(archive: Archive) -> Server:
    return Server(archive)


# Handling


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


# Pages and totals


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


# Several types


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


def test_members_of_a_list_are_found(server: Server) -> None:
    entries = [{"item": {"reference": each}} for each in ("Patient/a", "Patient/gone", "Observation/c", "Patient/b")]
    server.load(patient("a"), patient("b"), patient("c"), observation("c"))
    server.load({"resourceType": "List", "id": "l", "status": "current", "mode": "working", "entry": entries})
    assert sorted(server.ids("Patient?_list=l")) == ["a", "b"]
    assert sorted(server.ids("Patient?_list=List/l&_id=b,c")) == ["b"]
    assert sorted(server.ids("?_list=l")) == ["a", "b", "c"]


# Includes


def test_an_include_brings_what_is_there_once(server: Server) -> None:
    server.load(
        patient("a", managingOrganization={"reference": "Organization/o"}),
        patient("b", managingOrganization={"reference": "Organization/o"}),
        patient("c", managingOrganization={"reference": "Organization/gone"}),
        patient("d", managingOrganization={"reference": "http://elsewhere.example/fhir/Organization/o"}),
        patient("e", managingOrganization={"identifier": {"system": "s", "value": "o"}}),
        patient("f", managingOrganization={"reference": "http://example.org/fhir/Organization/p"}),
        patient("g", link=[{"other": {"reference": "Patient/a"}, "type": "seealso"}]),
        {"resourceType": "Organization", "id": "o", "partOf": {"reference": "Organization/p"}},
        {"resourceType": "Organization", "id": "p", "partOf": {"reference": "Organization/o"}},
    )
    page = server.page("Patient?_include=Patient:organization&_include=Patient:link")
    assert len(page.matches) == 7
    assert sorted(each.reference for each in page.included) == ["Organization/o", "Organization/p"]
    server.delete("Organization/o")
    assert [each.id for each in server.page("Patient?_include=Patient:organization").included] == ["p"]


def test_iteration_ends_in_a_circle_and_needs_no_order(server: Server) -> None:
    organizations = [
        {"resourceType": "Organization", "id": f"o{each}", "partOf": {"reference": f"Organization/o{(each + 1) % 4}"}}
        for each in range(4)
    ]
    server.load(patient("a", managingOrganization={"reference": "Organization/o0"}), *organizations)
    for way in ("iterate", "recurse"):
        for query in (f"_include:{way}=Organization:partof&_include=Patient:organization",
                      f"_include=Patient:organization&_include:{way}=Organization:partof"):  # fmt: skip
            assert sorted(each.id for each in server.page(f"Patient?{query}").included) == ["o0", "o1", "o2", "o3"]
    page = server.page("Patient?_include=Patient:organization&_include=Organization:partof")
    assert [each.id for each in page.included] == ["o0"]
    page = server.page(
        "Organization?_id=o2&_revinclude:iterate=Organization:partof&_revinclude:iterate=Patient:organization"
    )
    assert sorted(each.id for each in page.included) == ["a", "o0", "o1", "o3"]


def test_a_reference_to_a_version_brings_that_version(server: Server) -> None:
    server.load(patient("v", meta={"versionId": "1"}), patient("v", meta={"versionId": "2"}))
    server.load(observation("old", "Patient/v/_history/1"), observation("new", "Patient/v/_history/2"))
    server.load(observation("any", "Patient/v"), observation("lost", "Patient/v/_history/9"))
    for id_, versions in (
        ("old", [1]),
        ("new", [2]),
        ("any", [2]),
        ("lost", []),
        ("old,any", [1, 2]),
        ("old,new", [1, 2]),
    ):
        page = server.page(f"Observation?_id={id_}&_include=Observation:patient")
        assert sorted(each.version for each in page.included) == versions
    server.delete("Patient/v")
    assert server.page("Observation?_include=Observation:patient").included == []


def test_a_canonical_brings_the_version_it_names_or_the_newest(server: Server) -> None:
    def questionnaire(id_: str, version: str) -> Json:
        return {
            "resourceType": "Questionnaire",
            "id": id_,
            "url": "http://q.example/q",
            "version": version,
            "status": "active",
        }

    def response(id_: str, canonical: str) -> Json:
        return {"resourceType": "QuestionnaireResponse", "id": id_, "status": "completed", "questionnaire": canonical}

    server.load(questionnaire("one", "1"), questionnaire("three", "3"), questionnaire("two", "2"))
    server.load(
        response("a", "http://q.example/q|1"), response("b", "http://q.example/q"), response("c", "http://q.example/x")
    )
    for id_, found in (("a", ["one"]), ("b", ["two"]), ("c", [])):
        page = server.page(f"QuestionnaireResponse?_id={id_}&_include=QuestionnaireResponse:questionnaire")
        assert [each.id for each in page.included] == found
    page = server.page("Questionnaire?_id=one&_revinclude=QuestionnaireResponse:questionnaire")
    assert {each.id for each in page.included} >= {"a"}
    assert server.ids("QuestionnaireResponse?_id=a&questionnaire.version=1") == ["a"]


def test_too_much_to_include_is_cut_and_said(archive: Archive) -> None:
    server = Server(archive, limits=Limits(included=10, rounds=3))
    server.load(patient("a"), *(observation(f"o{each}") for each in range(15)))
    page = server.page("Patient?_revinclude=Observation:patient")
    assert len(page.included) == 10
    assert [each.code for each in page.warnings] == ["incomplete"]
    server.load(*(
        {"resourceType": "Organization", "id": f"n{each}", "partOf": {"reference": f"Organization/n{each + 1}"}}
        for each in range(8)
    ))  # fmt: skip
    page = server.page("Organization?_id=n0&_include:iterate=Organization:partof")
    assert [each.id for each in page.included] == ["n1", "n2", "n3"]
    assert [each.code for each in page.warnings] == ["incomplete"]


def test_a_chain_that_finds_too_much_is_refused(archive: Archive) -> None:
    server = Server(archive, limits=Limits(inner=10))
    server.load(*(patient(f"p{each}", gender="male") for each in range(11)), observation("o", "Patient/p1"))
    for query in (
        "Observation?subject.gender=male",
        "Patient?link.gender=male",
        "Observation?subject:Patient._id:not=q",
    ):
        problem = server.refused(query)
        assert (problem.kind, problem.issues[0].code) == (Kind.UNSUPPORTED, "too-costly")
    server.delete("Patient/p10")
    assert server.ids("Observation?subject.gender=male") == ["o"]


def test_only_current_resources_take_part_in_chains(server: Server) -> None:
    server.load(patient("a", gender="male"), observation("o"), observation("p", code="y"))
    assert sorted(server.ids("Observation?subject.gender=male")) == ["o", "p"]
    assert server.ids("Patient?_has:Observation:patient:code=y") == ["a"]
    server.delete("Observation/p")
    assert server.page("Patient?_has:Observation:patient:code=y&_summary=count").total == 0
    server.delete("Patient/a")
    assert server.page("Observation?subject.gender=male&_summary=count").total == 0
    assert server.ids("Observation?subject=Patient/a") == ["o"]


def contained(id_: str, family: str, clinic: str = "c") -> Json:
    inner = {
        "resourceType": "Patient",
        "id": "p",
        "name": [{"family": family}],
        "managingOrganization": {"reference": f"Organization/{clinic}"},
    }
    return observation(id_, "#p", contained=[inner])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("subject:Patient.family=quell", "a i"),
        ("patient.family=quell,strom", "a i j"),
        ("patient.family=quell&patient.organization.name=clinic", "i"),
        ("patient.family:exact=quell", ""),
        ("patient.gender:missing=true", "a i j"),
        ("patient._id=p", ""),
        ("patient._id=a", "a"),
        ("device.type=x", ""),
    ],
)
def test_chains_look_into_contained_resources(server: Server, query: str, expected: str) -> None:
    server.load({"resourceType": "Organization", "id": "c", "name": "Clinic"})
    server.load(patient("a", name=[{"family": "Quell"}]), observation("a"), contained("i", "Quell"))
    server.load(
        contained("j", "Strom", clinic="d"), observation("k", "#p", contained=[{"resourceType": "Group", "id": "p"}])
    )
    page = server.page(f"Observation?{query}")
    assert sorted(each.id for each in page.matches) == expected.split()
    assert page.warnings == ()


def test_of_many_containers_some_are_looked_into_and_that_is_said(archive: Archive) -> None:
    server = Server(archive, limits=Limits(contained=2))
    server.load(contained("i", "Quell"), contained("j", "Quell"))
    assert sorted(server.ids("Observation?patient.family=quell")) == ["i", "j"]
    server.load(contained("k", "Quell"))
    page = server.page("Observation?patient.family=quell")
    assert len(page.matches) == 2
    assert [each.code for each in page.warnings] == ["incomplete"]


def test_a_chain_through_a_version_uses_the_current_one_and_says_so(server: Server) -> None:
    server.load(patient("a", gender="male"), observation("v", "Patient/a/_history/1"), observation("w", "Patient/b"))
    page = server.page("Observation?subject:Patient.gender=male")
    assert [each.id for each in page.matches] == ["v"]
    assert [each.code for each in page.warnings] == ["informational"]
    server.load(patient("b", gender="female"))
    assert server.page("Observation?subject:Patient.gender=female").warnings == ()
    assert server.page("Observation?subject=Patient/a").warnings == ()


# Rights


class OnePatient(AccessPoint):
    """Lets actors see patient a and what is about her, and no organization at all."""

    async def constrain(self, context: Context, interaction: str, resource_type: str) -> Predicate:
        match resource_type:
            case "Patient":
                return Equals("_id", "a")
            case "Observation":
                return Equals("subject", "Patient/a")
            case "Organization":
                return NOTHING
            case _:
                return EVERYTHING


@pytest.fixture
def narrow(archive: Archive) -> Server:
    server = Server(archive, OnePatient())
    of = {"managingOrganization": {"reference": "Organization/o"}}
    server.load(
        patient("a", gender="male", meta={"versionId": "1"}, **of),
        patient("b", gender="male", meta={"versionId": "1"}, **of),
    )
    server.load({"resourceType": "Organization", "id": "o", "name": "O"})
    server.load(*(observation(f"{whose}{each}", f"Patient/{whose}") for whose in "ab" for each in range(3)))
    server.load(*({"resourceType": "Encounter", "id": f"e{each}", "status": "finished", "class": {"code": "x"},
                   "subject": {"reference": f"Patient/{each}/_history/1"}} for each in "ab"))  # fmt: skip
    return server


def test_rights_hold_for_matches_totals_and_pages(narrow: Server) -> None:
    assert narrow.ids("Patient?gender=male&_count=1") == ["a"]
    assert narrow.page("Patient?_total=accurate&_count=1").total == 1
    assert narrow.page("Observation?_summary=count").total == 3
    assert sorted(narrow.ids("Observation?code=x&_sort=-date&_count=2")) == ["a0", "a1", "a2"]
    assert sorted(narrow.ids("?_type=Patient,Observation&_sort=_id&_count=2")) == ["a", "a0", "a1", "a2"]
    assert narrow.refused("Organization?name=o").kind is Kind.FORBIDDEN
    assert narrow.refused("?_type=Patient,Organization").kind is Kind.FORBIDDEN
    assert "Organization" not in {each.type for each in narrow.page("?_count=100").matches}


def test_rights_hold_for_chains_and_includes(narrow: Server) -> None:
    assert sorted(narrow.ids("Encounter?subject.gender=male")) == ["ea"]
    assert narrow.refused("Patient?organization.name=o").kind is Kind.FORBIDDEN
    assert sorted(narrow.ids("Encounter?subject:Patient._has:Observation:patient:code=x")) == ["ea"]
    assert [each.id for each in narrow.page("Patient?_include=Patient:organization").included] == []
    page = narrow.page("Encounter?_include=Encounter:subject&_include:iterate=Patient:organization")
    assert [each.reference for each in page.included] == ["Patient/a"]
    page = narrow.page("Encounter?_include=Encounter:subject&_revinclude:iterate=Observation:patient&_revinclude=*")
    assert {each.id for each in page.included} == {"a", "a0", "a1", "a2"}
    assert narrow.refused("Patient/b/Observation").kind is Kind.NOT_FOUND
    assert len(narrow.ids("Patient/a/Observation")) == 3


def test_an_actor_without_the_right_to_a_type_is_refused(server: Server) -> None:
    server.load(patient("a"), observation("o"))
    some = Context(
        Actor("some", "some", (Grant(INTERACTIONS, frozenset({"Observation"})),), frozenset({SERVER})), "test"
    )
    assert [each.id for each in server.page("Observation?", context=some).matches] == ["o"]
    assert [each.id for each in server.page("", context=some).matches] == ["o"]
    with pytest.raises(Problem) as caught:
        server.page("Patient?", context=some)
    assert caught.value.kind is Kind.FORBIDDEN


# Criteria of conditional interactions


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
