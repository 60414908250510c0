"""JSON Merge Patch: members replaced, removed by null, lists whole."""

from __future__ import annotations

import pytest

from server.fhir.json_form import Resource, decode, encode
from server.fhir.patch import merge_patch
from server.kernel.problem import Problem

PATIENT = (
    b'{"resourceType":"Patient","id":"p","active":true,"maritalStatus":{"text":"m","id":"x"},"name":[{"text":"a"}]}'
)


def patched(patch: bytes) -> Resource:
    resource = decode(PATIENT)
    after = merge_patch.parse(patch)(resource)
    assert encode(resource) == PATIENT
    return after


def test_members_are_merged_and_lists_replaced() -> None:
    after = patched(b'{"active":null,"maritalStatus":{"id":null,"text":"s"},"name":[{"family":"b"}]}')
    assert after == {
        "resourceType": "Patient",
        "id": "p",
        "maritalStatus": {"text": "s"},
        "name": [{"family": "b"}],
    }


def test_nulls_within_what_is_new_are_not_stored() -> None:
    assert patched(b'{"text":{"status":"empty","div":null}}')["text"] == {"status": "empty"}


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(Problem):
        merge_patch.parse(b"[]")
