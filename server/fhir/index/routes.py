"""Paths followed through the shapes of R4, down to the JSON members that carry them.

Two parameters are about the same values exactly when their routes are the same, however their expressions are put.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

from profiles.definitions import CANONICAL, definitions
from server.fhir.index.expressions import Cast, Child, Having, Item, Path, Referring, Step

FAMILY = "HumanName.family"
"""Told apart from other strings, because its words are searched singly."""


@dataclass(frozen=True, slots=True)
class Property:
    """A JSON member."""

    name: str


Move: TypeAlias = Property | Having | Item


@dataclass(frozen=True, slots=True)
class Route:
    """From a resource (or an element) to values of one type."""

    moves: tuple[Move, ...]
    type: str
    """The FHIR type of the values; `Resource` for a resource within, `HumanName.family` for a family name."""
    refers: str | None = None
    """The only type its references may name."""
    is_repeating: bool = False
    element: str = ""
    """Of the definition: `Observation.value[x]`."""

    @property
    def value_set(self) -> str | None:
        """The binding of a `code`."""
        return _bindings(self.element.partition(".")[0]).get(self.element) if self.type == "code" else None


@dataclass(frozen=True, slots=True)
class _Place:
    shape: str | None
    route: Route


def routes(path: Path, start: str) -> list[Route]:
    """All ways to follow a path from a type, or from an element with children of its own; none where it is wrong."""
    return [place.route for place in _follow(_Place(start, Route((), start)), path.steps)]


def shape_at(path: Path, start: str) -> str | None:
    """The shape of the elements a path leads to, where all have the same one."""
    shapes = {place.shape for place in _follow(_Place(start, Route((), start)), path.steps)}
    return shapes.pop() if len(shapes) == 1 else None


def _follow(place: _Place, steps: tuple[Step, ...]) -> Iterator[_Place]:
    if not steps:
        yield place
        return
    for after in _step(place, steps[0]):
        yield from _follow(after, steps[1:])


def _step(place: _Place, step: Step) -> Iterator[_Place]:
    match step:
        case Child(name):
            yield from _children(place, name)
        case Cast(type_name):
            yield from _cast(place, type_name)
        case Having():
            yield _moved(place, step)
        case Item():
            yield _Place(place.shape, replace(place.route, moves=(*place.route.moves, step), is_repeating=False))
        case Referring(type_name):
            if place.route.type == "Reference":
                yield _Place(place.shape, replace(place.route, refers=type_name))


def _moved(place: _Place, move: Move) -> _Place:
    return _Place(place.shape, replace(place.route, moves=(*place.route.moves, move)))


def _children(place: _Place, name: str) -> Iterator[_Place]:
    if place.shape is None:
        return
    for member in definitions().shape(place.shape).members.values():
        if member.element.name == name:
            repeats = place.route.is_repeating or member.element.maximum != 1
            moves = (*place.route.moves, Property(member.name))
            kind = FAMILY if member.element.path == FAMILY else member.type
            yield _Place(member.shape, Route(moves, kind, None, repeats, member.element.path))


def _cast(place: _Place, type_name: str) -> Iterator[_Place]:
    """A type is told from `DateTime`, too: the R4 definitions write it so."""
    if place.route.type == "Resource" and type_name in definitions().resource_types:
        route = replace(place.route, moves=(*place.route.moves, Having("resourceType", type_name)), type=type_name)
        yield _Place(type_name, route)
    elif _is_a(place.route.type, type_name):
        yield place


@cache
def _is_a(type_name: str, wanted: str) -> bool:
    """Of primitives the type itself, as `as` has it: a canonical is no uri here."""
    if type_name[0].islower():
        return type_name.lower() == wanted.lower()
    known: str | None = type_name
    while known:
        if known.lower() == wanted.lower():
            return True
        known = definitions().base_of(known)
    return False


@cache
def _bindings(type_name: str) -> dict[str, str]:
    structure = definitions().structure(CANONICAL + type_name)
    elements = structure["snapshot"]["element"] if structure else []
    return {
        each["path"]: each["binding"]["valueSet"].partition("|")[0]
        for each in elements
        if "valueSet" in each.get("binding", ())
    }
