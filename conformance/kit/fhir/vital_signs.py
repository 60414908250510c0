"""Vital signs: what the profiles demand, and the searches of a ward (FHIR R4 observation-vitalsigns.html)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from conformance.kit.client import Response
from conformance.kit.fhir.search_chains import person
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, body_of, expect_status
from conformance.kit.fhir.shelf import Shelf, errors, expressions, self_link
from conformance.kit.verdict import Skipped, expect

vital_signs = Section()

_PAGE = "observation-vitalsigns.html"
_PROFILES = "http://hl7.org/fhir/StructureDefinition/"
_LOINC, _UCUM = "http://loinc.org", "http://unitsofmeasure.org"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


@dataclass(frozen=True)
class Sign:
    """One profile: its code, the units it takes, and a value that is plausible in the first of them."""

    profile: str
    code: str
    units: tuple[str, ...]
    value: float


SIGNS = (
    Sign("resprate", "9279-1", ("/min",), 16),
    Sign("heartrate", "8867-4", ("/min",), 72),
    Sign("oxygensat", "2708-6", ("%",), 97),
    Sign("bodytemp", "8310-5", ("Cel", "[degF]"), 37.2),
    Sign("bodyheight", "8302-2", ("cm", "[in_i]"), 172),
    Sign("headcircum", "9843-4", ("cm", "[in_i]"), 52),
    Sign("bodyweight", "29463-7", ("kg", "[lb_av]", "g"), 70.5),
    Sign("bmi", "39156-5", ("kg/m2",), 23.4),
)
_IN_OTHER_UNITS = {"[degF]": 99.0, "[in_i]": 21.0, "[lb_av]": 155.0, "g": 3500.0}


def quantity(value: float, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": _UCUM, "code": unit}


def coded(code: str) -> Resource:
    return {"coding": [{"system": _LOINC, "code": code}]}


def observed(code: str, **members: object) -> Resource:
    """A vital sign as the base profile wants it, but for its value."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": _CATEGORY, "code": "vital-signs"}]}],
        "code": coded(code),
        "subject": {"reference": "Patient/somebody"},
        "effectiveDateTime": "2024-05-06T07:08:00Z",
        **members,
    }


def measured(sign: Sign, unit: str | None = None) -> Resource:
    unit = unit or sign.units[0]
    return observed(sign.code, valueQuantity=quantity(_IN_OTHER_UNITS.get(unit, sign.value), unit))


def pressure(systolic: Mapping[str, object], diastolic: Mapping[str, object], **members: object) -> Resource:
    parts = [{"code": coded("8480-6"), **systolic}, {"code": coded("8462-4"), **diastolic}]
    return observed("85354-9", component=parts, **members)


def _remarks(fhir: Fhir, resource: Resource, profile: str) -> Resource:
    claiming = {**resource, "meta": {"profile": [_PROFILES + profile]}}
    answer = fhir.post("/Observation/$validate", claiming)
    if answer.status in (404, 405, 501):
        raise Skipped("$validate is not offered")
    return body_of(expect_status(answer, 200), "OperationOutcome")


def _validated(fhir: Fhir, resource: Resource, profile: str) -> list[Resource]:
    return errors(_remarks(fhir, resource, profile))


def _is_valid(fhir: Fhir, resource: Resource, profile: str, what: str) -> None:
    found = _validated(fhir, resource, profile)
    expect(not found, f"{what} is said to be invalid: {[each.get('diagnostics') for each in found][:2]}")


def _is_invalid(fhir: Fhir, resource: Resource, profile: str, what: str, place: str = "Observation") -> None:
    places = expressions(_validated(fhir, resource, profile))
    expect(bool(places), f"{what} is said to be valid")
    expect(any(each.startswith(place) for each in places), f"{what} is told of at {places}, expected {place}")


def _without(resource: Resource, *members: str) -> Resource:
    return {name: value for name, value in resource.items() if name not in members}


@vital_signs.check("V", _PAGE)
def takes_every_vital_sign_in_every_unit(fhir: Fhir) -> None:
    for sign in SIGNS:
        for unit in sign.units:
            _is_valid(fhir, measured(sign, unit), sign.profile, f"{sign.profile} in {unit}")
    amounts = {"valueQuantity": quantity(120, "mm[Hg]")}, {"valueQuantity": quantity(80, "mm[Hg]")}
    _is_valid(fhir, pressure(*amounts), "bp", "a blood pressure")
    panel = observed("85353-1", hasMember=[{"reference": "Observation/other"}])
    _is_valid(fhir, panel, "vitalspanel", "a panel")


@vital_signs.check("V", _PAGE)
def wants_the_code_of_each_vital_sign(fhir: Fhir) -> None:
    for sign in SIGNS:
        other = {**measured(sign), "code": coded("8478-0")}
        _is_invalid(fhir, other, sign.profile, f"{sign.profile} with another code", "Observation.code")
        beside = {"coding": [*coded(sign.code)["coding"], {"system": "http://example.org/ours", "code": "x"}]}
        _is_valid(fhir, {**measured(sign), "code": beside}, sign.profile, f"{sign.profile} with another coding beside")


@vital_signs.check("V", _PAGE)
def wants_what_every_vital_sign_has(fhir: Fhir) -> None:
    pulse = measured(SIGNS[1])
    for member in ("category", "code", "subject", "effectiveDateTime", "status"):
        _is_invalid(fhir, _without(pulse, member), "heartrate", f"a heart rate without {member}")
    other = [{"coding": [{"system": _CATEGORY, "code": "laboratory"}]}]
    _is_invalid(fhir, {**pulse, "category": other}, "heartrate", "a heart rate of another category")
    device = _remarks(fhir, {**pulse, "subject": {"reference": "Device/1"}}, "heartrate")
    expect("Observation.subject" in expressions(device["issue"]), "nothing is said of the heart rate of a device")


@vital_signs.check("V", _PAGE)
def wants_a_day_at_least(fhir: Fhir) -> None:
    pulse = measured(SIGNS[1])
    for moment in ("2020", "2020-05"):
        _is_invalid(fhir, {**pulse, "effectiveDateTime": moment}, "heartrate", f"a heart rate of {moment}")
    _is_valid(fhir, {**pulse, "effectiveDateTime": "2020-05-06"}, "heartrate", "a heart rate of a day")
    period = {"effectivePeriod": {"start": "2020-05-06T00:00:00Z", "end": "2020-05-06T01:00:00Z"}}
    _is_valid(fhir, {**_without(pulse, "effectiveDateTime"), **period}, "heartrate", "a heart rate of an hour")


@vital_signs.check("V", _PAGE)
def wants_a_value_or_the_reason_why_not(fhir: Fhir) -> None:
    reason = {"coding": [{"system": _ABSENT, "code": "unknown"}]}
    for sign in SIGNS[:4]:
        bare = _without(measured(sign), "valueQuantity")
        _is_invalid(fhir, bare, sign.profile, f"{sign.profile} without a value")
        _is_valid(fhir, {**bare, "dataAbsentReason": reason}, sign.profile, f"{sign.profile} with a reason")


@vital_signs.check("V", _PAGE)
def wants_both_pressures(fhir: Fhir) -> None:
    given = {"valueQuantity": quantity(120, "mm[Hg]")}
    absent = {"dataAbsentReason": {"coding": [{"system": _ABSENT, "code": "not-performed"}]}}
    _is_valid(fhir, pressure(given, absent), "bp", "a pressure of which one part has a reason")
    _is_invalid(fhir, pressure(given, {}), "bp", "a pressure of which one part has nothing")
    half = pressure(given, given)
    half["component"] = half["component"][:1]
    _is_invalid(fhir, half, "bp", "a systolic pressure alone")
    wrong = pressure({"valueQuantity": quantity(120, "mmHg")}, given)
    _is_invalid(fhir, wrong, "bp", "a pressure in mmHg", "Observation.component")
    _is_invalid(fhir, pressure(given, given, valueQuantity=quantity(120, "mm[Hg]")), "bp", "a pressure with a value")


@vital_signs.check("V01", _PAGE)
def tells_wrong_units_and_where(fhir: Fhir) -> None:
    wrong = {"heartrate": "bpm", "bodytemp": "°C", "oxygensat": "percent", "bodyweight": "kilo", "bmi": "kg/m^2"}
    for sign in SIGNS:
        if sign.profile in wrong:
            resource = observed(sign.code, valueQuantity=quantity(sign.value, wrong[sign.profile]))
            _is_invalid(fhir, resource, sign.profile, f"{sign.profile} in {wrong[sign.profile]}", "Observation.value")
    pulse = quantity(72, "/min")
    for name in ("value", "unit", "system", "code"):
        resource = observed("8867-4", valueQuantity=_without(pulse, name))
        _is_invalid(fhir, resource, "heartrate", f"a heart rate without {name}", "Observation.value")
    other = observed("8867-4", valueQuantity={**pulse, "system": "http://example.org/units"})
    _is_invalid(fhir, other, "heartrate", "a heart rate in other units", "Observation.value")


@vital_signs.check("V01", _PAGE)
def keeps_no_vital_sign_that_breaks_its_profile(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"))
    claiming = {"profile": [_PROFILES + "heartrate"]}
    bad = observed("8867-4", valueQuantity=quantity(72, "bpm"), subject={"reference": shelf["anna"]}, meta=claiming)
    answer = fhir.post("/Observation", shelf.tagged(bad))
    if answer.status == 201:
        raise Skipped("what a resource claims is not enforced on write")
    expect_status(answer, 400, 422)
    good = observed("8867-4", valueQuantity=quantity(72, "/min"), subject={"reference": shelf["anna"]}, meta=claiming)
    shelf.add("good", good)


# Searches


def _ward(fhir: Fhir) -> Shelf:
    shelf = Shelf(fhir, anna=person("Quell"), otto=person("Strom"))
    for patient in ("anna", "otto"):
        about = {"subject": {"reference": shelf[patient]}}
        for day in (1, 2):
            moment = {"effectiveDateTime": f"2024-05-0{day}T08:00:00Z"}
            shelf.add(f"{patient}-pulse{day}", {**measured(SIGNS[1]), **about, **moment})
            shelf.add(f"{patient}-temp{day}", {**measured(SIGNS[3]), **about, **moment})
    origin = {"resourceType": "Provenance", "recorded": "2024-05-02T00:00:00Z", "agent": [{"who": {"display": "x"}}]}
    shelf.add("origin", {**origin, "target": [{"reference": shelf["anna-pulse1"]}]})
    return shelf


@vital_signs.check("V04", "US Core")
def finds_the_vital_signs_of_a_patient(fhir: Fhir) -> None:
    shelf = _ward(fhir)
    anna, pulses, temps = shelf["anna"], "anna-pulse1 anna-pulse2", "anna-temp1 anna-temp2"
    code = f"code={_LOINC}|8867-4"
    shelf.finds_all(
        "Observation?",
        {
            f"patient={anna}&category=vital-signs": f"{pulses} {temps}",
            f"patient={shelf.id('anna')}&category={_CATEGORY}|vital-signs": f"{pulses} {temps}",
            f"patient={anna}&{code}": pulses,
            f"patient={anna}&{code},{_LOINC}|8310-5": f"{pulses} {temps}",
            f"patient={anna}&{code}&date=gt2024-05-01": "anna-pulse2",
            f"patient={anna}&{code}&date=ge2024-05-01&date=lt2024-05-02": "anna-pulse1",
            f"patient={anna}&category=vital-signs&date=le2024-05-01": "anna-pulse1 anna-temp1",
            f"patient={anna}&category=vital-signs&status=final,amended": f"{pulses} {temps}",
            f"patient={anna}&category=vital-signs&status=amended": "",
        },
    )
    shelf.sorts(f"Observation?patient={anna}&{code}&_sort=-date", "anna-pulse2 anna-pulse1")
    shelf.sorts(f"Observation?patient={anna}&{code}&_sort=-date&_count=1", "anna-pulse2")
    shelf.includes(f"Observation?patient={anna}&category=vital-signs&_revinclude=Provenance:target", "origin")


@vital_signs.check("V04", "US Core")
def shows_what_a_search_for_vital_signs_used(fhir: Fhir) -> None:
    shelf = _ward(fhir)
    link = self_link(shelf.search(f"Observation?patient={shelf['anna']}&category=vital-signs&date=gt2024-05-01"))
    missing = [name for name in ("patient=", "category=", "date=gt2024-05-01") if name not in link]
    expect(not missing, f"the self link lacks {' '.join(missing)}")


def _is_refused(answer: Response) -> bool:
    return answer.status in (400, 422)


@vital_signs.check("V", _PAGE)
def enforces_the_profile_where_only_the_code_says_so(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"))
    bad = observed("8867-4", valueQuantity=quantity(72, "bpm"), subject={"reference": shelf["anna"]})
    if not _is_refused(fhir.post("/Observation", shelf.tagged(bad))):
        raise Skipped("the profile is enforced only where it is claimed")
