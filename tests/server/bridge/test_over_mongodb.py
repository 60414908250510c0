"""The bridge over the other kind of records: one walk through everything it does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.bridge.imaging_study import resource_id
from server.kernel.problem import Problem
from tests.mongod import mongodb_url
from tests.server.bridge.clinical import CONTEXT, clinical
from tests.server.bridge.images import image

__all__ = ["mongodb_url"]

STUDY = f"ImagingStudy/{resource_id('1.2.3')}"


@pytest.mark.slow
def test_a_study_comes_grows_and_goes(mongodb_url: str, tmp_path: Path) -> None:
    async def body() -> None:
        async with clinical(tmp_path, records_url=mongodb_url) as each:
            await each.send(image(1))
            await each.send(image(2))
            study = await each.get(STUDY)
            assert study["numberOfInstances"] == 2
            assert await each.version(study["subject"]["reference"]) == 1
            assert len(await each.find("ImagingStudy", patient=study["subject"]["reference"])) == 1
            await each.remover.remove(CONTEXT, "1.2.3")
            await each.worker.drain()
            with pytest.raises(Problem):
                await each.get(STUDY)

    asyncio.run(body())
