"""One world for the cases of each module, over each store of records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.conftest import opened_archive
from tests.contract.consent_world import World, opened_world


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("consents")
    with opened_archive(request, folder) as archive, opened_world(folder, archive.url) as made:
        yield made
