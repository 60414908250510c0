"""One archive on each kind of records for all tests of manifests in a module."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from server.kernel.offload import Offload
from tests.contract.conftest import Archive, opened_archive
from tests.contract.manifest_world import ManifestWorld
from tests.contract.manifests.opened import Opened


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def shelves(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Archive, ManifestWorld, Path]]:
    folder, offload = tmp_path_factory.mktemp("manifests"), Offload()
    with opened_archive(request, folder) as archive:
        world = ManifestWorld(archive.open(), folder, offload)
        archive.run(world.prepare())
        yield archive, world, folder
    offload.close()


@pytest.fixture
def opened(shelves: tuple[Archive, ManifestWorld, Path]) -> Opened:
    return Opened(*shelves, next(_NUMBERS))


_NUMBERS = count(1)
