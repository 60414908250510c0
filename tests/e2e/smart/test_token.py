"""The token endpoint: section 4 of the SMART checks."""

from __future__ import annotations

import base64

import pytest

from tests.e2e.smart.apps import ORIGIN, REDIRECT, WITH_QUERY, basic
from tests.e2e.smart.stage import Stage

SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"
CLIENTS = ("public", "basic", "key", "key-url")


@pytest.mark.parametrize("app", ["public", "basic", "key"])
def test_t01_every_kind_of_client_exchanges_its_code(stage: Stage, app: str) -> None:
    asking = stage.ask(SCOPE, app)
    answer = stage.exchange(asking, stage.decided(asking)["code"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


def test_t02_the_answer_has_what_it_must(stage: Stage) -> None:
    granted = stage.granted(SCOPE)
    assert isinstance(granted["access_token"], str)
    assert len(granted["access_token"]) >= 32
    assert granted["token_type"].lower() == "bearer"
    assert isinstance(granted["expires_in"], int)
    assert granted["expires_in"] > 0
    assert set(granted["scope"].split()) == set(SCOPE.split())


def test_t03_strings_are_strings_and_nothing_is_added(stage: Stage) -> None:
    granted = stage.granted(SCOPE + " patient/Nothing.rs unknown system/*.rs")
    for name in ("access_token", "token_type", "scope", "refresh_token", "id_token", "patient"):
        assert isinstance(granted[name], str)
    assert set(granted["scope"].split()) == set(SCOPE.split())


def test_t04_nobody_may_keep_the_answer(stage: Stage) -> None:
    asking = stage.ask(SCOPE)
    first = stage.exchange(asking, stage.decided(asking)["code"])
    second = stage.refresh(asking.app, first.json()["refresh_token"])
    for answer in (first, second, stage.exchange(asking, "wrong")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"


def test_t05_a_page_of_the_app_may_read_the_answer(stage: Stage) -> None:
    asking = stage.ask(SCOPE)
    form = {"grant_type": "authorization_code", "code": stage.decided(asking)["code"], "redirect_uri": REDIRECT}
    form |= {"code_verifier": asking.verifier, "client_id": asking.app.id}
    answer = stage.post("token", form, {"Origin": ORIGIN})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    refused = stage.post("token", form, {"Origin": ORIGIN})
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in stage.post("token", form, {"Origin": "https://evil.example"}).headers


def test_t06_a_preflight_is_answered(stage: Stage) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = stage.http.options(f"{stage.url}/oauth/token", headers=asked)
    assert answer.status_code in (200, 204)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert {"authorization", "content-type"} <= {
        each.strip().lower() for each in answer.headers["access-control-allow-headers"].split(",")
    }


@pytest.mark.parametrize("code", ["wrong", "", "x" * 20_000, "\u6c49", "a\x00b"])
def test_t07_a_wrong_code_is_refused(stage: Stage, code: str) -> None:
    assert stage.exchange(stage.ask(SCOPE), code).status_code == 400


def test_t08_a_wrong_client_is_refused(stage: Stage) -> None:
    asking = stage.ask(SCOPE)
    code = stage.decided(asking)["code"]
    for id in ("nobody", "", "x" * 3000):
        assert stage.exchange(asking, code, client_id=id).status_code in (400, 401)
    assert stage.exchange(asking, code, client_id=None).status_code in (400, 401)
    assert stage.exchange(asking, code).status_code == 200


@pytest.mark.parametrize("app", ["public", "basic", "key"])
@pytest.mark.parametrize("verifier", [None, "", "w" * 43, "challenge", "short"])
def test_t09_a_wrong_verifier_is_refused(stage: Stage, app: str, verifier: str | None) -> None:
    asking = stage.ask(SCOPE, app)
    code = stage.decided(asking)["code"]
    sent = asking.parameters["code_challenge"] if verifier == "challenge" else verifier
    assert stage.exchange(asking, code, code_verifier=sent).status_code in (400, 401)


@pytest.mark.parametrize("redirect", [WITH_QUERY, "https://evil.example/", None, ""])
def test_t10_the_redirect_must_be_the_same(stage: Stage, redirect: str | None) -> None:
    asking = stage.ask(SCOPE)
    answer = stage.exchange(asking, stage.decided(asking)["code"], redirect_uri=redirect)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_t11_anothers_code_is_refused(stage: Stage) -> None:
    asking = stage.ask(SCOPE)
    code = stage.decided(asking)["code"]
    for thief in ("other", "basic", "key"):
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
        answer = stage.send(stage.apps[thief], {**form, "code_verifier": asking.verifier})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_t12_basic_is_form_decoded(stage: Stage) -> None:
    app = stage.apps["basic"]
    assert {" ", "%", "+"} <= set(app.secret)
    assert ":" in app.id
    asking = stage.ask(SCOPE, app)
    assert stage.exchange(asking, stage.decided(asking)["code"]).status_code == 200
    plain = base64.b64encode(f"{app.id}:{app.secret}".encode()).decode()
    answer = stage.post(
        "token", {"grant_type": "refresh_token", "refresh_token": "x"}, {"Authorization": f"Basic {plain}"}
    )
    assert answer.status_code == 401


def test_t13_a_confidential_client_must_prove_itself(stage: Stage) -> None:
    app = stage.apps["basic"]
    asking = stage.ask(SCOPE, app)
    code = stage.decided(asking)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    form["code_verifier"] = asking.verifier
    named, wrong = {**form, "client_id": app.id}, {"Authorization": basic(app.id, "wrong")}
    for sent, headers in ((named, {}), (form, wrong), ({**named, "client_secret": app.secret}, {})):
        answer = stage.post("token", sent, headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"]
    assert stage.post("token", form, wrong).headers["www-authenticate"].startswith("Basic")
    assert stage.exchange(asking, code).status_code == 200


def test_t13_a_public_client_never_sees_basic(stage: Stage) -> None:
    asking = stage.ask(SCOPE)
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    for sent in (form, {**form, "client_id": asking.app.id}, {**form, "client_id": "nobody"}):
        answer = stage.post("token", sent, {"Origin": ORIGIN})
        assert "basic" not in answer.headers.get("www-authenticate", "").lower()


def test_t14_access_tokens_last_an_hour_at_most(stage: Stage) -> None:
    assert stage.granted(SCOPE)["expires_in"] <= 3600


@pytest.mark.parametrize("app", ["public", "basic", "key"])
def test_t15_an_id_token_for_every_kind_of_client(stage: Stage, app: str) -> None:
    assert stage.granted("openid fhirUser patient/Patient.rs", app)["id_token"].count(".") == 2
    assert "id_token" not in stage.granted("patient/Patient.rs", app)


def test_t16_only_forms_are_read(stage: Stage) -> None:
    url = f"{stage.url}/oauth/token"
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "public-app"}
    assert stage.http.post(url, json=form).status_code == 400
    assert stage.http.post(url, content=b"grant_type=refresh_token").status_code == 400
    assert stage.http.post(url, params=form).status_code == 400
    assert stage.http.get(url, params=form).status_code == 405
