"""JSON in and out: digits and order kept, and everything that is no resource refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fhir.json_form import MAX_DEPTH, decode, encode
from server.kernel.problem import Kind, Problem

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(['":', '" :', "\\", '\\":', "a:b", '"'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=5)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : "), (",\n", "\t:\n"), (",", "\r:")])


@given(OBJECTS, SEPARATORS, st.sampled_from([None, 2]), st.booleans())
def test_what_is_written_is_read(
    value: dict[str, Any], separators: tuple[str, str], indent: int | None, is_ascii: bool
) -> None:
    text = json.dumps(value, separators=separators, indent=indent, ensure_ascii=is_ascii).encode()
    assert decode(text) == value
    assert decode(encode(value)) == value


@given(OBJECTS.filter(bool), SEPARATORS, st.data())
def test_a_member_given_twice_is_refused(
    value: dict[str, Any], separators: tuple[str, str], data: st.DataObject
) -> None:
    comma, colon = separators
    name = json.dumps(data.draw(st.sampled_from(sorted(value))))
    again = data.draw(st.sampled_from([":", " :", "\n:", colon]))
    text = json.dumps(value, separators=separators)
    with pytest.raises(Problem) as raised:
        decode(f"{text[:-1]}{comma}{name}{again}1}}".encode())
    assert raised.value.kind is Kind.INVALID


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b'"x"', b"5", b"null", b'{"a":1,}', b"{'a':1}", b'{"a":NaN}', b'{"a":01}', b'{"a":+1}',
        b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"a":1}{', b'{"a":1,"a":1}', b'{"a":{"b":1,"b" :2}}', b'/*x*/{"a":1}',
        b'{"a":' * (MAX_DEPTH + 2) + b"1" + b"}" * (MAX_DEPTH + 2), b'{"a":' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_resource(text: bytes) -> None:
    with pytest.raises(Problem) as raised:
        decode(text)
    assert (raised.value.kind, raised.value.issues[0].code) == (Kind.INVALID, "structure")


@given(st.binary(max_size=200))
def test_nothing_but_problems(text: bytes) -> None:
    with suppress(Problem):
        decode(text)


def test_digits_and_order_are_kept() -> None:
    text = b'{"z":1.10,"a":[1.0E+2,0.000,123456789012345678.90],"b":-0.0}'
    assert encode(decode(text)) == text
    assert decode(b"\xef\xbb\xbf" + text) == decode(text)
