"""What requests leave in the log, through the surfaces, the access point and the journal as they are."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator

import pytest

from profiles.china import citizen
from server.audit.event import Event
from server.fhir.export.job import COLLECTION, from_record
from server.kernel.context import LOCAL_ACTOR, Actor, Context
from tests.data.consents import consent, deny
from tests.data.structured_documents import cda
from tests.server.oauth.audited import Audited, audited

SECRET = "secret-token-of-"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    with audited(tmp_path_factory.mktemp("audited")) as running:
        yield running


@pytest.fixture(scope="module")
def radiologist(place: Audited) -> str:
    return place.token("rita", "radiologist")


@pytest.fixture(scope="module")
def auditor(place: Audited) -> str:
    return place.token("otto", "auditor")


@pytest.fixture
def patient(place: Audited, radiologist: str) -> str:
    return place.create({"resourceType": "Patient", "name": [{"family": "Berg"}]}, radiologist)


def condition(patient: str) -> dict[str, object]:
    return {
        "resourceType": "Condition",
        "subject": {"reference": patient},
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "code": {"text": "cough"},
    }


def last(place: Audited, count: int = 1) -> list[Event]:
    return place.journal()[-count:]


def test_a_source_feeds_and_a_consumer_asks_who_is_who(place: Audited, radiologist: str) -> None:
    named = {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.9", "value": "7"}]}
    kind = {"content_type": "application/fhir+json"}
    fed = place.ask(
        "PUT", "/fhir/Patient?identifier=urn:oid:1.2.9%7C7", radiologist, json.dumps(named).encode(), **kind
    )
    assert fed.status == 201, fed.body
    patient = f"Patient/{fed.json['id']}"
    assert [(each.code, each.subtype, each.patient) for each in last(place)] == [("110110", "ITI-104", patient)]
    place.ask("GET", "/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:1.2.9%7C7", radiologist)
    assert [(each.code, each.subtype, each.patient) for each in last(place)] == [("110112", "ITI-83", patient)]
    seeks = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": named}]}
    found = place.ask("POST", "/fhir/Patient/$match", radiologist, json.dumps(seeks).encode(), **kind)
    assert found.json["total"] == 1
    assert [(each.subtype, each.patient) for each in last(place)] == [("ITI-119", patient)]


def test_a_document_that_tells_of_itself_is_an_import_and_its_text_is_nowhere(place: Audited, radiologist: str) -> None:
    named = {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.9", "value": "77"}]}
    patient = place.create(named, radiologist)
    place.runner.run(place.services.documents.master.enroll(Context(LOCAL_ACTOR, "enrolled"), patient))
    for number, outcome in (("77", 0), ("nobody", 4)):
        octets = b64encode(cda(number, root="1.2.9")).decode()
        binary = {"resourceType": "Binary", "contentType": "text/xml", "data": octets}
        sent = {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": binary}]}
        path, body = "/fhir/DocumentReference/$generate-metadata", json.dumps(sent).encode()
        place.ask("POST", path, radiologist, body, content_type="application/fhir+json")
        [event] = last(place)
        assert (event.code, event.subtype, event.action, event.outcome) == ("110107", "ITI-106", "C", outcome)
        assert (event.patient, event.query) == ("" if outcome else patient, "")


def test_a_client_for_which_no_authority_is_named_feeds_nothing(place: Audited, radiologist: str) -> None:
    named = {"resourceType": "Patient", "identifier": [{"system": citizen.SYSTEM, "value": "11010519491231002X"}]}
    url = f"Patient?identifier={citizen.SYSTEM}%7C11010519491231002X"
    others = f"Patient?active=true&%69dentifier={citizen.SYSTEM}%7C11010519491231002X"
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    entry = {"resource": named, "request": {"method": "PUT", "url": url}}
    wholes = [bundle | {"entry": [entry]}, bundle | {"entry": [{**entry, "request": {"method": "PUT", "url": others}}]}]
    sendings = [
        *(("PUT", f"/fhir/{each}", named) for each in (url, others)),
        *(("POST", "/fhir", each) for each in wholes),
    ]
    for method, path, sent in sendings:
        answer = place.ask(method, path, radiologist, json.dumps(sent).encode(), content_type="application/fhir+json")
        assert answer.status == 403
        assert b"`weft client feeds`" in answer.body
        assert (last(place)[0].outcome, last(place)[0].outcome_text[:14]) == (4, "identifiers of")


def test_a_create_a_read_and_a_search_of_a_patients_data(place: Audited, radiologist: str, patient: str) -> None:
    made = place.create(condition(patient), radiologist)
    [event] = last(place)
    assert (event.subtype, event.action, event.patient) == ("create", "C", patient)
    assert event.entities[0].reference == f"{made}/_history/1"
    assert (event.user, event.client, event.session) == ("user-rita", "app-rita", "approval-rita")
    assert event.fhir_user == "Practitioner/rita"
    assert event.peer == "10.0.0.7"

    got = place.ask("GET", f"/fhir/{made}", radiologist)
    [event] = last(place)
    assert (event.subtype, event.action, event.patient) == ("read", "R", patient)
    assert event.request == got.headers["x-request-id"]

    for _ in range(2):  # the second answer is one that was kept
        assert place.ask("GET", f"/fhir/Condition?subject={patient}", radiologist).json["total"] == 1
        [event] = last(place)
        assert (event.subtype, event.patients) == ("search-type", (patient,))
        assert event.query == f"GET /fhir/Condition?subject={patient}"
        assert event.entities == ()


def test_an_update_that_changes_nothing_is_told_too(place: Audited, radiologist: str, patient: str) -> None:
    before = len(place.journal())
    got = place.ask("GET", f"/fhir/{patient}", radiologist)
    sent = place.ask("PUT", f"/fhir/{patient}", radiologist, got.body, content_type="application/fhir+json")
    assert sent.status == 200
    assert [(each.subtype, each.outcome) for each in last(place, len(place.journal()) - before)] == [
        ("read", 0),
        ("update", 0),
    ]


def test_each_entry_that_writes_is_an_event_under_one_request(place: Audited, radiologist: str, patient: str) -> None:
    before = len(place.journal())
    entry = {"request": {"method": "POST", "url": "Condition"}, "resource": condition(patient)}
    look = {"request": {"method": "GET", "url": f"Condition?subject={patient}"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry, look]}
    got = place.ask("POST", "/fhir", radiologist, json.dumps(bundle).encode(), content_type="application/fhir+json")
    assert got.status == 200, got.body
    events = last(place, len(place.journal()) - before)
    assert sorted(each.subtype for each in events) == ["create", "create", "transaction"]
    assert {each.request for each in events} == {got.headers["x-request-id"]}
    assert all(each.patient == patient for each in events)


def test_a_refused_request_is_told_as_what_was_tried(place: Audited, patient: str) -> None:
    narrow = place.token("nora", "nurse", scope="user/Observation.rs")
    assert place.ask("GET", f"/fhir/{patient}", narrow).status == 403
    [event] = last(place)
    assert (event.subtype, event.outcome, event.patient, event.user) == ("read", 4, patient, "user-nora")


def test_what_a_consent_refuses_is_a_decision_that_names_it(place: Audited, radiologist: str, patient: str) -> None:
    hidden = place.create(condition(patient), radiologist)
    recorder = place.token(f"rec{patient[-6:]}", "recorder")
    denial = consent(deny(), patient)
    refused_by = place.create(denial, recorder)
    assert place.ask("GET", f"/fhir/{hidden}", radiologist).status == 403
    act, decision = last(place, 2)
    assert (act.subtype, act.outcome, act.patient) == ("read", 4, patient)
    assert (decision.code, decision.subtype, decision.outcome) == ("110113", "AuthZ-Consent", 4)
    assert decision.patient == patient
    assert [each.reference for each in decision.entities] == [refused_by]
    assert decision.outcome_text.startswith("consent=1")


def test_only_auditors_see_the_log_and_leave_a_trace(
    place: Audited, radiologist: str, auditor: str, patient: str
) -> None:
    place.ask("GET", f"/fhir/{patient}", radiologist)
    place.ask("GET", f"/fhir/Condition?subject={patient}", radiologist)
    assert place.ask("GET", f"/fhir/AuditEvent?patient={patient}", radiologist).status == 403
    assert last(place)[0].outcome == 4
    got = place.ask("GET", f"/fhir/AuditEvent?patient={patient}&_count=200", auditor)
    assert got.status == 200
    found = [each["resource"] for each in got.json["entry"]]
    assert {each["subtype"][0]["code"] for each in found} >= {"create", "read", "search-type"}
    [event] = last(place)
    assert (event.code, event.subtype, event.user) == ("110101", "ITI-81", "user-otto")


def test_nobody_alters_an_event(place: Audited, radiologist: str, auditor: str, patient: str) -> None:
    place.ask("GET", f"/fhir/{patient}", radiologist)
    got = place.ask("GET", "/fhir/AuditEvent?_count=1", auditor)
    resource = got.json["entry"][0]["resource"]
    url = f"/fhir/AuditEvent/{resource['id']}"
    for token in (auditor, radiologist, place.token("adam", "administrator")):
        for method, path in (
            ("PUT", url), ("DELETE", url), ("POST", f"{url}/$meta-add"), ("DELETE", "/fhir/AuditEvent?_id=x")
        ):  # fmt: skip
            sent = place.ask(method, path, token, b'{"resourceType":"Parameters"}', content_type="application/json")
            assert sent.status in (400, 403), (method, path, sent.status, sent.body)
    assert place.ask("GET", url, auditor).json == resource


def test_no_token_is_in_the_log_however_it_was_sent(place: Audited, radiologist: str, patient: str) -> None:
    place.ask("GET", f"/fhir/{patient}?access_token={radiologist}", radiologist)
    place.ask("GET", f"/fhir/Patient?_id=1&access_token={radiologist}", radiologist)
    form = f"access_token={radiologist}&name=x".encode()
    place.ask("POST", "/fhir/Patient/_search", radiologist, form, content_type="application/x-www-form-urlencoded")
    place.ask("GET", f"/dicomweb/studies?access_token={radiologist}&PatientID=1", radiologist)
    place.ask("GET", f"/fhir/{patient}", "wrong-" + radiologist)
    assert all(SECRET not in repr(each) for each in place.journal())


def test_an_examination_without_a_token_opens_nothing(place: Audited, radiologist: str, patient: str) -> None:
    for path in (f"/fhir/{patient}", "/dicomweb/studies", f"/fhir/{patient}?access_token={radiologist}"):
        got = place.ask("GET", path)
        assert got.status == 401
        assert got.headers["www-authenticate"] == 'Bearer realm="weft"'


def test_an_export_is_told_from_its_beginning_to_each_file(place: Audited) -> None:
    exporter = place.token(f"exporter{len(place.journal())}", "radiologist")
    got = place.ask(
        "GET", "/fhir/$export?_type=Patient", exporter, accept="application/fhir+json", prefer="respond-async"
    )
    assert got.status == 202, got.body
    job = got.headers["content-location"].rsplit("/", 1)[1]
    [begun] = last(place)
    assert (begun.code, begun.entities[0].reference) == ("110106", job)
    assert begun.query == "GET /fhir/$export?_type=Patient"
    place.runner.run(place.services.exports.cancel(Context(begun_by(place, job), "test"), job))


def begun_by(place: Audited, job: str) -> Actor:
    """The actor of a job, as the records have it."""
    [record] = place.runner.run(place.services.stores.records.get(COLLECTION, [job]))
    return from_record(record).actor


def test_qido_is_a_query(place: Audited, radiologist: str) -> None:
    assert place.ask("GET", "/dicomweb/studies?PatientID=4711", radiologist).status in (200, 204)
    [event] = last(place)
    assert (event.code, event.subtype, event.query) == ("110112", "qido", "GET /dicomweb/studies?PatientID=4711")


def test_statements_are_open_and_leave_nothing(place: Audited) -> None:
    before = len(place.journal())
    assert place.ask("GET", "/fhir/metadata").status == 200
    assert len(place.journal()) == before


def test_every_chain_of_the_log_holds(place: Audited) -> None:
    async def verified() -> object:
        assert place.services.audit is not None
        return await place.services.audit.verifier.verify()

    place.runner.run(verified())
