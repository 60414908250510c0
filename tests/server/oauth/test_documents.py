"""What anybody may read: discovery, key set, brands and style (smart checks sections 1, 8 and 11)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fhir.resources.R4B.bundle import Bundle

from server.http.surface import Answer, Call, Endpoint
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.problem import Kind, Problem
from server.oauth.documents import Documents
from server.smart.brands import Brands
from server.smart.discovery import CAPABILITIES, SCOPES, Discovery
from server.smart.keys import KeyRing
from server.smart.scopes import narrow, parse_scopes
from server.smart.style import STYLE, STYLE_NAME, style_document, style_name
from tests.server.smart.keeping import SITE, Kept, keeping

IG_CAPABILITIES = {
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
    "smart-app-state",
}
STANDALONE = (
    "launch-standalone client-public client-confidential-symmetric client-confidential-asymmetric sso-openid-connect"
    " context-standalone-patient permission-offline permission-patient authorize-post permission-v2 permission-v1"
)
EHR = (
    "launch-ehr client-confidential-symmetric client-confidential-asymmetric sso-openid-connect context-banner"
    " context-style context-ehr-patient permission-offline permission-user authorize-post permission-v2 permission-v1"
)


def documents(kept: Kept, website: str = "https://hospital.example") -> Documents:
    ring = KeyRing(kept.store.records, kept.clock, kept.offload)
    return Documents(Discovery(True, website), ring, Brands(kept.store.records, kept.clock, "东方医院", website))


async def _no_body() -> dict[str, Any]:
    return {"type": "http.request"}


def called(endpoint: Endpoint, base: str, path: dict[str, str], headers: dict[str, str]) -> Call:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"method": "GET", "path": endpoint.path, "query_string": b"", "headers": raw}
    return Call(scope, _no_body, path, base, Context(LOCAL_ACTOR, "test"))


def got(folder: Path, name: str, path: dict[str, str] | None = None, **headers: str) -> Answer:
    """The answer of the row of this name."""

    async def work(kept: Kept) -> Answer:
        served = documents(kept)
        below = [
            *((row, SITE.issuer) for row in served.endpoints()),
            *((row, SITE.fhir) for row in served.fhir_endpoints()),
        ]
        ((row, base),) = [(row, base) for row, base in below if row.name == f"oauth.{name}"]
        return await row.handler(called(row, base, path or {}, headers))

    return keeping(folder, work)


def document(folder: Path, name: str) -> dict[str, Any]:
    answer = got(folder, name)
    assert answer.status == 200
    assert isinstance(answer.body, bytes)
    found = json.loads(answer.body)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def smart(tmp_path: Path) -> dict[str, Any]:
    return document(tmp_path, "smart-configuration")


@pytest.fixture
def openid(tmp_path: Path) -> dict[str, Any]:
    return document(tmp_path, "openid-configuration")


@pytest.mark.parametrize("accept", ["application/fhir+xml", "text/html", "image/png;q=1"])
def test_d01_whatever_accept_says(tmp_path: Path, accept: str) -> None:
    answer = got(tmp_path, "smart-configuration", accept=accept)
    assert answer.status == 200


def test_d01_no_token_is_asked_for(tmp_path: Path) -> None:
    async def work(kept: Kept) -> set[str]:
        served = documents(kept)
        return {row.interaction for row in (*served.endpoints(), *served.fhir_endpoints())}

    assert keeping(tmp_path, work) == {"capabilities"}


def test_d02_the_media_type_is_json(tmp_path: Path) -> None:
    assert got(tmp_path, "smart-configuration").media_type == "application/json"


def test_d03_the_demanded_members_are_there_and_of_their_type(smart: dict[str, Any]) -> None:
    assert all(isinstance(smart[name], str) and smart[name] for name in ("authorization_endpoint", "token_endpoint"))
    for name in ("capabilities", "grant_types_supported", "code_challenge_methods_supported"):
        assert isinstance(smart[name], list)
        assert smart[name]


def test_d04_grant_types(smart: dict[str, Any]) -> None:
    assert {"authorization_code", "client_credentials"} <= set(smart["grant_types_supported"])


def test_d05_pkce_is_s256_and_not_plain(smart: dict[str, Any]) -> None:
    assert smart["code_challenge_methods_supported"] == ["S256"]


def test_d06_single_sign_on_comes_with_issuer_and_keys(smart: dict[str, Any]) -> None:
    assert "sso-openid-connect" in smart["capabilities"]
    assert (smart["issuer"], smart["jwks_uri"]) == (SITE.issuer, SITE.oauth("jwks"))


def test_d07_capabilities_are_of_the_guide_or_full_uris() -> None:
    own = set(CAPABILITIES) - IG_CAPABILITIES - {"smart-imaging-access"}
    assert all(urlsplit(each).scheme == "http" and urlsplit(each).netloc for each in own)


def test_d08_endpoint_urls_are_absolute(smart: dict[str, Any]) -> None:
    named = [
        value for name, value in smart.items() if name.endswith(("_endpoint", "_uri", "_bundle")) or name == "issuer"
    ]
    assert len(named) >= 8
    assert all(re.match(r"https://weft\.example/", each) for each in named)


def test_d09_the_recommended_members_are_there(smart: dict[str, Any]) -> None:
    wanted = {"scopes_supported", "response_types_supported", "management_endpoint", "introspection_endpoint"}
    assert wanted | {"revocation_endpoint", "registration_endpoint"} <= set(smart)


def test_d09_registration_is_told_of_only_where_it_is_open() -> None:
    assert "registration_endpoint" not in Discovery(can_register=False).smart_configuration(SITE)


def test_d10_every_scope_told_of_can_be_granted() -> None:
    asked = parse_scopes(" ".join(SCOPES))
    assert len(asked) == len(SCOPES)
    assert [each.text for each in narrow(asked, asked)] == list(SCOPES)


def test_d11_key_clients_may_use_both_algorithms(smart: dict[str, Any]) -> None:
    assert "private_key_jwt" in smart["token_endpoint_auth_methods_supported"]
    assert set(smart["token_endpoint_auth_signing_alg_values_supported"]) == {"RS384", "ES384"}


@pytest.mark.parametrize("wanted", [STANDALONE, EHR], ids=["D12", "D13"])
def test_d12_and_d13_the_certification_sets(wanted: str) -> None:
    assert set(wanted.split()) <= set(CAPABILITIES)


def test_d18_imaging_access_in_both_modes(smart: dict[str, Any]) -> None:
    modes = "http://fhir.org/argonaut/smart-imaging/capabilities/"
    assert {"smart-imaging-access", modes + "app-launch", modes + "backend-services"} <= set(smart["capabilities"])


def test_o02_and_o03_the_openid_configuration(openid: dict[str, Any], tmp_path: Path) -> None:
    assert got(tmp_path, "openid-configuration").media_type == "application/json"
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported"):
        assert openid[name]
    assert openid["issuer"] == SITE.issuer
    assert openid["subject_types_supported"] == ["public"]
    assert openid["id_token_signing_alg_values_supported"] == ["RS256"]


def test_both_documents_agree(smart: dict[str, Any], openid: dict[str, Any]) -> None:
    shared = set(smart) & set(openid)
    assert len(shared) >= 12
    assert all(smart[name] == openid[name] for name in shared)


def test_o04_the_key_set(tmp_path: Path) -> None:
    keys = document(tmp_path, "jwks")["keys"]
    assert [each["kty"] for each in keys] == ["RSA"]


@pytest.fixture
def brands(tmp_path: Path) -> dict[str, Any]:
    return document(tmp_path, "brands")


def resources(bundle: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    return (each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == kind)


def test_u02_the_bundle_is_a_collection_with_a_time(brands: dict[str, Any]) -> None:
    assert (brands["resourceType"], brands["type"]) == ("Bundle", "collection")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", brands["timestamp"])
    assert len(brands["entry"]) == 2


def test_u02_the_bundle_is_what_fhir_has_it_be(brands: dict[str, Any]) -> None:
    bundle = Bundle.model_validate(brands)
    assert [each.resource.get_resource_type() for each in bundle.entry] == ["Organization", "Endpoint"]


def test_u03_endpoints_are_referenced_and_one_is_the_portals(brands: dict[str, Any]) -> None:
    (organization,) = resources(brands, "Organization")
    (endpoint,) = resources(brands, "Endpoint")
    references = [each["reference"] for each in organization["endpoint"]]
    assert references == [f"Endpoint/{endpoint['id']}"]
    (portal,) = organization["extension"]
    assert [each["valueReference"]["reference"] for each in portal["extension"][2:]] == references
    assert organization["name"] == "东方医院"
    assert len(organization["telecom"]) == 1


def test_u03_the_endpoint_says_what_it_is(brands: dict[str, Any]) -> None:
    (endpoint,) = resources(brands, "Endpoint")
    assert (endpoint["status"], endpoint["connectionType"]["code"]) == ("active", "hl7-fhir-rest")
    assert endpoint["extension"][0]["valueCode"] == "4.0.1"
    assert [each["system"] for each in endpoint["contact"]] == ["url"]


def test_u04_the_endpoint_is_our_fhir_base(brands: dict[str, Any]) -> None:
    (endpoint,) = resources(brands, "Endpoint")
    assert endpoint["address"] == SITE.fhir


def test_u05_a_weak_tag_saves_a_second_reading(tmp_path: Path) -> None:
    first = got(tmp_path, "brands")
    tag = dict(first.headers)["ETag"]
    assert tag.startswith('W/"')
    assert got(tmp_path, "brands", **{"if-none-match": tag}).status == 304


def test_u06_the_identifier_matches_one_organization(smart: dict[str, Any], brands: dict[str, Any]) -> None:
    found = [
        each
        for each in resources(brands, "Organization")
        if smart["user_access_brand_identifier"] in each["identifier"]
    ]
    assert len(found) == 1


def test_the_time_of_the_brands_moves_only_with_their_content(tmp_path: Path) -> None:
    async def work(kept: Kept) -> list[str]:
        made = Brands(kept.store.records, kept.clock, "A", "")
        times = [(await made.bundle(SITE))["timestamp"]]
        kept.clock.move(hours=1)
        for each in (made, Brands(kept.store.records, kept.clock, "B", "")):
            times.append((await each.bundle(SITE))["timestamp"])
        return times

    first, same, other = keeping(tmp_path, work)
    assert first == same < other


def test_l07_the_style_is_served_under_a_name_that_changes_with_it(tmp_path: Path) -> None:
    answer = got(tmp_path, "style", {"name": STYLE_NAME})
    assert (answer.status, answer.media_type) == (200, "application/json")
    assert style_name(style_document({**STYLE, "color_text": "#000000"})) != STYLE_NAME


def test_l07_a_style_of_the_past_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        got(tmp_path, "style", {"name": "0000000000000000.json"})
    assert refused.value.kind is Kind.NOT_FOUND
