"""HL7's validator cases for R4: clean cases stay clean, and errors are found where HL7's validator finds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.profiles.validator import hl7
from tests.profiles.validator.hl7 import Cases

pytestmark = pytest.mark.slow

DISPLAYS = "the error is a display of LOINC, SNOMED CT or CVX as of today: those systems are not part of R4"
TODAY = "asks for something that R4 does not define"
ELSEWHERE = "refers to a resource that is not in the samples"
UNREADABLE = "its profile is XML with elements out of order, which is no FHIR"

UNFOUND: Mapping[str, str] = {
    "sdoh-type-slice": DISPLAYS,
    "bundle-id-5": DISPLAYS,
    "ips-nz-pj": DISPLAYS,
}
"""Cases with errors of which none is found at its place."""
UNCLEAN: Mapping[str, str] = {
    "aggregation-apart-good4": "the stored outcome is of R5, where Encounter.class is optional; in R4 it is required",
}
"""Clean cases that have errors here."""
UNFOUND_IN_PROFILES: Mapping[str, str] = {
    "sdoh-type-slice": DISPLAYS,
    "patient-circle1-bad-source1": ELSEWHERE,
    "patient-circle2-bad-linked": ELSEWHERE,
    "patient-circle2-bad-source1": ELSEWHERE,
    "patient-min-length": UNREADABLE,
    "patient-value-alternative-bad": TODAY,
    "xhtml-ctrl-source1": TODAY,
    "xhtml-ctrl-no-lang-bad": TODAY,
    "xhtml-ctrl-two-lang-bad": TODAY,
    "xhtml-ctrl-twob-lang-bad": TODAY,
}
UNCLEAN_IN_PROFILES = UNCLEAN


@pytest.fixture(scope="module")
def cases(shared: Path) -> Cases:
    return hl7.read(shared)


def judged(cases: Cases, *, against_profile: bool) -> tuple[dict[str, bool], dict[str, bool]]:
    """Of cases with errors, whether one is found at its place; of clean ones, whether nothing is."""
    with_errors, clean = {}, {}
    for case in cases.cases:
        told = case.get("profile", {}) if against_profile else case
        expected = cases.outcome(told.get("java"))
        if expected is None:
            continue
        found = cases.findings(case, against_profile=against_profile)
        if expected:
            with_errors[case["name"]] = hl7.is_at_same_place(expected, found)
        else:
            clean[case["name"]] = not found
    return with_errors, clean


def failing(verdicts: Mapping[str, bool]) -> set[str]:
    return {name for name, is_right in verdicts.items() if not is_right}


def test_cases_against_the_base_definitions(cases: Cases) -> None:
    with_errors, clean = judged(cases, against_profile=False)
    assert (len(with_errors), len(clean)) == (72, 105)
    assert failing(with_errors) == set(UNFOUND)
    assert failing(clean) == set(UNCLEAN)
    assert 1 - len(UNFOUND) / len(with_errors) >= 0.95


def test_cases_against_their_profiles(cases: Cases) -> None:
    with_errors, clean = judged(cases, against_profile=True)
    assert (len(with_errors), len(clean)) == (37, 30)
    assert failing(with_errors) == set(UNFOUND_IN_PROFILES)
    assert failing(clean) == set(UNCLEAN_IN_PROFILES)
