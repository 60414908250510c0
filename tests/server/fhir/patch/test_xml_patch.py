"""XML Patch on resources, and selectors that are refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from server.fhir.patch import xml_patch
from server.kernel.problem import Kind, Problem

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "a",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "1"}, {"system": "http://x", "code": "2"}]},
    "valueQuantity": {"value": Decimal("1.10"), "unit": "mg"},
}


def patched(operations: str) -> dict[str, Any]:
    return xml_patch.parse(f'<diff xmlns:f="http://hl7.org/fhir">{operations}</diff>'.encode())(OBSERVATION)


def test_an_attribute_is_replaced_and_the_rest_kept_to_the_digit() -> None:
    after = patched('<replace sel="f:Observation/f:status/@value">amended</replace>')
    assert after == {**OBSERVATION, "status": "amended"}
    assert str(after["valueQuantity"]["value"]) == "1.10"
    assert OBSERVATION["status"] == "final"


def test_an_element_is_chosen_by_the_value_of_its_child() -> None:
    after = patched("<remove sel=\"f:Observation/f:code/f:coding[f:system/@value='http://x']\"/>")
    assert after["code"]["coding"] == [{"system": "http://loinc.org", "code": "1"}]


def test_an_element_is_added_beside_another() -> None:
    issued = '<issued xmlns="http://hl7.org/fhir" value="2026-11-22T08:00:00Z"/>'
    after = patched(f'<add sel="f:Observation/f:code" pos="after">{issued}</add>')
    assert after["issued"] == "2026-11-22T08:00:00Z"


def test_the_default_namespace_is_fhirs() -> None:
    assert "valueQuantity" not in patched('<remove sel="Observation/valueQuantity"/>')


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "//*",
        "f:Observation//f:code",
        "f:Observation[count(//*)>1]",
        "f:Observation/f:code[f:coding[f:system/@value='a' or 1]]",
        "f:Observation/parent::*",
        "document('file:///etc/passwd')",
        "g:Observation",
        "f:a" + "/f:a" * 200,
    ],
)
def test_selectors_that_are_not_understood(selector: str) -> None:
    with pytest.raises(Problem) as caught:
        patched(f'<remove sel="{selector}"/>')
    assert caught.value.kind is Kind.INVALID


@pytest.mark.parametrize(
    "operation",
    [
        '<remove sel="f:Observation/f:note"/>',
        '<remove sel="f:Observation/f:code/f:coding"/>',
        '<remove sel="f:Observation"/>',
    ],
)
def test_selectors_that_do_not_find_one_node(operation: str) -> None:
    with pytest.raises(Problem) as caught:
        patched(operation)
    assert caught.value.kind is Kind.UNSUPPORTED


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<diff",
        b"<diff/>",
        b'<diff><copy sel="f:a"/></diff>',
        b'<diff><add sel="f:a" pos="inside"/></diff>',
        b'<!DOCTYPE d [<!ENTITY a "b">]><diff><remove sel="f:a"/></diff>',
        '<diff><remove sel="f:a"/></diff>'.encode("utf-16"),
    ],
)
def test_what_is_no_patch(text: bytes) -> None:
    with pytest.raises(Problem) as caught:
        xml_patch.parse(text)
    assert caught.value.kind is Kind.INVALID


def test_what_the_patch_leaves_is_read_strictly() -> None:
    with pytest.raises(Problem):
        patched('<add sel="f:Observation"><spam xmlns="http://hl7.org/fhir" value="1"/></add>')
