"""Access keys of resources, as the indexer writes them."""

from __future__ import annotations

from typing import Any

import pytest

from server.fhir.index.indexer import Indexer
from server.fhir.index.registry import Registry

INDEXER = Indexer(Registry(), bases=("https://weft.example/fhir",), full_text=False)


def keys(resource_type: str, **elements: Any) -> dict[str, Any]:
    found = INDEXER.keys({"resourceType": resource_type, "id": "x"} | elements, 5)
    return {name: set(values) for name, values in found.items() if name[0] == "@" and "," not in name}


def to(reference: str) -> dict[str, str]:
    return {"reference": reference}


@pytest.mark.parametrize(
    ("found", "patients"),
    [
        (keys("Patient"), {"x"}),
        (keys("Patient", link=[{"other": to("Patient/y"), "type": "seealso"}]), {"x"}),
        (keys("Observation", subject=to("Patient/a")), {"a"}),
        (keys("Observation", subject=to("https://weft.example/fhir/Patient/a")), {"a"}),
        (keys("Observation", subject=to("https://other.example/fhir/Patient/a")), set()),
        (keys("Observation", subject=to("Patient/a/_history/3")), {"a"}),
        (keys("Observation", subject=to("Patient/a"), performer=[to("Patient/b")]), {"a", "b"}),
        (keys("Observation", subject=to("#p"), contained=[{"resourceType": "Patient", "id": "p"}]), set()),
        (keys("Observation", subject=to("Device/d")), set()),
        (keys("Observation", subject=to("Patient/a"), focus=[to("Patient/b")]), {"a"}),
        (keys("Group", member=[{"entity": to("Patient/a")}, {"entity": to("Patient/b")}]), {"a", "b"}),
        (keys("Task", **{"for": to("Patient/a")}), {"a"}),
        (keys("Device", patient=to("Patient/a")), {"a"}),
        (keys("Binary", securityContext=to("Patient/a")), {"a"}),
        (keys("Bundle", entry=[{"resource": {"resourceType": "Patient", "id": "a"}},
                               {"resource": {"resourceType": "Condition", "subject": to("Patient/b")}}]), {"a", "b"}),
        (keys("Location", name="ward"), set()),
        (keys("Appointment", participant=[{"actor": to("Patient/a")}, {"actor": to("Practitioner/d")}]), {"a"}),
    ],
)  # fmt: skip
def test_whose_it_is(found: dict[str, Any], patients: set[str]) -> None:
    assert found.get("@patient", set()) == {f"Patient/{each}" for each in patients}
    assert ("@shared" in found) is (len(patients) > 1)


def test_who_made_it_and_where_it_belongs() -> None:
    found = keys(
        "Procedure",
        subject=to("Patient/a"),
        performer=[{"actor": to("Practitioner/d")}, {"actor": to("Organization/o")}],
        recorder=to("https://weft.example/fhir/Practitioner/e/_history/2"),
        encounter=to("Encounter/1"),
        basedOn=[to("CarePlan/2"), to("ServiceRequest/3")],
    )
    assert found["@author"] == {"Practitioner/d", "Organization/o", "Practitioner/e"}
    assert found["@related"] == {"Encounter/1", "CarePlan/2"}
    assert keys("Encounter", subject=to("Patient/a"))["@related"] == {"Encounter/x"}
    document = keys("DocumentReference", subject=to("Patient/a"), context={"encounter": [to("Encounter/1")]})
    assert document["@related"] == {"Encounter/1"}


def test_when_it_was() -> None:
    found = keys("ImagingStudy", subject=to("Patient/a"), started="2024-01-01T00:00:00Z")
    assert (found["@when"], found["@when:end"]) == ({1_704_067_200_000_000}, {1_704_067_201_000_000})
    assert keys("Condition", recordedDate="2024-01-01")["@when"] == {1_704_067_200_000_000}
    assert "@when" not in keys("Condition")


def test_labels_numbers_and_studies() -> None:
    labelled = keys("Observation", meta={"security": [{"code": "ETHUD"}, {"code": "L"}]})
    assert (labelled["@level"], labelled["@label"]) == ({1}, {"ETHUD", "ETH", "SUD", "SPI", "L"})
    assert "@level" not in keys("Observation", meta={"security": [{"system": "urn:x", "code": "internal"}]})
    study = keys("ImagingStudy", identifier=[{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}, {"value": "7"}])
    assert study["@study"] == {"1.2.3"}
    study_of = [
        {"identifier": {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}},
        {"identifier": {"value": "7"}},
        {},
    ]
    listing = {"format": {"code": "1.2.840.10008.5.1.4.1.1.88.59"}}
    manifest = keys("DocumentReference", content=[{}, listing], context={"related": study_of})
    assert (manifest["@manifest"], "@study" in manifest) == ({"1.2.3"}, False)
    for other in ({"content": [listing]}, {"content": [{}], "context": {"related": study_of}}):
        assert "@manifest" not in keys("DocumentReference", **other)
    patient = keys("Patient", identifier=[{"system": "urn:x", "value": "1"}, {"value": "2"}, {"system": "urn:y"}])
    assert patient["@number"] == {"urn:x|1", "|2"}
    assert keys("Binary", securityContext=to("DocumentReference/d"))["@context"] == {"DocumentReference/d"}
