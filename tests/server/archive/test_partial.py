"""Held back series are as if they had never been stored: same rows, same counts, same pages, whatever is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from random import Random
from typing import Any

import pytest

from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess, NoStudies
from server.archive import find, partial
from server.archive.find import Finder
from server.dicom import stored_json
from server.dicom.levels import Level
from server.dicom.query import Query, parse
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.problem import Kind, Problem
from storage.query import Equals, Not, Predicate
from tests.server.archive.in_memory import InMemoryBlobs, InMemoryRecords
from tests.server.archive.sample_studies import Sample

CONTEXT = Context(LOCAL_ACTOR, "test")
COUNTED = ("00080061", "00080062")
QUERIES = {
    Level.STUDY: (
        "", "ModalitiesInStudy=MR", "ModalitiesInStudy=CT", "NumberOfStudyRelatedInstances=2",
        "SOPClassesInStudy=1.2.9", "NumberOfStudyRelatedSeries=1", "PatientID=A",
    ),
    Level.SERIES: ("", "Modality=MR", "ModalitiesInStudy=MR", "NumberOfStudyRelatedSeries=1", "PatientID=A"),
    Level.INSTANCE: ("", "Modality=MR", "ModalitiesInStudy=MR", "NumberOfStudyRelatedInstances=2", "InstanceNumber=1"),
}  # fmt: skip


class Restricted(AccessPoint):
    async def constrain(self, *_: Any) -> Predicate:
        return Not(Equals("@level", 4))


class Barred(NoStudies):
    def __init__(self, series: Sequence[str]) -> None:
        self.found = series

    async def stamp(self, study: str) -> Hashable:
        return "1"

    async def series(self, predicate: Predicate, at_most: int) -> Sequence[str]:
        return self.found


def _instances(random: Random) -> list[dict[str, Any]]:
    found = []
    for study in range(random.randint(1, 5)):
        common = {"study": f"1.{study}", "PatientID": random.choice("AB"), "StudyDate": f"2024010{study + 1}"}
        for series in range(random.randint(1, 3)):
            uid = f"1.{study}.{series}"
            modality, sop_class = random.choice(["CT", "MR"]), random.choice(["1.2.8", "1.2.9"])
            for number in range(random.randint(1, 2)):
                own = {"series": uid, "Modality": modality, "SOPClassUID": sop_class, "InstanceNumber": number}
                found.append({**common, **own, "sop": f"{uid}.{number}"})
    return found


def _finder(instances: Sequence[dict[str, Any]], access: ImagingAccess) -> Finder:
    sample, records = Sample(), InMemoryRecords()
    for each in instances:
        sample.add(**each)
    sample.store(records)
    return Finder(records, InMemoryBlobs(), access)


def _rows(finder: Finder, query: Query, **path: str) -> tuple[list[dict[str, Any]], int]:
    found = asyncio.run(finder.find(CONTEXT, query, **path))
    rows = [stored_json.decode(row) for row in found.rows]
    for tag in COUNTED:
        for row in rows:
            if "Value" in row.get(tag, {}):
                row[tag]["Value"].sort()
    return sorted(rows, key=repr), found.remaining


@pytest.mark.parametrize("seed", range(16))
def test_what_is_held_back_might_as_well_not_be_there(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "_PAGE", 2)
    monkeypatch.setattr(partial, "_PAGE", 2)
    random = Random(seed)
    instances = _instances(random)
    series = sorted({each["series"] for each in instances})
    barred = set(random.sample(series, random.randint(1, len(series))))
    keys = [f"{each.rpartition('.')[0]}/{each}" for each in sorted(barred)]
    held_back = _finder(instances, ImagingAccess(Restricted(), Barred(keys)))
    without = _finder([each for each in instances if each["series"] not in barred], ImagingAccess(AccessPoint()))
    for level, texts in QUERIES.items():
        for text in texts:
            for more in ((), (("includefield", "all"),), (("includefield", "ModalitiesInStudy"),), (("limit", "1"),)):
                query = parse(level, [tuple(text.split("=")), *more] if text else more)  # type: ignore[list-item]
                if query.limit is None:
                    assert _rows(held_back, query) == _rows(without, query), (text, more)
                    if level is not Level.STUDY:
                        assert _rows(held_back, query, study="1.0") == _rows(without, query, study="1.0")
                else:
                    assert len(_rows(held_back, query)[0]) == len(_rows(without, query)[0])
                    assert _rows(held_back, query)[1] == _rows(without, query)[1]


def test_too_many_partial_studies_ask_for_a_narrower_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "MOST", 1)
    finder = _finder(
        [{"study": "1.1", "series": "1.1.1"}], ImagingAccess(Restricted(), Barred(["1.1/1.1.1", "1.2/1.2.1"]))
    )
    with pytest.raises(Problem) as raised:
        asyncio.run(finder.find(CONTEXT, parse(Level.STUDY, ())))
    assert raised.value.kind is Kind.TOO_LARGE
