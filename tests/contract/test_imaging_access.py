"""Tokens on DICOMweb as SMART Imaging Access has them: compartments, scopes, and nothing to be learnt by guessing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.bridge.imaging_study import resource_id
from server.fhir.json_form import decode
from server.fhir.search.request import SearchRequest
from server.kernel.context import Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from storage.errors import StoreUnavailable
from tests.contract.imaging_cases import CT, DR_A, DR_B, UNDATED, US, Cases, all_are, opened_cases, series_of, study
from tests.contract.imaging_samples import (
    ANY_DICOM,
    IMAGES,
    READ,
    STOW,
    by,
    consent,
    deny,
    image,
    permit,
    person,
    server,
    stow_body,
)
from tests.contract.imaging_world import BASE

INCLUDE = "ImagingStudy:endpoint"


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def cases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    with opened_cases(request, tmp_path_factory) as cases:
        yield cases


@pytest.mark.parametrize("more", [(), (("_lastUpdated", "gt2020"),), (("identifier", "urn:oid:{}"),)])
def test_g_i01_studies_are_found_over_fhir_with_their_endpoint(cases: Cases, more: tuple[tuple[str, str], ...]) -> None:
    own, uid = person("free", Grant(READ, None, "free")), study("free", CT)
    pairs = [("patient", "free"), *((name, value.format(uid)) for name, value in more), ("_include", INCLUDE)]
    request = SearchRequest("ImagingStudy", tuple(pairs))
    found = cases.run(cases.world.searcher.search(own, request))
    assert resource_id(uid) in {each.id for each in found.matches}
    assert [each.reference for each in found.included] == ["Endpoint/dicomweb"]


def test_g_i02_g_i03_a_study_says_where_it_is_retrieved_and_that_it_takes_a_token(cases: Cases) -> None:
    read = cases.run(cases.world.reads(person("free"), study("free", CT)))
    assert read is not None
    assert read["identifier"][0]["system"] == "urn:dicom:uid"
    assert read["identifier"][0]["value"] == f"urn:oid:{study('free', CT)}"
    assert (read["status"], read["subject"]) == ("available", {"reference": "Patient/free"})
    assert [each["code"] for each in read["modality"]] == ["CT", "MR"]
    assert read["endpoint"] == [{"reference": "Endpoint/dicomweb"}]
    stored = cases.run(cases.world.repository.read(DR_A, "Endpoint", "dicomweb"))
    endpoint = decode(stored.body)
    assert (endpoint["connectionType"]["code"], endpoint["address"]) == ("dicom-wado-rs", BASE)
    [token] = endpoint["extension"]
    assert token["url"].endswith("/requires-access-token")
    assert token["valueBoolean"] is True


def test_g_i05_a_study_left_out_leaves_out_its_endpoint(cases: Cases) -> None:
    pairs = (("identifier", f"urn:oid:{study('p41', US)}"), ("_include", INCLUDE))
    found = cases.run(cases.world.searcher.search(DR_A, SearchRequest("ImagingStudy", pairs)))
    assert (found.matches, found.included) == ([], [])


def test_g_i04_a_search_for_another_patient_is_forbidden_and_not_empty(cases: Cases) -> None:
    own = person("free")
    got = cases.run(cases.world.get(own, "/studies", {"PatientID": "P41"}))
    assert got.status == 403
    assert cases.run(cases.world.get(own, "/series", "PatientID=FREE,P41&multiplevaluematching=true")).status == 403
    assert cases.run(cases.world.get(own, "/studies", {"PatientID": "NOBODY"})).status == 403
    for uid in (study("free", CT), study("p41", CT), "1.9"):
        assert cases.run(cases.world.get(own, f"/studies/{uid}/series", {"PatientID": "P41"})).status == 403
    assert cases.found(own, "free") == sorted(study("free", each) for each in (CT, US, UNDATED))


def test_g_i05_g_i14_a_search_without_a_patient_is_one_for_the_own(cases: Cases) -> None:
    own = person("free")
    for query in ("", "includefield=all", "PatientID=*", "PatientName=Case*"):
        got = cases.run(cases.world.get(own, "/studies", query))
        assert sorted(got.studies) == sorted(study("free", each) for each in (CT, US, UNDATED))
        assert got.headers["x-total-count"] == "3"
    page = cases.run(cases.world.get(own, "/studies", "limit=1"))
    assert page.headers["x-total-count"] == "3"
    assert "2 additional" in page.headers["warning"]


def test_g_i06_a_guessed_uid_answers_as_an_absent_one(cases: Cases) -> None:
    own = person("free")
    hidden, absent = cases.paths("p43", US), cases.world.retrievals("1.9", "1.9.1", "1.9.1.1")
    for name, (path, query) in hidden.items():
        other = cases.run(cases.world.get(own, *absent[name]))
        got = cases.run(cases.world.get(own, path, query))
        assert (got.status, got.body) == (other.status, other.body) == (404, got.body), name
    for path in (f"/studies/{study('p43', US)}/series", "/studies/1.9/series"):
        got = cases.run(cases.world.get(own, path))
        assert (got.status, got.body) == (200, b"[]")


def test_g_i06_a_validator_from_elsewhere_opens_nothing(cases: Cases) -> None:
    for name, (path, query) in cases.paths("p43", US).items():
        known = cases.run(cases.world.get(DR_A, path, query))
        if "etag" in known.headers:
            got = cases.run(cases.world.get(person("free"), path, query, if_none_match=known.headers["etag"]))
            assert got.status == 404, name


def test_g_i07_no_partial_success_of_a_whole_study(cases: Cases) -> None:
    path = f"/studies/{study('p44', CT)}"
    for accept in (ANY_DICOM, "application/zip", 'multipart/related; type="application/octet-stream"'):
        assert cases.run(cases.world.get(DR_A, path, accept=accept)).status == 403
    for tail in ("/metadata", "/rendered", "/thumbnail", "/bulkdata", "/pixeldata"):
        assert cases.run(cases.world.get(DR_A, path + tail)).status == 403


def test_g_i08_a_patient_scope_without_a_patient_is_nobodys(cases: Cases) -> None:
    grants = (Grant(READ, IMAGES),)
    lost = Context(Actor("lost", "lost", grants, frozenset({"patient"}), user="lost"), "test")
    assert cases.run(cases.world.get(lost, "/studies")).status == 403
    assert all_are(cases.statuses(lost, "free", CT), 403)


def test_g_i08_a_backend_client_reaches_its_own_patients_only(cases: Cases) -> None:
    client = Context(
        Actor("c", "c", (Grant(READ, IMAGES),), frozenset({"system"}), client="c", own_patients=frozenset({"free"})),
        "test",
    )
    assert cases.found(client, "free") == sorted(study("free", each) for each in (CT, US, UNDATED))
    assert cases.run(cases.world.get(client, "/studies", {"PatientID": "P43"})).status == 403
    assert all_are(cases.statuses(client, "p43", US), 404)


@pytest.mark.parametrize("types", [IMAGES, None])
def test_g_i09_a_right_to_read_imaging_studies_opens_retrieval(cases: Cases, types: frozenset[str] | None) -> None:
    assert all_are(cases.statuses(person("free", Grant(READ, types, "free")), "free", CT), 200, 406)


def test_g_i09_a_token_without_imaging_study_is_forbidden(cases: Cases) -> None:
    other = person("free", Grant(READ, frozenset({"Observation"}), "free"))
    assert all_are(cases.statuses(other, "free", CT), 403)
    for path in ("/studies", "/series", "/instances", f"/studies/{study('free', CT)}/series"):
        assert cases.run(cases.world.get(other, path)).status == 403
    body = stow_body(image("FREE", study("free", CT), series_of("free", CT), 8))
    got = cases.run(cases.world.ask(other, "POST", "/studies", body=body, content_type=STOW))
    assert got.status == 403
    assert cases.run(cases.world.ask(other, "DELETE", f"/studies/{study('free', CT)}")).status == 403


def test_g_i10_a_store_that_does_not_answer_says_when_to_come_again(cases: Cases) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    uri = "requestType=WADO&studyUID=1&seriesUID=1&objectUID=1"
    cases.records.instead = dict.fromkeys(("get", "find", "values", "count", "revision"), fails)
    try:
        for path in ("/studies", *(path for path, _ in cases.paths("free", CT).values())):
            got = cases.run(cases.world.get(server(), path, uri))
            assert (got.status, got.headers["retry-after"]) == (503, "5")
    finally:
        cases.records.instead = {}


def test_g_i11_the_stored_bytes_of_a_whole_study(cases: Cases) -> None:
    got = cases.run(cases.world.get(person("free"), f"/studies/{study('free', US)}", accept=ANY_DICOM))
    assert got.status == 200
    assert image("FREE", study("free", US), series_of("free", US), date="20220301", modality="US") in got.body


def test_g_i15_only_the_own_patients_images_are_stored(cases: Cases) -> None:
    storer = person("storing", Grant(frozenset({"create", "read", "search"}), IMAGES, "storing"))
    own, of_another = study("storing", "50"), study("p43", "51")
    body = stow_body(
        image("STORING", own, f"{own}.1"),
        image("P43", of_another, f"{of_another}.1"),
        image("STORING", study("p43", US), f"{study('p43', US)}.77"),
        image("", own, f"{own}.2"),
    )
    got = cases.run(cases.world.ask(storer, "POST", "/studies", body=body, content_type=STOW))
    assert got.status == 202
    answer = got.json()
    assert [each["00081155"]["Value"] for each in answer["00081199"]["Value"]] == [[f"{own}.1.1"]]
    assert [each["00081197"]["Value"] for each in answer["00081198"]["Value"]] == [[0x0124]] * 3
    cases.run(cases.world.bridge.drain())
    assert cases.run(cases.world.get(storer, f"/studies/{own}")).status == 200


def test_g_i15_a_right_to_update_adds_to_known_studies_only(cases: Cases) -> None:
    updater = person("growing", Grant(frozenset({"update", "read"}), IMAGES, "growing"), role="system")
    uid, unknown = study("growing", UNDATED), study("growing", "60")
    cases.run(cases.world.store(image("GROWING", uid, f"{uid}.1", date="")))
    body = stow_body(image("GROWING", uid, f"{uid}.1", 5, date=""), image("GROWING", unknown, f"{unknown}.1"))
    answer = cases.run(cases.world.ask(updater, "POST", "/studies", body=body, content_type=STOW)).json()
    assert [each["00081155"]["Value"] for each in answer["00081199"]["Value"]] == [[f"{uid}.1.5"]]
    assert [each["00081197"]["Value"] for each in answer["00081198"]["Value"]] == [[0x0124]]


def test_a_refusal_of_the_door_keeps_its_challenge(cases: Cases) -> None:
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    cases.world.door.refusal = Problem(Kind.UNAUTHENTICATED, "Sign in.", headers=challenge)
    try:
        got = cases.run(cases.world.get(DR_A, "/studies"))
    finally:
        cases.world.door.refusal = None
    assert (got.status, got.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')


def test_what_one_actor_was_answered_is_not_another_ones_answer(cases: Cases) -> None:
    """Kept answers, in both orders: the wider right first, and the narrower one first."""
    uid = study("p44", CT)
    for order in ((server(), DR_A), (DR_A, server())):
        for path in (f"/studies/{uid}/series", f"/studies/{uid}/instances", f"/studies/{uid}/series?includefield=all"):
            for who in order:
                place, _, query = path.partition("?")
                got = cases.run(cases.world.get(who, place, query))
                assert len(got.json()) == (1 if who is DR_A else 2)
        for who in order:
            assert cases.run(cases.world.get(who, f"/studies/{uid}/metadata")).status == (403 if who is DR_A else 200)


def test_a_withdrawn_consent_acts_on_the_next_request(cases: Cases) -> None:
    uid = study("p43", US)
    own = study("gone", CT)
    cases.run(cases.world.store(image("GONE", own, f"{own}.1")))
    assert cases.found(DR_A, "gone") == [own]
    cases.run(cases.world.put(consent("c-gone", "gone", permit(), deny(actor=by("Practitioner/dr-a")))))
    assert cases.found(DR_A, "gone") == []
    assert cases.run(cases.world.get(DR_A, f"/studies/{own}")).status == 404
    assert cases.found(DR_B, "gone") == [own]
    assert uid in cases.found(DR_A, "p43")


def test_images_not_yet_bridged_are_held_back_where_their_patient_is_spoken_of(cases: Cases) -> None:
    denied, free = study("p46", "70"), study("fresh", "71")
    body = stow_body(image("P46", denied, f"{denied}.1"), image("FRESH", free, f"{free}.1"))
    got = cases.run(cases.world.ask(server(), "POST", "/studies", body=body, content_type=STOW))
    assert got.status == 200
    device = Context(
        Actor("org-x", "x", (Grant(READ, IMAGES),), frozenset({"system"}), client="x", fhir_user="Device/org-x"), "t"
    )
    assert cases.run(cases.world.get(device, f"/studies/{denied}")).status == 404
    assert cases.run(cases.world.get(device, f"/studies/{free}")).status == 200
    assert cases.found(device, "p46") == []
    assert free in cases.found(device, "fresh")
    assert cases.run(cases.world.get(person("p46"), f"/studies/{denied}")).status == 404
    cases.run(cases.world.bridge.drain())
    assert cases.run(cases.world.get(person("p46"), f"/studies/{denied}")).status == 200
    assert cases.run(cases.world.get(device, f"/studies/{denied}")).status == 404


def test_nobody_gains_a_study_by_a_resource_that_claims_it(cases: Cases) -> None:
    claim = {
        "resourceType": "ImagingStudy",
        "id": "claim",
        "status": "available",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study('p43', US)}"}],
        "subject": {"reference": "Patient/free"},
    }
    cases.run(cases.world.put(claim))
    assert all_are(cases.statuses(person("free"), "p43", US), 404)
    assert study("p43", US) not in cases.run(cases.world.get(person("free"), "/studies")).studies
    cases.run(cases.world.repository.delete(server(), "ImagingStudy", "claim"))


def test_deletion_takes_the_right_to_it_and_the_whole_study(cases: Cases) -> None:
    assert cases.run(cases.world.ask(person("free"), "DELETE", f"/studies/{study('free', CT)}")).status == 403
    assert cases.run(cases.world.ask(DR_A, "DELETE", f"/studies/{study('p41', US)}")).status == 404
    assert cases.run(cases.world.ask(DR_A, "DELETE", f"/studies/{study('p44', CT)}")).status == 403
    barred = f"/studies/{study('p44', CT)}/series/{series_of('p44', CT, 2)}"
    assert cases.run(cases.world.ask(DR_A, "DELETE", barred)).status == 404


def test_the_trail_names_the_study_and_whose_it_is(cases: Cases) -> None:
    uid = study("free", CT)
    cases.run(cases.world.get(DR_A, f"/studies/{uid}"))
    [note] = cases.world.door.left[-1].notes
    assert note == (f"urn:oid:{uid}", ("Patient/free",), "2 instances")
    cases.run(cases.world.get(DR_A, "/studies", {"PatientID": "FREE"}))
    assert list(cases.world.door.left[-1].patients) == ["Patient/free"]
    cases.run(cases.world.get(person("p41"), f"/studies/{uid}"))
    refused = cases.world.door.left[-1]
    assert refused.reason
    assert refused.notes[0].patients == ("Patient/free",)
