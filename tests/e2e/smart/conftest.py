"""The stage all checks share: one running server, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.groundwork import Groundwork
from tests.e2e.running import Place, running
from tests.e2e.smart import ward
from tests.e2e.smart.apps import apps
from tests.e2e.smart.people import admit, people
from tests.e2e.smart.published import Published, certificate_of_loopback, publishing
from tests.e2e.smart.stage import Stage
from tests.server.commands.administering import asking, told

HOSPITAL = "https://hospital.example"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_of_loopback(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def published(certificate: Path) -> Iterator[Published]:
    with publishing(certificate) as published:
        yield published


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, published: Published, certificate: Path) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("smart")
    data = folder / "data"
    data.mkdir()
    ward.write(folder / "in")
    told(data, "import", str(folder / "in"))
    known, users = apps(published.url), people()

    async def enter(ground: Groundwork) -> None:
        for app in known.values():
            await ground.smart.store.save(app.record(), 0)
        for person in users.values():
            await admit(ground, person)

    asking(data, enter)
    environment = {"WEFT_AUTH": "smart", "SSL_CERT_FILE": str(certificate)}
    place = Place("sqlite+folder", data, environment)
    settings = {
        "registration": "token",
        "organization_url": HOSPITAL,
        "client_key_hosts": published.place,
    }
    with running(place, **settings) as server:
        once = httpx.Limits(max_keepalive_connections=0)
        stage = Stage(server, known, users, httpx.Client(timeout=30), httpx.Client(timeout=30, limits=once))
        yield stage
        stage.close()
