from __future__ import annotations

import base64
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from hypothesis import given
from hypothesis import strategies as st

from server.audit.balp import audit_events
from server.audit.event import Entity, Event
from tests.profiles.packages.checking import validator
from tests.server.audit.recording import AT, NODE
from tests.server.audit.samples import samples

SAMPLES = samples()
DCM = "http://dicom.nema.org/resources/ontology/DCM"
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"


def resources(name: str) -> list[dict[str, Any]]:
    return [each for number, event in enumerate(SAMPLES[name]) for each in audit_events(f"log-{number}", event, NODE)]


def roles(resource: dict[str, Any]) -> list[str]:
    return [agent["type"]["coding"][0]["code"] for agent in resource["agent"]]


def entities(resource: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["type"]["code"], each.get("role", {}).get("code", "")) for each in resource.get("entity", [])]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_pattern_is_a_valid_resource(name: str) -> None:
    for resource in resources(name):
        assert [each for each in validator().validate(resource) if each.is_error] == []
        AuditEvent(**resource)


@pytest.mark.parametrize(
    ("name", "profile", "agents", "about"),
    [
        ("P01", "PatientCreate", ["110153", "110152", "AUT"], [("1", "1"), ("2", "4"), ("XrequestId", "")]),
        ("P02", "PatientRead", ["110152", "110153", "IRCP"], [("1", "1"), ("2", "4"), ("XrequestId", "")]),
        ("P02-no-patient", "Read", ["110152", "110153", "IRCP"], [("2", "4"), ("XrequestId", "")]),
        ("P04", "PatientUpdate", ["110153", "110152", "AUT"], [("1", "1"), ("2", "4"), ("XrequestId", "")]),
        ("P05", "PatientDelete", ["110150", "custodian", "AUT"], [("1", "1"), ("2", "4")]),
        ("P06", "PatientQuery", ["110153", "110152", "IRCP"], [("1", "1"), ("2", "24"), ("XrequestId", "")]),
        ("P28", "AuthZconsent", ["110150", "authserver", "IRCP", "PROV"], [("1", "1"), ("Consent", "")]),
    ],
)
def test_what_succeeded_claims_its_basic_profile(
    name: str, profile: str, agents: list[str], about: list[tuple[str, str]]
) -> None:
    resource = resources(name)[0]
    claimed = f"https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.{profile}"
    assert resource["meta"]["profile"] == [claimed]
    assert roles(resource) == agents
    assert entities(resource) == about


def test_a_search_that_told_of_two_patients_is_two_events() -> None:
    first, second = resources("P06")
    assert (first["id"], second["id"]) == ("log-0", "log-0.1")
    assert [each["entity"][0]["what"]["reference"] for each in (first, second)] == ["Patient/3", "Patient/4"]
    asked = first["entity"][1]
    assert base64.b64decode(asked["query"]) == b"GET /fhir/Observation?code=1"
    assert asked["description"] == "GET /fhir/Observation?code=1"


def test_a_failure_claims_no_profile_of_success() -> None:
    [resource] = resources("P36")
    assert "meta" not in resource
    assert resource["outcome"] == "4"


def test_the_user_is_named_by_issuer_and_subject_and_by_resource() -> None:
    user = resources("P02")[0]["agent"][2]
    assert user["who"] == {
        "reference": "Practitioner/12",
        "identifier": {"system": "https://weft.example/oauth", "value": "u1"},
        "display": "Wang Fang",
    }
    assert user["requestor"] is True
    assert user["policy"] == ["urn:ietf:params:oauth:jti:approval1"]
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert "network" not in user


def test_a_client_by_itself_is_the_requestor() -> None:
    client, server = resources("P15")[0]["agent"]
    assert (client["who"]["identifier"]["value"], client["requestor"]) == ("lab", True)
    assert server["requestor"] is False


def test_a_study_is_named_by_its_uid() -> None:
    study = resources("P13")[0]["entity"][1]
    assert study["what"]["identifier"] == {"system": "urn:dicom:uid", "value": "urn:oid:1.2.826.0.1.3680043.9.7777.1"}
    assert study["detail"] == [{"type": "study", "valueString": "1 instance"}]


texts = st.text(max_size=40)


@given(
    st.sampled_from(["rest", "110112", "110104", "110113", "110114", "110100", "110101", "110106"]),
    st.sampled_from(["read", "search-type", "qido", "AuthZ-Consent", "110122", "ITI-71", "", "other"]),
    st.sampled_from("CRUDE"),
    st.lists(st.tuples(st.sampled_from(["data", "study", "token", "user", "reason", "query", "x"]), texts, texts)),
    st.lists(texts, min_size=8, max_size=8),
)
def test_whatever_an_event_holds_it_can_be_read(
    code: str, subtype: str, action: str, about: list[tuple[str, str, str]], facts: list[str]
) -> None:
    text, request, user, name, client, session, peer, query = facts
    event = Event(
        code, subtype, action, AT, 0, text, request, "TREAT", user, name, "", (), client, session, peer, "Patient/3",
        tuple(Entity(*each) for each in about), query,
    )  # fmt: skip
    [resource] = audit_events("log-1", event, NODE)
    assert resource["resourceType"] == "AuditEvent"
    assert all(each.get("who") for each in resource["agent"])
