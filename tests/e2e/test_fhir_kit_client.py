"""The npm package `fhir-kit-client` against the running server: every kind of call an application makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.running import Server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CLIENT = Path(__file__).parent / "fhir_kit_client"
STEPS = 14


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client installed; a skip where there is no npm, which CI does not forgive."""
    npm = shutil.which("npm")
    if npm is None:
        reason = "npm is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("fhir-kit-client")
    for each in ("package.json", "drive.mjs"):
        shutil.copy(CLIENT / each, folder)
    command = [npm, "install", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_fhir_kit_client_can_do_all_it_offers(client: Path, server: Server) -> None:
    command = ["node", "drive.mjs", f"{server.url}/fhir"]
    done = subprocess.run(command, cwd=client, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert len(json.loads(done.stdout)) == STEPS
