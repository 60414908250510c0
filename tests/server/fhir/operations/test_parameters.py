"""Parameters of operations, from a resource and from a query."""

from __future__ import annotations

from typing import Any

import pytest

from server.fhir.operations.parameters import OperationParameters, parameter, parameters
from server.kernel.problem import Kind, Problem

SENT = OperationParameters.read({
    "resourceType": "Parameters",
    "parameter": [
        {"name": "code", "valueCode": "dog"},
        {"name": "url", "valueUri": "http://example.org/all"},
        {"name": "count", "valueInteger": 3},
        {"name": "offset", "valueUnsignedInt": 0},
        {"name": "abstract", "valueBoolean": True},
        {"name": "coding", "valueCoding": {"system": "http://example.org", "code": "dog"}},
        {"name": "codeableConcept", "valueCodeableConcept": {"text": "dog"}},
        {"name": "valueSet", "resource": {"resourceType": "ValueSet"}},
        {"name": "dependency", "part": [{"name": "element", "valueUri": "http://example.org/size"}]},
        {"name": "property", "valueCode": "a"},
        {"name": "property", "valueCode": "b"},
    ],
})  # fmt: skip
ASKED = OperationParameters.of_query([
    ("code", "dog"), ("count", "3"), ("abstract", "true"), ("coding", "http://example.org|dog"), ("empty", ""),
    ("property", "a"), ("property", "b"),
])  # fmt: skip


@pytest.mark.parametrize("given", [SENT, ASKED])
def test_both_forms_are_read_alike(given: OperationParameters) -> None:
    assert given.string("code") == "dog"
    assert given.required("code") == "dog"
    assert given.integer("count") == 3
    assert given.boolean("abstract") is True
    assert given.coding("coding") == {"system": "http://example.org", "code": "dog"}
    assert given.strings("property") == ["a", "b"]
    assert given.all("property") == ["a", "b"]
    assert given.string("absent") is None
    assert given.boolean("absent", True) is True
    assert "empty" not in given.names


def test_what_only_a_resource_can_give() -> None:
    assert SENT.resource("valueSet", "ValueSet") == {"resourceType": "ValueSet"}
    assert SENT.complex("codeableConcept", "CodeableConcept") == {"text": "dog"}
    assert SENT.parts("dependency")[0].string("element") == "http://example.org/size"
    assert SENT.get("offset") == 0
    assert SENT.adding("resource", "resource", {"resourceType": "Patient"}).resource("resource") is not None
    assert SENT.joined(ASKED).all("code") == ["dog", "dog"]


@pytest.mark.parametrize(
    ("given", "name", "reading"),
    [
        (SENT, "code", "integer"),
        (SENT, "count", "string"),
        (SENT, "count", "boolean"),
        (SENT, "code", "coding"),
        (SENT, "coding", "resource"),
        (SENT, "code", "parts"),
        (SENT, "property", "string"),
        (ASKED, "code", "integer"),
        (ASKED, "code", "boolean"),
        (ASKED, "code", "resource"),
        (ASKED, "absent", "required"),
    ],
)
def test_a_value_of_another_type_is_refused(given: OperationParameters, name: str, reading: str) -> None:
    with pytest.raises(Problem) as error:
        getattr(given, reading)(name)
    assert error.value.kind is Kind.INVALID
    assert name in error.value.text


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Parameters", "parameter": {}},
        {"resourceType": "Parameters", "parameter": ["x"]},
        {"resourceType": "Parameters", "parameter": [{"valueString": "x"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "x"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "x", "valueString": "a", "valueCode": "a"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "x", "part": [{"name": "y"}]}]},
    ],
)
def test_a_body_that_is_no_parameters(body: dict[str, Any]) -> None:
    with pytest.raises(Problem) as error:
        OperationParameters.read(body)
    assert error.value.kind is Kind.INVALID


@pytest.mark.parametrize("text", ["-1", "2147483648", "1.0", "x", "99999999999"])
def test_whole_numbers_have_bounds(text: str) -> None:
    with pytest.raises(Problem):
        OperationParameters.of_query([("count", text)]).integer("count")


def test_unknown_parameters_are_named() -> None:
    SENT.allow(SENT.names)
    OperationParameters.of_query([("_format", "json")]).allow([])
    with pytest.raises(Problem, match="surprise"):
        OperationParameters.of_query([("surprise", "1")]).allow(["code"])


def test_an_answer() -> None:
    answer = parameters(parameter("result", valueBoolean=False), None, parameter("match", part=[]))
    assert answer == {
        "resourceType": "Parameters",
        "parameter": [{"name": "result", "valueBoolean": False}, {"name": "match", "part": []}],
    }
    assert parameters() == {"resourceType": "Parameters"}
