"""Profiles of nursing observations: HL7's vital signs where HL7 has one, an Observation of our own shape elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from profiles.packages import items
from profiles.packages.canonical import HL7, LOINC, OBSERVATION_CATEGORY, UCUM, value_set_url
from profiles.packages.items import Item, Range, rule_of
from profiles.packages.structures import Element, Rule, bound, element, profile, slicing
from profiles.packages.terminology import TEMPERATURE_CODES

_SUM_OF = "component.value.ofType(Quantity).value"


def resources() -> tuple[dict[str, Any], ...]:
    return (*_vital_signs(), *_oxygen(), _pain(), *_fluids())


def range_rules(key: str, item: Item) -> list[Rule]:
    rules = [Rule(f"{key}-possible", f"{item.display} is {_told(item.possible)}.", rule_of(item.possible))]
    if item.usual:
        text = f"{item.display} is usually {_told(item.usual)} in adults."
        rules.append(Rule(f"{key}-usual", text, rule_of(item.usual), is_error=False))
    return rules


def _told(ranges: Mapping[str, Range]) -> str:
    return " or ".join(f"{each.low} to {each.high} {unit}" for unit, each in ranges.items())


def _vital_sign(
    resource_id: str,
    name: str,
    base: str,
    item: Item,
    text: str,
    rules: Sequence[Rule] = (),
    elements: Sequence[Element] = (),
) -> dict[str, Any]:
    key = "weft-" + resource_id.removeprefix("nursing-")
    return profile(
        resource_id,
        name=name,
        title=text.partition(",")[0].rstrip("."),
        text=text,
        resource_type="Observation",
        base=base,
        rules=[*range_rules(key, item), *rules],
        elements=[*elements, element("Observation.device", "What measured it", mustSupport=True)],
    )


def _site(value_set: str) -> list[Element]:
    sites, methods = value_set_url(value_set), value_set_url("measuring-method")
    return [
        element("Observation.bodySite", "Where it was measured", binding=bound(sites, "extensible")),
        element("Observation.method", "How it was measured", binding=bound(methods, "extensible")),
    ]


def _vital_signs() -> tuple[dict[str, Any], ...]:
    sites = " or ".join(f"code = '{code}'" for code in TEMPERATURE_CODES)
    sited = Rule(
        "weft-temperature-site",
        "A temperature tells its site: by bodySite or by a code that names it.",
        f"bodySite.exists() or code.coding.where(system = '{LOINC}').where({sites}).exists()",
    )
    peripheral = Rule(
        "weft-pulse-code",
        "A pulse carries 8893-0 beside 8867-4, which tells it from a heart rate.",
        f"code.coding.where(system = '{LOINC}' and code = '8893-0').exists()",
    )
    return (
        _vital_sign("nursing-temperature", "NursingTemperature", "bodytemp", items.TEMPERATURE,
            "Body temperature, with its site.", [sited], _site("temperature-site")),
        _vital_sign("nursing-heart-rate", "NursingHeartRate", "heartrate", items.HEART_RATE, "Heart rate."),
        _vital_sign("nursing-pulse", "NursingPulse", "heartrate", items.HEART_RATE,
            "Pulse, felt at an artery.", [peripheral]),
        _vital_sign("nursing-respiratory-rate", "NursingRespiratoryRate", "resprate", items.RESPIRATORY_RATE,
            "Respiratory rate."),
        _blood_pressure(),
        _vital_sign("nursing-oxygen-saturation", "NursingOxygenSaturation", "oxygensat", items.OXYGEN_SATURATION,
            "Oxygen saturation, by pulse oximetry or in blood; the flow of oxygen given is an observation of its own."),
        _vital_sign("nursing-height", "NursingHeight", "bodyheight", items.HEIGHT, "Body height."),
        _vital_sign("nursing-weight", "NursingWeight", "bodyweight", items.WEIGHT, "Body weight."),
        _vital_sign("nursing-bmi", "NursingBodyMassIndex", "bmi", items.BODY_MASS_INDEX, "Body mass index."),
    )  # fmt: skip


def _blood_pressure() -> dict[str, Any]:
    systolic, diastolic = _component(items.SYSTOLIC.code), _component(items.DIASTOLIC.code)
    rules = []
    for item, path, key in (
        (items.SYSTOLIC, systolic, "weft-systolic"),
        (items.DIASTOLIC, diastolic, "weft-diastolic"),
    ):
        rules += [
            Rule(f"{key}-possible", f"{item.display} is {_told(item.possible)}.", rule_of(item.possible, path)),
            Rule(f"{key}-usual", f"{item.display} is usually {_told(item.usual)} in adults.",
                rule_of(item.usual, path), is_error=False),
        ]  # fmt: skip
    rules.append(
        Rule(
            "weft-pressure-order",
            "The diastolic pressure is below the systolic one.",
            f"({systolic}.exists() and {diastolic}.exists()) implies"
            f" {diastolic}.value.first() < {systolic}.value.first()",
        )
    )
    return profile(
        "nursing-blood-pressure",
        name="NursingBloodPressure",
        title="Blood pressure",
        text="Blood pressure, systolic and diastolic, with its site.",
        resource_type="Observation",
        base="bp",
        rules=rules,
        elements=[*_site("blood-pressure-site"), element("Observation.device", "What measured it", mustSupport=True)],
    )


def _component(code: str) -> str:
    coded = f"code.coding.where(system = '{LOINC}' and code = '{code}').exists()"
    return f"component.where({coded}).value.ofType(Quantity)"


def own_observation(
    resource_id: str,
    *,
    name: str,
    text: str,
    category: str,
    item: Item | None = None,
    code: Mapping[str, Any] | None = None,
    unit: str | None = None,
    rules: Sequence[Rule] = (),
    elements: Sequence[Element] = (),
) -> dict[str, Any]:
    """A profile where HL7 has none: of one patient, at a known time, with a value or the reason for none."""
    key = "weft-" + resource_id.removeprefix("nursing-")
    coded: dict[str, Any] = (
        {"patternCodeableConcept": {"coding": [{"system": LOINC, "code": item.code}]}} if item else dict(code or {})
    )
    unit = item.unit if item else unit
    value: dict[str, Any] = (
        {"type": [{"code": "Quantity"}], "patternQuantity": {"system": UCUM, "code": unit}} if unit else {}
    )
    absent = Rule(
        f"{key}-value",
        "There is a value, or the reason for none, or components.",
        "value.exists() or dataAbsentReason.exists() or component.exists()",
    )
    day = Rule(
        f"{key}-time",
        "The time is known to the day at least.",
        "(effective as dateTime).empty() or (effective as dateTime).toString().length() >= 10",
    )
    return profile(
        resource_id,
        name=name,
        title=text.partition(",")[0].rstrip("."),
        text=text,
        resource_type="Observation",
        rules=[absent, day, *(range_rules(key, item) if item else ()), *rules],
        elements=[
            element("Observation.category", min=1, slicing=slicing("pattern", "$this")),
            element("Observation.category:nursing", "The kind of observation", min=1, max="1",
                patternCodeableConcept={"coding": [{"system": OBSERVATION_CATEGORY, "code": category}]}),
            element("Observation.code", **coded),
            element("Observation.subject", min=1, type=[{"code": "Reference", "targetProfile": [HL7 + "Patient"]}]),
            element("Observation.effective[x]", "When it was measured", min=1,
                type=[{"code": "dateTime"}, {"code": "Period"}]),
            element("Observation.value[x]", **value),
            *elements,
        ],
    )  # fmt: skip


def _oxygen() -> tuple[dict[str, Any], ...]:
    return (
        own_observation("nursing-oxygen-flow", name="NursingOxygenFlow", category="exam", item=items.OXYGEN_FLOW,
            text="Flow of oxygen given, at the time of the saturation it belongs to."),
        own_observation("nursing-inhaled-oxygen", name="NursingInhaledOxygen", category="exam",
            item=items.INHALED_OXYGEN, text="Share of oxygen inhaled."),
    )  # fmt: skip


def _pain() -> dict[str, Any]:
    whole = Rule("weft-pain-whole", "A pain score is a whole number.", whole_number("value.ofType(Quantity).value"))
    return own_observation(
        "nursing-pain",
        name="NursingPain",
        category="survey",
        item=items.PAIN,
        text="Pain, as the patient rates it from 0 to 10.",
        rules=[whole],
    )


def whole_number(path: str) -> str:
    return f"{path}.all($this mod 1 = 0)"


def _fluids() -> tuple[dict[str, Any], ...]:
    return (
        _fluid("intake", items.INTAKE_DAY[0], "Fluid given, one event, a shift or a whole day.", ("500", "6000")),
        _fluid("output", items.OUTPUT_DAY[0], "Fluid lost, one event, a shift or a whole day.", ("400", "6000")),
    )


def _fluid(kind: str, day_code: str, text: str, day: tuple[str, str]) -> dict[str, Any]:
    volume = "value.ofType(Quantity).where(code = 'mL')"
    is_day = f"code.coding.where(system = '{LOINC}' and code = '{day_code}').exists()"
    low, high = day
    return own_observation(
        f"nursing-{kind}",
        name=f"NursingFluid{kind.title()}",
        category="exam",
        text=text,
        code={"binding": bound(value_set_url(f"fluid-{kind}-type"), "extensible")},
        unit="mL",
        rules=[
            Rule(f"weft-{kind}-possible", "A volume is 0 to 30000 mL.",
                f"{volume}.all(value >= 0 and value <= 30000)"),
            Rule(f"weft-{kind}-event", "A single volume is usually at most 2000 mL.",
                f"({is_day}) or {volume}.all(value <= 2000)", is_error=False),
            Rule(f"weft-{kind}-day", f"The volume of a day is usually {low} to {high} mL in adults.",
                f"({is_day}) implies {volume}.all(value >= {low} and value <= {high})", is_error=False),
        ],
    )  # fmt: skip
