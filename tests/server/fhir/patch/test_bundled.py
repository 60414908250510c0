"""Patches within bundle entries."""

from __future__ import annotations

import base64

import pytest

from server.fhir.json_form import Resource
from server.fhir.patch.bundled import read_patch
from server.kernel.problem import Problem

PATIENT: Resource = {"resourceType": "Patient", "id": "p", "active": False}


def binary(content_type: str, text: bytes) -> Resource:
    return {"resourceType": "Binary", "contentType": content_type, "data": base64.b64encode(text).decode()}


def test_json_patch_in_a_binary() -> None:
    change = read_patch(binary("application/json-patch+json", b'[{"op":"replace","path":"/active","value":true}]'))
    assert change(PATIENT) == {"resourceType": "Patient", "id": "p", "active": True}


def test_xml_patch_in_a_binary() -> None:
    text = b'<diff><replace sel="f:Patient/f:active/@value">true</replace></diff>'
    assert read_patch(binary("application/xml-patch+xml; charset=utf-8", text))(PATIENT)["active"] is True


def test_parameters() -> None:
    parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Patient.active"}]
    change = read_patch({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]})
    assert "active" not in change(PATIENT)


@pytest.mark.parametrize(
    "resource",
    [
        binary("text/plain", b"[]"),
        {"resourceType": "Binary", "contentType": "application/json-patch+json"},
        {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "%%%"},
        {"resourceType": "Patient"},
        {},
    ],
)
def test_what_is_no_patch(resource: Resource) -> None:
    with pytest.raises(Problem):
        read_patch(resource)
