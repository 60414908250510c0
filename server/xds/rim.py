"""Elements of ebRIM as plain values: slots, names, classifications and identifiers of one registry object (ebRIM 3.0).

Nothing here knows what an attribute of XDS is; each element is visited once, so a message costs what its length is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from server.xds.metadata import Localized, Text
from server.xds.vocabulary import RIM

_SPACE = " \t\r\n"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


class Tag:
    SLOT = f"{{{RIM}}}Slot"
    VALUE_LIST = f"{{{RIM}}}ValueList"
    VALUE = f"{{{RIM}}}Value"
    NAME = f"{{{RIM}}}Name"
    DESCRIPTION = f"{{{RIM}}}Description"
    LOCALIZED = f"{{{RIM}}}LocalizedString"
    VERSION = f"{{{RIM}}}VersionInfo"
    CLASSIFICATION = f"{{{RIM}}}Classification"
    IDENTIFIER = f"{{{RIM}}}ExternalIdentifier"
    DOCUMENT = f"{{{RIM}}}ExtrinsicObject"
    PACKAGE = f"{{{RIM}}}RegistryPackage"
    ASSOCIATION = f"{{{RIM}}}Association"
    REFERENCE = f"{{{RIM}}}ObjectRef"


@dataclass(slots=True)
class Classified:
    """One rim:Classification."""

    scheme: str
    node: str
    representation: str
    name: Text
    slots: dict[str, tuple[str, ...]]


@dataclass(slots=True)
class Parts:
    """What a registry object consists of; `repeated` names slots that came again with other values."""

    element: etree._Element
    id: str
    name: Text = ()
    description: Text = ()
    version: str = ""
    slots: dict[str, tuple[str, ...]] = field(default_factory=dict)
    classifications: list[Classified] = field(default_factory=list)
    identifiers: list[tuple[str, str]] = field(default_factory=list)
    """identificationScheme and value."""
    repeated: list[str] = field(default_factory=list)
    strangers: int = 0
    """Classifications and identifiers within that do not say they belong to it."""
    is_ordered: bool = True
    """Whether the children come as the schema has them."""

    def attribute(self, name: str) -> str:
        return text_of(self.element.get(name))


def text_of(value: str | None) -> str:
    """Without the white space that pretty printing leaves at its ends."""
    return value.strip(_SPACE) if value else ""


def elements(parent: etree._Element) -> Iterator[etree._Element]:
    """Child elements, without comments and processing instructions."""
    return parent.iterchildren("*")


_ORDER = (Tag.SLOT, Tag.NAME, Tag.DESCRIPTION, Tag.VERSION, Tag.CLASSIFICATION, Tag.IDENTIFIER)
_RANKS = {tag: rank for rank, tag in enumerate(_ORDER)}


def parts_of(element: etree._Element) -> Parts:
    parts = Parts(element, text_of(element.get("id")))
    reached = 0
    for child in elements(element):
        rank = _RANKS.get(child.tag, reached)
        parts.is_ordered = parts.is_ordered and reached <= rank
        reached = rank
        match child.tag:
            case Tag.SLOT:
                _add_slot(parts.slots, parts.repeated, child)
            case Tag.CLASSIFICATION:
                parts.strangers += text_of(child.get("classifiedObject")) != parts.id
                parts.classifications.append(classified(child, parts.repeated))
            case Tag.IDENTIFIER:
                parts.strangers += text_of(child.get("registryObject")) != parts.id
                parts.identifiers.append(
                    (text_of(child.get("identificationScheme")).lower(), text_of(child.get("value")))
                )
            case Tag.NAME:
                parts.name = _localized(child)
            case Tag.DESCRIPTION:
                parts.description = _localized(child)
            case Tag.VERSION:
                parts.version = text_of(child.get("versionName"))
            case _:
                pass
    return parts


def classified(element: etree._Element, repeated: list[str]) -> Classified:
    slots: dict[str, tuple[str, ...]] = {}
    name: Text = ()
    for child in elements(element):
        if child.tag == Tag.SLOT:
            _add_slot(slots, repeated, child)
        elif child.tag == Tag.NAME:
            name = _localized(child)
    return Classified(
        text_of(element.get("classificationScheme")).lower(),
        text_of(element.get("classificationNode")).lower(),
        text_of(element.get("nodeRepresentation")),
        name,
        slots,
    )


def slot_of(element: etree._Element) -> tuple[str, tuple[str, ...]]:
    """Its name and its values; an empty value says nothing and is left out."""
    values = (
        text_of("".join(map(str, value.itertext("*"))) if len(value) else value.text)
        for holder in elements(element)
        if holder.tag == Tag.VALUE_LIST
        for value in elements(holder)
        if value.tag == Tag.VALUE
    )
    return text_of(element.get("name")), tuple(value for value in values if value)


def _add_slot(slots: dict[str, tuple[str, ...]], repeated: list[str], element: etree._Element) -> None:
    name, values = slot_of(element)
    if slots.setdefault(name, values) != values:
        repeated.append(name)


def _localized(element: etree._Element) -> Text:
    strings = (child for child in elements(element) if child.tag == Tag.LOCALIZED)
    read = (Localized(text_of(child.get("value")), child.get(_LANGUAGE, "")) for child in strings)
    return tuple(each for each in read if each.text)
