"""Ways around a refusal: cursors, validators, error texts, preferences, guesses, and how much work an answer costs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from server.fusion.patient_picker import PatientPicker
from server.kernel.context import LOCAL_ACTOR
from tests.access import records
from tests.access.hospital import Hospital, opened_hospital
from tests.access.matrix import Matrix, shown_in
from tests.access.people import ACTORS, as_context, named
from tests.contract.consent_world import Got

NURSE, REFERRING, BACKEND, RADIOLOGIST = map(named, ("nurse", "referring", "backend", "radiologist"))
CONSENTS = records.consents()
SHOWN_TO_ALL = {"oauth.start", "oauth.sign-in", "oauth.signed-out"}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with opened_hospital(tmp_path_factory.mktemp("ways")) as opened:
        opened.fill()
        yield opened


def next_of(got: Got) -> str:
    return next(each["url"] for each in got.json["link"] if each["relation"] == "next").removeprefix(
        "http://weft.example"
    )


def plain(got: Got) -> tuple[int, dict[str, str], str]:
    """All of an answer but what differs with every request, or says again what was asked."""
    headers = {name: value for name, value in got.headers.items() if name not in ("x-request-id", "content-length")}
    return got.status, headers, got.body.decode().replace("zzp-", "zzq-").replace("zzq-psy", "zz-absent")


def test_a_cursor_is_of_who_got_it(hospital: Hospital) -> None:
    hospital.put(CONSENTS["none"])
    page = next_of(hospital.answer(RADIOLOGIST, "GET", "/fhir/Observation?_count=1"))
    assert hospital.answer(RADIOLOGIST, "GET", page).status == 200
    for actor in ACTORS:
        if actor is not RADIOLOGIST:
            got = hospital.answer(actor, "GET", page)
            assert got.status in (400, 401, 403, 404, 410), actor.id
            assert b"SECRET" not in got.body


def test_what_is_withdrawn_is_gone_from_the_next_page_on(hospital: Hospital) -> None:
    hospital.put(CONSENTS["none"])
    first = hospital.answer(NURSE, "GET", "/fhir/Observation?_count=1&_total=accurate")
    history = hospital.answer(NURSE, "GET", "/fhir/Observation/_history?_count=1")
    everything = hospital.answer(NURSE, "GET", "/fhir/Patient/zzp-self/$everything?_count=1")
    hospital.put(CONSENTS["deny"])
    for begun in (first, history, everything):
        page, contents = next_of(begun), b""
        while page:
            got = hospital.answer(NURSE, "GET", page)
            contents += got.body
            page = next_of(got) if b'"next"' in got.body else ""
        assert b"SECRET-p" not in contents


def test_a_validator_that_is_known_tells_nothing(hospital: Hospital) -> None:
    hospital.put(CONSENTS["none"])
    paths = ("/fhir/Observation/zzp-psy", "/fhir/Observation?code=psy", "/dicomweb/studies?includefield=all")
    known = {each: hospital.answer(NURSE, "GET", each).headers.get("etag", 'W/"1"') for each in paths}
    hospital.put(CONSENTS["deny"])
    for path, tag in known.items():
        got = hospital.answer(NURSE, "GET", path, if_none_match=tag)
        assert got.status != 304, path
        assert b"SECRET-p" not in got.body


@pytest.mark.parametrize("tag", ['W/"1"', "*"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_conditions_on_what_is_hidden_are_those_on_what_is_absent(hospital: Hospital, method: str, tag: str) -> None:
    hospital.put(CONSENTS["none"])
    body = json.dumps([{"op": "test", "path": "/valueString", "value": "SECRET-q-psy"}]).encode()
    answers = []
    for target in ("zzq-psy", "zz-absent"):
        kind = {"content_type": "application/json-patch+json"} if method == "PATCH" else {}
        sent = body if method == "PATCH" else None
        if method == "PUT":
            sent = records.observation("q", "psy", "R", "PSY") | {"id": target}
        got = hospital.answer(BACKEND, method, f"/fhir/Observation/{target}", sent, if_match=tag, **kind)
        answers.append(plain(got))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "path", ["Observation/{}", "Observation/{}/_history", "Observation/{}/_history/1", "Observation/{}/$meta"]
)
def test_hidden_and_absent_cost_the_same(hospital: Hospital, path: str) -> None:
    """Counted in questions to the store, the second time they are asked."""
    hospital.put(CONSENTS["none"])
    for actor in (REFERRING, BACKEND, named("vitals-nurse")):
        work = []
        for target in ("zzq-psy", "zz-absent"):
            hospital.answer(actor, "GET", "/fhir/" + path.format(target))
            work.append(hospital.work(actor, "GET", "/fhir/" + path.format(target)))
        assert work[0] == work[1], actor.id


def test_a_hidden_study_costs_what_an_absent_one_does(hospital: Hospital) -> None:
    hospital.put(CONSENTS["none"])
    for path in ("studies/{}", "studies/{}/metadata", "studies/{}/series", "studies?StudyInstanceUID={}"):
        work = []
        for target in (records.UIDS["d-q"], "1.2.826.9.9999"):
            hospital.answer(REFERRING, "GET", "/dicomweb/" + path.format(target))
            work.append(hospital.work(REFERRING, "GET", "/dicomweb/" + path.format(target)))
        assert abs(work[0] - work[1]) <= 1, path


def test_a_series_labelled_above_a_role_is_barred_on_both_surfaces(hospital: Hospital) -> None:
    """Without any consent."""
    hospital.put(CONSENTS["none"])
    hospital.label_series("d-plain", "e-plain", "V")
    matrix = Matrix(hospital)
    study = f"/fhir/ImagingStudy/{next(id_ for id_, name in records.RESOURCES_OF_STUDIES.items() if name == 's-plain')}"
    for path in (
        study,
        f"{study}/_history",
        "/fhir/ImagingStudy",
        f"/fhir/ImagingStudy?series={records.UIDS['e-plain']}",
    ):
        got = hospital.answer(RADIOLOGIST, "GET", path)
        assert b"SECRET-e-plain" not in got.body, path
    assert "i-plain" not in matrix.readable(RADIOLOGIST)
    assert hospital.answer(LOCAL_ACTOR, "GET", study).body.count(b"SECRET-e-plain")
    hospital.label_series("d-plain", "e-plain")


def test_the_patient_picker_lists_whom_the_same_person_may_read(hospital: Hospital) -> None:
    picker = PatientPicker(hospital.services.fhir.searcher)
    paths = {f"zz{each}-self": f"/fhir/Patient/zz{each}-self" for each in "pqr"}
    for consent in CONSENTS.values():
        hospital.put(consent)
        for actor in ACTORS[:-1]:
            may = {id_ for id_, path in paths.items() if hospital.answer(actor, "GET", path).status == 200}
            for asked in (picker.search(as_context(actor), "SECRET"), picker.several(as_context(actor), list(paths))):
                assert {each.id for each in hospital.runner.run(asked)} == may, actor.id


@pytest.mark.parametrize("token", ["", "Bearer nobody-gave-this-one"])
def test_no_page_of_the_authorization_server_shows_a_patient_without_a_sign_in(hospital: Hospital, token: str) -> None:
    hospital.put(CONSENTS["none"])
    for row in hospital.services.oauth().endpoints():
        if row.interaction == "capabilities":
            continue
        path = f"/oauth{row.path}?patient=zzp-self&q=SECRET&text=SECRET"
        form = b"patient=zzp-self&q=SECRET&text=SECRET" if row.method == "POST" else None
        headers = {"content_type": "application/x-www-form-urlencoded"} | ({"authorization": token} if token else {})
        got = hospital.answer(RADIOLOGIST, row.method, path, form, **headers)
        assert got.status < 500, row.name
        assert not shown_in(got.body.decode()).contents, row.name
        assert got.status != 200 or row.name in SHOWN_TO_ALL, row.name
