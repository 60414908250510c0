"""One service for each module that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.fhir_rest.served import Served, served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("fhir")) as running:
        yield running
