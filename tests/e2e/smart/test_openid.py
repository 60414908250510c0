"""OpenID Connect: section 8 of the SMART checks."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from tests.e2e.smart.apps import ORIGIN
from tests.e2e.smart.stage import Json, Stage
from tests.server.commands.administering import told

SCOPE = "launch/patient openid fhirUser patient/Patient.rs"


@pytest.fixture(scope="module")
def configuration(stage: Stage) -> Json:
    found: Json = stage.get("/oauth/.well-known/openid-configuration").json()
    return found


def read(stage: Stage, token: str, audience: str = "public-app") -> dict[str, Any]:
    """The claims, after the checks a relying party makes."""
    keys = stage.get("/oauth/jwks").json()["keys"]
    (key,) = [each for each in keys if each["kid"] == jwt.get_unverified_header(token)["kid"]]
    issuer = f"{stage.url}/oauth"
    found: dict[str, Any] = jwt.decode(token, jwt.PyJWK(key), ["RS256"], audience=audience, issuer=issuer, leeway=5)
    return found


def test_o01_the_id_token_is_a_jwt(stage: Stage) -> None:
    token = stage.granted(SCOPE)["id_token"]
    assert jwt.decode(token, options={"verify_signature": False})["iss"]


def test_o02_the_configuration_is_below_the_issuer(stage: Stage) -> None:
    issuer = read(stage, stage.granted(SCOPE)["id_token"])["iss"]
    answer = stage.get(f"{issuer}/.well-known/openid-configuration")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["issuer"] == issuer


def test_o03_the_configuration_is_whole(stage: Stage, configuration: Json) -> None:
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"):
        assert isinstance(configuration[name], str)
    for name in ("response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"):
        assert isinstance(configuration[name], list)
        assert configuration[name]
    assert "RS256" in configuration["id_token_signing_alg_values_supported"]
    smart = stage.get("/fhir/.well-known/smart-configuration").json()
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"):
        assert configuration[name] == smart[name]


def test_o04_the_keys_are_published(stage: Stage, configuration: Json) -> None:
    answer = stage.get(configuration["jwks_uri"])
    assert answer.status_code == 200
    keys = answer.json()["keys"]
    assert any(each["kty"] == "RSA" and jwt.PyJWK(each) for each in keys)


def test_o05_the_header_names_algorithm_and_key(stage: Stage) -> None:
    header = jwt.get_unverified_header(stage.granted(SCOPE)["id_token"])
    assert header["alg"] == "RS256"
    assert header["kid"] in [each["kid"] for each in stage.get("/oauth/jwks").json()["keys"]]


@pytest.mark.parametrize("app", ["public", "basic", "key"])
def test_o06_the_claims_are_right(stage: Stage, app: str) -> None:
    claims = read(stage, stage.granted(SCOPE, app)["id_token"], stage.apps[app].id)
    assert {"iss", "sub", "aud", "exp", "iat"} <= set(claims)
    assert 1 <= len(claims["sub"]) <= 255
    assert claims["iat"] - 5 <= time.time() < claims["exp"]


@pytest.mark.parametrize(
    ("login", "reference"),
    [("nurse", "Practitioner/nurse"), ("anna", "Patient/anna"), ("proxy", "RelatedPerson/proxy")],
)
@pytest.mark.parametrize("scope", [SCOPE, "launch/patient openid profile fhirUser patient/Observation.rs"])
def test_o07_the_user_can_be_read(stage: Stage, login: str, reference: str, scope: str) -> None:
    granted = stage.granted(scope, login=login)
    claims = read(stage, granted["id_token"])
    assert claims["fhirUser"] == f"{stage.fhir}/{reference}"
    answer = stage.get(claims["fhirUser"], granted["access_token"])
    assert (answer.status_code, answer.json()["id"]) == (200, reference.partition("/")[2])


def test_o08_the_user_can_be_read_by_the_apps_page(stage: Stage) -> None:
    granted = stage.granted(SCOPE)
    url = read(stage, granted["id_token"])["fhirUser"]
    assert stage.get(url, granted["access_token"], Origin=ORIGIN).headers["access-control-allow-origin"] == ORIGIN
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    assert stage.call("OPTIONS", url, headers=asked).headers["access-control-allow-origin"] == ORIGIN


def test_o09_nonce_and_sign_in_are_told(stage: Stage) -> None:
    began = time.time()
    stage.browsers.pop("second-nurse", None)
    granted = stage.granted(SCOPE, login="second-nurse", asking={"nonce": "n-0S6_WzA2Mj"})
    claims = read(stage, granted["id_token"])
    assert claims["nonce"] == "n-0S6_WzA2Mj"
    assert set(claims["amr"]) >= {"pwd", "otp"}
    assert claims["acr"] == f"{stage.url}/oauth/acr/two-factors"
    assert began - 5 <= claims["auth_time"] <= time.time() + 5
    assert "nonce" not in read(stage, stage.granted(SCOPE)["id_token"])


def test_o09_a_new_sign_in_has_a_new_time(stage: Stage) -> None:
    before = read(stage, stage.granted(SCOPE, login="radiologist")["id_token"])["auth_time"]
    asking, browser = stage.ask(SCOPE, prompt="login"), stage.browser("radiologist")
    page = browser.open("/oauth/authorize", asking.pairs)
    assert page.url.path == "/oauth/sign-in"
    page = browser.sign_in(stage.people["radiologist"], page)
    page = browser.send(page, "/oauth/patients", patient="anna")
    back = browser.send(page, "/oauth/approve", having="act", act="allow")
    code = stage.exchange(asking, httpx_code(back.headers["location"])).json()
    assert read(stage, code["id_token"])["auth_time"] >= before
    assert stage.decided(stage.ask(SCOPE, prompt="none"))["error"] == "consent_required"
    silent = stage.http.get(f"{stage.url}/oauth/authorize", params=dict(stage.ask(SCOPE, prompt="none").parameters))
    assert "error=login_required" in silent.headers["location"]


def test_o10_only_public_members_and_old_keys_stay(stage: Stage) -> None:
    token = stage.granted(SCOPE)["id_token"]
    kid = told(stage.server.place.data, "key", "rotate").split()[1]
    keys = stage.get("/oauth/jwks").json()["keys"]
    assert not any({"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & set(each) for each in keys)
    assert kid in [each["kid"] for each in keys]
    assert read(stage, token)["sub"]
    assert jwt.get_unverified_header(stage.granted(SCOPE)["id_token"])["kid"] == kid


def httpx_code(location: str) -> str:
    return location.partition("code=")[2].partition("&")[0]
