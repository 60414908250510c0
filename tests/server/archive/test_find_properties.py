"""Whatever the studies and whatever the query, the finder finds what a plain reading of every instance finds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fnmatch import fnmatchcase
from random import Random
from typing import Any

import pytest

from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess
from server.archive import find
from server.archive.find import Finder
from server.dicom import stored_json
from server.dicom.levels import UPPER, Level
from server.dicom.query import Query, parse
from server.kernel.context import LOCAL_ACTOR, Context
from tests.server.archive.in_memory import InMemoryBlobs, InMemoryRecords
from tests.server.archive.sample_studies import Sample, first

CONTEXT = Context(LOCAL_ACTOR, "test")
UID_TAG = {Level.STUDY: "0020000D", Level.SERIES: "0020000E", Level.INSTANCE: "00080018"}

Instance = dict[str, Any]
Asked = tuple[Level, str, str, Callable[[Instance], bool]]
"""The level of an attribute, its name and value in the query, and what that means for one instance of the entity."""

CODES = ["A", "AB", "B1", "1", "BA1"]
DATES = ["20240101", "20240102", "20240301", "19991231"]
TIMES = ["08", "0830", "083000", "083000.5", "235959"]
NAMES = ["AB^A", "A^B", "B", "AB^A=王^小", "A^B=王^大", ""]
LATERALITIES = ["L", "R", ""]
MODALITIES = ["CT", "MR", "SR"]


def _studies(random: Random) -> list[Instance]:
    instances: list[Instance] = []
    for study in range(random.randint(1, 6)):
        of_study = {
            "study": f"1.{study}",
            "PatientID": random.choice(CODES),
            "PatientName": random.choice(NAMES),
            "EthnicGroup": random.choice([*CODES, ""]),
            "StudyDate": random.choice([*DATES, ""]),
            "StudyTime": random.choice([*TIMES, ""]),
        }
        for series in range(random.randint(1, 2)):
            of_series = {
                "series": f"1.{study}.{series}",
                "Modality": random.choice(MODALITIES),
                "SeriesNumber": random.choice([0, 1, None]),
                "Laterality": random.choice(LATERALITIES),
            }
            for _ in range(random.randint(1, 2)):
                of_instance = {"InstanceNumber": random.randint(0, 1), "Rows": random.randint(1, 2)}
                instances.append({**of_study, **of_series, **of_instance})
    return [{**each, "instance": f"{each['series']}.{place}"} for place, each in enumerate(instances, 1)]


def _time(text: str) -> str:
    whole, _, fraction = text.partition(".")
    return whole.ljust(6, "0") + fraction.ljust(6, "0")


def _time_end(text: str) -> str:
    return text.replace(".", "").ljust(12, "0" if "." in text else "9")


def _text(level: Level, name: str, text: str) -> Asked:
    return level, name, text, lambda each: fnmatchcase(each[name], text)


def _is(level: Level, name: str, value: Any) -> Asked:
    return level, name, str(value), lambda each: each[name] == value


def _name(text: str) -> Asked:
    patterns = [text.upper(), text.upper().removesuffix("^*")]  # a caret at the end of a name means nothing

    def fits(each: Instance) -> bool:
        groups = each["PatientName"].split("=")
        return any(group and fnmatchcase(group, pattern) for group in groups for pattern in patterns)

    return Level.STUDY, "PatientName", text, fits


def _date_range(low: str, high: str) -> Asked:
    def fits(each: Instance) -> bool:
        date = each["StudyDate"]
        return bool(date) and (not low or low <= date) and (not high or date <= high)

    return Level.STUDY, "StudyDate", f"{low}-{high}", fits


def _time_range(low: str, high: str) -> Asked:
    def fits(each: Instance) -> bool:
        return bool(each["StudyTime"]) and _time(low) <= _time(each["StudyTime"]) <= _time_end(high)

    return Level.STUDY, "StudyTime", f"{low}-{high}", fits


def _asked(random: Random, level: Level) -> list[Asked]:
    """Up to three conditions a search of this level may have."""
    patterns = [*CODES, "A*", "*B*", "?", "*1", "?B*", "B?"]
    dates, times = sorted(random.choices(DATES, k=2)), sorted(random.choices(TIMES, k=2), key=_time)
    possible = [
        _text(Level.STUDY, "PatientID", random.choice(patterns)),
        _text(Level.STUDY, "EthnicGroup", random.choice(patterns)),
        _name(random.choice(["a*", "*^b", "ab^a", "*王*", "王^?", "b", "?^*", "*大"])),
        _date_range(random.choice([dates[0], ""]), dates[1]),
        _date_range(dates[0], ""),
        _time_range(*times),
        _is(Level.SERIES, "Modality", random.choice(MODALITIES)),
        _is(Level.SERIES, "SeriesNumber", random.randint(0, 1)),
        _is(Level.SERIES, "Laterality", random.choice("LR")),
        _is(Level.INSTANCE, "InstanceNumber", random.randint(0, 1)),
        _is(Level.INSTANCE, "Rows", random.randint(1, 2)),
    ]
    levels = (*UPPER[level], level)
    chosen = random.sample([each for each in possible if each[0] in levels], random.randint(0, 3))
    asked = {each[1]: each for each in chosen}
    if "StudyDate" in asked:  # with a range of dates, times mean something else: see the combined ranges in test_query
        asked.pop("StudyTime", None)
    return list(asked.values())


def _expected(level: Level, asked: list[Asked], numbered: list[Instance]) -> set[str]:
    return {each[level.value] for each in numbered if all(fits(each) for _, _, _, fits in asked)}


def _run(finder: Finder, query: Query) -> list[dict[str, Any]]:
    return [stored_json.decode(row) for row in asyncio.run(finder.find(CONTEXT, query)).rows]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "_PAGE", 2)


@pytest.mark.parametrize("seed", range(300))
def test_what_is_found_is_what_matches_page_by_page(seed: int) -> None:
    random = Random(seed)
    instances = _studies(random)
    level = random.choice(list(Level))
    asked = _asked(random, level)
    pairs = [(name, value) for _, name, value, _ in asked]
    finder = _finder(instances)

    whole = _run(finder, parse(level, pairs))
    uids = [first(row, UID_TAG[level]) for row in whole]
    assert len(uids) == len(set(uids))
    assert set(uids) == _expected(level, asked, instances), pairs

    size = random.randint(1, 3)
    paged: list[dict[str, Any]] = []
    for offset in range(0, len(uids) + size, size):
        paged += _run(finder, parse(level, [*pairs, ("limit", str(size)), ("offset", str(offset))]))
    assert paged == whole

    if level is Level.STUDY:
        dates = [first(row, "00080020") for row in whole]
        assert dates == sorted(dates, reverse=True)


def _finder(instances: list[Instance]) -> Finder:
    sample = Sample()
    for each in instances:
        attributes = {name: value for name, value in each.items() if name != "instance"}
        sample.add(sop=each["instance"], **attributes)
    records = InMemoryRecords()
    sample.store(records)
    return Finder(records, InMemoryBlobs(), ImagingAccess(AccessPoint()))
