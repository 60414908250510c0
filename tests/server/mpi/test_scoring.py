"""Likeness of records: the usual mistakes one by one, and all of them together against floors."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from random import Random
from typing import Any

import pytest

from server.mpi.blocking import asked_keys, stored_keys
from server.mpi.judging import Verdict, judge
from server.mpi.scoring import Grade, score
from server.mpi.traits import Traits, traits_of
from tests.server.mpi.made_up import mistaken, people, record

PRECISION, RECALL = 0.99, 0.93
TODAY = date(2026, 11, 22)
ZHANG = "11010519491231002X"
Json = dict[str, Any]


def traits(resource: Json) -> Traits:
    return traits_of(resource, "urn:oid:1.2.3", TODAY)


def someone(text: str = "张小明", born: str = "1970-03-04", sex: str = "male", **others: Any) -> Traits:
    return traits({"resourceType": "Patient", "name": [{"text": text}], "birthDate": born, "gender": sex, **others})


def numbered(*pairs: tuple[str, str]) -> Json:
    return {"identifier": [{"system": system, "value": value} for system, value in pairs]}


@pytest.mark.parametrize(
    ("other", "grade"),
    [
        (someone(), Grade.PROBABLE),
        (someone("章小明"), Grade.PROBABLE),
        (someone("Zhang Xiaoming"), Grade.PROBABLE),
        (someone("XIAO MING ZHANG"), Grade.PROBABLE),
        (someone(born="1970-04-03"), Grade.PROBABLE),
        (someone(born="1970-03-14"), Grade.POSSIBLE),
        (someone("Zhang X.M."), Grade.POSSIBLE),
        (someone("王大力"), Grade.NOT),
        (someone(born="1955-10-22"), Grade.NOT),
        (someone(sex="female", born="1971-03-04"), Grade.NOT),
    ],
)
def test_a_likely_record_scores_more_than_an_unlikely_one(other: Traits, grade: Grade) -> None:
    found = score(someone(), other)
    assert found.grade is grade
    assert 0 <= found.value <= 1
    assert score(other, someone()).grade is grade


def test_without_a_number_only_everything_together_is_certain() -> None:
    everything: Json = {"telecom": [{"value": "138 0013 8000"}], "address": [{"text": "中山路1号"}]}
    assert score(someone(**everything), someone(**everything)).grade is Grade.CERTAIN
    assert score(someone(), someone()).grade is Grade.PROBABLE


@pytest.mark.parametrize("number", ["0", "0000", " Unknown ", "--", "99999999", "无", "０００", "N/A"])
def test_what_is_written_for_want_of_a_number_is_none(number: str) -> None:
    assert not traits(numbered(("urn:x", number))).numbers
    assert judge(someone(**numbered(("urn:x", number))), someone(**numbered(("urn:x", number)))).verdict is Verdict.OPEN


@pytest.mark.parametrize("number", ["7", "111", "A0", "1000", "P-0001"])
def test_short_and_round_numbers_are_numbers(number: str) -> None:
    assert traits(numbered(("urn:x", number))).numbers


@pytest.mark.parametrize(
    ("born", "sex", "verdict"),
    [
        ("1949-12-31", "female", Verdict.SAME),
        ("1949", "", Verdict.SAME),
        ("2026-11-01", "female", Verdict.REVIEW),
        ("1949-12-31", "male", Verdict.REVIEW),
    ],
)
def test_a_citizen_number_joins_those_alone_whose_it_may_be(born: str, sex: str, verdict: Verdict) -> None:
    number = ("urn:oid:2.16.156.10011.1.3", ZHANG)
    record = someone(born=born, sex=sex, **numbered(number))
    assert judge(record, record).verdict is verdict
    both = someone(born=born, sex=sex, **numbered(number, ("urn:x", "7")))
    assert judge(both, both).verdict is Verdict.SAME


def test_one_number_is_one_person_unless_something_denies_it() -> None:
    born = {"born": "1949-12-31", "sex": "female"}
    mine, old = (numbered(("urn:oid:2.16.156.10011.1.3", text)) for text in (ZHANG, ZHANG[:6] + ZHANG[8:17]))
    assert judge(someone(**born, **mine), someone("ZHANG XIAOMING", **born, **old)).verdict is Verdict.SAME
    assert score(someone(**born, **mine), someone("", "", "", **old)).grade is Grade.CERTAIN
    denied = judge(someone(**born, **mine), someone("王大力", **born, **old))
    assert (denied.verdict, denied.reasons) == (Verdict.REVIEW, ("same citizen number", "different names"))
    assert judge(someone(**numbered(("urn:x", "7"))), someone(**numbered(("urn:x", "7")))).verdict is Verdict.SAME
    assert judge(someone(**numbered(("urn:x", "7"))), someone(**numbered(("urn:y", "7")))).verdict is Verdict.OPEN
    visit: Json = {"identifier": [{"system": "urn:x", "value": "7", "type": {"coding": [{"code": "VN"}]}}]}
    assert judge(someone(**visit), someone(**visit)).verdict is Verdict.OPEN


def test_mistakes_of_hospitals_are_found_with_few_false_alarms() -> None:
    """Of a region's patients: pairs that are proposed, against those that are one person."""
    random = Random(20261122)
    everybody = people(random, 6000)
    records = [(n, traits(record(each, random))) for n, each in enumerate(everybody)]
    records += [(n, traits(mistaken(each, random))) for n, each in enumerate(everybody[:1500])]
    blocks: dict[Any, list[int]] = defaultdict(list)
    for place, (_, each) in enumerate(records):
        for key in stored_keys(each):
            blocks[key].append(place)
    found, certain, compared = set(), set(), 0
    for place in range(6000, len(records)):
        near = {each for key in asked_keys(records[place][1]) for each in blocks[key]} - {place}
        compared += len(near)
        for other in near:
            grade = score(records[place][1], records[other][1]).grade
            pair = frozenset((place, other))
            found |= {pair} if grade in (Grade.CERTAIN, Grade.PROBABLE) else set()
            certain |= {pair} if grade is Grade.CERTAIN else set()
    true = {frozenset((n, 6000 + n)) for n in range(1500)}
    assert certain <= true
    assert len(found & true) / len(found) >= PRECISION
    assert len(found & true) / len(true) >= RECALL
    assert compared / 1500 < 30
