"""EHR launch and launch context: section 3 of the SMART checks."""

from __future__ import annotations

import re

import httpx
import pytest
from lxml import html

from tests.e2e.smart.apps import LAUNCH
from tests.e2e.smart.stage import Json, Stage
from tests.e2e.smart.ward import STUDY

SCOPE = "launch openid fhirUser patient/Patient.rs patient/Encounter.rs patient/ImagingStudy.rs"
_REFERENCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")


@pytest.fixture(scope="module")
def study(stage: Stage) -> str:
    """Logical id of Anna's ImagingStudy, which the bridge made."""
    (found,) = stage.found("/fhir/ImagingStudy?patient=anna", stage.token("user/ImagingStudy.rs"))
    return found.partition("/")[2]


@pytest.fixture(scope="module")
def launched(stage: Stage, study: str) -> Json:
    """Tokens of an EHR launch with everything in it."""
    launch = stage.launch(
        patient="anna",
        encounter="anna-visit",
        imaging_study=study,
        intent="review",
        fhir_context=[{"canonical": "http://hospital.example/Questionnaire/q", "type": "Questionnaire"}],
    )
    return stage.granted(SCOPE + " offline_access", asking={"launch": launch.json()["launch"]})


def test_l01_the_launcher_opens_the_app(stage: Stage) -> None:
    for made in (stage.launch(patient="anna"), _by_system(stage, patient="anna", user="nurse")):
        assert made.status_code == 201, made.text
        url = httpx.URL(made.json()["launch_url"])
        assert str(url).startswith(LAUNCH + "?")
        assert url.params["iss"] == stage.fhir
        assert url.params["launch"] == made.json()["launch"]
        assert re.fullmatch(r"[A-Za-z0-9_-]{32,}", url.params["launch"])
        assert "anna" not in str(url)


def test_l02_a_launch_is_good_once(stage: Stage) -> None:
    launch = stage.launch(patient="anna").json()["launch"]
    assert stage.granted(SCOPE, asking={"launch": launch})["patient"] == "anna"
    assert stage.decided(stage.ask(SCOPE, launch=launch))["error"] == "invalid_request"


def test_l02_two_requests_of_one_launch_give_one_code(stage: Stage) -> None:
    launch = stage.launch(patient="anna").json()["launch"]
    first, second = stage.ask(SCOPE, launch=launch), stage.ask(SCOPE, launch=launch)
    pages = [stage.approval_page(each) for each in (first, second)]
    backs = [stage.browser().send(page, "/oauth/approve", having="act", act="allow") for page in pages]
    assert [each.status_code for each in backs] == [302, 404]


def test_l02_a_launch_is_one_apps_and_one_users(stage: Stage) -> None:
    launch = stage.launch(patient="anna").json()["launch"]
    assert stage.decided(stage.ask(SCOPE, "other", launch=launch))["error"] == "invalid_request"
    page = stage.browser("second-nurse").open("/oauth/authorize", stage.ask(SCOPE, launch=launch).pairs)
    assert (page.status_code, page.is_redirect) == (403, False)
    assert stage.decided(stage.ask(SCOPE, launch="made-up"))["error"] == "invalid_request"


def test_l02_only_who_may_can_launch(stage: Stage) -> None:
    body = {"client_id": stage.apps["public"].id, "patient": "anna"}
    url = f"{stage.url}/oauth/launch"
    assert stage.http.post(url, json=body).status_code == 401
    headers = {"Authorization": f"Bearer {stage.token('patient/*.rs')}"}
    assert stage.http.post(url, json=body, headers=headers).status_code == 403
    assert stage.launch(login="anna", patient="bert").status_code == 403
    assert (
        stage.browser().client.post("/oauth/launch", json=body, headers={"Sec-Fetch-Site": "cross-site"}).status_code
        == 401
    )


def test_l03_scope_and_parameter_go_together(stage: Stage) -> None:
    assert stage.decided(stage.ask(SCOPE))["error"] == "invalid_request"
    launch = stage.launch(patient="anna").json()["launch"]
    assert stage.decided(stage.ask("patient/Patient.rs", launch=launch))["error"] == "invalid_request"


@pytest.mark.parametrize("scope", ["launch/patient patient/Patient.rs", "patient/Patient.rs", "patient/Patient.read"])
def test_l04_the_patient_is_told_and_can_be_read(stage: Stage, scope: str) -> None:
    granted = stage.granted(scope)
    assert granted["patient"] == "anna"
    assert stage.get("/fhir/Patient/anna", granted["access_token"]).json()["id"] == "anna"


def test_l05_the_encounter_is_told_and_can_be_read(stage: Stage, launched: Json) -> None:
    assert launched["encounter"] == "anna-visit"
    assert stage.get("/fhir/Encounter/anna-visit", launched["access_token"]).status_code == 200


def test_l06_the_app_is_told_about_the_banner(stage: Stage, launched: Json) -> None:
    assert launched["need_patient_banner"] is True
    launch = stage.launch(patient="anna", need_patient_banner=False).json()["launch"]
    assert stage.granted(SCOPE, asking={"launch": launch})["need_patient_banner"] is False


def test_l07_the_style_can_be_fetched(stage: Stage, launched: Json) -> None:
    answer = stage.get(launched["smart_style_url"])
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert all(isinstance(each, str) for each in answer.json().values())
    assert "immutable" in answer.headers["cache-control"]
    assert re.search(r"/[0-9a-f]{16,}\.json$", launched["smart_style_url"])
    assert stage.get(f"{stage.url}/oauth/style/0000000000000000.json").status_code == 404


def test_l08_staff_pick_a_patient(stage: Stage) -> None:
    browser = stage.browser()
    page = browser.open("/oauth/authorize", stage.ask("launch/patient patient/Patient.rs").pairs)
    page = browser.send(page, "/oauth/patients", text="Bert")
    assert "Bert" in page.text
    page = browser.send(page, "/oauth/patients", having='value="bert"', patient="bert")
    assert page.url.path == "/oauth/approve"
    assert "Bert" in page.text
    page = browser.open("/oauth/authorize", stage.ask("launch/patient patient/Patient.rs").pairs)
    assert browser.send(page, "/oauth/patients", patient="nobody").status_code == 400


def test_l08_patients_have_their_own_record_only(stage: Stage) -> None:
    assert stage.granted("launch/patient patient/Patient.rs", login="anna")["patient"] == "anna"
    browser = stage.browser("anna")
    page = browser.open("/oauth/authorize", stage.ask("launch/patient patient/Patient.rs").pairs)
    (form,) = [each for each in html.fromstring(page.text).forms if str(each.get("action")).endswith("/approve")]
    forged = [(str(name), str(value)) for name, value in form.form_values() if name != "scope"]
    answer = browser.post("/oauth/patients", [*forged, ("patient", "bert")])
    assert answer.status_code == 400
    assert "Bert" not in answer.text


def test_l08_proxies_choose_among_those_they_act_for(stage: Stage) -> None:
    browser = stage.browser("proxy")
    page = browser.open("/oauth/authorize", stage.ask("launch/patient patient/Patient.rs").pairs)
    assert page.url.path == "/oauth/patients"
    assert 'value="anna"' in page.text
    assert 'value="carl"' in page.text
    assert 'value="bert"' not in page.text
    assert browser.send(page, "/oauth/patients", patient="bert").status_code == 400
    assert stage.granted("launch/patient patient/Patient.rs", login="proxy", patient="carl")["patient"] == "carl"


def test_l09_the_context_is_of_objects(stage: Stage, launched: Json) -> None:
    context = launched["fhirContext"]
    assert len(context) == 2
    for item in context:
        assert {"reference", "canonical", "identifier"} & set(item)
        if "reference" in item:
            assert _REFERENCE.fullmatch(item["reference"])
            assert not item["reference"].startswith(("Patient/", "Encounter/"))
        assert item.get("role", "x")


@pytest.mark.parametrize(
    "item",
    [
        "ImagingStudy/1",
        {},
        {"role": "launch"},
        {"reference": "http://x.example/fhir/ImagingStudy/1"},
        {"reference": "Patient/anna"},
        {"reference": "Encounter/anna-visit", "role": "launch"},
        {"reference": "Nothing/1"},
        {"reference": "ImagingStudy/a b"},
        {"reference": "ImagingStudy/1", "role": ""},
    ],
)
def test_l09_other_context_is_not_taken(stage: Stage, item: object) -> None:
    assert stage.launch(patient="anna", fhir_context=[item]).status_code == 400


def test_l10_the_open_study_is_told_and_can_be_read(stage: Stage, launched: Json, study: str) -> None:
    assert {"reference": f"ImagingStudy/{study}"} in launched["fhirContext"]
    token = launched["access_token"]
    assert stage.get(f"/fhir/ImagingStudy/{study}", token).status_code == 200
    assert stage.get(f"/dicomweb/studies/{STUDY['anna']}/metadata", token).status_code == 200


def test_l11_a_role_that_is_not_known_gives_the_context(stage: Stage) -> None:
    granted = stage.granted("launch/patient?role=http://hospital.example/some-role patient/Patient.rs")
    assert granted["patient"] == "anna"


def test_l12_the_context_stays_the_same(stage: Stage, launched: Json) -> None:
    app = stage.apps["public"]
    refreshed = stage.refresh(app, launched["refresh_token"]).json()
    token = stage.service_token("ehr", "__introspect")
    headers = {"Authorization": f"Bearer {token}"}
    told = stage.post("introspect", {"token": refreshed["access_token"]}, headers).json()
    for name in ("patient", "encounter", "intent", "fhirContext", "need_patient_banner", "smart_style_url"):
        assert launched[name] == refreshed[name] == told[name], name


def _by_system(stage: Stage, **context: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {stage.service_token('ehr', '__launch')}"}
    body = {"client_id": stage.apps["public"].id, **context}
    return stage.http.post(f"{stage.url}/oauth/launch", json=body, headers=headers)
