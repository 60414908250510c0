"""Snapshots of our profiles: the base's elements from HL7's tables, with the differential worked in (R4 5.1.0.8).

The tables hold facts and no prose, but a snapshot must define every element (sdf-3) and say what each rule means; so
what is inherited is worded as such. What our differentials do not use, this does not do: no unfolding of data types,
no reslicing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from profiles.definitions import CANONICAL, definitions

Elements = list[dict[str, Any]]

_MEMBERS = (
    "id", "extension", "path", "representation", "sliceName", "slicing", "label", "short", "definition", "comment",
    "requirements", "min", "max", "base", "contentReference", "type",
)  # fmt: skip
"""Members of ElementDefinition in their order, up to the values."""
_LATER = ("maxLength", "condition", "constraint", "mustSupport", "isModifier", "isModifierReason", "isSummary")


def snapshot(base: Sequence[Mapping[str, Any]], differential: Iterable[Mapping[str, Any]]) -> Elements:
    """The elements of `base` as a profile with this differential has them."""
    elements = [dict(each) for each in base]
    for change in differential:
        place = _place(elements, change["id"])
        if place is None:
            place = _slice(elements, change["id"])
        elements[place] = _merged(elements[place], change)
    return [_ordered(each) for each in elements]


def worded(structure: Mapping[str, Any]) -> Elements:
    """The snapshot of one of HL7's structures, with words for what the tables leave out."""
    name = structure["name"]
    return [_worded(each, name) for each in structure["snapshot"]["element"]]


def _place(elements: Sequence[Mapping[str, Any]], element_id: str) -> int | None:
    return next((place for place, each in enumerate(elements) if each["id"] == element_id), None)


def _slice(elements: Elements, element_id: str) -> int:
    """Adds a slice with all that is below it, after the slices there are; gives its place."""
    above, _, last = element_id.rpartition(".")
    sliced = f"{above}.{last.partition(':')[0]}"
    first = _place(elements, sliced)
    if first is None or ":" not in last:
        raise ValueError(f"{element_id} is not in the base")
    end = first + 1
    while end < len(elements) and elements[end]["id"].startswith((sliced + ".", sliced + ":")):
        end += 1
    below = [each for each in elements[first:end] if each["id"].startswith(sliced + ".") or each["id"] == sliced]
    copies = [each | {"id": element_id + each["id"].removeprefix(sliced)} for each in below]
    copies[0] = {key: value for key, value in copies[0].items() if key != "slicing"} | {"min": 0}
    elements[end:end] = copies
    return end


def _merged(element: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**element, **change}
    if "constraint" in change:
        merged["constraint"] = [*element.get("constraint", ()), *change["constraint"]]
    return merged


def _ordered(element: Mapping[str, Any]) -> dict[str, Any]:
    """In the order of ElementDefinition: XML demands it, and so JSON reads alike."""
    values = [key for key in element if key not in _MEMBERS and key not in _LATER and key not in ("binding", "mapping")]
    names = (*_MEMBERS, *values, *_LATER, "binding", "mapping")
    return {name: element[name] for name in names if name in element}


def _worded(element: Mapping[str, Any], structure: str) -> dict[str, Any]:
    path = element["path"]
    made = dict(element)
    words = path.replace("[x]", "")
    made["short"] = words
    made["definition"] = f"{words} as {structure} of FHIR R4 defines it."
    made["base"] = _base(path) or {"path": path, "min": element["min"], "max": element["max"]}
    if made.get("isModifier"):
        made["isModifierReason"] = f"{words} changes how the rest is understood, as FHIR R4 explains."
    if "constraint" in made:
        made["constraint"] = [_rule(each) for each in made["constraint"]]
    return made


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "key": rule["key"],
        "severity": rule["severity"],
        "human": f"The rule {rule['key']} of FHIR R4.",
        "expression": rule["expression"],
    }


@cache
def _own(type_name: str) -> dict[str, Mapping[str, Any]]:
    """The elements of a type by path, without slices."""
    structure = definitions().structure(CANONICAL + type_name)
    elements = structure["snapshot"]["element"] if structure else ()
    return {each["path"]: each for each in elements if "sliceName" not in each}


def _base(path: str) -> dict[str, Any] | None:
    """Where an element was first defined, and how often it may occur there."""
    element = _defining(path)
    return None if element is None else {"path": element["path"], "min": element["min"], "max": element["max"]}


def _defining(path: str) -> Mapping[str, Any] | None:
    root, _, rest = path.partition(".")
    element = _own(root).get(path)
    if element is None:
        above, _, name = path.rpartition(".")
        holder = _defining(above) if above else None
        codes = [each["code"] for each in holder.get("type", ())] if holder else []
        return next((found for code in codes if (found := _defining(f"{code}.{name}"))), None)
    for ancestor in _ancestors(root):
        element = _own(ancestor).get(f"{ancestor}.{rest}", element) if rest else element
    return element


def _ancestors(type_name: str) -> Iterator[str]:
    base = definitions().base_of(type_name)
    while base:
        yield base
        base = definitions().base_of(base)
