"""Parts of a resource: `_summary` and `_elements` (R4 search.html#summary, #elements).

A part says so: it carries the tag SUBSETTED, which the stored resource does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, TypeAlias

from profiles.definitions import Element, definitions
from server.fhir.json_form import Resource
from server.kernel.problem import Issue, Kind, Problem

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}

_NAME = re.compile(r"([A-Z][A-Za-z]{0,63}\.)?[a-z][A-Za-z0-9]{0,63}(\[x\])?")
_ALWAYS = frozenset({"id", "meta"})


class Summary(StrEnum):
    TRUE = "true"
    TEXT = "text"
    DATA = "data"
    COUNT = "count"
    FALSE = "false"


@dataclass(frozen=True, slots=True)
class Subset:
    """What is asked of each resource; nothing is left out by default."""

    summary: Summary = Summary.FALSE
    elements: frozenset[str] = frozenset()
    """Names of root elements: `name`, or `Patient.name` for one type only."""

    @property
    def is_whole(self) -> bool:
        return not self.elements and self.summary in (Summary.FALSE, Summary.COUNT)

    def of(self, resource: Resource) -> Resource:
        """The part asked for, of a resource that is a match."""
        resource_type = resource["resourceType"]
        if self.elements:
            return _tagged(_only(resource, _named(resource_type, self.elements)))
        match self.summary:
            case Summary.TRUE:
                return _tagged({"resourceType": resource_type} | _summarised(resource, resource_type))
            case Summary.TEXT:
                return _tagged(_only(resource, _mandatory(resource_type) | {"text"}))
            case Summary.DATA:
                return _tagged({name: value for name, value in resource.items() if name != "text"})
            case Summary.FALSE | Summary.COUNT:
                return resource

    def of_included(self, resource: Resource) -> Resource:
        """The part of a resource that was included: `_elements` are about matches only."""
        return resource if self.elements else self.of(resource)


WHOLE = Subset()


def parse_subset(pairs: Iterable[tuple[str, str]]) -> Subset:
    """The subset a query asks for; a `Problem` (invalid) for what is none."""
    summary, elements = Summary.FALSE, frozenset[str]()
    for name, value in pairs:
        if name == "_summary" and value:
            summary = _summary(value)
        elif name == "_elements" and value:
            elements |= _elements(value)
    if elements and summary is not Summary.FALSE:
        raise _invalid("_elements", "_elements and _summary exclude each other.")
    return Subset(summary, elements)


def _summary(text: str) -> Summary:
    try:
        return Summary(text)
    except ValueError:
        raise _invalid("_summary", "_summary is one of true, text, data, count and false.") from None


def _elements(text: str) -> frozenset[str]:
    names = text.split(",")
    if not all(_NAME.fullmatch(each) for each in names):
        raise _invalid("_elements", "_elements is a list of names of root elements.")
    return frozenset(each.removesuffix("[x]") for each in names)


def _invalid(name: str, text: str) -> Problem:
    return Problem(Kind.INVALID, text, (Issue(text, f"http.{name}", "invalid"),))


def _only(resource: Resource, names: frozenset[str]) -> Resource:
    return {
        name: value for name, value in resource.items() if name == "resourceType" or name.removeprefix("_") in names
    }


def _members(resource_type: str, is_kept: Callable[[Element], bool]) -> frozenset[str]:
    members = definitions().shape(resource_type).members.items()
    return frozenset(name for name, member in members if is_kept(member.element)) | _ALWAYS


@cache
def _mandatory(resource_type: str) -> frozenset[str]:
    return _members(resource_type, lambda element: element.minimum > 0)


def _named(resource_type: str, elements: frozenset[str]) -> frozenset[str]:
    """JSON members of the elements named, and of those that no part may lack."""
    prefix = resource_type + "."
    names = {each.removeprefix(prefix) for each in elements}
    members = definitions().shape(resource_type).members
    asked = {name for name, member in members.items() if name in names or member.element.name in names}
    return _mandatory(resource_type) | asked | {"implicitRules", "modifierExtension"}


_Kept: TypeAlias = dict[str, str | None]
"""JSON members of a summary, each with the shape of its value; `None` where that is kept whole."""


@cache
def _in_summary(shape: str) -> _Kept:
    kept: _Kept = {}
    for name, member in definitions().shape(shape).members.items():
        element = member.element
        if element.is_summary or element.is_modifier or element.minimum > 0 or element.is_attribute:
            kept[name] = kept["_" + name] = None if member.shape == "Extension" else member.shape
    return kept


def _summarised(value: dict[str, Any], shape: str) -> dict[str, Any]:
    kept = _in_summary(shape)
    parts = ((name, _inner(each, kept[name])) for name, each in value.items() if name in kept)
    return {name: part for name, part in parts if part not in ({}, [])}


def _inner(value: Any, shape: str | None) -> Any:
    """Empty where nothing of it belongs to a summary."""
    if shape is None:
        return value
    if isinstance(value, list):
        return [part for part in (_inner(each, shape) for each in value) if part != {}]
    return _summarised(value, shape) if isinstance(value, dict) else value


def _tagged(part: Resource) -> Resource:
    """With the tag, and `meta` where it belongs: after `id`."""
    meta = part.get("meta", {})
    tags = meta.get("tag", [])
    if not any(each.get("code") == "SUBSETTED" and each.get("system") == SUBSETTED["system"] for each in tags):
        meta = {**meta, "tag": [*tags, SUBSETTED]}
    head = {name: part[name] for name in ("resourceType", "id") if name in part}
    return head | {"meta": meta} | {name: value for name, value in part.items() if name not in ("meta", *head)}
