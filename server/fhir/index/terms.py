"""The predicate that one search value stands for, over the keys an `Indexer` writes (R4 3.1.1.4)."""

from __future__ import annotations

from collections.abc import Sequence

from server.fhir.index import composites, dates, places, quantities, references, strings, texts, token_terms, uris
from server.fhir.index.facets import PRESENT
from server.fhir.index.parameters import Parameter, Source
from server.fhir.index.reading import Reading, refused
from server.fhir.index.splitting import check_escapes, unescape
from storage.query import NOTHING, All, Any, Equals, Exists, Not, Predicate

NEGATIVE = frozenset({"not", "not-in"})
"""Modifiers of tokens that say: none of the alternatives."""


def term(parameter: Parameter, modifier: str | None, value: str, reading: Reading) -> Predicate:
    """What one value (between commas, escapes still in it) asks; a `Problem` (invalid) where it cannot be read.

    `:not` and `:not-in` give the term of the value itself: negate `Any` of all alternatives, as `clause` does.
    """
    check_escapes(parameter.code, value)
    if modifier == "missing":
        return missing(parameter, value)
    if parameter.type == "composite":
        return _composite(parameter, modifier, value, reading)
    if parameter.code == "_id":
        return _id(parameter, modifier, value)
    terms = tuple(_sourced(parameter, each, modifier, value, reading) for each in parameter.sources)
    return terms[0] if len(terms) == 1 else Any(terms)


def clause(parameter: Parameter, modifier: str | None, values: Sequence[str], reading: Reading) -> Predicate:
    """What alternatives ask together: some of them, or with `:not` and `:not-in` none of them."""
    if modifier == "missing" and len(values) != 1:
        raise refused(parameter.code, "':missing' takes 'true' or 'false'.")
    terms = tuple(dict.fromkeys(term(parameter, modifier, each, reading) for each in values))
    some = terms[0] if len(terms) == 1 else Any(terms)
    return Not(some) if modifier in NEGATIVE else some


def _sourced(parameter: Parameter, source: Source, modifier: str | None, value: str, reading: Reading) -> Predicate:
    if parameter.type == "reference":
        return references.term(parameter, source.name, source.target, modifier, value, reading)
    return _typed(parameter, source.name, modifier, value, reading)


def _typed(parameter: Parameter, name: str, modifier: str | None, value: str, reading: Reading) -> Predicate:
    match parameter.type:
        case "token":
            return token_terms.term(parameter, name, modifier, value, reading)
        case "string" if parameter.code in texts.CODES:
            return texts.term(parameter, name, modifier, value)
        case "string":
            return strings.term(parameter, name, modifier, value)
        case "date":
            return dates.term(parameter, name, modifier, value, reading)
        case "number":
            return quantities.number_term(parameter, name, modifier, value)
        case "quantity":
            return quantities.quantity_term(parameter, name, modifier, value)
        case "uri":
            return uris.term(parameter, name, modifier, value)
        case "reference":
            return references.term(parameter, name, None, modifier, value, reading)
        case _:
            return places.term(parameter, name, modifier, value)


def _composite(parameter: Parameter, modifier: str | None, value: str, reading: Reading) -> Predicate:
    if modifier is not None:
        raise refused(parameter.code, "a composite parameter has no modifiers.", "invalid")
    if not parameter.components:
        raise refused(parameter.code, "it is not supported here.", "not-supported")
    terms = tuple(_way(each, value, reading) for each in parameter.union or (parameter,))
    return terms[0] if len(terms) == 1 else Any(terms)


def _way(way: Parameter, value: str, reading: Reading) -> Predicate:
    if not way.sources:
        values = composites.split_values(way, value)
        parts = zip(way.components, values, strict=True)
        return All(tuple(term(each.parameter, None, text, reading) for each, text in parts))
    return composites.term(
        way, way.sources[0].name, value, lambda part, name, text: _typed(part, name, None, text, reading)
    )


def _id(parameter: Parameter, modifier: str | None, value: str) -> Predicate:
    if modifier not in (None, "not"):
        raise refused(parameter.code, f"no modifier ':{modifier}' on ids.", "invalid")
    return Equals("_id", unescape(value))


def missing(parameter: Parameter, value: str) -> Predicate:
    """Whether there is no value; an element with extensions only has none."""
    if value not in ("true", "false"):
        raise refused(parameter.code, "':missing' takes 'true' or 'false'.")
    if parameter.type == "composite":
        raise refused(parameter.code, "a composite parameter has no modifiers.", "invalid")
    present = _present(parameter)
    return Not(present) if value == "true" else present


def _present(parameter: Parameter) -> Predicate:
    if parameter.code in ("_id", "_lastUpdated"):
        return Exists(parameter.code)
    terms: list[Predicate] = []
    for source in parameter.sources:
        name = source.name + places.LATITUDE if parameter.type == "special" else source.name
        terms += [references.restricted(name, source.target) if source.target else Exists(name)]
        terms += [] if source.target else [Exists(name + PRESENT)]
    return Any(tuple(terms)) if terms else NOTHING
