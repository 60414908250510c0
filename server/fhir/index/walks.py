"""Routes of a type put together into one walk: each member of a resource is looked at once, whoever asks for it."""

from __future__ import annotations

from collections.abc import Iterable

from server.fhir.index.expressions import Having, Item
from server.fhir.index.facets import Emitter, Found, Json
from server.fhir.index.routes import Move, Property, Route


class Branch:
    """Who wants the values at one place, and how the walk goes on from there."""

    __slots__ = ("children", "emitters", "havings", "items")

    def __init__(self) -> None:
        self.emitters: list[Emitter] = []
        self.children: dict[str, Branch] = {}
        self.havings: dict[tuple[str, str], Branch] = {}
        self.items: dict[int, Branch] = {}

    def add(self, route: Route, emitter: Emitter) -> None:
        branch = self
        for move in route.moves:
            branch = branch._next(move)
        branch.emitters.append(emitter)

    def _next(self, move: Move) -> Branch:
        match move:
            case Property(name):
                return self.children.setdefault(name, Branch())
            case Having(name, value):
                return self.havings.setdefault((name, value), Branch())
            case Item(number):
                return self.items.setdefault(number, Branch())


def branch_of(wanted: Iterable[tuple[Route, Emitter]]) -> Branch:
    branch = Branch()
    for route, emitter in wanted:
        branch.add(route, emitter)
    return branch


def visit(branch: Branch, value: Json, found: Found) -> None:
    """One value, no list and not null: what is wanted of it, then of its members."""
    for emit in branch.emitters:
        emit(value, found)
    children = branch.children
    if children:
        for name, inner in value.items():
            child = children.get(name)
            if child is None or inner is None:
                continue
            if type(inner) is list:
                _visit_all(child, inner, found)
            elif child.children or child.havings:
                visit(child, inner, found)
            else:  # the end of a route, as most places are: not worth a call of its own
                for emit in child.emitters:
                    emit(inner, found)
    if branch.havings:
        _visit_having(branch, value, found)


def _visit_having(branch: Branch, value: Json, found: Found) -> None:
    for (name, wanted), then in branch.havings.items():
        if value.get(name) == wanted:
            visit(then, value, found)


def _visit_all(branch: Branch, values: list[Json], found: Found) -> None:
    if branch.items:
        for number, then in branch.items.items():
            if number < len(values) and values[number] is not None:
                visit(then, values[number], found)
    if branch.emitters or branch.children or branch.havings:
        for each in values:
            if each is not None:
                visit(branch, each, found)
