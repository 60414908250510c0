"""A definition of a search parameter read for one resource type, before it is known who else has its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from profiles.definitions import CANONICAL
from server.fhir.index.expressions import Path, parse, parts, told
from server.fhir.index.parameters import Parameter
from server.fhir.index.routes import Move, Route, routes

Definition = Mapping[str, Any]
"""A SearchParameter resource."""

_PUBLISHED = "http://hl7.org/fhir/SearchParameter/"
_ANY_TYPE = frozenset({"Resource", "DomainResource"})


@dataclass(frozen=True, slots=True)
class Draft:
    definition: Definition
    resource_type: str
    expression: str | None
    """The members of the union that are about the type."""
    paths: tuple[Path, ...] | None
    """`None` where the expression is no union of plain paths."""
    routes: tuple[Route, ...]

    @property
    def code(self) -> str:
        return str(self.definition["code"])

    @property
    def type(self) -> str:
        return str(self.definition["type"])

    @property
    def bare(self) -> Parameter:
        """The parameter as far as the definition alone tells."""
        return Parameter(
            code=self.code,
            type=self.type,
            url=str(self.definition["url"]),
            resource_type=self.resource_type,
            base=tuple(self.definition["base"]),
            expression=self.expression,
        )

    @property
    def is_published(self) -> bool:
        return str(self.definition.get("url", "")).startswith(_PUBLISHED)

    @property
    def element_names(self) -> set[str]:
        return {each.element.rpartition(".")[2].removesuffix("[x]") for each in self.routes}

    @property
    def moves(self) -> frozenset[tuple[Move, ...]]:
        return frozenset(each.moves for each in self.routes)

    @property
    def only_refers(self) -> str | None:
        """The type all its references are restricted to."""
        refers = {each.refers for each in self.routes}
        return refers.pop() if len(refers) == 1 else None

    @property
    def is_restricted(self) -> bool:
        return any(each.refers for each in self.routes)

    @property
    def is_repeating(self) -> bool:
        elements = {each.element for each in self.routes}
        return len(elements) != 1 or any(each.is_repeating for each in self.routes)

    @property
    def targets(self) -> tuple[str, ...]:
        """What the definition allows, what the elements can refer to, and what the expression lets through."""
        if self.only_refers:
            return (self.only_refers,)
        allowed = tuple(each.removeprefix(CANONICAL) for each in self.definition.get("target", ()))
        return () if _ANY_TYPE & set(allowed) else allowed


def draft(definition: Definition, resource_type: str) -> Draft:
    """The definition as a type has it."""
    text = definition.get("expression") or None
    if text is None:
        return Draft(definition, resource_type, None, None, ())
    if path := told(text):
        return Draft(definition, resource_type, text, None, tuple(routes(path, resource_type)))
    read = [(part, parse(part)) for part in parts(text)]
    own = [
        (part, path)
        for part, path in read
        if path is None or path.root in ("", resource_type) or path.root in _ANY_TYPE
    ]
    expression = " | ".join(part for part, _ in own)
    paths = tuple(path for _, path in own if path is not None)
    followed = [routes(path, resource_type) for path in paths]
    if len(paths) < len(own) or not all(followed):
        return Draft(definition, resource_type, expression, None, ())
    found = tuple(dict.fromkeys(_told_target(definition, route) for each in followed for route in each))
    return Draft(definition, resource_type, expression, paths, found)


def _told_target(definition: Definition, route: Route) -> Route:
    """A resource in the place of a reference (the first entry of a document) counts where it is of the one target."""
    targets = definition.get("target", ())
    return replace(route, refers=targets[0]) if route.type == "Resource" and len(targets) == 1 else route
