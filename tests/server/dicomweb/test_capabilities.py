"""Capabilities: what OPTIONS tells is what the rows say."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from lxml import etree

from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess
from server.dicomweb.capabilities import gives
from tests.server.dicomweb.served import BASE, Served, served, surfaces


def test_options_on_the_root_describes_every_row(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        rows = surfaces(server.archive, ImagingAccess(AccessPoint()), server.answers)
        for path in ("/", ""):
            got = await server.get(path, method="OPTIONS")
            assert got.media_type == "application/vnd.sun.wadl+xml"
            root = etree.fromstring(got.body)
            resources = root.find("{*}resources")
            assert resources is not None
            assert resources.get("base") == BASE
            methods = {method.get("id"): method for method in root.iter("{*}method")}
            assert set(methods) == {row.name for row in rows}
            assert all(method.find(".//{*}representation") is not None for method in methods.values())
        found = json.loads((await server.get("/", "application/json", method="OPTIONS")).body)
        described = {(each["path"], method["name"]) for each in found["resources"] for method in each["methods"]}
        assert described == {(row.path, row.method) for row in rows}
        assert (await server.get("/", "image/png", method="OPTIONS")).status == 406

    async def main() -> None:
        async with served(tmp_path) as server:
            await check(server)

    asyncio.run(main())


def test_every_row_says_what_it_gives(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as server:
            for row in surfaces(server.archive, ImagingAccess(AccessPoint()), server.answers):
                assert gives(row), row.name
                assert row.interaction == ("capabilities" if row.name == "capabilities" else "read")

    asyncio.run(main())
