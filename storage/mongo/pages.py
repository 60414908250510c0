"""Orders and cursors in MongoDB.

MongoDB sorts records that lack a field first; they are to come last. And a comparison with a cursor's value sees only
values of the same type. So a sorted search is a few searches, one after another, each of a *segment*: a stretch of the
order that one index range can give. Mostly the first segment fills the page and is all that is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from storage.mongo.documents import field_of
from storage.mongo.filters import Filter, some_value
from storage.places import Place
from storage.query import Key, Order


def segments(orders: Sequence[Order], place: Place | None) -> list[Filter]:
    """Filters that part what lies behind the place, in the sequence of the first order."""
    if not orders:
        return [_behind(orders, place, 0) if place else {}]
    if orders[0].within is not None:
        return [_behind(orders, place, 0) if place else {}]
    parts = _parts(field_of(orders[0].name), orders[0].descending, place[0] if place else None, place is not None)
    return [{"$and": [part, _behind(orders, place, 0)]} if place else part for part in parts]


def _parts(field: str, descending: bool, value: Key | None, begun: bool) -> list[Filter]:
    lacking = {field: {"$exists": False}}
    if begun and value is None:
        return [lacking]
    if descending:
        if not begun:
            return [{}]
        if isinstance(value, str):
            return [{field: {"$lte": value}}, {field: {"$not": {"$gte": ""}}}]
        return [{field: {"$lte": value, "$not": {"$gte": ""}}}, lacking]
    if not begun:
        return [{field: {"$exists": True}}, lacking]
    if isinstance(value, str):
        return [{field: {"$gte": value}}, lacking]
    return [{field: {"$gte": value}}, {field: {"$gte": "", "$not": {"$type": "number"}}}, lacking]


def _behind(orders: Sequence[Order], place: Place, start: int) -> Filter:
    """A record sorts behind the place, judging by the orders from `start` on."""
    if start == len(orders):
        return {"_id": {"$lt" if orders and orders[0].descending else "$gt": place[-1]}}
    field, value = field_of(orders[start].name), place[start]
    equal = _behind(orders, place, start + 1)
    if value is None:
        return {"$and": [_lacking(field, orders[start]), equal]}
    before = _some_before(field, value, orders[start], including="e")
    strictly_before = _some_before(field, value, orders[start], including="")
    return {"$or": [{"$nor": before}, {"$and": [{field: {"$eq": value}}, {"$nor": strictly_before}, equal]}]}


def _lacking(field: str, order: Order) -> Filter:
    if order.within is None:
        return {field: {"$exists": False}}
    return {"$nor": [some_value(field, {"$gte": order.within[0], "$lte": order.within[1]})]}


def _some_before(field: str, value: Key, order: Order, *, including: str) -> list[Filter]:
    """Some value of the field sorts before this one: none may, of those a record behind it carries."""
    if order.within is not None:
        low, high = order.within
        nearer = {f"$gt{including}": value, "$lte": high}
        return [some_value(field, nearer if order.descending else {"$gte": low, f"$lt{including}": value})]
    if order.descending:
        same: Filter = {field: {f"$gt{including}": value}}
        return [same] if isinstance(value, str) else [same, {field: {"$type": "string"}}]
    same = {field: {f"$lt{including}": value}}
    return [same, {field: {"$type": "number"}}] if isinstance(value, str) else [same]


def sorting(orders: Sequence[Order]) -> list[tuple[str, int]]:
    """As MongoDB sorts; right within a segment where no order but the first may be lacking."""
    by = [(field_of(order.name), -1 if order.descending else 1) for order in orders]
    return [*by, ("_id", -1 if orders and orders[0].descending else 1)]


def sorting_stages(orders: Sequence[Order]) -> list[dict[str, Any]]:
    """The same by a pipeline, which can put lacking values last in every order and sort by several arrays."""
    values: dict[str, Any] = {}
    by: dict[str, int] = {}
    for number, order in enumerate(orders):
        path: Any = f"${field_of(order.name)}"
        lacking: dict[str, Any] = {"$eq": [{"$type": path}, "missing"]}
        if order.within is not None:
            path = _within(path, *order.within)
            lacking = {"$eq": [path, []]}
        values[f"l{number}"] = lacking
        values[f"v{number}"] = {"$max" if order.descending else "$min": path}
        by |= {f"l{number}": 1, f"v{number}": -1 if order.descending else 1}
    by["_id"] = -1 if orders[0].descending else 1
    return [{"$set": values}, {"$sort": by}]


def _within(path: str, low: str, high: str) -> dict[str, Any]:
    """Those values of a field that lie in a run; the bounds as literals, for one may begin with a dollar sign."""
    values = {"$cond": [{"$isArray": path}, path, [path]]}
    bounds = [{"$gte": ["$$this", {"$literal": low}]}, {"$lte": ["$$this", {"$literal": high}]}]
    return {"$filter": {"input": values, "cond": {"$and": bounds}}}
