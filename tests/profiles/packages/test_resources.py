from __future__ import annotations

import pytest

from profiles.packages.load import by_url, resources
from profiles.packages.source import Packages
from tests.profiles.packages.checking import Resource, validator

STRUCTURES = [each for each in resources() if each["resourceType"] == "StructureDefinition"]


@pytest.mark.parametrize("resource", resources(), ids=lambda each: f"{each['resourceType']}/{each['id']}")
def test_each_is_a_valid_r4_resource(resource: Resource) -> None:
    assert [each for each in validator().validate(resource) if each.is_error] == []


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda each: each["id"])
def test_each_profile_can_be_used(structure: Resource) -> None:
    assert validator().profile(structure["url"]) is not None


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda each: each["id"])
def test_a_snapshot_has_all_of_its_differential(structure: Resource) -> None:
    snapshot = {each["id"]: each for each in structure["snapshot"]["element"]}
    for change in structure["differential"]["element"]:
        within = snapshot[change["id"]]
        rules = {each["key"] for each in within.get("constraint", ())}
        assert {each["key"] for each in change.get("constraint", ())} <= rules
        assert all(within[name] == value for name, value in change.items() if name != "constraint")


def test_urls_are_unique_and_found() -> None:
    assert len(by_url()) == len(resources())
    packages = Packages()
    assert all(packages.find(each["url"]) is each for each in STRUCTURES)
    assert packages.find(STRUCTURES[0]["url"] + "|1.0.0") is STRUCTURES[0]
    assert packages.find(STRUCTURES[0]["url"] + "|9") is None
    assert packages.value_set(STRUCTURES[0]["url"]) is None
