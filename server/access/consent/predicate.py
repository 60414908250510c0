"""Which data a provision is about, as a predicate over the keys that access is decided by.

A datum that a provision cannot place, since it has no author, no date or no label, is met by one that forbids and not
by one that permits. A Patient is nobody's work and of no date: only labels and its own name place it, so that whoever
may see some of a patient's data is not kept from whose it is by what he did not write.
"""

from __future__ import annotations

from server.access.consent.rule import Datum, Provision
from server.access.facets import AUTHOR, LABEL, LEVEL, RELATED, WHEN, WHEN_END
from server.access.labels import LEVELS, NORMAL, RESTRICTED
from storage.query import EVERYTHING, NOTHING, All, Any, Between, Exists, Not, OneOf, Predicate

_ID = "_id"
_HIGHEST = len(LEVELS) - 1


def data_of(provision: Provision, resource_type: str, *, unlabelled_is_restricted: bool) -> Predicate:
    """What the provision is about among resources of a type; whom it is about is judged elsewhere."""
    forbids = not provision.permits
    terms: list[Predicate] = []
    if provision.labels is not None:
        terms.append(_labelled(provision.labels, forbids, unlabelled_is_restricted))
    if provision.within is not None:
        terms.append(_dated(*provision.within, resource_type, forbids))
    if provision.data is not None:
        terms.append(joined_any(_named(provision.data, resource_type, forbids)))
    return joined_all(terms)


def joined_all(terms: list[Predicate]) -> Predicate:
    kept = [each for each in dict.fromkeys(terms) if each != EVERYTHING]
    if NOTHING in kept:
        return NOTHING
    return kept[0] if len(kept) == 1 else All(tuple(kept))


def joined_any(terms: list[Predicate]) -> Predicate:
    kept = [each for each in dict.fromkeys(terms) if each != NOTHING]
    if EVERYTHING in kept:
        return EVERYTHING
    return kept[0] if len(kept) == 1 else Any(tuple(kept))


def negated(term: Predicate) -> Predicate:
    if term == EVERYTHING:
        return NOTHING
    return EVERYTHING if term == NOTHING else Not(term)


def _labelled(codes: tuple[str, ...], forbids: bool, unlabelled_is_restricted: bool) -> Predicate:
    levels = [LEVELS.index(each) for each in codes if each in LEVELS and len(each) == 1]
    sensitivities = tuple(each for each in codes if not (each in LEVELS and len(each) == 1))
    terms: list[Predicate] = []
    if levels:
        low, high = (min(levels), _HIGHEST) if forbids else (0, max(levels))
        terms.append(Between(LEVEL, low, high))
        if low <= (RESTRICTED if unlabelled_is_restricted else NORMAL) <= high:
            terms.append(Not(Exists(LEVEL)))
    if sensitivities:
        terms.append(OneOf(LABEL, sensitivities))
        if forbids and unlabelled_is_restricted:
            terms.append(All((Not(Exists(LEVEL)), Not(Exists(LABEL)))))
    return joined_any(terms)


def _dated(start: int, end: int, resource_type: str, forbids: bool) -> Predicate:
    """A permission covers what lies within the period whole, a prohibition what touches it."""
    if not forbids:
        return All((Between(WHEN, start, None), Between(WHEN_END, None, end)))
    touching = All((Between(WHEN, None, end - 1), Between(WHEN_END, start + 1, None)))
    return touching if resource_type == "Patient" else Any((touching, Not(Exists(WHEN))))


def _named(data: tuple[Datum, ...], resource_type: str, forbids: bool) -> list[Predicate]:
    prefix = f"{resource_type}/"
    ids = tuple(
        each.reference.removeprefix(prefix)
        for each in data
        if each.meaning == "instance" and each.reference.startswith(prefix)
    )
    owners = tuple(each.reference for each in data if each.meaning == "related")
    authors = tuple(each.reference for each in data if each.meaning == "authoredby")
    terms: list[Predicate] = [OneOf(_ID, ids)] if ids else []
    if owners:
        terms.append(OneOf(RELATED, owners))
    if authors and resource_type != "Patient":
        terms.append(OneOf(AUTHOR, authors))
        if forbids:
            terms.append(Not(Exists(AUTHOR)))
    return terms
