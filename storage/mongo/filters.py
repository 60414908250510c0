"""Simplified predicates as MongoDB filters.

A comparison in MongoDB keeps to the type of its operand and asks whether *some* element fits, which is what a term
means; but two bounds may be met by two elements, so a range also says that one element meets both.
"""

from __future__ import annotations

import re
from typing import Any, assert_never

from storage.mongo.documents import field_of
from storage.query import All as AllOf
from storage.query import Any as AnyOf
from storage.query import Between, Equals, Exists, Key, Like, OneOf, Predicate
from storage.query import Not as NotOf
from storage.simplify import MAX_NUMBER, MIN_NUMBER

Filter = dict[str, Any]

LAST_CHARACTER = chr(0x10FFFF)


def compile_filter(predicate: Predicate) -> Filter:
    match predicate:
        case AllOf(terms):
            return _joined("$and", terms) if terms else {}
        case AnyOf(terms):
            return _joined("$or", terms) if terms else {"_id": {"$in": []}}
        case NotOf(term):
            return {"$nor": [compile_filter(term)]}
        case Equals(name, value):
            return {field_of(name): {"$eq": _operand(value)}}
        case OneOf(name, values):
            return {field_of(name): {"$in": [_operand(value) for value in values]}}
        case Between(name, low, high):
            return _between(field_of(name), low, high)
        case Like(name, pattern):
            return {field_of(name): _like(pattern)}
        case Exists(name):
            return {field_of(name): {"$exists": True}}
        case _:
            assert_never(predicate)


def _joined(operator: str, terms: tuple[Predicate, ...]) -> Filter:
    return {operator: [compile_filter(term) for term in terms]}


def _operand(value: Key) -> Key:
    return value if isinstance(value, str) else int(value)


def _between(field: str, low: Key | None, high: Key | None) -> Filter:
    """Numbers come with both bounds, texts perhaps with one; the outermost bound says only of which type."""
    within: Filter = {}
    if low is not None and low != MIN_NUMBER:
        within["$gte"] = _operand(low)
    if high is not None and high != MAX_NUMBER:
        within["$lte"] = _operand(high)
    if len(within) < 2:
        return {field: within or {"$type": "number"}}
    return some_value(field, within)


def some_value(field: str, within: Filter) -> Filter:
    """One value of the field meets both bounds."""
    one_value = {"$or": [{field: {"$not": {"$type": "array"}}}, {field: {"$elemMatch": within}}]}
    return {"$and": [{field: within}, one_value]}


def _like(pattern: str) -> Filter:
    """A regular expression, and the run of texts that begin as it does, so that an index is read only there.

    Atomic groups for the same reason as in `storage.query.like_to_regex`.
    """
    first, *rest = [_literal(piece) for piece in re.split(r"\*+", pattern)]
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    end = f"{middle}.*{rest[-1]}" if rest and rest[-1] else middle
    whole = f"^{first}{end}" + ("" if rest and not rest[-1] else r"\z")
    prefix = re.split(r"[*?]", pattern, maxsplit=1)[0]
    return {"$gte": prefix, "$regex": whole, "$options": "s"} | _before_end_of(prefix)


def _literal(piece: str) -> str:
    return re.escape(piece).replace(r"\?", ".").replace("\0", r"\x00")


def _before_end_of(prefix: str) -> Filter:
    kept = prefix.rstrip(LAST_CHARACTER)
    if not kept:
        return {}
    following = ord(kept[-1]) + 1
    # Surrogates are no characters: after U+D7FF comes U+E000.
    return {"$lt": kept[:-1] + chr(0xE000 if following == 0xD800 else following)}
