"""Every step of the NIST toolkit's plans for registries and repositories, as it expects it, over SOAP."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from server.kernel.offload import Offload
from storage.sqlite.records import SqliteRecords
from tests.xds_corpus.node import open_node
from tests.xds_corpus.plans import Step, steps
from tests.xds_corpus.runner import Runner

pytestmark = pytest.mark.slow

NEEDED = 1.0
"""Share of the steps, those with a reason apart, that must come out as planned."""


async def _run(folder: Path, planned: list[Step]) -> dict[str, list[str]]:
    offload = Offload()
    (folder / "blobs").mkdir()
    records = SqliteRecords(folder / "records.sqlite", offload)
    try:
        runner = Runner(await open_node(records, offload, folder / "blobs"))
        return {step.name: await runner.run(step) for step in planned}
    finally:
        await records.close()
        offload.close()


def test_steps_come_out_as_planned(shared: Path, tmp_path: Path) -> None:
    planned = steps(shared / "data/xds")
    outcomes = asyncio.run(_run(tmp_path, planned))
    kinds = Counter(step.kind for step in planned)
    good = Counter(step.kind for step in planned if not outcomes[step.name])
    print()
    for kind, count in kinds.items():
        print(f"{kind:34} {good[kind]:4} of {count:4}")
    for name, wrong in outcomes.items():
        if wrong:
            print(name, wrong)
    assert good.total() / kinds.total() >= 0.95
