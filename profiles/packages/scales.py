"""Profiles of nursing scales: a total that agrees with its items, each item within its steps.

Names and numbers only; the wording of the scales belongs to their owners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from profiles.packages import items
from profiles.packages.canonical import LOINC
from profiles.packages.items import Item
from profiles.packages.nursing import own_observation, whole_number
from profiles.packages.structures import Element, Rule, element, slicing
from profiles.packages.terminology import BARTHEL_ITEMS, BARTHEL_SYSTEM


@dataclass(frozen=True, slots=True)
class ScaleItem:
    """One item of a scale: its slice, its code, the scores it may have."""

    name: str
    system: str
    code: str
    scores: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    id: str
    name: str
    text: str
    total: Item
    items: tuple[ScaleItem, ...]


def _loinc(names: Mapping[str, tuple[str, Sequence[int]]]) -> tuple[ScaleItem, ...]:
    return tuple(ScaleItem(name, LOINC, code, tuple(scores)) for name, (code, scores) in names.items())


GLASGOW = Scale(
    "nursing-glasgow",
    "NursingGlasgow",
    "Glasgow coma scale, with eye, verbal and motor response; a tube leaves the verbal one and the total out.",
    items.GLASGOW,
    _loinc(
        {"eye": ("9267-6", range(1, 5)), "verbal": ("9270-0", range(1, 6)), "motor": ("9268-4", range(1, 7))},
    ),
)
BRADEN = Scale(
    "nursing-braden",
    "NursingBraden",
    "Braden scale, the risk of pressure injury.",
    items.BRADEN,
    _loinc(
        {
            "sensory": ("38222-6", range(1, 5)),
            "moisture": ("38229-1", range(1, 5)),
            "activity": ("38223-4", range(1, 5)),
            "mobility": ("38224-2", range(1, 5)),
            "nutrition": ("38225-9", range(1, 5)),
            "friction": ("38226-7", range(1, 4)),
        }
    ),
)
MORSE = Scale(
    "nursing-morse",
    "NursingMorse",
    "Morse scale, the risk of falling.",
    items.MORSE,
    _loinc(
        {
            "history": ("59454-9", (0, 25)),
            "diagnosis": ("59455-6", (0, 15)),
            "aid": ("59456-4", (0, 15, 30)),
            "infusion": ("59457-2", (0, 20)),
            "gait": ("59458-0", (0, 10, 20)),
            "mental": ("59459-8", (0, 15)),
        }
    ),
)
_BARTHEL_SCORES = {"bathing": (0, 5), "grooming": (0, 5), "transfer": (0, 5, 10, 15), "mobility": (0, 5, 10, 15)}
BARTHEL = Scale(
    "nursing-barthel",
    "NursingBarthel",
    "Barthel index, how far a person manages the day alone.",
    items.BARTHEL,
    tuple(ScaleItem(name, BARTHEL_SYSTEM, name, _BARTHEL_SCORES.get(name, (0, 5, 10))) for name in BARTHEL_ITEMS),
)

SCALES = (GLASGOW, BRADEN, MORSE, BARTHEL)


def resources() -> tuple[dict[str, Any], ...]:
    return tuple(_profile(each) for each in SCALES)


def _profile(scale: Scale) -> dict[str, Any]:
    elements: list[Element] = [element("Observation.component", slicing=slicing("pattern", "code"))]
    for each in scale.items:
        elements += _slice(each)
    return own_observation(
        scale.id,
        name=scale.name,
        text=scale.text,
        category="survey",
        item=scale.total,
        rules=_rules(scale),
        elements=elements,
    )


def _slice(item: ScaleItem) -> list[Element]:
    path = f"Observation.component:{item.name}"
    allowed = " or ".join(f"value = {score}" for score in item.scores)
    told = ", ".join(map(str, item.scores))
    within = Rule(f"weft-{item.code}", f"The score is one of {told}.", f"value.ofType(Quantity).all({allowed})")
    return [
        element(path, f"The item {item.name}", max="1", rules=[within]),
        element(f"{path}.code", patternCodeableConcept={"coding": [{"system": item.system, "code": item.code}]}),
        element(f"{path}.value[x]", type=[{"code": "Quantity"}]),
    ]


def _rules(scale: Scale) -> list[Rule]:
    key = "weft-" + scale.id.removeprefix("nursing-")
    scored = [_item_path(each) for each in scale.items]
    sums = " + ".join(f"{each}.value.ofType(Quantity).value.first()" for each in scored)
    complete = " and ".join(f"{each}.value.ofType(Quantity).value.exists()" for each in scored)
    rules = [
        Rule(f"{key}-whole", "The total is a whole number.", whole_number("value.ofType(Quantity).value")),
        Rule(
            f"{key}-sum",
            "The total is the sum of the items, where all are given.",
            f"(value.exists() and {complete}) implies value.ofType(Quantity).value = {sums}",
        ),
    ]
    if scale is BARTHEL:
        steps = Rule(
            f"{key}-steps", "The total goes in steps of 5.", "value.ofType(Quantity).value.all($this mod 5 = 0)"
        )
        rules.append(steps)
    return rules


def _item_path(item: ScaleItem) -> str:
    return f"component.where(code.coding.where(system = '{item.system}' and code = '{item.code}').exists())"
