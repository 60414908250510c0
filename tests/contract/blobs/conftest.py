"""A place of each kind, tried by each module of blobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage.encryption.keys import KeyRing, open_keys
from tests.contract.blobs.places import PLACES, Place, opened_place
from tests.s3server import S3Server, running_s3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return open_keys(tmp_path_factory.mktemp("keys") / "master.key")


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return opened_place(request, tmp_path_factory.mktemp("blobs"))
