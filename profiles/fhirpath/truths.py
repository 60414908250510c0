"""Three-valued logic compiled (N1, 6.5), and the comparisons with text that most invariants are made of."""

from __future__ import annotations

from profiles.fhirpath.nodes import Items, Node, boolean
from profiles.fhirpath.plan import Run, Truth, single
from profiles.fhirpath.scope import Scope


def boxed(truth: Truth) -> Run:
    def run(this: Node | None, scope: Scope) -> Items:
        result = truth(this, scope)
        return [] if result is None else [boolean(result)]

    return run


def conjunction(operands: list[Truth]) -> Truth:
    def truth(this: Node | None, scope: Scope) -> bool | None:
        result: bool | None = True
        for each in operands:
            value = each(this, scope)
            if value is False:
                return False
            if value is None:
                result = None
        return result

    return truth


def disjunction(operands: list[Truth]) -> Truth:
    def truth(this: Node | None, scope: Scope) -> bool | None:
        result: bool | None = False
        for each in operands:
            value = each(this, scope)
            if value:
                return True
            if value is None:
                result = None
        return result

    return truth


def exclusive(left: Truth, right: Truth) -> Truth:
    def truth(this: Node | None, scope: Scope) -> bool | None:
        one, other = left(this, scope), right(this, scope)
        return None if one is None or other is None else one != other

    return truth


def implication(left: Truth, right: Truth) -> Truth:
    def truth(this: Node | None, scope: Scope) -> bool | None:
        premise = left(this, scope)
        if premise is False:
            return True
        conclusion = right(this, scope)
        return True if conclusion else conclusion if premise else None

    return truth


def negation(operand: Truth) -> Truth:
    def truth(this: Node | None, scope: Scope) -> bool | None:
        value = operand(this, scope)
        return None if value is None else not value

    return truth


def is_one_of(run: Run, words: list[str]) -> Truth:
    known = frozenset(words)

    def truth(this: Node | None, scope: Scope) -> bool | None:
        node = single(run(this, scope))
        return None if node is None else type(node.value) is str and node.value in known

    return truth


def equals_text(run: Run, wanted: str, equal: bool) -> Truth:
    def truth(this: Node | None, scope: Scope) -> bool | None:
        items = run(this, scope)
        if len(items) != 1:
            return not equal if items else None
        value = items[0].value
        if type(value) is str:
            return (value == wanted) is equal
        return None if value is None else not equal

    return truth
