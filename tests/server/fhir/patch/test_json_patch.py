"""JSON Patch on resources: exact, pure, and quiet about values."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fhir import json_form
from server.fhir.patch import json_patch
from server.kernel.problem import Kind, Problem

OBSERVATION = (
    b'{"resourceType":"Observation","id":"a","status":"final","valueQuantity":{"value":1.10,"unit":"mg"},'
    b'"effectiveDateTime":"2026-11-22T08:00:00+08:00","category":[{"text":"x"}],"note":[{"text":"n"},{"text":"m"}]}'
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.sampled_from(
    ["", "/", "/note", "/note/0", "/note/-", "/note/9", "/note/01", "/x/y", "/status", "/~2", "a", "/id"]
)
OPERATION = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "bad"]), "path": PATHS},
    optional={"from": PATHS, "value": JSON},
)


def patched(patch: bytes, resource: bytes = OBSERVATION) -> bytes:
    return json_form.encode(json_patch.parse(patch)(json_form.decode(resource)))


def test_what_is_not_touched_stays_to_the_digit() -> None:
    after = patched(b'[{"op":"replace","path":"/status","value":"amended"}]')
    assert after == OBSERVATION.replace(b'"final"', b'"amended"')


def test_decimals_of_the_patch_keep_their_digits() -> None:
    after = patched(b'[{"op":"add","path":"/valueQuantity/value","value":2.500}]')
    assert b'"value":2.500,' in after


def test_tests_compare_numbers_by_value_and_kinds_strictly() -> None:
    patched(b'[{"op":"test","path":"/valueQuantity/value","value":1.1}]')
    for other in (b'"1.10"', b"true", b"null", b"[1.10]"):
        with pytest.raises(Problem) as caught:
            patched(b'[{"op":"test","path":"/valueQuantity/value","value":' + other + b"}]")
        assert caught.value.kind is Kind.UNSUPPORTED


def test_what_loses_its_last_member_goes() -> None:
    after = json_form.decode(patched(b'[{"op":"remove","path":"/category/0/text"}]'))
    assert "category" not in after


def test_an_array_emptied_and_filled_again_stays() -> None:
    patch = b'[{"op":"remove","path":"/category/0"},{"op":"add","path":"/category/-","value":{"text":"y"}}]'
    assert json_form.decode(patched(patch))["category"] == [{"text": "y"}]


@pytest.mark.parametrize(
    ("patch", "kind"),
    [
        (b"{}", Kind.INVALID),
        (b"[1]", Kind.INVALID),
        (b"[", Kind.INVALID),
        (b'[{"op":"spam","path":"/a"}]', Kind.INVALID),
        (b'[{"op":"add","path":"/a"}]', Kind.INVALID),
        (b'[{"op":"add","path":"a","value":1}]', Kind.INVALID),
        (b'[{"op":"add","path":"/a~2","value":1}]', Kind.INVALID),
        (b'[{"op":"move","path":"/note/0/a","from":"/note/0"}]', Kind.INVALID),
        (b'[{"op":"copy","path":"/note"}]', Kind.INVALID),
        (b'[{"op":"remove","path":"/nothing"}]', Kind.UNSUPPORTED),
        (b'[{"op":"remove","path":""}]', Kind.UNSUPPORTED),
        (b'[{"op":"replace","path":"/note/2","value":1}]', Kind.UNSUPPORTED),
        (b'[{"op":"add","path":"/note/01","value":1}]', Kind.UNSUPPORTED),
        (b'[{"op":"add","path":"/status/x","value":1}]', Kind.UNSUPPORTED),
        (b'[{"op":"replace","path":"","value":[]}]', Kind.UNSUPPORTED),
    ],
)
def test_refusals(patch: bytes, kind: Kind) -> None:
    with pytest.raises(Problem) as caught:
        patched(patch)
    assert caught.value.kind is kind


def test_a_problem_names_the_operation_and_no_value() -> None:
    with pytest.raises(Problem) as caught:
        patched(b'[{"op":"test","path":"/id","value":"a"},{"op":"test","path":"/status","value":"Zhang"}]')
    (issue,) = caught.value.issues
    assert issue.location == "operation[1]"
    assert "Zhang" not in str(caught.value) + issue.text


def test_copies_cannot_grow_without_end() -> None:
    nesting = ",".join('{"op":"copy","from":"/valueQuantity","path":"/valueQuantity/value"}' for _ in range(100))
    with pytest.raises(Problem):
        patched(f"[{nesting}]".encode())


@given(st.lists(OPERATION, max_size=5))
def test_any_patch_is_applied_or_refused_and_the_resource_stays(operations: list[dict[str, Any]]) -> None:
    resource = json_form.decode(OBSERVATION)
    before = copy.deepcopy(resource)
    with suppress(Problem):
        json_patch.parse(json_form.encode(operations))(resource)  # type: ignore[arg-type]
    assert resource == before
