"""Includes bring what belongs to a page, and chains look through references and into containers; on every store."""

from __future__ import annotations

import pytest

from server.fhir.search.request import Limits
from server.kernel.problem import Kind
from tests.contract.conftest import Archive
from tests.contract.fhir_search_world import Json, Server, observation, patient


@pytest.fixture
def server(archive: Archive) -> Server:
    return Server(archive)


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
