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

LONGEST = (
    "e2e/test_fhir_conformance.py",
    "server/importing/test_fhir_import.py",
    "e2e/test_crash.py",
    "e2e/test_backup.py",
    "benchmarks/test_benchmarks.py",
    "e2e/test_import.py",
    "e2e/test_serving.py",
    "access/test_matrix.py",
    "e2e/test_fhir_knowledge.py",
    "e2e/test_described_endpoints.py",
    "e2e/test_memory.py",
    "e2e/test_fhir_examples.py",
    "e2e/test_readme.py",
)
"""Half a minute and more each; the others of `e2e` take seconds, all the rest less."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: begun last, it would keep one process while the others have nothing left.

    `make test` tells xdist to keep this order. Otherwise files begin in the random order they came in.
    """
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    file = item.path.relative_to(ROOT / "tests").as_posix()
    if file in LONGEST:
        return LONGEST.index(file)
    return len(LONGEST) + (not file.startswith("e2e/"))


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
