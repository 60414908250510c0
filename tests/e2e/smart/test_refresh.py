"""Refresh tokens: section 5 of the SMART checks."""

from __future__ import annotations

import pytest

from tests.e2e.smart.stage import Stage

SCOPE = "launch/patient openid offline_access patient/Patient.rs patient/Observation.rs"
KINDS = ("public", "basic", "key")


def test_f01_only_lasting_access_is_refreshed(stage: Stage) -> None:
    assert "refresh_token" in stage.granted("offline_access patient/Patient.rs")
    assert "refresh_token" in stage.granted("online_access patient/Patient.rs")
    assert "refresh_token" not in stage.granted("openid patient/Patient.rs")


def test_f01_unticked_lasting_access_is_none(stage: Stage) -> None:
    assert "refresh_token" not in stage.granted(SCOPE, without=("offline_access",))


def test_f02_without_a_scope(stage: Stage) -> None:
    granted = stage.granted(SCOPE)
    answer = stage.refresh(stage.apps["public"], granted["refresh_token"])
    assert answer.status_code == 200
    assert set(answer.json()["scope"].split()) == set(SCOPE.split())


@pytest.mark.parametrize("scope", [SCOPE, "patient/Patient.rs", "patient/Observation.rs offline_access"])
def test_f03_with_the_same_scope_or_less(stage: Stage, scope: str) -> None:
    granted = stage.granted(SCOPE)
    answer = stage.refresh(stage.apps["public"], granted["refresh_token"], scope=scope)
    assert answer.status_code == 200
    assert set(answer.json()["scope"].split()) == set(scope.split())


def test_f04_the_answer_has_what_it_must(stage: Stage) -> None:
    granted = stage.granted(SCOPE)
    body = stage.refresh(stage.apps["public"], granted["refresh_token"]).json()
    assert isinstance(body["access_token"], str)
    assert body["access_token"] != granted["access_token"]
    assert body["token_type"].lower() == "bearer"
    assert isinstance(body["expires_in"], int)
    assert set(body["scope"].split()) <= set(granted["scope"].split())
    assert stage.get("/fhir/Patient/anna", body["access_token"]).status_code == 200


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        ("patient/*.rs", "invalid_scope"),
        ("patient/Observation.cruds", "invalid_scope"),
        ("patient/Observation.rs user/Observation.rs", "invalid_scope"),
        ("patient/Patient.rs nonsense", "invalid_scope"),
        ("fhirUser", "invalid_scope"),
        ("patient/Observation.read", ""),
        ("patient/Observation.r", ""),
        ("patient/Observation.rs?category=laboratory", ""),
    ],
)
def test_f05_more_is_judged_by_meaning(stage: Stage, scope: str, error: str) -> None:
    granted = stage.granted(SCOPE)
    answer = stage.refresh(stage.apps["public"], granted["refresh_token"], scope=scope)
    assert answer.json().get("error", "") == error
    assert answer.status_code == (400 if error else 200)


@pytest.mark.parametrize("app", KINDS)
def test_f06_a_bad_refresh_token(stage: Stage, app: str) -> None:
    access = stage.token(SCOPE)
    for token in ("wrong", "", access, "x" * 20_000):
        assert stage.refresh(stage.apps[app], token).status_code in (400, 401)


@pytest.mark.parametrize("app", KINDS)
def test_f07_every_kind_of_client(stage: Stage, app: str) -> None:
    granted = stage.granted(SCOPE, app)
    assert stage.refresh(stage.apps[app], granted["refresh_token"]).status_code == 200


def test_f07_a_client_refreshes_only_its_own(stage: Stage) -> None:
    granted = stage.granted(SCOPE, "basic")
    for thief in ("public", "other", "key"):
        assert stage.refresh(stage.apps[thief], granted["refresh_token"]).json()["error"] == "invalid_grant"
    form = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
    assert stage.post("token", form).json()["error"] == "invalid_client"
    assert stage.post("token", {**form, "client_id": stage.apps["basic"].id}).status_code == 401
    assert stage.refresh(stage.apps["basic"], granted["refresh_token"]).status_code == 200


def test_f08_a_public_client_may_leave_out_its_name(stage: Stage) -> None:
    granted = stage.granted(SCOPE)
    form = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
    assert stage.post("token", form).status_code == 200


def test_f09_each_refresh_token_is_new(stage: Stage) -> None:
    app, tokens = stage.apps["public"], []
    token = stage.granted(SCOPE)["refresh_token"]
    for _ in range(3):
        tokens.append(token)
        token = stage.refresh(app, token).json()["refresh_token"]
    assert len({*tokens, token}) == 4


def test_f10_a_narrow_access_token_leaves_the_refresh_token_wide(stage: Stage) -> None:
    app = stage.apps["public"]
    narrow = stage.refresh(app, stage.granted(SCOPE)["refresh_token"], scope="patient/Patient.rs").json()
    assert stage.get("/fhir/Observation?patient=anna", narrow["access_token"]).status_code == 403
    wide = stage.refresh(app, narrow["refresh_token"]).json()
    assert set(wide["scope"].split()) == set(SCOPE.split())
    assert stage.get("/fhir/Observation?patient=anna", wide["access_token"]).status_code == 200


def test_f12_online_access_ends_with_the_session(stage: Stage) -> None:
    stage.browsers.pop("leaver", None)
    online = stage.granted("online_access patient/Patient.rs", login="leaver")
    offline = stage.granted("offline_access patient/Patient.rs", login="leaver")
    app, browser = stage.apps["public"], stage.browsers.pop("leaver")
    renewed = stage.refresh(app, online["refresh_token"]).json()
    page = browser.send(browser.open("/oauth/account"), "/oauth/sign-out")
    assert page.url.path == "/oauth/signed-out"
    browser.close()
    assert stage.refresh(app, renewed["refresh_token"]).json()["error"] == "invalid_grant"
    assert stage.get("/fhir/Patient/anna", renewed["access_token"]).status_code == 401
    assert stage.refresh(app, offline["refresh_token"]).status_code == 200
