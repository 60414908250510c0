"""Snapshots generated from differentials."""

from __future__ import annotations

import json
from typing import Any

import pytest

from profiles.definitions import definitions
from profiles.validator.snapshot import SnapshotError, generate, with_ids
from tests.profiles.validator.small import MINE, profile


def generated(structure: dict[str, Any], *others: dict[str, Any]) -> dict[str, dict[str, Any]]:
    known = {each["url"]: each for each in others}
    elements = generate(structure, lambda url: known.get(url) or definitions().structure(url))
    return {each["id"]: each for each in elements}


def test_a_differential_is_laid_over_the_base() -> None:
    made = generated(profile("Observation", {"path": "Observation.subject", "min": 1}))
    assert list(made)[0] == "Observation"
    assert made["Observation.subject"]["min"] == 1
    assert made["Observation.subject"]["max"] == "1"
    base = definitions().structure("http://hl7.org/fhir/StructureDefinition/Observation")
    assert base is not None
    assert len(made) == len(base["snapshot"]["element"])


def test_children_of_types_are_opened() -> None:
    made = generated(profile("Observation", {"path": "Observation.code.coding.system", "min": 1}))
    assert made["Observation.code.coding.system"]["min"] == 1
    assert made["Observation.code.coding.system"]["path"] == "Observation.code.coding.system"
    assert "Observation.code.text" in made
    assert list(made).index("Observation.code.coding.system") < list(made).index("Observation.subject")


def test_slices_are_copies_that_need_not_be() -> None:
    made = generated(
        profile(
            "Observation",
            {"path": "Observation.component", "slicing": {"rules": "open"}, "min": 1},
            {"path": "Observation.component", "sliceName": "a"},
            {"path": "Observation.component.code", "patternCodeableConcept": {"text": "a"}},
        )
    )
    assert made["Observation.component:a"]["min"] == 0
    assert made["Observation.component:a.code"]["patternCodeableConcept"] == {"text": "a"}
    assert "patternCodeableConcept" not in made["Observation.component.code"]


def test_a_typed_name_is_the_slice_of_its_choice() -> None:
    made = generated(profile("Observation", {"path": "Observation.valueQuantity.unit", "min": 1}))
    assert made["Observation.value[x]:valueQuantity"]["type"] == [{"code": "Quantity"}]
    assert made["Observation.value[x]:valueQuantity.unit"]["min"] == 1


def test_constraints_add_up_and_fixed_values_replace() -> None:
    rule = {"key": "m-1", "severity": "error", "expression": "true"}
    base = profile("Observation", {"path": "Observation", "constraint": [rule]}, name="base")
    again = {"path": "Observation", "constraint": [{**rule, "key": "m-2"}]}
    made = generated(profile("Observation", again, base=MINE + "base"), base)
    keys = [each["key"] for each in made["Observation"]["constraint"]]
    assert keys[-2:] == ["m-1", "m-2"]
    assert "obs-6" in keys


@pytest.mark.parametrize(
    "path",
    ["Observation.nothing", "Observation.valueNothing", "Patient.name", "Observation..code", "Observation.code.x.y"],
)
def test_a_path_that_is_none_of_the_base(path: str) -> None:
    with pytest.raises(SnapshotError):
        generated(profile("Observation", {"path": path, "min": 1}))


def test_an_unknown_base_and_one_that_is_its_own() -> None:
    with pytest.raises(SnapshotError):
        generated(profile("Observation", base="https://a.test/none"))
    circle = profile("Observation", base=MINE + "mine")
    with pytest.raises(SnapshotError):
        generated(circle, circle)


def test_ids_follow_from_paths_and_slice_names() -> None:
    paths = [
        {"path": "Observation"},
        {"path": "Observation.component"},
        {"path": "Observation.component", "sliceName": "a"},
        {"path": "Observation.component.code"},
        {"path": "Observation.component", "sliceName": "b"},
        {"path": "Observation.component.code"},
        {"path": "Observation.note"},
    ]
    assert [each["id"] for each in with_ids(paths)] == [
        "Observation",
        "Observation.component",
        "Observation.component:a",
        "Observation.component:a.code",
        "Observation.component:b",
        "Observation.component:b.code",
        "Observation.note",
    ]


def test_generating_changes_nothing_it_was_given() -> None:
    structure = profile("Observation", {"path": "Observation.code.coding", "min": 1})
    before = json.dumps(structure)
    base = json.dumps(definitions().structure("http://hl7.org/fhir/StructureDefinition/Observation"))
    generated(structure)
    assert json.dumps(structure) == before
    assert json.dumps(definitions().structure("http://hl7.org/fhir/StructureDefinition/Observation")) == base
