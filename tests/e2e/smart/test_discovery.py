"""Discovery: section 1 of the SMART checks."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.e2e.smart.stage import Json, Stage

WELL_KNOWN = "/fhir/.well-known/smart-configuration"
KNOWN_CAPABILITIES = {
    "launch-ehr", "launch-standalone", "authorize-post", "client-public", "client-confidential-symmetric",
    "client-confidential-asymmetric", "sso-openid-connect", "context-banner", "context-style", "context-ehr-patient",
    "context-ehr-encounter", "context-standalone-patient", "context-standalone-encounter", "permission-offline",
    "permission-online", "permission-patient", "permission-user", "permission-v1", "permission-v2", "smart-app-state",
}  # fmt: skip
IMAGING = "smart-imaging-access"


@pytest.fixture(scope="module")
def smart(stage: Stage) -> Json:
    found: Json = stage.get(WELL_KNOWN).json()
    return found


@pytest.mark.parametrize("accept", ["", "application/fhir+json", "text/html", "application/xml", "image/png;q=0.1"])
def test_d01_discovery_needs_no_token_and_heeds_no_accept(stage: Stage, accept: str) -> None:
    assert stage.get(WELL_KNOWN, Accept=accept).status_code == 200


def test_d02_discovery_is_json(stage: Stage) -> None:
    answer = stage.get(WELL_KNOWN, Accept="application/fhir+xml")
    assert answer.headers["content-type"].startswith("application/json")
    assert isinstance(answer.json(), dict)


def test_d03_the_required_members_are_there(smart: Json) -> None:
    for name in ("authorization_endpoint", "token_endpoint"):
        assert isinstance(smart[name], str)
        assert smart[name]
    for name in ("capabilities", "grant_types_supported", "code_challenge_methods_supported"):
        assert isinstance(smart[name], list)
        assert smart[name]


def test_d04_the_code_grant_and_that_of_backend_services(smart: Json) -> None:
    assert {"authorization_code", "client_credentials"} <= set(smart["grant_types_supported"])


def test_d05_only_s256(smart: Json) -> None:
    assert smart["code_challenge_methods_supported"] == ["S256"]


def test_d06_openid_connect_comes_with_issuer_and_keys(smart: Json) -> None:
    assert "sso-openid-connect" in smart["capabilities"]
    assert isinstance(smart["issuer"], str)
    assert isinstance(smart["jwks_uri"], str)


def test_d07_capabilities_are_known_words_or_uris(smart: Json) -> None:
    words = {each for each in smart["capabilities"] if ":" not in each}
    assert all(isinstance(each, str) for each in smart["capabilities"])
    assert words - {IMAGING} <= KNOWN_CAPABILITIES
    assert all(urlsplit(each).netloc for each in set(smart["capabilities"]) - words)


def test_d08_every_url_is_absolute(stage: Stage, smart: Json) -> None:
    names = [name for name in smart if name.endswith(("_endpoint", "_uri", "_bundle")) or name == "issuer"]
    assert len(names) >= 9
    assert all(smart[name].startswith(stage.url + "/oauth") for name in names)


def test_d09_the_recommended_members_are_there(smart: Json) -> None:
    for name in ("management", "introspection", "revocation", "registration"):
        assert smart[f"{name}_endpoint"]
    assert smart["response_types_supported"] == ["code"]
    assert smart["scopes_supported"]


def test_d10_every_scope_that_is_told_is_granted(stage: Stage, smart: Json) -> None:
    told = smart["scopes_supported"]
    system = [each for each in told if each.startswith("system/")]
    lasting = {"offline_access", "online_access"}
    others = [each for each in told if each not in {*system, *lasting}]
    assert set(stage.backend(scope=" ".join(system)).json()["scope"].split()) == set(system)
    for each in lasting:
        launch = stage.launch(patient="anna").json()["launch"]
        granted = stage.granted(" ".join([*others, each]), asking={"launch": launch})
        assert set(granted["scope"].split()) == {*others, each}


def test_d11_both_algorithms_for_keys(smart: Json) -> None:
    assert "private_key_jwt" in smart["token_endpoint_auth_methods_supported"]
    assert {"RS384", "ES384"} <= set(smart["token_endpoint_auth_signing_alg_values_supported"])


def test_d12_the_standalone_set(smart: Json) -> None:
    wanted = (
        "launch-standalone client-public client-confidential-symmetric client-confidential-asymmetric"
        " sso-openid-connect context-standalone-patient permission-offline permission-patient authorize-post"
        " permission-v2 permission-v1"
    )
    assert set(wanted.split()) <= set(smart["capabilities"])


def test_d13_the_ehr_set(smart: Json) -> None:
    wanted = (
        "launch-ehr client-confidential-symmetric client-confidential-asymmetric sso-openid-connect context-banner"
        " context-style context-ehr-patient permission-offline permission-user authorize-post permission-v2"
        " permission-v1"
    )
    assert set(wanted.split()) <= set(smart["capabilities"])


@pytest.mark.parametrize("origin", ["https://anywhere.example", "null"])
def test_d14_any_page_may_read_discovery(stage: Stage, origin: str) -> None:
    assert stage.get(WELL_KNOWN, Origin=origin).headers["access-control-allow-origin"] in ("*", origin)


def test_d15_any_page_may_read_the_capability_statement(stage: Stage) -> None:
    answer = stage.get("/fhir/metadata", Origin="https://anywhere.example")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")


def test_d17_the_capability_statement_agrees(stage: Stage, smart: Json) -> None:
    security = stage.get("/fhir/metadata").json()["rest"][0]["security"]
    (oauth,) = [each for each in security["extension"] if each["url"].endswith("oauth-uris")]
    told = {each["url"]: each["valueUri"] for each in oauth["extension"]}
    assert (told["authorize"], told["token"]) == (smart["authorization_endpoint"], smart["token_endpoint"])


def test_d18_imaging_access_is_told(smart: Json) -> None:
    assert IMAGING in smart["capabilities"]
    assert len([each for each in smart["capabilities"] if "smart-imaging/capabilities" in each]) == 2
