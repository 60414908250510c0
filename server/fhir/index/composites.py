"""Composite parameters (R4 3.1.1.4.12): parts that must hold of the same element.

Where the element is the resource itself, every part is a parameter of its own, and the composite is all of them. Of an
element within, each one has rows of its own under the composite's name: the discrete parts (tokens, references, URIs),
then one ordered part (a number, quantity or string), joined by U+001F. Two ordered parts make no single range: then
each has a row, and elements are numbered (`name:0.1`, `name:0.2`) so that both must hold of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from server.fhir.index.facets import LAST, SEPARATOR, Found
from server.fhir.index.parameters import Component, Parameter
from server.fhir.index.reading import refused
from server.fhir.index.splitting import split_composite
from storage.query import All, Any, Between, Equals, OneOf, Predicate

DISCRETE = frozenset({"token", "reference", "uri"})
ORDERED = frozenset({"number", "quantity", "string"})
MOST_NUMBERED = 16
"""Further elements share the last number: they may answer for each other, but none is missed."""
_MOST_ROWS = 512

PartTerm = Callable[[Parameter, str, str], Predicate]
"""The term of a parameter's value over keys of a given name; here the place of the part: `0`, `1`, …"""


def ordered_places(components: tuple[Component, ...]) -> list[int]:
    return [place for place, each in enumerate(components) if each.parameter.type in ORDERED]


def add_rows(name: str, components: tuple[Component, ...], number: int, parts: Found, found: Found) -> None:
    """The rows of one element, whose parts have their keys under `0`, `1`, …"""
    ordered = ordered_places(components)
    leads = [_joined(each) for each in product(*(
        _discrete(parts, place, each) for place, each in enumerate(components) if place not in ordered
    ))]  # fmt: skip
    if not leads or not all(_has(parts, place) for place in ordered):
        return
    if not ordered:
        for lead in leads[:_MOST_ROWS]:
            found.add(name, lead)
    for place in ordered:
        row_name = name if len(ordered) == 1 else f"{name}:{min(number, MOST_NUMBERED - 1)}.{place}"
        for lead in leads[:_MOST_ROWS]:
            for text in _ordered(parts, place):
                found.add(row_name, f"{lead}{SEPARATOR}{text}")


def _joined(texts: tuple[str, ...]) -> str:
    return SEPARATOR.join(texts)


def _has(parts: Found, place: int) -> bool:
    return str(place) in parts.keys


def _discrete(parts: Found, place: int, component: Component) -> Iterator[str]:
    """Of a token also the code alone, for searches that name no system."""
    for key in parts.keys.get(str(place), ()):
        yield str(key)
        if component.parameter.type == "token":
            yield str(key).partition("|")[0]


def _ordered(parts: Found, place: int) -> Iterator[str]:
    for name, keys in parts.keys.items():
        own, _, facet = name.partition(":")
        if own == str(place):
            for key in keys:
                yield f"{facet}{SEPARATOR}{key}"


def term(parameter: Parameter, name: str, value: str, part_term: PartTerm) -> Predicate:
    """What one `a$b` asks of an element within; the rows are under `name`."""
    values = split_values(parameter, value)
    terms = [part_term(each.parameter, str(place), text)
             for place, (each, text) in enumerate(zip(parameter.components, values, strict=True))]  # fmt: skip
    ordered = ordered_places(parameter.components)
    leads = [_joined(each) for each in product(*(
        _texts(parameter, terms[place]) for place in range(len(terms)) if place not in ordered
    ))]  # fmt: skip
    if len(leads) > _MOST_ROWS:
        raise refused(parameter.code, "the parts may combine in too many ways.", "too-costly")
    if not ordered:
        return OneOf(name, tuple(leads))
    if len(ordered) == 1:
        return _ranges(name, leads, terms[ordered[0]])
    return Any(tuple(
        All(tuple(_ranges(f"{name}:{number}.{place}", leads, terms[place]) for place in ordered))
        for number in range(MOST_NUMBERED)
    ))  # fmt: skip


def split_values(parameter: Parameter, value: str) -> list[str]:
    values = split_composite(value)
    if len(values) != len(parameter.components) or not all(values):
        raise refused(parameter.code, f"{len(parameter.components)} values with '$' between them.")
    return values


def _texts(parameter: Parameter, predicate: Predicate) -> list[str]:
    """All texts that satisfy the term of a discrete part."""
    match predicate:
        case Equals(_, value):
            return [str(value)]
        case OneOf(_, values):
            return [str(each) for each in values]
        case Between(_, str(low), _):
            return [low.removesuffix("|")]
        case Any(terms):
            return list(dict.fromkeys(text for each in terms for text in _texts(parameter, each)))
        case _:
            raise refused(parameter.code, "a part that names a system needs a code, too.", "not-supported")


def _ranges(name: str, leads: list[str], predicate: Predicate) -> Predicate:
    found = tuple(_lifted(name, lead + SEPARATOR, predicate) for lead in leads)
    return found[0] if len(found) == 1 else Any(found)


def _lifted(name: str, lead: str, predicate: Predicate) -> Predicate:
    """The term of an ordered part, asked of the rows that begin so."""
    match predicate:
        case Any(terms):
            return Any(tuple(_lifted(name, lead, each) for each in terms))
        case Equals(part, value):
            return Equals(name, f"{lead}{_facet(part)}{value}")
        case Between(part, low, high):
            start = lead + _facet(part)
            return Between(name, start + str(low or ""), start + (LAST if high is None else str(high)))
        case _:
            raise TypeError(f"no range: {predicate}")


def _facet(part: str) -> str:
    return part.partition(":")[2] + SEPARATOR
