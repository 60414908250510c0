"""What the XML form of each type looks like: shapes of the definitions, arranged for reading and for writing.

A `Slot` says for one element how XML names it and how JSON does; tables are made once per shape, when first met.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from functools import cache
from typing import Any, TypeAlias

from profiles.definitions import Member, definitions

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"

Reader: TypeAlias = Callable[[str], Any]
"""The JSON value of an attribute's text; `ValueError` where it has none."""

_BOOLEANS = {"true": True, "false": False}
_INTEGER = re.compile(r"0|[-+]?[1-9]\d{0,18}", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9]\d{0,999})(\.\d{1,999})?([eE][-+]?\d{1,6})?", re.ASCII)


class Content(IntEnum):
    """What stands inside an element."""

    PRIMITIVE = 1
    COMPLEX = 2
    RESOURCE = 3
    NARRATIVE = 4
    """XHTML, which is a string in JSON."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One element, or one type of a choice."""

    position: int
    """In the definition; the types of a choice share one."""
    name: str
    extra: str
    """The JSON member that carries id and extensions of a primitive: `_name`."""
    path: str
    """As FHIRPath says it: `value` for `valueQuantity`."""
    content: Content
    repeats: bool
    is_attribute: bool
    shape: str
    """Of a complex element."""
    read: Reader


@dataclass(frozen=True, slots=True)
class Table:
    """The slots of one shape: children by qualified XML name, attributes by name, all by JSON member."""

    children: Mapping[str, Slot]
    attributes: Mapping[str, Slot]
    members: Mapping[str, Slot]


@cache
def table(shape: str) -> Table:
    """The table of a type or of an element with children of its own; `KeyError` if unknown."""
    described = definitions().shape(shape)
    positions = {element.path: position for position, element in enumerate(described.elements)}
    slots = [_slot(member, positions[member.element.path]) for member in described.members.values()]
    return Table(
        children={_qualified(slot): slot for slot in slots if not slot.is_attribute},
        attributes={slot.name: slot for slot in slots if slot.is_attribute},
        members={name: slot for slot in slots for name in (slot.name, slot.extra)},
    )


@cache
def resource_names() -> Mapping[str, str]:
    """Types by the qualified name of their root element."""
    return {f"{{{FHIR}}}{name}": name for name in definitions().resource_types}


def _slot(member: Member, position: int) -> Slot:
    element = member.element
    return Slot(
        position=position,
        name=member.name,
        extra="_" + member.name,
        path=element.name,
        content=_content(member),
        repeats=element.maximum != 1,
        is_attribute=element.is_attribute,
        shape=member.shape or "",
        read=_READERS.get(member.type, str.strip),
    )


def _content(member: Member) -> Content:
    if member.type == "xhtml":
        return Content.NARRATIVE
    if member.type in ("Resource", "DomainResource"):
        return Content.RESOURCE
    return Content.PRIMITIVE if member.shape is None else Content.COMPLEX


def _qualified(slot: Slot) -> str:
    return f"{{{XHTML if slot.content is Content.NARRATIVE else FHIR}}}{slot.name}"


def _boolean(text: str) -> bool:
    if (known := _BOOLEANS.get(text.strip())) is None:
        raise ValueError
    return known


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text := text.strip()):
        raise ValueError
    return int(text)


def _decimal(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text := text.strip()):
        raise ValueError
    return Decimal(text)


def _as_sent(text: str) -> str:
    return text


_READERS: Mapping[str, Reader] = {
    "boolean": _boolean,
    "integer": _integer,
    "positiveInt": _integer,
    "unsignedInt": _integer,
    "decimal": _decimal,
    "string": _as_sent,
    "markdown": _as_sent,
}
