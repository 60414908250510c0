"""Slices by every kind of discriminator."""

from __future__ import annotations

from typing import Any

import pytest

from profiles.definitions import CANONICAL
from tests.profiles.validator.small import MINE, errors, observation, places, profile


def slicing(kind: str, path: str, **others: Any) -> dict[str, Any]:
    return {"discriminator": [{"type": kind, "path": path}], "rules": "open", **others}


def coded(code: str, **members: Any) -> dict[str, Any]:
    return {"code": {"coding": [{"system": "http://a.test", "code": code}]}, **members}


def parts(*components: dict[str, Any]) -> dict[str, Any]:
    return observation(component=list(components))


BY_VALUE = profile(
    "Observation",
    {"path": "Observation.component", "slicing": slicing("value", "code.coding.code")},
    {"path": "Observation.component", "sliceName": "a", "min": 1, "max": "1"},
    {"path": "Observation.component.code.coding.code", "fixedCode": "a"},
    {"path": "Observation.component.value[x]", "min": 1},
)


def test_slices_by_value_are_counted_and_held() -> None:
    assert errors(parts(coded("a", valueString="x"), coded("b")), BY_VALUE) == []
    assert places(errors(parts(coded("b")), BY_VALUE)) == ["Observation"]
    assert places(errors(parts(*[coded("a", valueString="x")] * 2), BY_VALUE)) == ["Observation"]
    assert places(errors(parts(coded("b"), coded("a")), BY_VALUE)) == ["Observation.component[1]"]


@pytest.mark.parametrize(
    ("rules", "order", "place"),
    [
        ({"rules": "closed"}, "aab", "Observation.component[2]"),
        ({"rules": "openAtEnd"}, "ba", "Observation.component[1]"),
    ],
)
def test_other_elements_than_the_slices(rules: dict[str, str], order: str, place: str) -> None:
    mine = profile(
        "Observation",
        {"path": "Observation.component", "slicing": slicing("pattern", "code") | rules},
        {"path": "Observation.component", "sliceName": "a", "max": "*"},
        {"path": "Observation.component.code", "patternCodeableConcept": {"coding": [{"code": "a"}]}},
    )
    assert places(errors(parts(*map(coded, order)), mine)) == [place]


def test_slices_in_order() -> None:
    mine = profile(
        "Observation",
        {"path": "Observation.component", "slicing": slicing("value", "code.coding.code", ordered=True)},
        {"path": "Observation.component", "sliceName": "a"},
        {"path": "Observation.component.code.coding.code", "fixedCode": "a"},
        {"path": "Observation.component", "sliceName": "b"},
        {"path": "Observation.component.code.coding.code", "fixedCode": "b"},
    )
    assert errors(parts(coded("a"), coded("b")), mine) == []
    assert places(errors(parts(coded("b"), coded("a")), mine)) == ["Observation.component[1]"]


def test_slices_by_type() -> None:
    mine = profile(
        "Observation",
        {"path": "Observation.value[x]", "slicing": slicing("type", "$this", rules="closed")},
        {"path": "Observation.value[x]", "sliceName": "valueQuantity", "min": 1, "type": [{"code": "Quantity"}]},
    )
    assert errors(observation(valueQuantity={"value": 1}), mine) == []
    assert places(errors(observation(valueString="x"), mine)) == ["Observation.value.ofType(string)", "Observation"]


def test_slices_by_existence() -> None:
    mine = profile(
        "Observation",
        {"path": "Observation.component", "slicing": slicing("exists", "interpretation")},
        {"path": "Observation.component", "sliceName": "judged", "min": 1},
        {"path": "Observation.component.interpretation", "min": 1},
    )
    assert errors(parts(coded("a", interpretation=[{"text": "x"}])), mine) == []
    assert places(errors(parts(coded("a")), mine)) == ["Observation"]


def test_slices_by_the_type_and_profile_of_what_is_referred_to() -> None:
    adult = profile("Patient", {"path": "Patient.birthDate", "min": 1}, name="adult")
    for kind, path in (("type", "$this.resolve()"), ("profile", "$this.resolve()")):
        mine = profile(
            "Observation",
            {"path": "Observation.performer", "slicing": slicing(kind, path)},
            {
                "path": "Observation.performer",
                "sliceName": "self",
                "min": 1,
                "type": [{"code": "Reference", "targetProfile": [MINE + "adult"]}],
            },
        )
        inner = {"resourceType": "Patient", "id": "p", "birthDate": "2000"}
        good = observation(contained=[inner], performer=[{"reference": "#p"}])
        assert errors(good, mine, adult) == []
        other = {"resourceType": "Organization", "id": "p", "name": "x"}
        assert "Observation" in places(errors({**good, "contained": [other]}, mine, adult))


def test_slices_by_an_extension() -> None:
    url = CANONICAL + "data-absent-reason"
    mine = profile(
        "Observation",
        {"path": "Observation.component", "slicing": slicing("value", f"extension('{url}').value")},
        {"path": "Observation.component", "sliceName": "masked", "min": 1},
        {"path": "Observation.component.extension", "slicing": slicing("value", "url")},
        {
            "path": "Observation.component.extension",
            "sliceName": "reason",
            "type": [{"code": "Extension", "profile": [url]}],
        },
        {"path": "Observation.component.extension.valueCode", "fixedCode": "masked"},
    )
    masked = coded("a", extension=[{"url": url, "valueCode": "masked"}])
    unknown = coded("a", extension=[{"url": url, "valueCode": "unknown"}])
    assert errors(parts(masked), mine) == []
    assert "Observation" in places(errors(parts(unknown), mine))


def test_slices_of_extensions_by_their_profiles() -> None:
    url = CANONICAL + "patient-birthPlace"
    mine = profile(
        "Patient",
        {"path": "Patient.extension", "slicing": slicing("value", "url")},
        {"path": "Patient.extension", "sliceName": "born", "min": 1, "type": [{"code": "Extension", "profile": [url]}]},
    )
    born = {"url": url, "valueAddress": {"city": "Wuhan"}}
    assert errors({"resourceType": "Patient", "extension": [born]}, mine) == []
    assert places(errors({"resourceType": "Patient"}, mine)) == ["Patient"]


def test_slices_that_are_sliced_again() -> None:
    mine = profile(
        "Observation",
        {"path": "Observation.component", "slicing": slicing("value", "code.coding.system")},
        {"path": "Observation.component", "sliceName": "ours", "slicing": slicing("value", "code.coding.code")},
        {"path": "Observation.component.code.coding.system", "fixedUri": "http://a.test"},
        {"path": "Observation.component", "sliceName": "ours/a", "min": 1},
        {"path": "Observation.component.code.coding.code", "fixedCode": "a"},
    )
    assert errors(parts(coded("a")), mine) == []
    assert places(errors(parts(coded("b")), mine)) == ["Observation"]


def test_entries_of_a_bundle_by_their_type() -> None:
    mine = profile(
        "Bundle",
        {"path": "Bundle.entry", "slicing": slicing("type", "resource", rules="closed")},
        {"path": "Bundle.entry", "sliceName": "patient", "min": 1, "max": "1"},
        {"path": "Bundle.entry.resource", "type": [{"code": "Patient"}], "min": 1},
    )
    good = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Patient"}}]}
    assert errors(good, mine) == []
    other = {"resource": observation()}
    assert places(errors({**good, "entry": [*good["entry"], other]}, mine)) == ["Bundle.entry[1]"]
