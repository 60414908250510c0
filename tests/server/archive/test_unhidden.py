"""Which searches run without limits: those for patients of whom nothing is held back, and only while that is so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.archive.rows import STUDY
from server.archive.unhidden import Unhidden, named_in
from server.kernel.offload import Offload
from storage.ports import Put
from storage.query import EVERYTHING, NOTHING, All, Any, Equals, Exists, Not, OneOf, Predicate
from storage.sqlite.records import SqliteRecords

_LI, _WANG = Equals("PatientID", "li"), Equals("PatientID", "wang")
_VISIBLE = Not(OneOf("StudyInstanceUID", ("1.2",)))


@pytest.mark.parametrize(
    ("query", "named"),
    [
        (_LI, {"li"}),
        (OneOf("PatientID", ("li", "wang")), {"li", "wang"}),
        (All((Exists("Modality"), _LI)), {"li"}),
        (Any((_LI, _WANG)), {"li", "wang"}),
        (Any((_LI, Exists("Modality"))), None),
        (Any(()), set()),
        (Not(_LI), None),
        (EVERYTHING, None),
        (NOTHING, set()),
    ],
)
def test_who_is_named(query: Predicate, named: set[str] | None) -> None:
    assert named_in(query) == named


def test_only_those_of_whom_nothing_is_held_back_are_searched_without_limits(tmp_path: Path) -> None:
    async def body() -> None:
        offload = Offload(io_threads=1, cpu_threads=1)
        records = SqliteRecords(tmp_path / "records.sqlite", offload)
        unhidden = Unhidden(records)
        await records.commit([_study("1.1", "li"), _study("1.2", "wang"), _study("1.3", "wang")])
        known = await unhidden.covers(_VISIBLE, _LI)
        assert known is not None
        assert known == await records.revision()
        assert await unhidden.covers(_VISIBLE, _WANG) is None
        assert await unhidden.covers(_VISIBLE, Any((_LI, _WANG))) is None
        assert await unhidden.covers(_VISIBLE, EVERYTHING) is None
        assert await unhidden.covers(_VISIBLE, Equals("PatientID", "x" * 65)) is None
        await records.commit([_study("1.2", "li")])
        assert await unhidden.covers(_VISIBLE, _LI) is None
        await records.close()
        offload.close()

    asyncio.run(body())


def _study(uid: str, patient: str) -> Put:
    return Put(STUDY, uid, b"", {"StudyInstanceUID": [uid], "PatientID": [patient]})
