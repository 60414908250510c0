"""Others' clients go through the code flow unchanged: PyPI fhirclient, and authlib's client for requests."""

from __future__ import annotations

import httpx
import pytest
from authlib.integrations.requests_client import OAuth2Session
from fhirclient.client import FHIRClient
from fhirclient.models.observation import Observation

from tests.e2e.smart.apps import REDIRECT
from tests.e2e.smart.stage import Json, Stage

SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"


def sent_back(stage: Stage, url: str) -> str:
    """Where a browser ends that opens the client's URL and whose user agrees."""
    browser = stage.browser()
    parts = httpx.URL(url)
    page = browser.open(parts.path, parts.params.multi_items())
    page = browser.send(page, "/oauth/patients", patient="anna")
    return str(browser.send(page, "/oauth/approve", having="act", act="allow").headers["location"])


def test_fhirclient_reads_vital_signs_and_refreshes(stage: Stage) -> None:
    app = stage.apps["public"]
    settings = {"app_id": app.id, "api_base": stage.fhir, "redirect_uri": REDIRECT, "scope": SCOPE}
    client = FHIRClient(settings=settings)
    assert client.prepare() is False
    client.handle_callback(sent_back(stage, client.authorize_url))
    assert client.ready
    assert client.patient_id == "anna"
    assert client.patient.name[0].family == "Anna"
    search = Observation.where({"patient": client.patient_id, "category": "vital-signs"})
    found = search.perform_resources_iter(client.server)
    assert {each.id for each in found} == {"anna-pulse", "anna-weight"}
    before = client.server.auth.access_token
    assert client.reauthorize()
    assert client.server.auth.access_token != before
    assert Observation.read("anna-pulse", client.server).id == "anna-pulse"
    client.server.session.close()


@pytest.mark.parametrize("app", ["public", "plain-secret"])
def test_authlib_goes_through_the_code_flow_refreshes_and_revokes(stage: Stage, app: str) -> None:
    known = stage.apps[app]
    place: Json = stage.get("/fhir/.well-known/smart-configuration").json()
    session = OAuth2Session(
        known.id,
        known.secret or None,
        token_endpoint_auth_method=known.method,
        scope=SCOPE,
        redirect_uri=REDIRECT,
        code_challenge_method="S256",
        token_endpoint=place["token_endpoint"],
    )
    verifier = "v" * 64
    url, state = session.create_authorization_url(
        place["authorization_endpoint"], code_verifier=verifier, aud=stage.fhir
    )
    back = sent_back(stage, url)
    token = session.fetch_token(authorization_response=back, state=state, code_verifier=verifier)
    assert token["patient"] == "anna"
    assert session.get(f"{stage.fhir}/Patient/anna").json()["id"] == "anna"
    fresh = session.refresh_token(place["token_endpoint"])
    assert fresh["access_token"] != token["access_token"]
    assert session.get(f"{stage.fhir}/Observation?patient=anna").status_code == 200
    assert session.revoke_token(place["revocation_endpoint"], fresh["refresh_token"]).status_code == 200
    assert stage.get("/fhir/Patient/anna", fresh["access_token"]).status_code == 401
    session.close()
