"""User-access brands: section 11 of the SMART checks."""

from __future__ import annotations

import pytest

from tests.e2e.smart.conftest import HOSPITAL
from tests.e2e.smart.stage import Json, Stage

PROFILES = "http://hl7.org/fhir/smart-app-launch/StructureDefinition/"
PORTAL = "http://hl7.org/fhir/StructureDefinition/organization-portal"


@pytest.fixture(scope="module")
def smart(stage: Stage) -> Json:
    found: Json = stage.get("/fhir/.well-known/smart-configuration").json()
    return found


@pytest.fixture(scope="module")
def bundle(stage: Stage, smart: Json) -> Json:
    found: Json = stage.get(smart["user_access_brand_bundle"]).json()
    return found


def of_type(bundle: Json, kind: str) -> list[Json]:
    return [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == kind]


def test_u01_the_bundle_is_public(stage: Stage, smart: Json) -> None:
    answer = stage.get(smart["user_access_brand_bundle"], Origin="https://anywhere.example")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")


def test_u02_the_bundle_is_a_collection_with_its_time(bundle: Json) -> None:
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    assert bundle["timestamp"].endswith("Z")
    assert bundle["entry"]
    assert bundle["meta"]["profile"] == [PROFILES + "user-access-brands-bundle"]
    assert all(each["fullUrl"].endswith(f"/{each['resource']['id']}") for each in bundle["entry"])


def test_u03_brands_and_endpoints_know_each_other(bundle: Json) -> None:
    endpoints, brands = of_type(bundle, "Endpoint"), of_type(bundle, "Organization")
    assert endpoints
    assert brands
    named = {each["reference"] for brand in brands for each in brand["endpoint"]}
    for each in endpoints:
        assert f"Endpoint/{each['id']}" in named
        assert each["status"] == "active"
        assert each["connectionType"]["code"] == "hl7-fhir-rest"
        assert each["payloadType"][0]["coding"][0]["code"] == "none"
        assert each["contact"][0]["system"] == "url"
        assert each["name"]
        assert each["address"]
        assert any(one["url"].endswith("/endpoint-fhir-version") for one in each["extension"])
    for brand in brands:
        assert brand["name"]
        assert brand["active"] is True
        assert brand["telecom"][0]["system"] == "url"
        (portal,) = [each for each in brand["extension"] if each["url"] == PORTAL]
        (point,) = [each for each in portal["extension"] if each["url"] == "portalEndpoint"]
        assert point["valueReference"]["reference"] in named


def test_u04_the_address_is_a_fhir_server(stage: Stage, bundle: Json) -> None:
    for each in of_type(bundle, "Endpoint"):
        assert stage.get(each["address"] + "/metadata").json()["resourceType"] == "CapabilityStatement"


def test_u05_it_is_sent_once(stage: Stage, smart: Json) -> None:
    first = stage.get(smart["user_access_brand_bundle"])
    assert first.headers["etag"].startswith('W/"')
    again = stage.get(smart["user_access_brand_bundle"], If_None_Match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


def test_u06_the_identifier_is_one_organizations(smart: Json, bundle: Json) -> None:
    wanted = smart["user_access_brand_identifier"]
    assert wanted["value"] == HOSPITAL
    found = [each for each in of_type(bundle, "Organization") if wanted in each["identifier"]]
    assert len(found) == 1
