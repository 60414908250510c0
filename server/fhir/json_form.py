"""Resources between JSON bytes and plain dictionaries (FHIR R4 JSON representation).

Decimals are `decimal.Decimal` and keep every digit as sent; members keep their order; nothing is dropped or renamed.
A dictionary is never changed after it was made: whoever alters a resource builds a new one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from server.kernel.problem import Issue, Kind, Problem

Resource: TypeAlias = dict[str, Any]

MAX_DEPTH = 64
"""Most levels of objects and arrays a resource may nest."""

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def decode(text: bytes) -> Resource:
    """A resource from JSON; a `Problem` (invalid, issue code `structure`) where it is none.

    Refused beside malformed JSON: what is no object, a member given twice, what nests deeper than `MAX_DEPTH`, a text
    that is not UTF-8. A byte order mark is passed over. Whether the members make a resource is the validator's matter.
    """
    value = decode_value(text)
    if not isinstance(value, dict):
        raise malformed("The JSON is not an object.")
    return value


def decode_value(text: bytes) -> Any:
    """Any JSON value, under the same rules."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    try:
        value = _decoder.decode(text)
    except UnicodeDecodeError:
        raise malformed("The JSON is not UTF-8.") from None
    except RecursionError:
        raise malformed("The JSON is nested too deeply.") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise malformed(f"The JSON cannot be read: {error}") from None
    if isinstance(value, dict | list) and _gives_twice(text, _members(value)):
        raise malformed("The JSON gives a member of an object twice.")
    return value


def reread(text: bytes) -> Resource:
    """A resource this server wrote itself: what `decode` refuses was refused before it was stored."""
    value: Resource = _decoder.decode(text)
    return value


def encode(resource: Resource) -> bytes:
    """Compact JSON in UTF-8, members in their order."""
    return _encoder.encode(resource)


def pretty(text: bytes) -> bytes:
    """The same JSON, indented."""
    return msgspec.json.format(text, indent=2)


def malformed(text: str, location: str | None = None) -> Problem:
    return Problem(Kind.INVALID, text, (Issue(text, location, "structure"),))


def _gives_twice(text: bytes, members: int) -> bool:
    """Whether the text has more colons between strings than its objects have members.

    Without white space each of them stands right behind a quotation mark; when such places are as many as the members,
    no string holds one, and none needs to be looked at.
    """
    compact = msgspec.json.format(text, indent=-1)
    return compact.count(b'":') != members and _STRING.sub(b"", compact).count(b":") != members


def _members(value: Any, depth: int = 0) -> int:
    """How many members the objects within an object or a list have in all."""
    if depth > MAX_DEPTH:
        raise malformed("The JSON is nested too deeply.")
    found = len(value) if type(value) is dict else 0
    for each in value.values() if type(value) is dict else value:
        kind = type(each)
        if kind is dict or kind is list:
            found += _members(each, depth + 1)
    return found


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within a value, outermost first."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            yield each
            pending.extend(child for child in each.values() if isinstance(child, dict | list))
        elif isinstance(each, list):
            pending.extend(child for child in each if isinstance(child, dict | list))
