"""Functions that evaluate an argument for each item: where, select, all, repeat, aggregate, iif, sort (N1, 5.2, 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cmp_to_key
from typing import TypeAlias

from profiles.fhirpath.equality import compare, distinct, key
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.nodes import Items, Node, boolean
from profiles.fhirpath.plan import Compiler, Presence, Run, Truth, single
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.syntax import Call, Polarity, Tree, Variable, everything
from profiles.fhirpath.type_names import is_exactly, is_of_type, known_type, type_argument

Maker: TypeAlias = Callable[[Compiler, Call], Run]


def reads_index(tree: Tree) -> bool:
    return any(isinstance(each, Variable) and each.name == "index" for each in everything(tree))


def _criteria(compiler: Compiler, tree: Tree) -> Truth:
    truth = compiler.inner.truth(tree)
    return _indexed_truth(truth) if reads_index(tree) else truth


def _indexed_truth(truth: Truth) -> Truth:
    """Counts up `$index` from call to call; the loops below begin at 0 by `_begin`."""

    def counted(this: Node | None, scope: Scope) -> bool | None:
        result = truth(this, scope)
        scope.index += 1
        return result

    return counted


def where(compiler: Compiler, call: Call) -> Run:
    base, criteria = compiler.input(call.base), _criteria(compiler, call.arguments[0])

    def run(this: Node | None, scope: Scope) -> Items:
        items = base(this, scope)
        if not items:
            return items
        scope.spend(len(items))
        outer, scope.index = scope.index, 0
        found = [each for each in items if criteria(each, scope)]
        scope.index = outer
        return found

    return run


def where_presence(compiler: Compiler, base_tree: Tree | None, criteria_tree: Tree) -> Presence:
    base, criteria = compiler.input(base_tree), _criteria(compiler, criteria_tree)

    def some(this: Node | None, scope: Scope) -> bool:
        items = base(this, scope)
        if not items:
            return False
        scope.spend(len(items))
        outer, scope.index = scope.index, 0
        for each in items:
            if criteria(each, scope):
                scope.index = outer
                return True
        scope.index = outer
        return False

    return some


def every(compiler: Compiler, call: Call) -> Truth:
    base, criteria = compiler.input(call.base), _criteria(compiler, call.arguments[0])

    def truth(this: Node | None, scope: Scope) -> bool:
        items = base(this, scope)
        if not items:
            return True
        scope.spend(len(items))
        outer, scope.index = scope.index, 0
        for each in items:
            if not criteria(each, scope):
                scope.index = outer
                return False
        scope.index = outer
        return True

    return truth


def select(compiler: Compiler, call: Call) -> Run:
    base, project = compiler.input(call.base), compiler.inner.items(call.arguments[0])

    def run(this: Node | None, scope: Scope) -> Items:
        items = base(this, scope)
        outer, found = scope.index, []
        for scope.index, each in enumerate(items):
            found += project(each, scope)
        scope.index = outer
        scope.spend(len(items) + len(found))
        return found

    return run


def repeat(compiler: Compiler, call: Call) -> Run:
    base, project = compiler.input(call.base), compiler.inner.items(call.arguments[0])

    def run(this: Node | None, scope: Scope) -> Items:
        found: Items = []
        seen: set[object] = set()
        pending = base(this, scope)
        while pending:
            reached = [each for node in pending for each in project(node, scope)]
            scope.spend(len(reached) + len(pending))
            pending = []
            for each in distinct(reached, scope):
                if (mark := key(each, scope)) not in seen:
                    seen.add(mark)
                    pending.append(each)
            found += pending
        return found

    return run


def aggregate(compiler: Compiler, call: Call) -> Run:
    base, step = compiler.input(call.base), compiler.inner.items(call.arguments[0])
    start = compiler.items(call.arguments[1]) if len(call.arguments) > 1 else None

    def run(this: Node | None, scope: Scope) -> Items:
        items = base(this, scope)
        scope.spend(len(items))
        outer = scope.index, scope.total
        scope.total = start(this, scope) if start else []
        for scope.index, each in enumerate(items):
            scope.total = step(each, scope)
        result = scope.total
        scope.index, scope.total = outer
        return result

    return run


def iif(compiler: Compiler, call: Call) -> Run:
    base, criterion = compiler.input(call.base), compiler.items(call.arguments[0])
    branches = [compiler.items(each) for each in call.arguments[1:]]

    def run(this: Node | None, scope: Scope) -> Items:
        focus = single(base(this, scope))
        node = single(criterion(focus, scope))
        if node is not None and type(node.value) is not bool:
            raise FhirPathError("The criterion of iif() must be a boolean.")
        if node is not None and node.value:
            return branches[0](focus, scope)
        return branches[1](focus, scope) if len(branches) > 1 else []

    return run


def trace(compiler: Compiler, call: Call) -> Run:
    """What it is given: nothing of a resource is written to a log."""
    return compiler.input(call.base)


def of_type(compiler: Compiler, call: Call) -> Run:
    base, wanted = compiler.input(call.base), known_type(type_argument(call.arguments[0]))
    return lambda this, scope: [each for each in base(this, scope) if is_exactly(each, wanted)]


def is_function(compiler: Compiler, call: Call) -> Run:
    base, wanted = compiler.input(call.base), known_type(type_argument(call.arguments[0]))

    def run(this: Node | None, scope: Scope) -> Items:
        node = single(base(this, scope))
        return [] if node is None else [boolean(is_of_type(node, wanted))]

    return run


def sort(compiler: Compiler, call: Call) -> Run:
    """In the order of each argument in turn; `-` before one turns it round. Those without a value come first."""
    base = compiler.input(call.base)
    orders = [_order(compiler, each) for each in call.arguments] or [
        _Order(lambda this, scope: [this] if this else [], 1)
    ]

    def run(this: Node | None, scope: Scope) -> Items:
        items = base(this, scope)
        scope.spend(len(items) * 8)
        keyed = [([single(order.of(each, scope)) for order in orders], each) for each in items]

        def by_keys(one: tuple[list[Node | None], Node], other: tuple[list[Node | None], Node]) -> int:
            compared = (
                order.compare(first, second, scope)
                for order, first, second in zip(orders, one[0], other[0], strict=True)
            )
            return next((each for each in compared if each), 0)

        return [each for _, each in sorted(keyed, key=cmp_to_key(by_keys))]

    return run


@dataclass(frozen=True, slots=True)
class _Order:
    of: Run
    sign: int

    def compare(self, one: Node | None, other: Node | None, scope: Scope) -> int:
        if one is None or other is None:
            return (one is not None) - (other is not None)
        return self.sign * (compare(one, other, scope.environment.canonical) or 0)


def _order(compiler: Compiler, tree: Tree) -> _Order:
    if isinstance(tree, Polarity) and tree.sign == "-":
        return _Order(compiler.inner.items(tree.operand), -1)
    return _Order(compiler.inner.items(tree), 1)


MAKERS: Mapping[str, tuple[Maker, int, int]] = {
    "where": (where, 1, 1),
    "select": (select, 1, 1),
    "repeat": (repeat, 1, 1),
    "aggregate": (aggregate, 1, 2),
    "iif": (iif, 2, 3),
    "trace": (trace, 1, 2),
    "ofType": (of_type, 1, 1),
    "as": (of_type, 1, 1),
    "is": (is_function, 1, 1),
    "sort": (sort, 0, 8),
}
"""By name: how to compile a call, and how many arguments it takes."""
