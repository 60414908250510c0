"""Writes a resource as XML text: a walk over the dictionary along the shapes, no tree in between."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from server.fhir.json_form import Resource
from server.fhir.xml_shapes import FHIR, Content, Slot, Table, table

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SPECIAL = re.compile("[^ !#-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_NOT_XML = "\ufffd"
"""Stands for what XML 1.0 cannot carry, not even escaped."""


def written(resource: Resource, is_xhtml: Callable[[str], bool], *, is_pretty: bool) -> bytes:
    writing = _Writing(is_xhtml)
    writing.resource(resource, "\n" if is_pretty else "", f' xmlns="{FHIR}"')
    return (_HEAD + "".join(writing.pieces)).encode("utf-8", "replace")


class _Writing:
    """One document as it grows; `pad` is what stands before an element: nothing, or a line break and blanks."""

    def __init__(self, is_xhtml: Callable[[str], bool]) -> None:
        self.pieces: list[str] = []
        self._is_xhtml = is_xhtml

    def resource(self, resource: Resource, pad: str, attributes: str = "") -> None:
        name = resource["resourceType"]
        members = ((each, value) for each, value in resource.items() if each != "resourceType")
        self._element(name, pad if not attributes else "", attributes, members, table(name), pad)

    def _element(
        self, name: str, pad: str, attributes: str, members: Iterable[tuple[str, Any]], shape: Table, outer: str
    ) -> None:
        children: dict[int, tuple[Slot, Any, Any]] = {}
        for member, value in members:
            slot = shape.members.get(member)
            if slot is None or value is None:
                continue
            if slot.is_attribute:
                attributes += _attribute(slot.name, value)
                continue
            _, known, extra = children.get(slot.position, (slot, None, None))
            pair = (known, value) if member[0] == "_" else (value, extra)
            children[slot.position] = (slot, *pair)
        if not children:
            self.pieces.append(f"{pad}<{name}{attributes}/>")
            return
        self.pieces.append(f"{pad}<{name}{attributes}>")
        inner = outer and outer + "  "
        for position in sorted(children):
            self._member(*children[position], inner)
        self.pieces.append(f"{outer}</{name}>")

    def _member(self, slot: Slot, value: Any, extra: Any, pad: str) -> None:
        if not slot.repeats:
            self._one(slot, value, extra, pad)
            return
        values = value if isinstance(value, list) else []
        extras = extra if isinstance(extra, list) else []
        for index in range(max(len(values), len(extras))):
            each = values[index] if index < len(values) else None
            more = extras[index] if index < len(extras) else None
            self._one(slot, each, more, pad)

    def _one(self, slot: Slot, value: Any, extra: Any, pad: str) -> None:
        match slot.content:
            case Content.PRIMITIVE if extra is None:
                self.pieces.append(f"{pad}<{slot.name}{_attribute('value', value)}/>")
            case Content.PRIMITIVE:
                attributes = "" if value is None else _attribute("value", value)
                self._element(slot.name, pad, attributes, extra.items(), table("Element"), pad)
            case Content.COMPLEX:
                self._element(slot.name, pad, "", value.items(), table(slot.shape), pad)
            case Content.RESOURCE:
                self.pieces.append(f"{pad}<{slot.name}>")
                self.resource(value, pad and pad + "  ")
                self.pieces.append(f"{pad}</{slot.name}>")
            case Content.NARRATIVE if self._is_xhtml(value):
                self.pieces.append(pad + value)


def _attribute(name: str, value: Any) -> str:
    return f' {name}="{_text(value)}"'


def _text(value: Any) -> str:
    if isinstance(value, str):
        return _SPECIAL.sub(_escape, value) if _SPECIAL.search(value) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | Decimal) else ""


def _escape(found: re.Match[str]) -> str:
    return _ESCAPED.get(found.group(), _NOT_XML)
