"""A week of vital signs: each course starts somewhere and recovers, with the unrest that bodies and devices have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from profiles.packages import items
from server.fhir.json_form import Resource
from server.ward.charting import Charted, coded, components, quantity, site
from server.ward.people import Person

DAYS = 7
_HOURS = ((2, 6, 10, 14, 18, 22), (6, 10, 14, 18, 22), (6, 10, 14, 18), (6, 14, 18))
"""When a grade of care is charted: a vital sign every few hours."""


@dataclass(frozen=True, slots=True)
class Course:
    """Values on the first day; `recovery` is how many days it takes to come near those of health."""

    temperature: float
    pulse: int
    respiration: int
    systolic: int
    diastolic: int
    saturation: int
    pain: int
    oxygen: int = 0
    """Litres a minute on the first day."""
    recovery: float = 3


HEALTHY = Course(36.6, 74, 16, 122, 76, 98, 0)

COURSES = {
    "pneumonia": Course(39.1, 108, 26, 128, 78, 91, 3, 4),
    "surgery": Course(37.8, 92, 18, 132, 80, 96, 6, 2, 2),
    "head": Course(37.2, 88, 18, 138, 82, 96, 5, 3, 4),
    "pressure": Course(36.7, 82, 17, 176, 104, 97, 1, 0, 5),
    "heart": Course(36.5, 102, 24, 102, 64, 90, 1, 5, 4),
    "stroke": Course(37.0, 84, 18, 164, 94, 95, 2, 2, 5),
    "asthma": Course(36.8, 104, 25, 126, 78, 91, 0, 3, 2),
    "steady": Course(36.7, 76, 16, 130, 80, 97, 2, 0, 2),
}


def observations(person: Person, first_day: datetime, random: Random) -> Iterator[Resource]:
    """All rounds of a person's week."""
    course = COURSES[person.course]
    for day in range(DAYS):
        for hour in _HOURS[person.grade]:
            at = first_day + timedelta(days=day, hours=hour, minutes=random.randint(-9, 12))
            yield from _round(person, at, _illness(course, day + hour / 24), random)
    yield from _body(person, first_day)


def _illness(course: Course, days: float) -> Course:
    """How ill the person is after so many days."""
    share = math.exp(-days / course.recovery)

    def between(name: str) -> float:
        well = float(getattr(HEALTHY, name))
        return well + (float(getattr(course, name)) - well) * share

    return Course(
        between("temperature"),
        round(between("pulse")),
        round(between("respiration")),
        round(between("systolic")),
        round(between("diastolic")),
        round(between("saturation")),
        round(between("pain")),
        round(between("oxygen")),
    )


def _round(person: Person, at: datetime, now: Course, random: Random) -> Iterator[Resource]:
    monitor = Charted(person, at, f"monitor-{person.number:02}")
    by_hand = Charted(person, at)
    warmth = 0.3 if at.hour in (14, 18) else 0.0
    temperature = Decimal(f"{now.temperature + warmth + random.gauss(0, 0.15):.1f}")
    yield by_hand.observation(
        "temperature", "nursing-temperature", "vital-signs",
        coded(items.TEMPERATURE, ("8328-7", "Axillary temperature")),
        bodySite=site("422543003", "Axillary fossa"),
        valueQuantity=quantity(temperature, "Cel"),
    )  # fmt: skip
    yield by_hand.observation(
        "pulse", "nursing-pulse", "vital-signs",
        coded(items.HEART_RATE, ("8893-0", "Heart rate Peripheral artery by palpation")),
        valueQuantity=quantity(_near(now.pulse, 4, random), "/min"),
    )  # fmt: skip
    yield by_hand.observation(
        "respiration", "nursing-respiratory-rate", "vital-signs", coded(items.RESPIRATORY_RATE),
        valueQuantity=quantity(_near(now.respiration, 1, random), "/min"),
    )  # fmt: skip
    yield _pressure(monitor, now, random)
    saturation = min(100, _near(now.saturation, 1, random))
    yield monitor.observation(
        "saturation", "nursing-oxygen-saturation", "vital-signs",
        coded(items.OXYGEN_SATURATION, ("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry")),
        valueQuantity=quantity(saturation, "%"),
    )  # fmt: skip
    if now.oxygen:
        yield by_hand.observation(
            "oxygen", "nursing-oxygen-flow", "exam", coded(items.OXYGEN_FLOW),
            valueQuantity=quantity(now.oxygen, "L/min"),
        )  # fmt: skip
    if at.hour in (10, 18):
        pain = min(10, max(0, _near(now.pain, 1, random)))
        yield by_hand.observation(
            "pain", "nursing-pain", "survey", coded(items.PAIN), valueQuantity=quantity(pain, "{score}")
        )


def _pressure(charted: Charted, now: Course, random: Random) -> Resource:
    systolic = _near(now.systolic, 5, random)
    diastolic = min(_near(now.diastolic, 4, random), systolic - 15)
    parts = (
        (coded(items.SYSTOLIC), quantity(systolic, "mm[Hg]")),
        (coded(items.DIASTOLIC), quantity(diastolic, "mm[Hg]")),
    )
    panel = {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}
    return charted.observation(
        "pressure", "nursing-blood-pressure", "vital-signs", panel,
        bodySite=site("723962009", "Right brachial artery"),
        component=components(parts),
    )  # fmt: skip


def _body(person: Person, first_day: datetime) -> Iterator[Resource]:
    """Height, weight and what follows from them, at admission."""
    admitted = Charted(person, first_day + timedelta(hours=9, minutes=30))
    weight = Decimal(str(person.weight))
    index = (weight / (Decimal(person.height) / 100) ** 2).quantize(Decimal("0.1"))
    for name, item, value in (
        ("height", items.HEIGHT, Decimal(person.height)),
        ("weight", items.WEIGHT, weight),
        ("bmi", items.BODY_MASS_INDEX, index),
    ):
        yield admitted.observation(
            name, f"nursing-{name}", "vital-signs", coded(item), valueQuantity=quantity(value, item.unit)
        )


def _near(value: float, spread: float, random: Random) -> int:
    return round(value + random.gauss(0, spread / 2))
