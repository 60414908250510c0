"""Predicates taken apart: what a right over FHIR records tells of whoever has no such record yet."""

from __future__ import annotations

from collections.abc import Iterator

from storage.query import EVERYTHING, NOTHING, All, Any, Equals, Not, OneOf, Predicate, matches

PATIENT = "@patient"


def negated(predicate: Predicate) -> Predicate:
    """The opposite with every `Not` at a leaf, so that what is asked for can lead a store to it."""
    match predicate:
        case Not(term):
            return term
        case All(terms):
            return Any(tuple(negated(term) for term in terms))
        case Any(terms):
            return All(tuple(negated(term) for term in terms))
        case _:
            return Not(predicate)


def patients_named(predicate: Predicate) -> tuple[str, ...]:
    """Every `Patient/3` the predicate speaks of, for good or ill."""
    return tuple(dict.fromkeys(each for group in _groups(predicate) for each in group))


def patients_refused(predicate: Predicate) -> tuple[str, ...]:
    """Those named of whom the predicate refuses a record that tells nothing but whose it is.

    Whoever is named in the same terms fares alike, so one of them is judged for all.
    """
    places: dict[str, list[int]] = {}
    for place, values in enumerate(_groups(predicate)):
        for each in values:
            places.setdefault(each, []).append(place)
    judged: dict[tuple[int, ...], bool] = {}
    refused = []
    for each, named in places.items():
        alike = tuple(named)
        if alike not in judged:
            judged[alike] = not matches(predicate, {PATIENT: frozenset({each})})
        if judged[alike]:
            refused.append(each)
    return tuple(refused)


def _groups(predicate: Predicate) -> Iterator[tuple[str, ...]]:
    """The patients each term names."""
    match predicate:
        case All(terms) | Any(terms):
            for term in terms:
                yield from _groups(term)
        case Not(term):
            yield from _groups(term)
        case Equals(name, value) if name == PATIENT:
            yield (str(value),)
        case OneOf(name, values) if name == PATIENT:
            yield tuple(map(str, values))
        case _:
            return


def joined(*terms: Predicate) -> Predicate:
    """All of them, without those that say nothing."""
    kept = [term for term in terms if term != EVERYTHING]
    if NOTHING in kept:
        return NOTHING
    return kept[0] if len(kept) == 1 else All(tuple(kept))
