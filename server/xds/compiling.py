"""Stored queries as predicates over the registry's records."""

from __future__ import annotations

from collections.abc import Sequence

from server.access.compartments import all_of, any_of
from server.xds.keys import ON_DEMAND_TYPE, bare
from server.xds.stored_queries import Coded, FindDocuments, FindFolders, FindSubmissionSets, Groups, Named, Span, Texts
from storage.query import EVERYTHING, NOTHING, Between, Equals, Exists, Like, Not, OneOf, Predicate


def documents_found(query: FindDocuments) -> Predicate:
    """Whoever's they are."""
    created = _within("creation", query.created)
    if ON_DEMAND_TYPE in query.kinds and query.created:
        # What is made at the moment it is retrieved has no time of creation.
        created = any_of([created, Equals("type", ON_DEMAND_TYPE)])
    return all_of(
        [
            one_of("status", query.statuses),
            one_of("type", query.kinds),
            coded(query.coded),
            *(Not(each) for each in _coded(query.excluded)),
            created,
            _within_if_told("start", query.started),
            _within_if_told("stop", query.stopped),
        ]
    )


def submission_sets_found(query: FindSubmissionSets) -> Predicate:
    return all_of(
        [
            one_of("status", query.statuses),
            _any_value("source", query.sources),
            _any_value("content", query.contents),
            _any_pattern("author", query.authors),
            _within("time", query.submitted),
        ]
    )


def folders_found(query: FindFolders) -> Predicate:
    return all_of([one_of("status", query.statuses), _each("codes", query.codes), _within("updated", query.updated)])


def coded(asked: Coded) -> Predicate:
    return all_of(_coded(asked))


def _coded(asked: Coded) -> list[Predicate]:
    """A term for each parameter given."""
    terms = [
        _any_value("class", asked.classes),
        _any_value("code", asked.types),
        _any_value("format", asked.formats),
        _any_value("facility", asked.facilities),
        _any_value("practice", asked.practice_settings),
        _each("event", asked.events),
        _each("confidentiality", asked.confidentialities),
        _each("reference", asked.references),
        _any_pattern("author", asked.authors),
    ]
    return [term for term in terms if term != EVERYTHING]


def named(asked: Named) -> Predicate:
    return any_of(
        [
            one_of("_id", [bare(each) for each in asked.ids]),
            one_of("unique", asked.unique_ids),
            one_of("logical", [bare(each) for each in asked.logical_ids]),
        ]
    )


def one_of(name: str, values: Sequence[str]) -> Predicate:
    """Nothing where there is no value."""
    if len(values) == 1:
        return Equals(name, values[0])
    return OneOf(name, tuple(values)) if values else NOTHING


def _any_value(name: str, values: Texts) -> Predicate:
    return one_of(name, values) if values else EVERYTHING


def _each(name: str, groups: Groups) -> Predicate:
    return all_of([one_of(name, group) for group in groups])


def _any_pattern(name: str, patterns: Texts) -> Predicate:
    """SQL's `%` and `_` are `*` and `?` here; these two themselves have no other spelling, so they stand for one
    character, whichever it is."""
    if not patterns:
        return EVERYTHING
    translated = (each.replace("*", "?").replace("%", "*").replace("_", "?") for each in patterns)
    return any_of([Like(name, each) for each in translated])


def _within(name: str, span: Span) -> Predicate:
    if not span:
        return EVERYTHING
    return Between(name, span.start, None if span.end is None else span.end - 1)


def _within_if_told(name: str, span: Span) -> Predicate:
    return any_of([_within(name, span), Not(Exists(name))]) if span else EVERYTHING
