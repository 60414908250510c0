"""What else the nurses chart: fluids of each day, risk scores, and a note each morning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from html import escape
from random import Random
from typing import Any

from profiles.packages import items
from profiles.packages.canonical import LOINC, profile_url
from profiles.packages.imaging import NOTE_CODE
from profiles.packages.scales import BARTHEL, BRADEN, GLASGOW, MORSE, Scale
from server.fhir.json_form import Resource
from server.ward.charting import Charted, coded, components, quantity
from server.ward.people import Person
from server.ward.vitals import DAYS

_SCORES: Mapping[str, tuple[Scale, Mapping[str, int]]] = {
    "braden": (BRADEN, {"sensory": 3, "moisture": 3, "activity": 2, "mobility": 3, "nutrition": 3, "friction": 2}),
    "morse": (MORSE, {"history": 0, "diagnosis": 15, "aid": 15, "infusion": 20, "gait": 10, "mental": 0}),
    "barthel": (BARTHEL, {"feeding": 10, "bathing": 0, "grooming": 5, "dressing": 5, "bowels": 10, "bladder": 10,
        "toilet": 5, "transfer": 10, "mobility": 10, "stairs": 0}),
}  # fmt: skip
_GLASGOW = ("head", "stroke")
_NOTES = (
    "患者神志清楚，精神差，诉{reason}相关不适，遵医嘱予对症处理。",
    "夜间睡眠一般，生命体征监测中，协助翻身拍背，皮肤完整。",
    "症状较前好转，进食可，继续观察。",
    "患者病情平稳，指导床旁活动，宣教防跌倒。",
)


def resources(person: Person, first_day: datetime, random: Random) -> Iterator[Resource]:
    for day in range(DAYS):
        morning = first_day + timedelta(days=day)
        yield from _fluids(person, morning, random)
        yield _note(person, morning + timedelta(hours=7, minutes=45), day)
    admitted = Charted(person, first_day + timedelta(hours=10))
    for name, (scale, scores) in _SCORES.items():
        yield _score(admitted, name, scale, scores)
    if person.course in _GLASGOW:
        for day in range(DAYS):
            charted = Charted(person, first_day + timedelta(days=day, hours=10))
            eye, verbal = min(4, 3 + day), min(5, 4 + day // 2)
            yield _score(charted, "glasgow", GLASGOW, {"eye": eye, "verbal": verbal, "motor": 6})


def _score(charted: Charted, name: str, scale: Scale, scores: Mapping[str, int]) -> Resource:
    parts = [
        ({"coding": [{"system": each.system, "code": each.code}]}, quantity(scores[each.name], "{score}"))
        for each in scale.items
    ]
    return charted.observation(
        name, scale.id, "survey", coded(scale.total),
        valueQuantity=quantity(sum(scores.values()), "{score}"),
        component=components(parts),
    )  # fmt: skip


def _fluids(person: Person, morning: datetime, random: Random) -> Iterator[Resource]:
    """Three drinks, one drip, and urine in the evening; then the sums of the day."""
    taken = [(hour, "9000-1", 50 * random.randint(3, 8)) for hour in (8, 12, 18)]
    taken.append((10, "8975-5", 250 * random.randint(1, 4)))
    given = [(hour, "9187-6", 50 * random.randint(4, 10)) for hour in (6, 13, 20)]
    for kind, codes, events in (
        ("intake", items.INTAKE_CODES, taken),
        ("output", items.OUTPUT_CODES, given),
    ):
        for hour, code, volume in events:
            charted = Charted(person, morning + timedelta(hours=hour, minutes=random.randint(0, 20)))
            yield _fluid(charted, kind, (code, codes[code]), volume)
    for kind, total, events in (("intake", items.INTAKE_DAY, taken), ("output", items.OUTPUT_DAY, given)):
        evening = Charted(person, morning + timedelta(hours=23, minutes=30))
        period = {"start": morning.isoformat(), "end": (morning + timedelta(hours=23, minutes=59)).isoformat()}
        day = _fluid(evening, kind, total, sum(volume for _, _, volume in events))
        del day["effectiveDateTime"]
        yield day | {"effectivePeriod": period}


def _fluid(charted: Charted, kind: str, code: tuple[str, str], volume: int) -> Resource:
    coding = {"coding": [{"system": LOINC, "code": code[0], "display": code[1]}]}
    name = f"{kind}-{code[0]}"
    return charted.observation(name, f"nursing-{kind}", "exam", coding, valueQuantity=quantity(volume, "mL"))


def _note(person: Person, at: datetime, day: int) -> Resource:
    words = escape(_NOTES[min(day, len(_NOTES) - 1)].format(reason=person.reason))
    charted = Charted(person, at)
    section: dict[str, Any] = {
        "title": "护理记录",
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{words}</div>'},
    }
    return {
        "resourceType": "Composition",
        "id": f"{person.id}-note-{at:%m%d%H%M}",
        "meta": {"profile": [profile_url("nursing-note")]},
        "status": "final",
        "type": {"coding": [{"system": LOINC, "code": NOTE_CODE, "display": "Nurse Note"}]},
        "subject": {"reference": person.reference},
        "date": at.isoformat(),
        "author": [{"reference": f"Practitioner/{charted.nurse}"}],
        "title": "一般护理记录",
        "section": [section],
    }
