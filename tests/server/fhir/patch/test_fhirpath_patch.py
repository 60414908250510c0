"""FHIRPath Patch beyond HL7's cases: choices, extensions of primitives, lists, and what is refused."""

from __future__ import annotations

import copy
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from server.fhir.patch import fhirpath_patch
from server.kernel.problem import Kind, Problem

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "name": [
        {"use": "official", "family": "Lee", "given": ["Ann", "Bo"]},
        {"use": "usual", "given": [None, "Cy"], "_given": [{"id": "x"}, None]},
    ],
    "birthDate": "1970-03",
    "_birthDate": {"extension": [{"url": "http://t", "valueString": "noon"}, {"url": "http://u", "valueString": "v"}]},
    "deceasedBoolean": False,
    "contact": [{"gender": "female"}],
}


def operation(kind: str, path: str, value: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, given in others.items():
        parts.append({"name": name, "valueInteger" if isinstance(given, int) else "valueString": given})
    if value is not None:
        parts.append({"name": "value", **value})
    return {"name": "operation", "part": parts}


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    return fhirpath_patch.parse({"resourceType": "Parameters", "parameter": list(operations)})(PATIENT)


def refused(*operations: dict[str, Any]) -> Kind:
    with pytest.raises(Problem) as caught:
        patched(*operations)
    return caught.value.kind


def test_a_choice_is_named_without_its_type() -> None:
    added = operation("add", "Patient", {"valueInteger": 2}, name="multipleBirth")
    assert patched(added)["multipleBirthInteger"] == 2


def test_a_choice_may_change_its_type_and_keeps_its_place() -> None:
    after = patched(operation("replace", "Patient.deceased", {"valueDateTime": "2026-01-01"}))
    assert after["deceasedDateTime"] == "2026-01-01"
    assert "deceasedBoolean" not in after
    assert list(after)[-2:] == ["deceasedDateTime", "contact"]


def test_a_path_may_choose_by_criteria() -> None:
    after = patched(operation("replace", "Patient.name.where(use = 'usual').given[1]", {"valueString": "Di"}))
    assert after["name"][1] == {"use": "usual", "given": [None, "Di"], "_given": [{"id": "x"}, None]}
    assert after["name"][0] is PATIENT["name"][0]


def test_primitives_keep_their_extensions_or_lose_them_with_their_value() -> None:
    deleted = patched(operation("delete", "Patient.name[1].given[0]"))
    assert deleted["name"][1] == {"use": "usual", "given": ["Cy"]}
    assert "_birthDate" not in patched(operation("delete", "Patient.birthDate"))
    assert "_birthDate" not in patched(operation("replace", "Patient.birthDate", {"valueDate": "1971"}))


def test_extensions_of_primitives_are_elements_too() -> None:
    after = patched(operation("delete", "Patient.birthDate.extension('http://t')"))
    assert after["_birthDate"] == {"extension": [{"url": "http://u", "valueString": "v"}]}
    after = patched(operation("replace", "Patient.birthDate.extension('http://u').value", {"valueInteger": 3}))
    assert after["_birthDate"]["extension"][1] == {"url": "http://u", "valueInteger": 3}
    added = operation("add", "Patient.active", {"part": [{"name": "url", "valueUri": "http://n"}]}, name="extension")
    assert patched(added)["_active"] == {"extension": [{"url": "http://n"}]}


def test_anonymous_elements_are_given_in_parts() -> None:
    parts = [
        {"name": "gender", "valueCode": "male"},
        {"name": "telecom", "valueContactPoint": {"value": "1"}},
        {"name": "telecom", "valueContactPoint": {"value": "2"}},
    ]
    after = patched(operation("insert", "Patient.contact", {"part": parts}, index=0))
    assert after["contact"] == [{"gender": "male", "telecom": [{"value": "1"}, {"value": "2"}]}, {"gender": "female"}]


def test_resources_can_be_contained() -> None:
    inner = {"resourceType": "Organization", "id": "o"}
    assert patched(operation("add", "Patient", {"resource": inner}, name="contained"))["contained"] == [inner]


def test_operations_see_what_those_before_them_did() -> None:
    after = patched(
        operation("move", "Patient.name", source=1, destination=0),
        operation("replace", "Patient.name[0].use", {"valueCode": "old"}),
        operation("delete", "Patient.contact[0].gender"),
    )
    assert [each["use"] for each in after["name"]] == ["old", "official"]
    assert "contact" not in after
    assert PATIENT["name"][0]["use"] == "official"


def test_decimals_keep_their_digits() -> None:
    parts = [{"name": "url", "valueUri": "http://d"}, {"name": "value", "valueDecimal": Decimal("1.10")}]
    value = {"part": parts}
    assert str(patched(operation("add", "Patient", value, name="extension"))["extension"][0]["valueDecimal"]) == "1.10"


def test_deleting_nothing_is_fine() -> None:
    assert patched(operation("delete", "Patient.photo")) is PATIENT


@pytest.mark.parametrize(
    "given",
    [
        operation("add", "Patient", {"valueBoolean": False}, name="active"),
        operation("add", "Patient", {"valueDateTime": "2026"}, name="deceased"),
        operation("add", "Patient.name", {"valueString": "x"}, name="given"),
        operation("replace", "Patient.photo", {"valueString": "x"}),
        operation("delete", "Patient.name"),
        operation("delete", "Patient"),
        operation("insert", "Patient.contact", {"part": []}, index=5),
        operation("move", "Patient.name", source=2, destination=0),
        operation("move", "Patient.name", source=0, destination=2),
    ],
)
def test_what_does_not_fit_the_resource(given: dict[str, Any]) -> None:
    assert refused(given) is Kind.UNSUPPORTED


@pytest.mark.parametrize(
    "given",
    [
        operation("spam", "Patient.active"),
        operation("delete", "Patient.("),
        operation("delete", "Patient.name.given | Patient.birthDate"),
        operation("delete", "Patient.managingOrganization.resolve()"),
        operation("delete", "Patient.descendants()"),
        operation("add", "Patient", {"valueString": "x"}),
        operation("add", "Patient", {"valueString": "x"}, name="nothing"),
        operation("add", "Patient", {"valueString": "x"}, name="photo"),
        operation("replace", "Patient.active", {"valueString": "true"}),
        operation("replace", "Patient.active"),
        operation("replace", "Patient", {"resource": {"resourceType": "Patient"}}),
        operation("replace", "Patient.birthDate", {"valueDate": []}),
        operation("replace", "Patient.birthDate", {"valueDate": ["1971", "1972"]}),
        operation("replace", "Patient.birthDate", {"valueDate": {}}),
        operation("insert", "Patient.active", {"valueBoolean": True}, index=0),
        operation("insert", "Patient.name", {"valueHumanName": {}}),
        operation("move", "Patient.name[0]", source=0, destination=1),
        {"name": "other"},
        {"name": "operation"},
    ],
)
def test_what_is_no_patch(given: dict[str, Any]) -> None:
    assert refused(given) is Kind.INVALID


def test_what_is_no_parameters() -> None:
    with pytest.raises(Problem):
        fhirpath_patch.parse({"resourceType": "Patient"})


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from(["", "x", "Patient", "name", "add", "delete", "insert"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["part", "name", "url"]), inner, max_size=2)
    ),
    max_leaves=6,
)
KEYS = (
    "valueString",
    "valueInteger",
    "valueCode",
    "valueHumanName",
    "_valueString",
    "valueBoolean",
    "resource",
    "part",
    "x",
)
PATHS = (
    *("Patient", "$this", "Patient.name", "Patient.name[0].given", "Patient.name.given", "Patient.name.given[2]"),
    *("Patient.birthDate", "Patient.birthDate.extension", "Patient.deceased", "Patient.contact[0]", "Patient.id"),
    *("name.where(given)", "Patient.text"),
)
PART = st.fixed_dictionaries(
    {"name": st.sampled_from(["value", "name", "index", "source", "destination", "type"])},
    optional=dict.fromkeys(KEYS, VALUES),
)


@given_any(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "insert", "delete", "replace", "move"]), st.sampled_from(PATHS), st.lists(PART)
        ),
        max_size=3,
    )
)
def test_any_patch_is_applied_or_refused_and_the_resource_stays(
    given: list[tuple[str, str, list[dict[str, Any]]]],
) -> None:
    before = copy.deepcopy(PATIENT)
    operations = [operation(kind, path) for kind, path, _ in given]
    for made, (_, _, parts) in zip(operations, given, strict=True):
        made["part"] += parts
    with suppress(Problem):
        patched(*operations)
    assert before == PATIENT
