"""Introspection, revocation, management and registration: section 10 of the SMART checks."""

from __future__ import annotations

from typing import Any

import httpx
import jwt
import pytest
from lxml import html

from tests.e2e.smart.apps import REDIRECT
from tests.e2e.smart.stage import Json, Stage
from tests.server.commands.administering import told
from tests.server.smart.keeping import ec_key

SCOPE = "launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs"


def introspected(stage: Stage, token: str, is_new: bool = False) -> Json:
    headers = {"Authorization": f"Bearer {stage.service_token('ehr', '__introspect')}"}
    client = stage.each_time if is_new else stage.http
    answer = client.post(f"{stage.url}/oauth/introspect", data={"token": token}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def test_i01_a_good_token_is_active(stage: Stage) -> None:
    granted = stage.granted(SCOPE)
    found = introspected(stage, granted["access_token"])
    assert found["active"] is True
    assert found["client_id"] == "public-app"
    assert isinstance(found["exp"], int)
    assert set(found["scope"].split()) == set(granted["scope"].split())


def test_i02_the_context_is_there(stage: Stage) -> None:
    launch = stage.launch(patient="anna", encounter="anna-visit", intent="review").json()["launch"]
    granted = stage.granted("launch " + SCOPE, asking={"launch": launch})
    found = introspected(stage, granted["access_token"])
    for name in ("patient", "encounter", "intent"):
        assert found[name] == granted[name]
    assert found.get("fhirContext") == granted.get("fhirContext")


def test_i03_it_agrees_with_the_id_token(stage: Stage) -> None:
    granted = stage.granted(SCOPE)
    claims = jwt.decode(granted["id_token"], options={"verify_signature": False})
    found = introspected(stage, granted["access_token"])
    assert [found[name] for name in ("iss", "sub", "fhirUser")] == [claims[name] for name in ("iss", "sub", "fhirUser")]


@pytest.mark.parametrize("token", ["invalid", "x" * 5000, "\u6c49"])
def test_i04_an_unknown_token_is_inactive_and_nothing_else(stage: Stage, token: str) -> None:
    assert introspected(stage, token) == {"active": False}


def test_i05_who_may_ask(stage: Stage) -> None:
    granted = stage.granted(SCOPE, "basic")
    token = granted["access_token"]
    assert introspected(stage, token)["active"]
    for app, is_active in (("basic", True), ("key", False), ("gateway", True)):
        assert stage.send(stage.apps[app], {"token": token}, "introspect").json()["active"] is is_active
    plain = {"Authorization": f"Bearer {stage.token('patient/Patient.rs')}"}
    assert stage.post("introspect", {"token": token}, plain).json() == {"active": False}
    assert stage.post("introspect", {"token": token}).status_code == 401
    assert stage.post("introspect", {"token": token, "client_id": "public-app"}).status_code == 401
    assert stage.post("introspect", {"token": token}, {"Authorization": "Bearer wrong"}).status_code == 401


def test_i06_a_revoked_token_is_inactive_at_once(stage: Stage) -> None:
    granted = stage.granted(SCOPE)
    token = granted["access_token"]
    assert all(introspected(stage, token, is_new=True)["active"] for _ in range(4))
    assert all(stage.call("GET", "/fhir/Patient/anna", token, is_new=True).status_code == 200 for _ in range(4))
    stage.send(stage.apps["public"], {"token": token}, "revoke")
    assert {stage.call("GET", "/fhir/Patient/anna", token, is_new=True).status_code for _ in range(8)} == {401}
    assert not any(introspected(stage, token, is_new=True)["active"] for _ in range(8))


def test_v01_a_client_revokes_its_own_only(stage: Stage) -> None:
    granted = stage.granted(SCOPE)
    app = stage.apps["public"]
    for thief in ("other", "basic", "key"):
        stage.send(stage.apps[thief], {"token": granted["access_token"]}, "revoke")
        stage.send(stage.apps[thief], {"token": granted["refresh_token"]}, "revoke")
    assert stage.get("/fhir/Patient/anna", granted["access_token"]).status_code == 200
    assert stage.send(app, {"token": "unknown"}, "revoke").status_code == 200
    assert stage.post("revoke", {"token": granted["access_token"]}).status_code in (400, 401)
    form = {"token": granted["access_token"], "token_type_hint": "refresh_token"}
    assert stage.send(app, form, "revoke").status_code == 200
    assert stage.send(app, form, "revoke").status_code == 200
    assert stage.get("/fhir/Patient/anna", granted["access_token"]).status_code == 401


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_v02_after_revocation_nothing_works(stage: Stage, kind: str) -> None:
    granted, app = stage.granted(SCOPE), stage.apps["public"]
    assert stage.send(app, {"token": granted[kind]}, "revoke").status_code == 200
    assert stage.get("/fhir/Patient/anna", granted["access_token"]).status_code == 401
    assert stage.refresh(app, granted["refresh_token"]).status_code == 400


def test_v03_a_patient_takes_an_app_back_on_the_page(stage: Stage) -> None:
    granted, browser = stage.granted(SCOPE, "other", login="anna"), stage.browser("anna")
    page = browser.open("/oauth/account")
    approval = introspection_row(page, "other-app")
    page = browser.send(page, "/oauth/account/app", having=approval)
    assert page.status_code == 200
    assert approval not in page.text
    assert stage.get("/fhir/Patient/anna", granted["access_token"]).status_code == 401
    assert stage.refresh(stage.apps["other"], granted["refresh_token"]).status_code == 400


def test_v04_the_refresh_token_takes_its_access_tokens_along(stage: Stage) -> None:
    granted, app = stage.granted(SCOPE), stage.apps["public"]
    second = stage.refresh(app, granted["refresh_token"]).json()
    stage.send(app, {"token": second["refresh_token"]}, "revoke")
    for each in (granted, second):
        assert stage.get("/fhir/Patient/anna", each["access_token"]).status_code == 401


def test_g01_the_account_page_lists_what_was_given(stage: Stage) -> None:
    stage.granted(SCOPE, "one-patient")
    page = stage.browser().open("/oauth/account")
    row = html.fromstring(page.text).xpath("//h3[contains(., 'one-patient-app')]/ancestor::li")[0]
    words = str(row.text_content())
    assert "Test Anna" in words or "Anna" in words
    assert len(row.xpath(".//details//li")) >= 4
    assert row.xpath(".//form[contains(@action, '/account/app')]")


def introspection_row(page: httpx.Response, app: str) -> str:
    """The id of the approval that the account page shows for an app."""
    row = html.fromstring(page.text).xpath(f"//h3[contains(., '{app}')]/ancestor::li")[0]
    return str(row.xpath(".//input[@name='approval']/@value")[0])


def register(stage: Stage, token: str = "", **metadata: Any) -> httpx.Response:
    body = {"client_name": "New", "redirect_uris": [REDIRECT], "scope": "patient/Patient.rs", **metadata}
    headers = {"Authorization": f"Bearer {token or stage.service_token('ehr', '__register')}"}
    return stage.http.post(f"{stage.url}/oauth/register", json=body, headers=headers)


def test_n01_registration_needs_a_token_and_new_apps_wait(stage: Stage) -> None:
    url = f"{stage.url}/oauth/register"
    assert stage.http.post(url, json={"redirect_uris": [REDIRECT]}).status_code == 401
    assert register(stage, stage.token("patient/*.rs")).status_code == 403
    made = register(stage, token_endpoint_auth_method="none")
    assert made.status_code == 201, made.text
    id = made.json()["client_id"]
    page = stage.browser().open("/oauth/authorize", stage.ask("patient/Patient.rs", client_id=id).pairs)
    assert (page.status_code, page.is_redirect) == (400, False)
    told(stage.server.place.data, "client", "approve", id)
    page = stage.browser().open("/oauth/authorize", stage.ask("patient/Patient.rs", client_id=id).pairs)
    assert page.status_code == 200


@pytest.mark.parametrize(
    "redirect",
    [
        "http://app.example/back",
        "https://*.example/back",
        "https://app.example/*",
        "https://app.example/back#part",
        "https://user@app.example/back",
        "https://app.example\\@evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "//app.example/back",
        "https:///back",
        "",
    ],
)
def test_n02_other_redirects_are_refused(stage: Stage, redirect: str) -> None:
    answer = register(stage, redirect_uris=[REDIRECT, redirect])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")
    assert register(stage, redirect_uris=["http://127.0.0.1:8123/back"]).status_code == 201


def test_n03_one_way_to_prove_oneself(stage: Stage) -> None:
    keys = {"keys": [ec_key().public]}
    both = register(stage, token_endpoint_auth_method="private_key_jwt", jwks=keys, jwks_uri="https://app.example/jwks")
    assert both.json()["error"] == "invalid_client_metadata"
    kinds = {"none": {}, "client_secret_basic": {}, "private_key_jwt": {"jwks": keys}}
    for method, more in kinds.items():
        made = register(stage, token_endpoint_auth_method=method, **more)
        assert made.status_code == 201, made.text
        assert ("client_secret" in made.json()) is (method == "client_secret_basic")
    for wrong in ("client_secret_post", "client_secret_jwt", "x"):
        assert register(stage, token_endpoint_auth_method=wrong).status_code == 400
    assert register(stage, token_endpoint_auth_method="private_key_jwt").status_code == 400


def test_n04_an_administrator_lets_apps_in_for_one_patient_or_for_many(stage: Stage) -> None:
    data = stage.server.place.data
    common = ("--scope", "user/Patient.rs", "--redirect", REDIRECT)
    told(data, "client", "add", "For one", "--id", "for-one", *common, "--patient", "anna")
    told(data, "client", "add", "For many", "--id", "for-many", *common)
    for id, bert in (("for-one", (403, 404)), ("for-many", (200,))):
        asking = stage.ask("user/Patient.rs", client_id=id)
        form = {"grant_type": "authorization_code", "code": stage.decided(asking)["code"], "redirect_uri": REDIRECT}
        token = stage.post("token", {**form, "code_verifier": asking.verifier, "client_id": id}).json()["access_token"]
        assert stage.get("/fhir/Patient/anna", token).status_code == 200
        assert stage.get("/fhir/Patient/bert", token).status_code in bert
