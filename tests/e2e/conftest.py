"""Servers on both pairs of stores: SQLite with a folder, and a MongoDB replica set with S3."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.nothing import running_nothing
from tests.e2e.running import Place, Server, running
from tests.mongod import mongodb_url
from tests.s3server import S3Server, running_s3

__all__ = ["mongodb_url"]

PAIRS = ("sqlite+folder", "mongodb+s3")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a running server; files stay together, so that they share theirs."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def is_full() -> bool:
    """Whether the long form was asked for (`make e2e`)."""
    return os.environ.get("TEST_LENGTH") == "full"


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture(scope="session", params=PAIRS)
def new_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """Makes empty archives on one pair of stores."""
    pair: str = request.param
    if pair == "sqlite+folder":
        return lambda: Place(pair, tmp_path_factory.mktemp("archive"))
    url: str = request.getfixturevalue("mongodb_url")
    server: S3Server = request.getfixturevalue("s3")

    def make() -> Place:
        database = f"weft_{secrets.token_hex(4)}"
        address, _, query = url.partition("?")
        variables = {
            "WEFT_RECORDS": f"{address.rstrip('/')}/{database}?{query}",
            "WEFT_BLOBS": server.url(server.new_bucket(), "images"),
            **server.environment,
        }
        return Place(pair, tmp_path_factory.mktemp("archive"), variables)

    return make


@pytest.fixture(scope="module")
def server(new_place: Callable[[], Place]) -> Iterator[Server]:
    """One server for all tests of a file, on each pair in turn."""
    with running(new_place()) as each:
        yield each


@pytest.fixture
def small_place(tmp_path: Path) -> Place:
    """SQLite and a folder, for what does not depend on the stores."""
    return Place(PAIRS[0], tmp_path / "archive")


@pytest.fixture
def nothing() -> Iterator[str]:
    """The URL of a server that is neither DICOMweb nor FHIR."""
    with running_nothing() as url:
        yield url
