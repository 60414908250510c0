"""What a primitive may hold (FHIR R4 data types): the published regular expressions, and what these leave open.

A predicate takes any JSON value and tells whether it is one of the type; `fault` puts the refusal in words and never
repeats the value, which may be a patient's.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias

from profiles.definitions import CANONICAL, definitions

Predicate: TypeAlias = Callable[[Any], bool]

MAX_STRING = 1_048_576
_MAX_DIGITS = 128
_MAX_EXPONENT = 400
_REGEX = CANONICAL + "regex"
_BAD_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_BASE64 = re.compile(r"[0-9A-Za-z+/]*={0,2}", re.ASCII)
_BLANKS = re.compile(r"\s+")
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)

_INTEGERS: Mapping[str, tuple[int, int]] = {
    "integer": (-(2**31), 2**31 - 1),
    "unsignedInt": (0, 2**31 - 1),
    "positiveInt": (1, 2**31 - 1),
}


def _is_text(value: Any) -> bool:
    return (
        type(value) is str
        and not value.isspace()
        and value != ""
        and len(value) <= MAX_STRING
        and (value.isascii() and value.isprintable() or _BAD_CHARACTER.search(value) is None)
    )


def _is_boolean(value: Any) -> bool:
    return type(value) is bool


def _is_decimal(value: Any) -> bool:
    if type(value) is Decimal:
        return (
            value.is_finite() and len(value.as_tuple().digits) <= _MAX_DIGITS and abs(value.adjusted()) < _MAX_EXPONENT
        )
    if type(value) is int:
        return value.bit_length() < 4 * _MAX_DIGITS
    return type(value) is float and value - value == 0


def _is_base64(value: Any) -> bool:
    if type(value) is not str or not value:
        return False
    plain = value if _BASE64.fullmatch(value) else _BLANKS.sub("", value)
    return len(plain) % 4 == 0 and plain != "" and _BASE64.fullmatch(plain) is not None


def _is_day(value: str) -> bool:
    """Whether the day exists; the form is sure already."""
    return len(value) < 10 or value[8:10] < "29" or int(value[8:10]) <= monthrange(int(value[:4]), int(value[5:7]))[1]


def _integers(name: str) -> Predicate:
    lowest, highest = _INTEGERS[name]

    def is_integer(value: Any) -> bool:
        return type(value) is int and lowest <= value <= highest

    return is_integer


def _dates(matches: Callable[[str], object]) -> Predicate:
    def is_date(value: Any) -> bool:
        return type(value) is str and matches(value) is not None and _is_day(value)

    return is_date


def _texts(matches: Callable[[str], object]) -> Predicate:
    def is_matching(value: Any) -> bool:
        return type(value) is str and matches(value) is not None and value != ""

    return is_matching


def _is_uri(value: Any) -> bool:
    if type(value) is not str or not value or not value.isprintable() or " " in value:
        return False
    return not value.startswith("urn:uuid:") or _UUID.fullmatch(value, 9) is not None


_OWN: Mapping[str, Predicate] = {
    "string": _is_text,
    "markdown": _is_text,
    "boolean": _is_boolean,
    "decimal": _is_decimal,
    "base64Binary": _is_base64,
    "uri": _is_uri,
    "url": _is_uri,
    "canonical": _is_uri,
    "xhtml": _is_text,
}


@cache
def predicate(type_name: str) -> Predicate:
    """Whether a JSON value is one of the primitive type."""
    if type_name in _OWN:
        return _OWN[type_name]
    if type_name in _INTEGERS:
        return _integers(type_name)
    matches = re.compile(_published(type_name)).fullmatch
    return _dates(matches) if type_name in ("date", "dateTime", "instant") else _texts(matches)


def _published(type_name: str) -> str:
    structure = definitions().structure(CANONICAL + type_name)
    value = next(each for each in structure["snapshot"]["element"] if each["path"].endswith(".value"))  # type: ignore[index]
    found = [each["valueString"] for each in value["type"][0].get("extension", ()) if each["url"] == _REGEX]
    return str(found[0]) if found else r"[\s\S]*"


_FORMS: Mapping[str, str] = {
    "boolean": "true or false, without quotes",
    "integer": "a whole number of 32 bits, without quotes",
    "unsignedInt": "a whole number from 0 on, without quotes",
    "positiveInt": "a whole number from 1 on, without quotes",
    "decimal": "a number, without quotes",
    "date": "a date: YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "a date, or a date and a time with seconds and a time zone",
    "instant": "a date and a time with seconds and a time zone",
    "time": "a time: hh:mm:ss",
    "base64Binary": "base64",
    "id": "an id: at most 64 letters, digits, hyphens and dots",
    "code": "a code: no blanks at its ends, and single ones within",
    "oid": "an OID written urn:oid:…",
    "uuid": "a UUID in lower case written urn:uuid:…",
    "string": "text that is not blank, without control characters, of at most 1,048,576 characters",
    "markdown": "text that is not blank, without control characters, of at most 1,048,576 characters",
}


def fault(type_name: str, value: Any) -> str:
    """Why a value is none of the type."""
    if value == "":
        return "A value cannot be empty: leave the element out."
    if isinstance(value, dict | list):
        kind = "object" if isinstance(value, dict) else "array"
        return f"An element of type {type_name} is a plain value, not an {kind}."
    return f"The value is not {_FORMS.get(type_name, 'a ' + type_name)}."
