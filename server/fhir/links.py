"""References rewritten: a bundle's own names and conditional references become `Type/id` (FHIR R4 3.1.0.11.2).

`Reference.reference` is by far the commonest and its text alone tells what to do. Any other text that equals a name is
replaced only where its element is a uri, url, oid or uuid; for that the element's type is looked up, which is seldom
needed. Links in the narrative follow; canonicals, strings, markdown and identifiers' values stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from profiles.definitions import definitions
from server.fhir.json_form import Resource, malformed

_LINKED_TYPES = frozenset({"uri", "url", "oid", "uuid"})
NEVER_LINKS = frozenset({
    "resourceType", "id", "status", "display", "text", "value", "unit", "use", "currency", "start", "end", "date",
    "issued", "created", "effectiveDateTime", "contentType", "data",
})  # fmt: skip
"""The commonest names of members that nowhere have a type that links: their texts need not be looked at."""
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]{1,63})\?(.+)", re.DOTALL)
_HREF = re.compile(r"""(\b(?:href|src)\s*=\s*)(["'])(.*?)\2""", re.DOTALL)
_HISTORY = "/_history/"


@dataclass(frozen=True, slots=True)
class Links:
    """What becomes of references."""

    targets: Mapping[str, str] = field(default_factory=dict)
    """`Type/id` by the names a bundle gives: fullUrls and the `Type/id` they were sent with."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """The version each target will have, for references to a version."""
    conditional: Mapping[str, str] = field(default_factory=dict)
    """`Type/id` by `Type?query`."""
    is_closed: bool = False
    """A name by `urn:uuid:` or `urn:oid:` that is not among the targets is an error."""


@dataclass(slots=True)
class Relinked:
    """What one resource's references came to."""

    resource: Resource
    conditional: set[str] = field(default_factory=set)
    """Conditional references that the links did not hold, left in place."""
    versioned: set[str] = field(default_factory=set)
    """Targets a version of which is referred to."""
    unfinished: list[dict[str, Any]] = field(default_factory=list)
    """The objects that hold those references, where they are this resource's own and may still be finished."""


NO_LINKS = Links()


def relink(resource: Resource, links: Links, base: str = "") -> Relinked:
    """The resource with its references replaced; the same one where there are none.

    `base`: the service that relative references are resolved against, where the resource came from another. What a
    Bundle inside refers to is its own matter.
    """
    if resource.get("resourceType") == "Bundle":
        return Relinked(resource)
    relinking = _Relinking(links, base)
    made = relinking.object(resource)
    if relinking.has_other_hits:
        made = relinking.typed(made, made["resourceType"])
        relinking.unfinished.clear()
    return Relinked(made, relinking.conditional, relinking.versioned, relinking.unfinished)


def finished(relinked: Relinked, conditional: Mapping[str, str]) -> Relinked:
    """With the conditional references replaced too: in place, as nobody else holds the objects made for them."""
    if not relinked.unfinished:
        resource = relink(relinked.resource, Links(conditional=conditional)).resource
        return Relinked(resource, relinked.conditional, relinked.versioned)
    for each in relinked.unfinished:
        each["reference"] = conditional.get(each["reference"], each["reference"])
    return relinked


def is_conditional(reference: str) -> bool:
    return _CONDITIONAL.fullmatch(reference) is not None


def conditional_parts(reference: str) -> tuple[str, str]:
    """Type and query of a conditional reference."""
    match = _CONDITIONAL.fullmatch(reference)
    return (match[1], match[2]) if match else ("", "")


class _Relinking:
    """One resource on its way; objects that do not change are kept, not copied."""

    __slots__ = ("_base", "_links", "_targets", "conditional", "has_other_hits", "unfinished", "versioned")

    def __init__(self, links: Links, base: str) -> None:
        self._links = links
        self._targets = links.targets
        self._base = base
        self.conditional: set[str] = set()
        self.versioned: set[str] = set()
        self.unfinished: list[dict[str, Any]] = []
        self.has_other_hits = False

    def object(self, value: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] | None = None
        targets = self._targets
        for name, each in value.items():
            kind = type(each)
            if kind is dict:
                new: Any = self.object(each)
            elif kind is list:
                new = self._list(each)
            elif kind is str:
                if name == "reference":
                    new = self._reference(each)
                    if new is None:
                        made = value.copy() if made is None else made
                        self.unfinished.append(made)
                        continue
                else:
                    if name not in NEVER_LINKS and (
                        each in targets or name == "div" or "#" in each or _HISTORY in each
                    ):
                        self._look_at(name, each)
                    continue
            else:
                continue
            if new is not each:
                if made is None:
                    made = value.copy()
                made[name] = new
        return value if made is None else made

    def _list(self, values: list[Any]) -> list[Any]:
        made: list[Any] | None = None
        for place, each in enumerate(values):
            if type(each) is dict:
                new = self.object(each)
                if new is not each:
                    if made is None:
                        made = list(values)
                    made[place] = new
            elif type(each) is str and each in self._targets:
                self.has_other_hits = True
        return values if made is None else made

    def _look_at(self, name: str, text: str) -> None:
        """Note a text that is no reference but may have to be replaced."""
        if name == "div":
            self.has_other_hits = self.has_other_hits or ("=" in text and _HREF.search(text) is not None)
        elif self._target(text):
            self.has_other_hits = True

    def _reference(self, text: str) -> str | None:
        """What becomes of it; `None` where that is not known yet."""
        found = self._targets.get(text)
        if found is not None and not self._base:
            return found
        if text[:1] == "#":
            return text
        if "?" in text and is_conditional(text):
            found = self._links.conditional.get(text)
            if found is None:
                self.conditional.add(text)
            return found
        found = self._target(text)
        if found is None and self._links.is_closed and text.startswith(("urn:uuid:", "urn:oid:")):
            raise malformed("A reference names no entry of the bundle.")
        return found or text

    def _target(self, text: str) -> str | None:
        """What a name becomes, with a fragment or a version it may carry."""
        found = self._targets.get(f"{self._base}/{text}") if self._base else None
        found = found or self._targets.get(text)
        if found is not None:
            return found
        whole, mark, fragment = text.partition("#")
        if mark and (found := self._target(whole)):
            return f"{found}#{fragment}"
        whole, mark, _ = text.partition(_HISTORY)
        if mark and (found := self._target(whole)) and found in self._links.versions:
            self.versioned.add(found)
            return f"{found}{_HISTORY}{self._links.versions[found]}"
        return None

    def typed(self, value: dict[str, Any], shape: str) -> dict[str, Any]:
        """The object with texts replaced wherever their type is one of those that link."""
        shape = value.get("resourceType", shape)
        made = dict(value)
        for name, each in value.items():
            member = _member(shape, name)
            if member is None or name == "reference":
                continue
            type_name, inner = member
            if type_name in _LINKED_TYPES:
                made[name] = _each(each, lambda text: self._target(text) or text)
            elif type_name == "xhtml":
                made[name] = _each(each, self._narrative)
            elif isinstance(each, dict):
                made[name] = self.typed(each, inner)
            elif isinstance(each, list):
                made[name] = [self.typed(one, inner) if isinstance(one, dict) else one for one in each]
        return made

    def _narrative(self, div: str) -> str:
        return _HREF.sub(lambda found: found[1] + found[2] + (self._target(found[3]) or found[3]) + found[2], div)


def _each(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [change(one) if isinstance(one, str) else one for one in value]
    return value


def _member(shape: str, name: str) -> tuple[str, str] | None:
    """Type of a member, and the shape of its children; `None` for what the definitions do not know."""
    if not isinstance(shape, str):
        return None
    try:
        member = definitions().shape(shape).members.get(name)
    except KeyError:
        return None
    return None if member is None else (member.type, member.shape or "")
