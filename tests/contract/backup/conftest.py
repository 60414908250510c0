"""Sites on both pairs of stores, and targets of both kinds."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from storage.encryption.keys import open_keys
from tests.contract.backup.sites import Site
from tests.s3server import S3Server, running_s3

NewSite = Callable[[str], Site]
PAIRS = ("sqlite+folder", "mongodb+s3")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture
def new_site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewSite]:
    """Makes empty archives on the pair that is named, all with one key file."""
    open_keys(tmp_path / "master.key")
    with ExitStack() as undo:

        def make(pair: str) -> Site:
            folder = tmp_path / secrets.token_hex(4)
            if pair == PAIRS[0]:
                places = (f"sqlite://{folder}/weft.sqlite", f"file://{folder}/blobs", f"file://{folder}/audit")
                return Site(*places, tmp_path / "master.key")
            server: S3Server = request.getfixturevalue("s3_server")
            for name, value in server.environment.items():
                monkeypatch.setenv(name, value)
            url = request.getfixturevalue("mongodb_url").replace("/?", f"/weft_{secrets.token_hex(6)}?")
            undo.callback(_drop, url)
            return Site(url, server.url(server.new_bucket(), "images"), url, tmp_path / "master.key")

        yield make


def _drop(url: str) -> None:
    with MongoClient[Any](url) as client:
        client.drop_database(client.get_default_database().name)


@pytest.fixture(params=PAIRS)
def site(request: pytest.FixtureRequest, new_site: NewSite) -> Site:
    return new_site(request.param)


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"file://{tmp_path}/backup"
