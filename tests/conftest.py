"""Fixtures every suite may use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more of what else the machine does than of the code. The rest as hypothesis has it,
# which with CI=true is its profile for that.
settings.register_profile("weft", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("weft")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real sample data that lies beside a development checkout."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no sample data beside this checkout")
    return folder


@pytest.fixture(scope="session")
def corpus(shared: Path) -> list[dict[str, Any]]:
    """The index of the real DICOM files: each entry with `path` relative to `shared/data/dicom`."""
    files: list[dict[str, Any]] = json.loads((shared / "data/dicom/index.json").read_text())["files"]
    return files
