"""A code system made ready for questions: concepts by code, and which subsumes which (FHIR R4 4.8, CodeSystem)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Resource = dict[str, Any]

_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
_ABSTRACT = "notSelectable"
_NO_LONGER_USED = ("retired", "inactive")


@dataclass(frozen=True, slots=True)
class Concept:
    """One code and what its system says of it."""

    code: str
    display: str | None
    designations: tuple[Resource, ...]
    properties: tuple[Resource, ...]
    is_abstract: bool
    """Only for grouping others: not to be used as a value."""
    is_inactive: bool


@dataclass(frozen=True, slots=True)
class CodeSystem:
    """A code system whose concepts are held here, all or (`is_whole` false) some."""

    url: str
    version: str | None
    name: str | None
    title: str | None
    is_case_sensitive: bool
    """Stated to be; most of v2's say nothing."""
    is_whole: bool
    concepts: Mapping[str, Concept]
    """By code, in the order of the definition."""
    parents: Mapping[str, tuple[str, ...]]
    children: Mapping[str, tuple[str, ...]]
    properties: frozenset[str]
    """Codes of the properties it defines, and those that every code system has."""
    _folded: Mapping[str, str] = field(default_factory=dict)
    """Codes by their lower case, where the system is stated to ignore case."""

    def find(self, code: str) -> Concept | None:
        found = self.concepts.get(code)
        if found is None and self._folded:
            return self.concepts.get(self._folded.get(code.lower(), ""))
        return found

    def descendants(self, code: str) -> tuple[str, ...]:
        """The codes below, not the code itself, in the order met; ends on cycles."""
        return _reached(code, self.children)

    def ancestors(self, code: str) -> tuple[str, ...]:
        return _reached(code, self.parents)

    def values(self, code: str, name: str) -> list[str]:
        """What a concept's property says, as text."""
        concept = self.concepts[code]
        match name:
            case "code" | "concept":
                return [code]
            case "display":
                return [concept.display] if concept.display else []
            case "parent":
                return list(self.parents.get(code, ()))
            case "child":
                return list(self.children.get(code, ()))
            case "inactive":
                return [_written(concept.is_inactive)]
            case _:
                return [_written(value) for each, value in map(_property, concept.properties) if each == name]


_ALWAYS = frozenset(("code", "concept", "display", "parent", "child", "inactive"))


def read_code_system(resource: Resource) -> CodeSystem | None:
    """A CodeSystem resource made ready; `None` where it lists no concepts of its own (`not-present`, supplements)."""
    if resource.get("content") in ("not-present", "supplement"):
        return None
    roles = {each["code"]: _role(each) for each in resource.get("property", ())}
    nested = list(_nested(resource.get("concept", ())))
    concepts = {each["code"]: _concept(each, roles) for each, _ in nested}
    parents = _parents(nested, concepts, roles)
    return CodeSystem(
        url=resource["url"],
        version=resource.get("version"),
        name=resource.get("name"),
        title=resource.get("title"),
        is_case_sensitive=resource.get("caseSensitive") is True,
        is_whole=resource.get("content") == "complete",
        concepts=concepts,
        parents=parents,
        children=_turned(parents),
        properties=_ALWAYS | roles.keys(),
        _folded={code.lower(): code for code in concepts} if resource.get("caseSensitive") is False else {},
    )


def _nested(concepts: list[Resource], parent: str | None = None) -> Iterator[tuple[Resource, str | None]]:
    """Every concept with the one it lies in; the depth is that of the JSON, which its reader bounds."""
    for each in concepts:
        yield each, parent
        yield from _nested(each.get("concept", ()), each["code"])


def _role(described: Resource) -> str:
    """What a property means: HL7's own are known by their URI, whatever a system calls them."""
    uri: str = described.get("uri", "")
    code: str = described["code"]
    return uri.removeprefix(_PROPERTIES) if uri.startswith(_PROPERTIES) else code


def _concept(concept: Resource, roles: Mapping[str, str]) -> Concept:
    properties = tuple(concept.get("property", ()))
    stated = [(roles.get(name, name), value) for name, value in map(_property, properties)]
    return Concept(
        code=concept["code"],
        display=concept.get("display"),
        designations=tuple(concept.get("designation", ())),
        properties=properties,
        is_abstract=any(role == _ABSTRACT and value is True for role, value in stated),
        is_inactive=any(
            (role == "inactive" and value is True) or (role == "status" and value in _NO_LONGER_USED)
            for role, value in stated
        ),
    )


def _parents(
    nested: list[tuple[Resource, str | None]], concepts: Mapping[str, Concept], roles: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Parents by nesting and by the properties `parent` and `child`; a concept may have several."""
    found: dict[str, dict[str, None]] = {}
    for each, parent in nested:
        if parent is not None:
            found.setdefault(each["code"], {})[parent] = None
        for name, value in map(_property, each.get("property", ())):
            role = roles.get(name, name)
            if role == "parent" and value in concepts:
                found.setdefault(each["code"], {})[value] = None
            elif role == "child" and value in concepts:
                found.setdefault(value, {})[each["code"]] = None
    return {code: tuple(listed) for code, listed in found.items()}


def _turned(parents: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for child, listed in parents.items():
        for parent in listed:
            found.setdefault(parent, []).append(child)
    return {code: tuple(listed) for code, listed in found.items()}


def _reached(code: str, steps: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    pending = list(reversed(steps.get(code, ())))
    while pending:
        each = pending.pop()
        if each != code and each not in found:
            found[each] = None
            pending.extend(reversed(steps.get(each, ())))
    return tuple(found)


def _property(described: Resource) -> tuple[str, Any]:
    value = next((value for key, value in described.items() if key.startswith("value")), None)
    return described["code"], value


def _written(value: Any) -> str:
    """A property's value as a filter writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.get("code", "")) if isinstance(value, dict) else str(value)
