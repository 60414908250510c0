"""Primitive types, good and bad values each."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.definitions import definitions
from profiles.validator.primitives import fault, predicate

GOOD: list[tuple[str, Any]] = [
    ("boolean", True),
    ("integer", -2147483648),
    ("unsignedInt", 0),
    ("positiveInt", 1),
    ("decimal", Decimal("1.10")),
    ("decimal", Decimal("123456789012345678.123456789012345678")),
    ("decimal", 7),
    ("string", "a\tb\r\nc"),
    ("string", " 陈美 "),
    ("markdown", "# a\n\nb"),
    ("code", "a b"),
    ("id", "A-1.b"),
    ("uri", "urn:oid:1.2.3"),
    ("uri", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
    ("oid", "urn:oid:1.2.840"),
    ("uuid", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
    ("date", "2024-02-29"),
    ("date", "2024"),
    ("dateTime", "2024-02"),
    ("dateTime", "2016-12-31T23:59:60Z"),
    ("instant", "2024-02-29T10:00:00.123+08:00"),
    ("time", "23:59:59.5"),
    ("base64Binary", "aGVs\n bG8="),
]
BAD: list[tuple[str, Any]] = [
    ("boolean", "true"),
    ("boolean", 1),
    ("integer", Decimal("1.0")),
    ("integer", "1"),
    ("integer", True),
    ("integer", 2147483648),
    ("unsignedInt", -1),
    ("positiveInt", 0),
    ("decimal", "1.1"),
    ("decimal", Decimal("1E+9999")),
    ("decimal", float("nan")),
    ("string", "  "),
    ("string", "a\x00b"),
    ("string", "\ud800"),
    ("string", "x" * 1_048_577),
    ("code", " a"),
    ("code", "a  b"),
    ("id", "a_b"),
    ("id", "x" * 65),
    ("uri", "a b"),
    ("uri", "urn:uuid:12"),
    ("oid", "1.2.3"),
    ("uuid", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"),
    ("date", "2023-02-29"),
    ("date", "2024-13"),
    ("date", "24-01-01"),
    ("dateTime", "2024-02-01T10:00:00"),
    ("dateTime", "2024-02-01T24:00:00Z"),
    ("dateTime", "2024-02-01T10:00Z"),
    ("instant", "2024-02-01"),
    ("time", "24:00:00"),
    ("base64Binary", "abc"),
    ("base64Binary", "a.b="),
    ("base64Binary", " "),
]


@pytest.mark.parametrize(("type_name", "value"), GOOD)
def test_good_values_are_accepted(type_name: str, value: Any) -> None:
    assert predicate(type_name)(value)


@pytest.mark.parametrize(("type_name", "value"), BAD)
def test_bad_values_are_refused(type_name: str, value: Any) -> None:
    assert not predicate(type_name)(value)


@given(
    st.sampled_from(sorted(definitions().primitive_types)),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.decimals(),
)
def test_any_value_is_judged(type_name: str, value: Any) -> None:
    assert predicate(type_name)(value) in (True, False)
    assert fault(type_name, value)
