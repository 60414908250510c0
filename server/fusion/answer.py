"""The answer of `$timeline`: the table as Parameters, then the resources themselves (profiles.packages.timeline)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.fhir.json_form import Resource
from server.fhir.operations.parameters import parameter, parameters
from server.fhir.stored import instant_text
from server.fusion.alignment import Near, Nearest
from server.fusion.events import Event
from server.fusion.readings import Item, Reading
from server.fusion.spans import EARLIEST, LATEST, When


@dataclass(frozen=True, slots=True)
class Aligned:
    """A study and what was measured near it."""

    study: Event
    nearest: Mapping[Item, Nearest]


@dataclass(frozen=True, slots=True)
class Timeline:
    patient: str
    low: int
    high: int
    events: Sequence[Event]
    duplicates: Mapping[str, Sequence[str]]
    aligned: Sequence[Aligned]


def bundle(timeline: Timeline, base: str) -> Resource:
    """A Bundle of type collection; `base` makes the full URLs."""
    entries: list[dict[str, Any]] = [{"resource": table(timeline)}]
    listed: dict[str, Resource] = {event.reference: event.resource for event in timeline.events}
    for aligned in timeline.aligned:
        listed.setdefault(aligned.study.reference, aligned.study.resource)
        for pair in aligned.nearest.values():
            for near in (pair.before, pair.after):
                if near is not None:
                    listed.setdefault(near.measured.reference, near.measured.resource)
    entries += [{"fullUrl": f"{base}/{reference}", "resource": resource} for reference, resource in listed.items()]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def table(timeline: Timeline) -> Resource:
    period = {"start": instant_text(timeline.low), "end": instant_text(timeline.high)}
    return parameters(
        _reference("patient", timeline.patient),
        parameter("period", valuePeriod=period),
        *(_event(each, timeline.duplicates.get(each.reference, ())) for each in timeline.events),
        *(_study(each) for each in timeline.aligned),
    )


def _event(event: Event, duplicates: Iterable[str]) -> dict[str, Any]:
    readings = event.measured.readings if event.measured else ()
    part = [
        parameter("kind", valueCode=event.what.code),
        _reference("resource", event.reference),
        *_when(event.when),
        *(_value(each) for each in readings),
        *(_reference("duplicate", each) for each in duplicates),
    ]
    return parameter("event", part=part)


def _study(aligned: Aligned) -> dict[str, Any]:
    part = [_reference("resource", aligned.study.reference), parameter("time", **aligned.study.when.recorded)]
    for pair in aligned.nearest.values():
        near = pair.before or pair.after
        if near is not None:
            sides = [_near("before", pair.before), _near("after", pair.after)]
            part.append(parameter("nearest", part=[_code(near.reading), *(each for each in sides if each)]))
    return parameter("study", part=part)


def _near(name: str, near: Near | None) -> dict[str, Any] | None:
    if near is None:
        return None
    part = [
        _reference("resource", near.measured.reference),
        *_quantities(near.reading),
        parameter("time", **near.measured.when.recorded),
        parameter("minutes", valueDecimal=near.minutes),
    ]
    return parameter(name, part=part)


def _when(when: When) -> list[dict[str, Any]]:
    """A side that is open has no instant."""
    start = [parameter("start", valueInstant=instant_text(when.low))] if when.low >= EARLIEST else []
    end = [parameter("end", valueInstant=instant_text(when.high))] if not when.is_point and when.high <= LATEST else []
    return [parameter("time", **when.recorded), *start, *end]


def _value(reading: Reading) -> dict[str, Any]:
    return parameter("value", part=[_code(reading), *_quantities(reading)])


def _quantities(reading: Reading) -> list[dict[str, Any]]:
    made = [parameter("quantity", valueQuantity=dict(reading.quantity))]
    if reading.recorded is not None:
        made.append(parameter("recorded", valueQuantity=dict(reading.recorded)))
    return made


def _code(reading: Reading) -> dict[str, Any]:
    coding = {"system": reading.system, "code": reading.code, "display": reading.display}
    return parameter("code", valueCoding={name: text for name, text in coding.items() if text})


def _reference(name: str, reference: str) -> dict[str, Any]:
    return parameter(name, valueReference={"reference": reference})
