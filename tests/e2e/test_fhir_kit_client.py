"""The npm package `fhir-kit-client` against the running server: every kind of call an application makes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.needed import npm_install, run
from tests.e2e.running import Server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CLIENT = Path(__file__).parent / "fhir_kit_client"
STEPS = 14


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client installed."""
    folder = tmp_path_factory.mktemp("fhir-kit-client")
    for each in ("package.json", "drive.mjs"):
        shutil.copy(CLIENT / each, folder)
    npm_install(folder)
    return folder


def test_fhir_kit_client_can_do_all_it_offers(client: Path, server: Server) -> None:
    told = run("node", "drive.mjs", f"{server.url}/fhir", folder=client)
    assert len(json.loads(told)) == STEPS
