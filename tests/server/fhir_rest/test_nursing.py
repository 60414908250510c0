"""What a nurse's system sees on the wire: remarks on what it writes, duplicates told, the timeline."""

from __future__ import annotations

from typing import Any

from tests.data.reports import imaging_report
from tests.server.fhir_rest.served import Served

TEMPERATURE: dict[str, Any] = {
    "resourceType": "Observation",
    "meta": {"profile": ["http://weft.health/fhir/StructureDefinition/nursing-temperature"]},
    "identifier": [{"system": "http://ward.example/readings", "value": "r-1"}],
    "status": "final",
    "category": [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}
    ],
    "code": {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]},
    "effectiveDateTime": "2026-11-20T10:00:00+08:00",
    "bodySite": {"coding": [{"system": "http://snomed.info/sct", "code": "422543003"}]},
    "valueQuantity": {"value": 105.8, "unit": "F", "system": "http://unitsofmeasure.org", "code": "[degF]"},
}

OUTCOME = "return=OperationOutcome"


def temperature(of: str, **more: Any) -> dict[str, Any]:
    return TEMPERATURE | {"subject": {"reference": f"Patient/{of}"}} | more


def test_what_is_unusual_is_stored_and_told_and_found_in_other_units(service: Served) -> None:
    got = service.ask("POST", "/Observation", temperature("unusual"), prefer=OUTCOME)
    assert got.status == 201
    warnings = [each for each in got.json["issue"] if each["severity"] == "warning"]
    assert any("weft-temperature-usual" in each["diagnostics"] for each in warnings)
    found = service.get("/Observation?patient=unusual&value-quantity=41|http://unitsofmeasure.org|Cel").json
    assert [each["resource"]["valueQuantity"]["value"] for each in found["entry"]] == [105.8]


def test_what_cannot_be_is_refused(service: Served) -> None:
    impossible = temperature("impossible", valueQuantity=TEMPERATURE["valueQuantity"] | {"value": 366})
    got = service.ask("POST", "/Observation", impossible)
    assert (got.status, got.issues) == (422, [("invariant", "Observation")])


def test_a_reading_sent_twice_is_told_with_the_earlier_id(service: Served) -> None:
    query = "patient=twice&identifier=http://ward.example/readings|r-1"
    earlier = service.ask("POST", "/Observation", temperature("twice"), if_none_exist=query).json["id"]
    got = service.ask("POST", "/Observation", temperature("twice"), if_none_exist=query, prefer=OUTCOME)
    assert got.status == 200
    remark = got.json["issue"][-1]
    assert (remark["severity"], remark["code"]) == ("warning", "duplicate")
    assert f"Observation/{earlier}" in remark["diagnostics"]
    assert f"/Observation/{earlier}/" in got.headers["location"]


def test_the_timeline_is_an_operation_of_a_patient(service: Served) -> None:
    service.ask("PUT", "/Patient/nursed", {"resourceType": "Patient", "id": "nursed"})
    earlier = service.create(temperature("nursed"))
    got = service.get("/Patient/nursed/$timeline?start=2026-11-20&end=2026-11-20&code=8310-5")
    assert got.status == 200
    table, *resources = [each["resource"] for each in got.json["entry"]]
    assert table["resourceType"] == "Parameters"
    assert earlier["id"] in {each["id"] for each in resources}
    assert service.get("/Patient/nobody/$timeline").status == 404
    refused = service.get("/Patient/nursed/$timeline?window=soon")
    assert (refused.status, refused.json["resourceType"]) == (400, "OperationOutcome")


def test_an_examination_has_one_current_report_and_it_does_not_go_back(service: Served) -> None:
    report = imaging_report("E-1", subject={"reference": "Patient/reported"})
    first = service.create(report)
    second = service.ask("POST", "/DiagnosticReport", report)
    assert (second.status, second.issues) == (409, [("duplicate", "DiagnosticReport.identifier")])
    assert first["id"] not in second.json["issue"][0]["diagnostics"]
    draft = report | {"id": first["id"], "status": "preliminary"}
    back = service.ask("PUT", f"/DiagnosticReport/{first['id']}", draft)
    assert (back.status, back.issues) == (422, [("business-rule", "DiagnosticReport.status")])
