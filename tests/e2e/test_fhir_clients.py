"""Clients made by others, unchanged, drive the FHIR service: PyPI `fhirpy` and `fhirclient`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fhirclient import client as smart
from fhirclient.models.bundle import Bundle, BundleEntry, BundleEntryRequest
from fhirclient.models.humanname import HumanName
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

from tests.e2e.running import Server

FAMILY = "Clientstone"


@pytest.fixture(scope="module")
def fhirpy(server: Server) -> SyncFHIRClient:
    return SyncFHIRClient(f"{server.url}/fhir")


@pytest.fixture(scope="module")
def fhirclient(server: Server) -> smart.FHIRClient:
    return smart.FHIRClient(settings={"app_id": "weft-tests", "api_base": f"{server.url}/fhir"})


def observation(patient: Any, value: int) -> dict[str, Any]:
    return {
        "status": "final",
        "code": {"text": "pulse"},
        "subject": patient.to_reference(),
        "effectiveDateTime": f"2026-01-{value:02d}",
        "valueInteger": value,
    }


def test_fhirpy_creates_reads_changes_and_deletes(fhirpy: SyncFHIRClient) -> None:
    patient = fhirpy.resource("Patient", name=[{"family": FAMILY, "given": ["Ada"]}], birthDate="1980-01-01")
    patient.save()
    assert patient["meta"]["versionId"] == "1"
    again = fhirpy.reference("Patient", patient.id).to_resource()
    assert again["name"][0]["given"] == ["Ada"]
    again["gender"] = "female"
    again.save(fields=["gender"])
    assert fhirpy.get("Patient", patient.id)["gender"] == "female"
    patient.refresh()
    patient["active"] = True
    patient.update()
    assert patient["meta"]["versionId"] == "3"
    patient.delete()
    with pytest.raises((ResourceNotFound, OperationOutcome)):
        fhirpy.get("Patient", patient.id)


def test_fhirpy_searches_page_by_page(fhirpy: SyncFHIRClient) -> None:
    patient = fhirpy.resource("Patient", name=[{"family": FAMILY + "One"}])
    patient.save()
    for value in range(1, 8):
        fhirpy.resource("Observation", **observation(patient, value)).save()
    found = fhirpy.resources("Observation").search(subject=patient.to_reference()).sort("-date").limit(3)
    assert [each["valueInteger"] for each in found.fetch()] == [7, 6, 5]
    assert [each["valueInteger"] for each in found.fetch_all()] == [7, 6, 5, 4, 3, 2, 1]
    assert found.count() == 7
    early = fhirpy.resources("Observation").search(subject=patient.to_reference(), date__lt="2026-01-03")
    assert {each["valueInteger"] for each in early} == {1, 2}
    included = fhirpy.resources("Observation").search(subject=patient.to_reference()).include("Observation", "subject")
    assert any(each.resource.resource_type == "Patient" for each in included.fetch_raw().entry)
    assert fhirpy.resources("Patient").search(family=FAMILY + "One").get().id == patient.id


def test_fhirpy_is_told_what_is_wrong(fhirpy: SyncFHIRClient) -> None:
    with pytest.raises(OperationOutcome):
        fhirpy.resource("Patient", gender="blue").save()
    with pytest.raises((ResourceNotFound, OperationOutcome)):
        fhirpy.get("Patient", "none")
    assert fhirpy.resource("Patient", gender="male").is_valid()
    assert not fhirpy.resource("Patient", gender="blue").is_valid()


def test_fhirpy_writes_on_conditions(fhirpy: SyncFHIRClient) -> None:
    identifier = [{"system": "http://x.test/fhirpy", "value": "1"}]
    query = {"identifier": "http://x.test/fhirpy|1"}
    named = fhirpy.resource("Patient", identifier=identifier)
    first, is_new = fhirpy.resources("Patient").search(**query).get_or_create(named)
    assert is_new
    second, is_new = fhirpy.resources("Patient").search(**query).get_or_create(named)
    assert (second.id, is_new) == (first.id, False)
    changed, _ = (
        fhirpy.resources("Patient")
        .search(**query)
        .update(fhirpy.resource("Patient", identifier=identifier, active=True))
    )
    assert changed["meta"]["versionId"] == "2"
    patched = fhirpy.resources("Patient").search(**query).patch(gender="other")
    assert patched["gender"] == "other"
    fhirpy.resource("Patient", identifier=identifier).create()
    with pytest.raises(MultipleResourcesFound):
        fhirpy.resources("Patient").search(**query).get()


def test_fhirpy_sends_transactions_and_calls_operations(fhirpy: SyncFHIRClient) -> None:
    urn = "urn:uuid:2c6e2b3a-40ad-4d4c-8d1f-65f3f4d1b2a1"
    bundle = fhirpy.resource(
        "Bundle",
        type="transaction",
        entry=[
            {
                "fullUrl": urn,
                "resource": {"resourceType": "Patient", "name": [{"family": FAMILY}]},
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "resource": {
                    "resourceType": "Basic",
                    "code": {"text": "note"},
                    "subject": {"reference": urn},
                },
                "request": {"method": "POST", "url": "Basic"},
            },
        ],
    )
    answer = bundle.save()
    statuses = [each["response"]["status"][:3] for each in (answer or bundle)["entry"]]
    assert statuses == ["201", "201"]
    basic = fhirpy.resources("Basic").search(subject__Patient__family=FAMILY).first()
    everything = fhirpy.reference("Patient", basic["subject"]["reference"].rpartition("/")[2]).execute(
        "$everything", method="get"
    )
    assert {each["resource"]["resourceType"] for each in everything["entry"]} == {"Patient", "Basic"}


def test_fhirpy_works_asynchronously_too(server: Server) -> None:
    async def many() -> int:
        client = AsyncFHIRClient(f"{server.url}/fhir")
        made = [client.resource("Basic", code={"text": f"async {number}"}) for number in range(20)]
        await asyncio.gather(*(each.save() for each in made))
        return len({each.id for each in made})

    assert asyncio.run(many()) == 20


def test_fhirclient_knows_the_server(fhirclient: smart.FHIRClient) -> None:
    assert fhirclient.prepare()
    assert fhirclient.server.capabilityStatement.fhirVersion == "4.0.1"


def test_fhirclient_creates_reads_changes_and_deletes(fhirclient: smart.FHIRClient) -> None:
    patient = Patient({"name": [{"family": FAMILY + "Two", "given": ["Bo"]}]})
    created = patient.create(fhirclient.server)
    patient = Patient.read(created["id"], fhirclient.server)
    assert patient.name[0].given == ["Bo"]
    name = HumanName()
    name.family = FAMILY + "Three"
    patient.name = [name]
    assert patient.update(fhirclient.server)["meta"]["versionId"] == "2"
    (found,) = Patient.where({"family": FAMILY + "Three"}).perform_resources_iter(fhirclient.server)
    assert found.id == patient.id
    patient.delete(fhirclient.server)
    assert list(Patient.where({"family": FAMILY + "Three"}).perform_resources_iter(fhirclient.server)) == []


def test_fhirclient_pages(fhirclient: smart.FHIRClient) -> None:
    patient = Patient({"name": [{"family": FAMILY + "Four"}]}).create(fhirclient.server)
    for value in range(1, 6):
        Observation({
            "status": "final", "code": {"text": "pulse"}, "subject": {"reference": f"Patient/{patient['id']}"},
            "valueInteger": value,
        }).create(fhirclient.server)  # fmt: skip
    found = Observation.where({"patient": patient["id"], "_count": "2"})
    assert len(list(found.perform_resources_iter(fhirclient.server))) == 5


def test_fhirclient_sends_a_transaction(fhirclient: smart.FHIRClient) -> None:
    entry = BundleEntry()
    entry.resource = Patient({"name": [{"family": FAMILY + "Five"}]})
    entry.request = BundleEntryRequest({"method": "POST", "url": "Patient"})
    bundle = Bundle({"type": "transaction"})
    bundle.entry = [entry]
    answer = fhirclient.server.post_json("", bundle.as_json()).json()
    assert answer["entry"][0]["response"]["status"].startswith("201")
