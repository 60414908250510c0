"""The npm package `oauth4webapi` as a backend service: it signs in with its key and reads what it was given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jwt.algorithms import ECAlgorithm

from tests.e2e.needed import npm_install, run
from tests.e2e.running import Server, running
from tests.e2e.smart_app.hospital import hospital, let_in_service
from tests.server.commands.administering import told
from tests.server.smart.keeping import ec_key

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

APP = Path(__file__).parent / "smart_app"
SCOPE = "system/Patient.rs system/Observation.rs?category=vital-signs"
PATIENTS, VITALS = "/Patient?_count=10", "/Observation?_count=10"
OTHER = "/Condition?_count=1"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service")
    for each in ("package.json", "backend.mjs"):
        shutil.copy(APP / each, folder)
    npm_install(folder)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, service: Path) -> Iterator[Server]:
    """Two services with the same key: one for the whole hospital, one for Anna alone, who agreed to it."""
    place = hospital(tmp_path_factory.mktemp("hospital"))
    for client, more in (("statistics", ()), ("agreed", ("--patient", "anna"))):
        let_in_service(place, client, ec_key(), SCOPE, "--purpose", "TREAT", *more)
    assert "key, backend" in told(place.data, "client", "list")
    with running(place) as server:
        yield server


def signed_in(service: Path, server: Server, client: str, scope: str = SCOPE) -> dict[str, Any]:
    """What the service tells: its token, without the token itself, and the answers to what it asked."""
    key = {**ECAlgorithm.to_jwk(ec_key().private, as_dict=True), "kid": ec_key().kid}
    place = (f"{server.url}/oauth", f"{server.url}/fhir")
    text = run(
        "node", "backend.mjs", *place, client, scope, PATIENTS, VITALS, OTHER, folder=service, given=json.dumps(key)
    )
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_service_reads_what_it_was_given(service: Path, server: Server) -> None:
    found = signed_in(service, server, "statistics")
    assert found["expires"] <= 300
    assert found["scope"] == SCOPE
    assert "refresh_token" not in found["members"]
    assert found["answers"][PATIENTS] == {"status": 200, "found": ["anna", "bert", "carl"]}
    assert found["answers"][VITALS]["found"] == ["anna-pulse", "anna-weight", "bert-pulse", "bert-weight"]


def test_a_type_that_was_not_given_is_refused(service: Path, server: Server) -> None:
    found = signed_in(service, server, "statistics", "system/Patient.rs")
    assert found["scope"] == "system/Patient.rs"
    assert {path: each["status"] for path, each in found["answers"].items()} == {PATIENTS: 200, VITALS: 403, OTHER: 403}


def test_a_service_for_some_patients_sees_no_others(service: Path, server: Server) -> None:
    found = signed_in(service, server, "agreed")
    assert found["answers"][PATIENTS]["found"] == ["anna"]
    assert found["answers"][VITALS]["found"] == ["anna-pulse", "anna-weight"]
