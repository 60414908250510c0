"""Functions on collections as such: existence, subsetting, combining (N1, 5.1, 5.3, 5.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from profiles.fhirpath.equality import distinct, key
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.nodes import Items, Node, boolean, children, integer
from profiles.fhirpath.plan import Function, Plain, single
from profiles.fhirpath.scope import Scope


def _booleans(items: Items) -> list[bool]:
    if not all(type(each.value) is bool for each in items):
        raise FhirPathError("Only booleans are expected here.")
    return [each.value for each in items]


def _of_booleans(judge: Callable[[list[bool]], bool]) -> Function:
    def run(scope: Scope, items: Items, /, *arguments: Items) -> Items:
        return [boolean(judge(_booleans(items)))]

    return run


def _keys(scope: Scope, items: Items) -> set[object]:
    scope.spend(len(items))
    return {key(each, scope) for each in items}


def empty(scope: Scope, items: Items) -> Items:
    return [boolean(not items)]


def count(scope: Scope, items: Items) -> Items:
    return [integer(len(items))]


def negation(scope: Scope, items: Items) -> Items:
    node = single(items)
    if node is None:
        return []
    return [boolean(not node.value if type(node.value) is bool else False)]


def subset_of(scope: Scope, items: Items, other: Items) -> Items:
    return [boolean(_keys(scope, items) <= _keys(scope, other))]


def superset_of(scope: Scope, items: Items, other: Items) -> Items:
    return [boolean(_keys(scope, items) >= _keys(scope, other))]


def each_once(scope: Scope, items: Items) -> Items:
    return distinct(items, scope)


def is_distinct(scope: Scope, items: Items) -> Items:
    return [boolean(len(_keys(scope, items)) == len(items))]


def one(scope: Scope, items: Items) -> Items:
    single(items)
    return items


def first(scope: Scope, items: Items) -> Items:
    return items[:1]


def last(scope: Scope, items: Items) -> Items:
    return items[-1:]


def tail(scope: Scope, items: Items) -> Items:
    return items[1:]


def whole_number(items: Items) -> int | None:
    node = single(items)
    if node is None:
        return None
    if type(node.value) is not int:
        raise FhirPathError("An integer is needed here.")
    return node.value


def skip(scope: Scope, items: Items, number: Items) -> Items:
    return items[max(0, whole_number(number) or 0) :]


def take(scope: Scope, items: Items, number: Items) -> Items:
    return items[: max(0, whole_number(number) or 0)]


def intersect(scope: Scope, items: Items, other: Items) -> Items:
    wanted = _keys(scope, other)
    return distinct([each for each in items if key(each, scope) in wanted], scope)


def exclude(scope: Scope, items: Items, other: Items) -> Items:
    unwanted = _keys(scope, other)
    return [each for each in items if key(each, scope) not in unwanted]


def combine(scope: Scope, items: Items, other: Items) -> Items:
    scope.spend(len(items) + len(other))
    return [*items, *other]


def union(scope: Scope, items: Items, other: Items) -> Items:
    return distinct(combine(scope, items, other), scope)


def all_children(scope: Scope, items: Items) -> Items:
    found = [child for node in items for child in children(node)]
    scope.spend(len(found))
    return found


def all_descendants(scope: Scope, items: Items) -> Items:
    found: Items = []
    level = items
    while level:
        level = all_children(scope, level)
        found += level
    return found


def type_of(scope: Scope, items: Items) -> Items:
    """Objects with the namespace and the name of each item's type."""
    return [_described(each) for each in items]


def _described(node: Node) -> Node:
    namespace, _, name = (node.type or "").rpartition(".")
    if namespace == "System":
        return Node({"namespace": namespace, "name": name}, "System.TypeInfo")
    found = "BackboneElement" if namespace else name
    return Node({"namespace": "FHIR", "name": found}, "System.TypeInfo")


FUNCTIONS: Mapping[str, Plain] = {
    "empty": Plain(empty),
    "not": Plain(negation),
    "count": Plain(count),
    "allTrue": Plain(_of_booleans(all)),
    "anyTrue": Plain(_of_booleans(any)),
    "allFalse": Plain(_of_booleans(lambda values: not any(values))),
    "anyFalse": Plain(_of_booleans(lambda values: not all(values))),
    "subsetOf": Plain(subset_of, 1, 1),
    "supersetOf": Plain(superset_of, 1, 1),
    "distinct": Plain(each_once),
    "isDistinct": Plain(is_distinct),
    "single": Plain(one),
    "first": Plain(first),
    "last": Plain(last),
    "tail": Plain(tail),
    "skip": Plain(skip, 1, 1),
    "take": Plain(take, 1, 1),
    "intersect": Plain(intersect, 1, 1),
    "exclude": Plain(exclude, 1, 1),
    "union": Plain(union, 1, 1),
    "combine": Plain(combine, 1, 2),
    "children": Plain(all_children),
    "descendants": Plain(all_descendants),
    "type": Plain(type_of),
}
