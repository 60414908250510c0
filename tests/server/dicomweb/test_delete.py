"""DELETE answers 204 when something is gone and 404 where there was nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.data.small_files import instance_file
from tests.server.dicomweb.storing import multipart, surface

SERIES = "/studies/1.2.3/series/1.2.3.1"


@pytest.mark.parametrize("path", [f"{SERIES}/instances/1.2.3.1.1", SERIES, "/studies/1.2.3"])
def test_what_is_deleted_is_gone(tmp_path: Path, path: str) -> None:
    async def body() -> None:
        async with surface(tmp_path) as web:
            await web.post("/studies", multipart(instance_file()))
            first = await web.ask("DELETE", path, content_type=None)
            again = await web.ask("DELETE", path, content_type=None)
            assert first is not None
            assert (first.status, first.body) == (204, b"")
            assert again is not None
            assert (again.status, again.json()["kind"]) == (404, "not-found")
            assert await web.archive.check() == 0

    asyncio.run(body())


@pytest.mark.parametrize("path", ["/studies/x", f"{SERIES}/instances/..", "/studies/1.2.3/series/"])
def test_what_is_no_uid_deletes_nothing(tmp_path: Path, path: str) -> None:
    async def body() -> None:
        async with surface(tmp_path) as web:
            await web.post("/studies", multipart(instance_file()))
            reply = await web.ask("DELETE", path, content_type=None)
            assert reply is not None
            assert reply.status in (400, 404)
            assert await web.archive.check() == 1

    asyncio.run(body())
