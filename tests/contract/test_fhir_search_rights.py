"""A search finds, counts, chains to and includes only what its actor may see; on every store."""

from __future__ import annotations

import pytest

from server.access.decision import AccessPoint
from server.kernel.context import INTERACTIONS, SERVER, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from storage.query import EVERYTHING, NOTHING, Equals, Predicate
from tests.contract.conftest import Archive
from tests.contract.fhir_search_world import Server, observation, patient


@pytest.fixture
def server(archive: Archive) -> Server:
    return Server(archive)


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
