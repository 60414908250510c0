"""Person names of DICOM as HumanName: one for each component group, each marked with what it represents (PS3.5 6.2.1).

Ideographs are IDE and official; letters beside them are ABC, an alphabetic transcription; the phonetic group is SYL.
Some senders put ideographs into the alphabetic group: what it is written in decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles.china import names as chinese
from server.dicom.names import GROUPS
from server.dicom.plain_text import clean

REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"


def human_names(value: Any) -> list[dict[str, Any]]:
    """The names one PN value gives, the official one first."""
    alphabetic, ideographic, phonetic = _groups(value)
    if alphabetic and not ideographic and chinese.is_ideographic(alphabetic):
        alphabetic, ideographic = "", alphabetic
    has_several = sum(map(bool, (alphabetic, ideographic, phonetic))) > 1
    found = []
    if ideographic:
        found.append(_name(ideographic, "IDE", is_chinese=True) | {"use": "official"})
    if alphabetic:
        found.append(_name(alphabetic, "ABC" if has_several else None, is_chinese=has_several))
    if phonetic:
        found.append(_name(phonetic, "SYL" if has_several else None, is_chinese=True))
    return [each for each in found if "text" in each]


def display(value: Any) -> str:
    """A name in one line, the official one."""
    found = human_names(value)
    return str(found[0]["text"]) if found else ""


def _groups(value: Any) -> tuple[str, str, str]:
    if isinstance(value, Mapping):
        alphabetic, ideographic, phonetic = (str(value.get(group) or "") for group in GROUPS)
        return alphabetic, ideographic, phonetic
    parts = [*str(value or "").split("="), "", ""]
    return parts[0], parts[1], parts[2]


def _name(group: str, representation: str | None, *, is_chinese: bool) -> dict[str, Any]:
    """`is_chinese`: the family name is said first."""
    family, given, middle, prefix, suffix = ([clean(each) for each in group.split("^")] + [""] * 5)[:5]
    if family and not given and chinese.is_ideographic(family):
        family, given = chinese.split(family)
    named = [each for each in (given, middle) if each]
    order = [family, *named] if is_chinese else [prefix, *named, family, suffix]
    gap = "" if chinese.is_ideographic(group) else " "
    parts = {
        "text": gap.join(each for each in order if each),
        "family": family,
        "given": named,
        "prefix": [prefix] if prefix else [],
        "suffix": [suffix] if suffix else [],
    }
    made: dict[str, Any] = {}
    if representation:
        made["extension"] = [{"url": REPRESENTATION, "valueCode": representation}]
    return made | {name: part for name, part in parts.items() if part}
