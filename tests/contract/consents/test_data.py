"""Which data consents speak of, by date, reference, author, visit or label: cases of the decision table by number."""

from __future__ import annotations

import pytest

from server.fhir.redaction import INLINE_LABEL
from tests.contract.consent_world import DR_A, DR_B, World, observation, parent, the_parent, the_patient, visit
from tests.contract.consents.cases import ALL, Case, Json, agreed, found, numbered, reads
from tests.data.consents import TPO, deny, label, permit

CASES: dict[str, Case] = {}
case = numbered(CASES)


@case(16)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, within=("2022", "2022")))
    assert found(world, DR_A, name) == {"22"}
    assert not reads(world, DR_A, f"Observation/{name}-24")


@case(17)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, nested=[deny(within=("2022", "2022"))]))
    assert found(world, DR_A, name) == ALL - {"22"}
    assert not reads(world, DR_A, f"Observation/{name}-22")


@case(18)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, data=[("instance", f"Observation/{name}-n")]))
    assert found(world, DR_A, name) == {"n"}
    assert not reads(world, DR_A, f"Observation/{name}-24")


def by_author(name: str) -> list[Json]:
    return [observation(name, "by-b", "N", by="dr-b"), observation(name, "by-none", "N", by=None)]


@case(20)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, data=[("authoredby", "Practitioner/dr-a")]), data=by_author(name))
    assert found(world, DR_A, name) == ALL


@case(21)
def _(world: World, name: str) -> None:
    root = permit(TPO, nested=[deny(data=[("authoredby", "Practitioner/dr-a")])])
    agreed(world, name, root, data=by_author(name))
    assert found(world, DR_A, name) == {"by-b"}
    assert reads(world, DR_A, f"Patient/{name}")


@case(21, "-by-role")
def _(world: World, name: str) -> None:
    root = permit(TPO, nested=[deny(data=[("authoredby", "Practitioner/dr-b")])])
    made = observation(name, "by-role", "N") | {"performer": [{"reference": "PractitionerRole/b-at-x"}]}
    later = observation(name, "by-new", "N") | {"performer": [{"reference": f"PractitionerRole/{name}-new"}]}
    agreed(world, name, root, data=[made, later])
    assert found(world, DR_A, name) == ALL | {"by-new"}
    practitioner = {"reference": "Practitioner/dr-b"}
    world.put({"resourceType": "PractitionerRole", "id": f"{name}-new", "practitioner": practitioner})
    assert found(world, DR_A, name) == ALL
    assert not reads(world, DR_A, f"Observation/{name}-by-role")


def without_visit(name: str) -> Json:
    return permit(TPO, nested=[deny(data=[("related", f"Encounter/{name}-enc1")])])


@case(22)
def _(world: World, name: str) -> None:
    agreed(world, name, without_visit(name), data=visit(name))
    got = world.get(DR_A, f"Condition?patient={name}&_include=Condition:encounter")
    assert got.names == set()
    for resource_type in ("Encounter", "Condition", "DiagnosticReport", "ImagingStudy"):
        assert found(world, DR_A, name, resource_type) == set()
    assert found(world, DR_A, name) == ALL
    assert not reads(world, DR_A, f"Encounter/{name}-enc1")


@case(23)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, labels=["N"]))
    assert found(world, DR_A, name) == ALL - {"psy", "etoh"}


@case(24)
def _(world: World, name: str) -> None:
    # Roles that see what is very restricted at all do so in an emergency.
    agreed(world, name, permit(TPO, labels=["N", "R"]), data=[observation(name, "v", "V")])
    assert found(world, DR_A, name, purpose="BTG") == ALL


@case(25)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, labels=["N"], nested=[permit(labels=["R"], actors=["Practitioner/dr-a"])]))
    assert reads(world, DR_A, f"Observation/{name}-psy")
    assert not reads(world, DR_B, f"Observation/{name}-psy")
    assert reads(world, DR_B, f"Observation/{name}-n")


@case(26)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, labels=["N"], nested=[permit(labels=["PSY"], actors=["Practitioner/dr-a"])]))
    assert found(world, DR_A, name) == ALL - {"etoh"}


@case(27)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, nested=[deny(labels=["ETH"])]))
    assert not reads(world, DR_A, f"Observation/{name}-etoh")
    assert found(world, DR_A, name) == ALL - {"etoh"}


def studies(name: str) -> list[Json]:
    """S-CT and S-US."""
    shared = {"resourceType": "ImagingStudy", "status": "available", "subject": {"reference": f"Patient/{name}"}}
    return [
        {**shared, "id": f"{name}-ct", "started": "2024-02-02", "meta": {"security": [label("N")]}},
        {**shared, "id": f"{name}-us", "started": "2022-02-02", "meta": {"security": [label("R"), label("SDV")]}},
    ]


@case(43)
def _(world: World, name: str) -> None:
    root = permit(TPO, nested=[deny(data=[("instance", f"ImagingStudy/{name}-ct")])])
    agreed(world, name, root, data=studies(name))
    assert found(world, DR_A, name, "ImagingStudy") == {"us"}


@case(44)
def _(world: World, name: str) -> None:
    inline = [{"url": INLINE_LABEL, "valueCoding": label("R")}]
    code = {"system": "http://dicom.nema.org/resources/ontology/DCM"}
    series = [
        {"uid": "2.25.1", "modality": code | {"code": "CT"}, "numberOfInstances": 3},
        {"uid": "2.25.2", "modality": code | {"code": "US"}, "numberOfInstances": 4, "extension": inline},
    ]
    counts = {"numberOfSeries": 2, "numberOfInstances": 7, "modality": [each["modality"] for each in series]}
    study = studies(name)[0] | counts | {"series": series}
    agreed(world, name, permit(TPO, nested=[deny(labels=["R"])]), data=[study])
    shown = world.get(DR_A, f"ImagingStudy/{name}-ct").json
    assert [each["uid"] for each in shown["series"]] == ["2.25.1"]
    assert (shown["numberOfSeries"], shown["numberOfInstances"]) == (1, 3)
    assert [each["code"] for each in shown["modality"]] == ["CT"]
    assert len(world.get(the_patient(name), f"ImagingStudy/{name}-ct").json["series"]) == 2


@case(45)
def _(world: World, name: str) -> None:
    undated = {"resourceType": "ImagingStudy", "id": f"{name}-undated", "status": "available"}
    undated |= {"subject": {"reference": f"Patient/{name}"}}
    agreed(world, name, permit(TPO, within=("2024", "2024")), data=[*studies(name), undated])
    assert found(world, DR_A, name, "ImagingStudy") == {"ct"}


@case(47)
def _(world: World, name: str) -> None:
    barred = deny(actors=[f"RelatedPerson/{name}-parent"], labels=["SDV"])
    agreed(world, name, barred, data=[parent(name), *studies(name)])
    assert found(world, the_parent(name), name, "ImagingStudy") == {"ct"}
    assert not reads(world, the_parent(name), f"ImagingStudy/{name}-us")
    assert found(world, DR_A, name, "ImagingStudy") == {"ct", "us"}


@case(52)
def _(world: World, name: str) -> None:
    document = {
        "resourceType": "DocumentReference",
        "id": f"{name}-document",
        "status": "current",
        "subject": {"reference": f"Patient/{name}"},
        "content": [{"attachment": {"contentType": "text/plain", "data": "aGlkZGVu"}}],
        "context": {"encounter": [{"reference": f"Encounter/{name}-enc1"}]},
    }
    agreed(world, name, without_visit(name), data=[*visit(name), document])
    assert found(world, DR_A, name, "DocumentReference") == set()
    assert not reads(world, DR_A, f"DocumentReference/{name}-document")
    assert found(world, the_patient(name), name, "DocumentReference") == {"document"}


@pytest.mark.parametrize("name", CASES)
def test_case(world: World, name: str) -> None:
    CASES[name](world, name)
