"""Backend services and bulk data: section 7 of the SMART checks."""

from __future__ import annotations

import time

import pytest

from tests.e2e.smart.stage import Json, Stage

SCOPE = "system/Patient.rs system/Observation.rs"
ASYNC = {"Accept": "application/fhir+json", "Prefer": "respond-async"}


@pytest.mark.parametrize("kind", ["not_a_grant_type", "password", "", "urn:ietf:params:oauth:grant-type:jwt-bearer"])
def test_b01_a_wrong_grant_type(stage: Stage, kind: str) -> None:
    answer = stage.backend(scope=SCOPE, grant_type=kind)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("unsupported_grant_type", "invalid_request")


def test_b02_a_right_request_is_granted(stage: Stage) -> None:
    assert stage.backend(scope=SCOPE).status_code == 200


def test_b03_the_answer_has_what_it_must(stage: Stage) -> None:
    body = stage.backend(scope=SCOPE).json()
    assert isinstance(body["access_token"], str)
    assert body["token_type"].lower() == "bearer"
    assert isinstance(body["expires_in"], int)
    assert set(body["scope"].split()) == set(SCOPE.split())
    assert stage.get("/fhir/Patient/bert", body["access_token"]).status_code == 200


def test_b04_it_is_short_and_bare(stage: Stage) -> None:
    body = stage.backend(scope=SCOPE).json()
    assert body["expires_in"] <= 300
    assert not {"refresh_token", "patient", "id_token"} & set(body)


def test_b05_nothing_beyond_what_was_agreed(stage: Stage) -> None:
    answer = stage.backend("agreed", "system/Patient.cruds system/Observation.rs system/ImagingStudy.rs")
    assert set(answer.json()["scope"].split()) == {"system/Patient.rs", "system/ImagingStudy.rs"}
    assert stage.backend("agreed", "system/Observation.rs").json()["error"] == "invalid_scope"
    whole = stage.backend("agreed", "system/*.cruds").json()
    assert set(whole["scope"].split()) == {"system/Patient.rs", "system/ImagingStudy.rs"}
    assert stage.get("/fhir/Observation", whole["access_token"]).status_code == 403


def test_b06_each_flow_has_its_own_scopes(stage: Stage) -> None:
    granted = stage.granted("patient/Patient.rs system/Patient.rs user/Patient.rs")
    assert "system/" not in granted["scope"]
    for scope in ("patient/Patient.rs", "user/Patient.rs", "openid", "offline_access", "launch/patient"):
        assert stage.backend(scope=scope).json()["error"] == "invalid_scope"
    for app in ("public", "basic", "key"):
        form = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
        assert stage.send(stage.apps[app], form).json()["error"] == "unauthorized_client"


def test_b07_an_export_needs_a_token_to_its_last_file(stage: Stage) -> None:
    assert stage.get("/fhir/$export", **ASYNC).status_code == 401
    token = stage.service_token()
    begun = stage.get("/fhir/$export?_type=Patient", token, **ASYNC)
    assert begun.status_code == 202, begun.text
    place = begun.headers["content-location"]
    assert stage.get(place).status_code == 401
    manifest = _manifest(stage, place, token)
    assert manifest["requiresAccessToken"] is True
    urls = [each["url"] for each in manifest["output"]]  # several where the master index writes a patient meanwhile
    assert {each["type"] for each in manifest["output"]} == {"Patient"}
    assert {stage.get(url).status_code for url in urls} == {401}
    read = "".join(stage.get(url, token).text for url in urls)
    assert read.count('"resourceType":"Patient"') == sum(each["count"] for each in manifest["output"]) >= 3
    other = stage.service_token("agreed", "system/Patient.rs")
    assert {stage.get(url, other).status_code for url in urls} <= {401, 403, 404}
    assert stage.get(place, other).status_code in (401, 403, 404)


def test_b08_a_cancelled_export_is_gone(stage: Stage) -> None:
    token = stage.service_token()
    place = stage.get("/fhir/$export?_type=Patient", token, **ASYNC).headers["content-location"]
    other = stage.service_token("agreed", "system/Patient.rs")
    assert stage.call("DELETE", place, other).status_code in (403, 404)
    assert stage.call("DELETE", place, token).status_code == 202
    later = stage.get(place, token)
    assert (later.status_code, later.json()["resourceType"]) == (404, "OperationOutcome")


def _manifest(stage: Stage, place: str, token: str) -> Json:
    """Asked for until it is there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = stage.get(place, token)
        if answer.status_code == 200:
            found: Json = answer.json()
            return found
        assert answer.status_code in (202, 429), answer.text
    raise AssertionError("the export did not end")
