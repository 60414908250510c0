"""HL7's vital signs profiles bind whoever uses their LOINC codes, claimed or not (FHIR R4 observation-vitalsigns)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles.definitions import CANONICAL
from profiles.validator.place import Place
from profiles.validator.run import Run

LOINC = "http://loinc.org"

PROFILES: Mapping[str, str] = {
    code: CANONICAL + name
    for code, name in {
        "85353-1": "vitalspanel",
        "9279-1": "resprate",
        "8867-4": "heartrate",
        "2708-6": "oxygensat",
        "8310-5": "bodytemp",
        "8302-2": "bodyheight",
        "9843-4": "headcircum",
        "29463-7": "bodyweight",
        "39156-5": "bmi",
        "85354-9": "bp",
    }.items()
}


_SNOMED: Mapping[str, str] = {
    "86290005": "9279-1",
    "364075005": "8867-4",
    "103228002": "2708-6",
    "276885007": "8310-5",
    "386725007": "8310-5",
    "50373000": "8302-2",
    "363812007": "9843-4",
    "27113001": "29463-7",
    "60621009": "39156-5",
    "75367002": "85354-9",
}
"""SNOMED CT concepts of vital signs, and the LOINC code that HL7's profile of each asks for beside."""
_CATEGORY = "vital-signs"


def check_codes(observation: Mapping[str, Any], place: Place, run: Run) -> None:
    """A vital sign coded in SNOMED CT alone is not found by those who look for its LOINC code."""
    codes = {str(each.get("code")) for each in _codings(observation.get("code"))}
    if codes.isdisjoint(_SNOMED):
        return
    wanted = {_SNOMED[each] for each in codes if each in _SNOMED}
    if not wanted.isdisjoint(codes) or not _is_vital_sign(observation):
        return
    text = f"A vital sign carries its LOINC code too: {', '.join(sorted(wanted))}."
    run.add(run.options.doubtful, "required", (place, "code", None), text, PROFILES[min(wanted)])


def _is_vital_sign(observation: Mapping[str, Any]) -> bool:
    categories = observation.get("category")
    listed = categories if type(categories) is list else []
    return any(each.get("code") == _CATEGORY for concept in listed for each in _codings(concept))


def _codings(concept: Any) -> list[dict[str, Any]]:
    codings = concept.get("coding") if type(concept) is dict else None
    return [each for each in codings if type(each) is dict] if type(codings) is list else []


def implied(observation: Mapping[str, Any]) -> set[str]:
    """The profiles that the codes of an Observation bring with them."""
    return {
        PROFILES[each["code"]]
        for each in _codings(observation.get("code"))
        if each.get("system") == LOINC and _is_known(each.get("code"))
    }


def _is_known(code: Any) -> bool:
    return type(code) is str and code in PROFILES
