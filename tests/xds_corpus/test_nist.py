"""Every step of the NIST toolkit's plans for registries and repositories, as it expects it, over SOAP."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from server.kernel.offload import Offload
from storage.sqlite.records import SqliteRecords
from tests.xds_corpus.node import open_node
from tests.xds_corpus.plans import Step, steps
from tests.xds_corpus.runner import Runner

pytestmark = pytest.mark.slow

STEPS, SHARE = 198, 0.989
"""How many there are, and the share of them that comes out as planned."""

OTHERWISE = {
    "toolkit/register/12022/submit1:submit": "The folder has no codeList, which TF-3 4.2.3.4 requires.",
    "toolkit/query/11897/no_matching_classcode:no_matching_classcode": (
        "A class code that no document has finds nothing; only that toolkit's registry refuses codes not in its list."
    ),
}


async def _run(folder: Path, planned: Sequence[Step]) -> dict[str, list[str]]:
    offload = Offload()
    records = SqliteRecords(folder / "records.sqlite", offload)
    try:
        runner = Runner(await open_node(records, offload, folder / "blobs"))
        return {step.name: await runner.run(step) for step in planned}
    finally:
        await records.close()
        offload.close()


def test_steps_come_out_as_planned(shared: Path, tmp_path: Path) -> None:
    planned = steps(shared / "data/xds")
    (tmp_path / "blobs").mkdir()
    outcomes = asyncio.run(_run(tmp_path, planned))
    good = [step for step in planned if not outcomes[step.name]]
    print(_table(planned, good))
    wrong: Mapping[str, list[str]] = {name: told for name, told in outcomes.items() if told}
    assert set(wrong) == set(OTHERWISE), {name: told for name, told in wrong.items() if name not in OTHERWISE}
    assert len(outcomes) >= STEPS
    assert len(good) / len(outcomes) >= SHARE


def _table(planned: Sequence[Step], good: Sequence[Step]) -> str:
    there, right = Counter(step.kind for step in planned), Counter(step.kind for step in good)
    lines = [f"{kind:32} {right[kind]:4} of {count:4}" for kind, count in sorted(there.items())]
    return "\n".join(("", *lines, f"{'all':32} {right.total():4} of {there.total():4}"))
