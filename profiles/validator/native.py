"""HL7's invariants that nearly every resource meets, in plain code: the same rules as their FHIRPath, only faster.

Each takes the object its rule stands at. Values of wrong types are reported elsewhere and pass here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from profiles.findings import Severity
from profiles.validator.run import Run

Native: TypeAlias = Callable[[dict[str, Any], Run], bool]

UCUM = "http://unitsofmeasure.org"


def needs(name: str, *others: str) -> Native:
    """Where `name` is, one of the others must be too."""

    def holds(value: dict[str, Any], run: Run) -> bool:
        return name not in value or any(each in value for each in others)

    return holds


def one_of(*names: str) -> Native:
    def holds(value: dict[str, Any], run: Run) -> bool:
        return any(each in value for each in names)

    return holds


def not_both(first: str, second: str) -> Native:
    def holds(value: dict[str, Any], run: Run) -> bool:
        return first not in value or second not in value

    return holds


def has(value: Mapping[str, Any], stem: str) -> bool:
    """Whether a choice has a value: `value` of `valueQuantity` or `_valueString`."""
    for name in value:
        if name.startswith(stem) and name[len(stem) : len(stem) + 1].isupper():
            return True
        if name.startswith("_" + stem) and name[len(stem) + 1 : len(stem) + 2].isupper():
            return True
    return False


def _has_primitive(value: Mapping[str, Any], name: str) -> bool:
    return name in value or "_" + name in value


def _quantity(value: dict[str, Any], run: Run) -> bool:
    return "code" not in value or _has_primitive(value, "system")


def _period(value: dict[str, Any], run: Run) -> bool:
    start, end = value.get("start"), value.get("end")
    if type(start) is not str or type(end) is not str:
        return True
    if is_after(start, end):
        return False
    return run.options.doubtful is not Severity.ERROR or len(start) >= len(end) or not end.startswith(start)


def is_after(first: str, second: str) -> bool:
    """Whether a date or dateTime is surely later than another, whatever their precision leaves open."""
    if len(first) == len(second) and first[19:] == second[19:]:
        return first > second
    earliest, latest = _instant(first, 0), _instant(second, 1)
    return earliest is not None and latest is not None and earliest > latest


def _instant(text: str, upper: int) -> datetime | None:
    """The first moment that a date may mean, or one that is after the last."""
    try:
        if len(text) > 10:
            moment = datetime.fromisoformat(text)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment = datetime.fromisoformat((text + "-01-01")[:10]).replace(tzinfo=UTC)
        days = {4: 367, 7: 32}.get(len(text), 2)
        slack = timedelta(hours=14)
        return moment + timedelta(days=days) + slack if upper else moment - slack
    except (ValueError, OverflowError):
        return None


def _attachment(value: dict[str, Any], run: Run) -> bool:
    return "data" not in value or _has_primitive(value, "contentType")


def _contact_point(value: dict[str, Any], run: Run) -> bool:
    return "value" not in value or _has_primitive(value, "system")


def _reference(value: dict[str, Any], run: Run) -> bool:
    text = value.get("reference")
    if type(text) is not str or not text.startswith("#"):
        return True
    return text == "#" or any(each == text[1:] for each in contained_ids(run))


def contained_ids(run: Run) -> list[Any]:
    contained = run.scope.root.get("contained")
    return [each.get("id") for each in contained if type(each) is dict] if type(contained) is list else []


def _observation_value(value: dict[str, Any], run: Run) -> bool:
    return "dataAbsentReason" not in value or not has(value, "value")


def _observation_codes(value: dict[str, Any], run: Run) -> bool:
    components = value.get("component")
    if type(components) is not list or not has(value, "value"):
        return True
    own = _codings(value.get("code"))
    return not any(each in own for part in components if type(part) is dict for each in _codings(part.get("code")))


def _codings(concept: Any) -> list[Any]:
    codings = concept.get("coding") if type(concept) is dict else None
    return codings if type(codings) is list else []


def _organization(value: dict[str, Any], run: Run) -> bool:
    return "identifier" in value or _has_primitive(value, "name")


def _not_home(value: dict[str, Any], run: Run) -> bool:
    return value.get("use") != "home"


def _codes(concept: Any, system: str) -> set[str]:
    found = (each.get("code") for each in _codings(concept) if type(each) is dict and each.get("system") == system)
    return {each for each in found if type(each) is str}


_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def _condition_abatement(value: dict[str, Any], run: Run) -> bool:
    if not has(value, "abatement"):
        return True
    return not _codes(value.get("clinicalStatus"), _CLINICAL).isdisjoint({"resolved", "remission", "inactive"})


def _condition_error(value: dict[str, Any], run: Run) -> bool:
    is_error = "entered-in-error" in _codes(value.get("verificationStatus"), _VERIFICATION)
    return not is_error or "clinicalStatus" not in value


def _ratio(value: dict[str, Any], run: Run) -> bool:
    if "numerator" in value or "denominator" in value:
        return "numerator" in value and "denominator" in value
    return "extension" in value


def _range(value: dict[str, Any], run: Run) -> bool:
    low, high = value.get("low"), value.get("high")
    if type(low) is not dict or type(high) is not dict:
        return True
    return low.get("code") != high.get("code") or not _is_greater(low.get("value"), high.get("value"))


def _is_greater(first: Any, second: Any) -> bool:
    return is_number(first) and is_number(second) and bool(first > second)


def is_number(value: Any) -> bool:
    """Whether a value can be compared as a number."""
    return type(value) in (int, float) or (type(value) is Decimal and not value.is_nan())


def _not_negative(name: str) -> Native:
    def holds(value: dict[str, Any], run: Run) -> bool:
        return not _is_greater(0, value.get(name))

    return holds


def _narrated(value: dict[str, Any], run: Run) -> bool:
    text = value.get("text")
    return type(text) is dict and "div" in text


def _age(value: dict[str, Any], run: Run) -> bool:
    number = value.get("value")
    is_positive = not is_number(number) or _is_greater(number, 0)
    return ("code" in value or "value" not in value) and _in_ucum(value) and is_positive


def _in_ucum(value: dict[str, Any]) -> bool:
    return bool(value.get("system", UCUM) == UCUM)


def _duration(value: dict[str, Any], run: Run) -> bool:
    return "code" not in value or (value.get("system") == UCUM and "value" in value)


def _distance(value: dict[str, Any], run: Run) -> bool:
    return ("code" in value or "value" not in value) and _in_ucum(value)


_WITHOUT_OFFSET = frozenset({"C", "CM", "CD", "CV"})


def _offset(value: dict[str, Any], run: Run) -> bool:
    if "offset" not in value:
        return True
    when = value.get("when")
    return type(when) is list and not any(type(each) is str and each in _WITHOUT_OFFSET for each in when)


def _imaging_education(value: dict[str, Any], run: Run) -> bool:
    return _has_primitive(value, "documentType") or _has_primitive(value, "reference")


def _measured(value: dict[str, Any], run: Run) -> bool:
    """vs-2: a value, a reason why there is none, parts or members."""
    return "component" in value or "hasMember" in value or "dataAbsentReason" in value or has(value, "value")


def _part_measured(value: dict[str, Any], run: Run) -> bool:
    return "dataAbsentReason" in value or has(value, "value")


NATIVE: Mapping[str, Native] = {
    "age-1": _age,
    "att-1": _attachment,
    "con-1": one_of("summary", "assessment"),
    "con-2": one_of("code", "detail"),
    "con-4": _condition_abatement,
    "con-5": _condition_error,
    "cpl-3": not_both("detail", "reference"),
    "cpt-2": _contact_point,
    "dis-1": _distance,
    "dom-6": _narrated,
    "drt-1": _duration,
    "fhs-1": lambda value, run: not (has(value, "age") and has(value, "born")),
    "imm-1": _imaging_education,
    "obs-3": one_of("low", "high", "text", "_text"),
    "obs-6": _observation_value,
    "obs-7": _observation_codes,
    "org-1": _organization,
    "org-2": _not_home,
    "org-3": _not_home,
    "pat-1": one_of("name", "telecom", "address", "organization"),
    "per-1": _period,
    "prr-1": lambda value, run: "orderDetail" not in value or "code" in value,
    "qty-3": _quantity,
    "rat-1": _ratio,
    "ref-1": _reference,
    "rng-2": _range,
    "sqty-1": lambda value, run: "comparator" not in value,
    "tim-1": needs("duration", "durationUnit", "_durationUnit"),
    "tim-2": needs("period", "periodUnit", "_periodUnit"),
    "tim-4": _not_negative("duration"),
    "tim-5": _not_negative("period"),
    "tim-6": needs("periodMax", "period", "_period"),
    "tim-7": needs("durationMax", "duration", "_duration"),
    "tim-8": needs("countMax", "count", "_count"),
    "tim-9": _offset,
    "tim-10": not_both("timeOfDay", "when"),
    "vs-2": _measured,
    "vs-3": _part_measured,
}

NATIVE_TEXT: Mapping[str, Callable[[str], bool]] = {
    "vs-1": lambda moment: len(moment) >= len("2020-1-1"),
}
"""Rules of a primitive's value."""
