"""Whom consents speak to, and for what purpose: cases of the decision table by number."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.contract.consent_world import (
    BACKEND,
    DR_A,
    DR_B,
    RESEARCHING,
    World,
    observation,
    parent,
    patient,
    person,
    the_parent,
    the_patient,
)
from tests.contract.consents.cases import ALL, WHOLE, Case, Json, agreed, found, numbered, reads
from tests.data.consents import TPO, deny, permit

CASES: dict[str, Case] = {}
case = numbered(CASES)


@case(7)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO))
    assert found(world, DR_A, name, purpose="HRESCH", site=WHOLE) == set()
    assert found(world, DR_A, name, purpose="HRESCH") == ALL
    assert found(world, DR_A, name, purpose="HRESCH", site={"consent_policy": "basic-normal"}) == set()


@case(11)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, actors=["Practitioner/dr-a"]))
    assert reads(world, DR_A, f"Observation/{name}-n")
    assert not reads(world, DR_B, f"Observation/{name}-n")


@case(12)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, actors=["Organization/org-x"]))
    assert reads(world, DR_B, f"Observation/{name}-n")
    assert not reads(world, DR_A, f"Observation/{name}-n")


@case(13)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, nested=[deny(actors=["Practitioner/dr-b"])]))
    assert found(world, DR_B, name) == set()
    assert found(world, DR_A, name) == ALL


@case(14)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(["HRESCH"]))
    assert found(world, RESEARCHING, name, purpose="CLINTRCH") == ALL
    assert found(world, RESEARCHING, name, purpose="HRESCH") == ALL


@case(15)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(["FooBar"], actors=["Organization/research-org"]))
    member = person("member", "technologist", "PractitionerRole/research")
    assert found(world, member, name, purpose="FooBar", site=WHOLE) == ALL
    assert found(world, member, name, site=WHOLE) == set()
    assert found(world, DR_A, name, purpose="FooBar", site=WHOLE) == set()


def focused(purposes: Sequence[str] | None = TPO) -> Json:
    urgent = permit(["BTG"], labels=["R"], actors=["Group/emergency"])
    return permit(purposes, labels=["N"], nested=[urgent])


@case(28)
def _(world: World, name: str) -> None:
    agreed(world, name, focused())
    assert not reads(world, DR_A, f"Observation/{name}-psy")
    assert reads(world, DR_A, f"Observation/{name}-psy", purpose="BTG")
    assert found(world, DR_A, name, purpose="BTG") == ALL


@case(29)
def _(world: World, name: str) -> None:
    agreed(world, name, focused())
    assert not reads(world, DR_B, f"Observation/{name}-psy", purpose="BTG")
    assert found(world, DR_B, name, purpose="BTG") == ALL - {"psy", "etoh"}


@case(30)
def _(world: World, name: str) -> None:
    agreed(world, name, deny(nested=[permit(["BTG"], actors=["Group/emergency"])]))
    assert found(world, DR_A, name, purpose="BTG") == ALL
    assert found(world, DR_A, name) == set()
    assert found(world, DR_B, name, purpose="BTG") == set()


@case(46)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, nested=[deny(actors=["Organization/org-x"])]))
    made = observation(name, "new", "N")
    del made["id"]
    assert world.ask(BACKEND, "POST", "/fhir/Observation", made).status == 201
    assert found(world, BACKEND, name) == set()


@case(54)
def _(world: World, name: str) -> None:
    agreed(world, name, deny(), data=[parent(name)])
    for own in (the_patient(name), the_parent(name)):
        assert found(world, own, name) == ALL
        assert reads(world, own, f"Patient/{name}")
        assert found(world, own, name, site={"consent_policy": "deny"}) == ALL
    assert found(world, DR_A, name) == set()


@pytest.mark.parametrize("name", CASES)
def test_case(world: World, name: str) -> None:
    CASES[name](world, name)


def test_patients_that_are_linked_are_one_person(world: World) -> None:
    agreed(world, "kept", deny(TPO))
    agreed(world, "merged")
    assert found(world, DR_A, "merged") == ALL
    link = {"link": [{"other": {"reference": "Patient/kept"}, "type": "replaced-by"}]}
    world.put(patient("merged") | link)
    assert found(world, DR_A, "merged") == set()
    for each in ("merged", "kept"):
        world.put(patient(each))
        assert found(world, DR_A, "merged") == set(), "who is one person the master index says, not a writer"
    world.part("merged")
    assert found(world, DR_A, "merged") == ALL


def test_links_that_the_master_index_knows_nothing_of_are_their_writers(world: World) -> None:
    agreed(world, "one", deny(TPO))
    agreed(world, "two")
    world.put(patient("two") | {"link": [{"other": {"reference": "Patient/one"}, "type": "seealso"}]})
    assert found(world, DR_A, "two") == set()
    world.put(patient("two"))
    assert found(world, DR_A, "two") == ALL


def test_a_membership_that_ended_counts_no_more(world: World) -> None:
    agreed(world, "teams", permit(TPO, actors=["CareTeam/teams-team"]))
    team = {
        "resourceType": "CareTeam",
        "id": "teams-team",
        "status": "active",
        "subject": {"reference": "Patient/teams"},
        "participant": [
            {"member": {"reference": "Practitioner/dr-a"}},
            {"member": {"reference": "Practitioner/dr-b"}, "period": {"end": "2020-01-01"}},
        ],
    }
    world.put(team)
    assert found(world, DR_A, "teams") == ALL
    assert found(world, DR_B, "teams") == set()
