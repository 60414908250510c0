"""Some plans of the NIST toolkit on the record store that the whole corpus does not run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.ports import Records
from tests.contract.conftest import Archive
from tests.xds_corpus.node import open_node
from tests.xds_corpus.plans import Step, steps
from tests.xds_corpus.runner import Runner

_SOME = ("load/12346/", "query/11905/", "query/11907/", "query/15803/", "register/12022/", "repository/12021/")


def _is_chosen(step: Step) -> bool:
    place = step.place.removeprefix("toolkit/") + "/"
    return place.startswith(_SOME) and "submit1" not in place


@pytest.mark.parametrize("archive", ["mongodb"], indirect=True)
def test_steps_come_out_as_planned(shared: Path, tmp_path: Path, archive: Archive, store: Records) -> None:
    planned = [step for step in steps(shared / "data/xds") if _is_chosen(step)]
    (tmp_path / "blobs").mkdir()

    async def outcomes() -> dict[str, list[str]]:
        runner = Runner(await open_node(store, archive.threads, tmp_path / "blobs"))
        return {step.name: await runner.run(step) for step in planned}

    assert {name: told for name, told in archive.run(outcomes()).items() if told} == {}
    assert len(planned) > 30
