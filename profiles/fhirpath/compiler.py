"""Trees compiled to closures.

Invariants are evaluated for every element of every resource written, so what can be known before is: the reader of each
step by type, whether a part is wanted as items, as presence or as truth, and whether it depends on `$this` at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from profiles.fhirpath import boundaries, conversions, host, mathematics, operators, strings, subsets
from profiles.fhirpath.equality import distinct
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.iteration import MAKERS, every, where_presence
from profiles.fhirpath.nodes import Items, Node, boolean, text
from profiles.fhirpath.paths import indexer_items, member_items, member_presence
from profiles.fhirpath.plan import Plain, Presence, Run, Truth, single, truth_of
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.syntax import (
    Binary,
    Call,
    EmptyCollection,
    External,
    Indexer,
    Literal,
    Member,
    Polarity,
    Series,
    Tree,
    TypeOperation,
    Variable,
    is_fixed,
)
from profiles.fhirpath.truths import (
    boxed,
    conjunction,
    disjunction,
    equals_text,
    exclusive,
    implication,
    is_one_of,
    negation,
)
from profiles.fhirpath.type_names import is_exactly, is_of_type, known_type
from profiles.fhirpath.variables import external

PLAIN: Mapping[str, Plain] = {
    **subsets.FUNCTIONS,
    **strings.FUNCTIONS,
    **mathematics.FUNCTIONS,
    **conversions.FUNCTIONS,
    **boundaries.FUNCTIONS,
    **host.FUNCTIONS,
}
_LOGICAL = ("exists", "empty", "not", "all")
"""Functions compiled as truth, whatever they are asked for."""


@dataclass(frozen=True, slots=True)
class TreeCompiler:
    """Makes the closures of one expression."""

    is_inner: bool = False

    @property
    def inner(self) -> TreeCompiler:
        return TreeCompiler(is_inner=True)

    def items(self, tree: Tree) -> Run:
        run = self.fresh_items(tree)
        return _kept(run) if self.is_inner and isinstance(tree, Call | Series) and is_fixed(tree) else run

    def fresh_items(self, tree: Tree) -> Run:
        match tree:
            case Literal() | EmptyCollection() | Variable() | External():
                return _atom(tree)
            case Member():
                return member_items(self, tree)
            case Indexer():
                return indexer_items(self, tree)
            case Call():
                return self.call(tree)
            case Series() | Binary():
                return self.operation(tree)
            case Polarity(sign, operand):
                return self.polarity(sign, operand)
            case TypeOperation():
                return self.type_operation(tree)

    def operation(self, tree: Series | Binary) -> Run:
        match tree:
            case Series("|", operands):
                return self.union(operands)
            case Binary(operator, left, right) if operator not in ("xor", "implies"):
                return self.binary(operator, left, right)
        return boxed(self.truth(tree))

    def input(self, base: Tree | None) -> Run:
        return _this if base is None else self.items(base)

    def call(self, call: Call) -> Run:
        if call.name in _LOGICAL:
            return boxed(self.truth(call))
        if call.name in MAKERS:
            make, least, most = MAKERS[call.name]
            _check_arity(call, least, most)
            return make(self, call)
        plain = PLAIN.get(call.name)
        if plain is None:
            raise FhirPathError(f"There is no function {call.name[:80]}().")
        _check_arity(call, plain.least, plain.most)
        return self.plain(plain, call)

    def plain(self, plain: Plain, call: Call) -> Run:
        base, function = self.input(call.base), plain.run
        arguments = [self.items(each) for each in call.arguments]
        match arguments:
            case []:
                return lambda this, scope: function(scope, base(this, scope))
            case [first]:
                return lambda this, scope: function(scope, base(this, scope), first(this, scope))
            case _:
                return lambda this, scope: function(
                    scope, base(this, scope), *[argument(this, scope) for argument in arguments]
                )

    def polarity(self, sign: str, operand: Tree) -> Run:
        run = self.items(operand)
        if sign == "-":
            return lambda this, scope: operators.negated(run(this, scope))
        return lambda this, scope: operators.negated(operators.negated(run(this, scope)))

    def union(self, operands: tuple[Tree, ...]) -> Run:
        if (words := _words(operands)) is not None:
            constants = [text(each) for each in words]
            return lambda this, scope: constants
        runs = [self.items(each) for each in operands]

        def run(this: Node | None, scope: Scope) -> Items:
            found = [item for each in runs for item in each(this, scope)]
            return distinct(found, scope)

        return run

    def binary(self, operator: str, left: Tree, right: Tree) -> Run:
        one, other, compute = self.items(left), self.items(right), operators.OPERATORS[operator]
        return lambda this, scope: compute(scope, one(this, scope), other(this, scope))

    def type_operation(self, tree: TypeOperation) -> Run:
        operand, wanted = self.items(tree.operand), known_type(tree.type)
        primitive = _primitive_of(wanted) if "." not in tree.type else wanted
        if tree.operator == "as":
            return lambda this, scope: [
                each for each in operand(this, scope) if is_exactly(each, wanted) or each.type == primitive
            ]

        def run(this: Node | None, scope: Scope) -> Items:
            node = single(operand(this, scope))
            return [] if node is None else [boolean(is_of_type(node, wanted) or node.type == primitive)]

        return run

    def presence(self, tree: Tree) -> Presence:
        match tree:
            case Member():
                return member_presence(self, tree)
            case Call(base, "where", (criteria,)):
                return where_presence(self, base, criteria)
            case _:
                run = self.items(tree)
                return lambda this, scope: bool(run(this, scope))

    def truth(self, tree: Tree) -> Truth:
        match tree:
            case Series("and", operands):
                return conjunction([self.truth(each) for each in operands])
            case Series("or", operands):
                return disjunction([self.truth(each) for each in operands])
            case Binary("xor", left, right):
                return exclusive(self.truth(left), self.truth(right))
            case Binary("implies", left, right):
                return implication(self.truth(left), self.truth(right))
            case Binary(operator, left, right) if operator in operators.COMPARISONS:
                return self.comparison(operator, left, right)
            case Call(_, name, _) if name in _LOGICAL:
                return self.logical(tree)
            case Literal(value, "System.Boolean"):
                return lambda this, scope: bool(value)
            case _:
                run = self.items(tree)
                return lambda this, scope: truth_of(run(this, scope))

    def comparison(self, operator: str, left: Tree, right: Tree) -> Truth:
        one, other, compare = self.items(left), self.items(right), operators.COMPARISONS[operator]
        if operator == "in" and isinstance(right, Series) and (words := _words(right.operands)) is not None:
            return is_one_of(one, words)
        if operator in ("=", "!=") and isinstance(right, Literal) and right.type == "System.String":
            return equals_text(one, right.value, operator == "=")
        return lambda this, scope: compare(scope, one(this, scope), other(this, scope))

    def logical(self, call: Call) -> Truth:
        match call:
            case Call(base, "exists", (criteria,)):
                return where_presence(self, base, criteria)
            case Call(None, "exists" | "empty", ()):
                wanted = call.name == "exists"
                return lambda this, scope: (this is not None) is wanted
            case Call(base, "exists", ()) if base is not None:
                return self.presence(base)
            case Call(base, "empty", ()) if base is not None:
                some = self.presence(base)
                return lambda this, scope: not some(this, scope)
            case Call(base, "not", ()):
                return negation(self.truth(base) if base is not None else _truth_of_this)
            case Call(_, "all", (_,)):
                return every(self, call)
        raise FhirPathError(f"{call.name}() does not take {len(call.arguments)} arguments.")


def _kept(run: Run) -> Run:
    """Evaluated once however often an iteration around it asks: `%resource.descendants()` is the costly one."""
    place = object()

    def kept(this: Node | None, scope: Scope) -> Items:
        items = scope.kept.get(place)
        if items is None:
            items = scope.kept[place] = run(this, scope)
        return items

    return kept


def _check_arity(call: Call, least: int, most: int) -> None:
    if not least <= len(call.arguments) <= most:
        raise FhirPathError(f"{call.name}() does not take {len(call.arguments)} arguments.")


def _primitive_of(system_type: str) -> str:
    """R4's own invariants ask `answer is Boolean` of a FHIR boolean, so the operator takes one for the other."""
    name = system_type.removeprefix("System.")
    return name[0].lower() + name[1:] if name != system_type else system_type


def _this(this: Node | None, scope: Scope) -> Items:
    return [] if this is None else [this]


def _truth_of_this(this: Node | None, scope: Scope) -> bool | None:
    return truth_of(_this(this, scope))


def _atom(tree: Literal | EmptyCollection | Variable | External) -> Run:
    match tree:
        case Literal(value, type_name):
            constant = [Node(value, type_name)]
            return lambda this, scope: constant
        case EmptyCollection():
            return lambda this, scope: []
        case Variable(name):
            return _variable(name)
        case External(name):
            return external(name)


def _variable(name: str) -> Run:
    match name:
        case "index":
            return lambda this, scope: [Node(scope.index, "System.Integer")]
        case "total":
            return lambda this, scope: scope.total
    return _this


def _words(operands: tuple[Tree, ...]) -> list[str] | None:
    """A union of strings, each once; `None` where it is of anything else."""
    words = [each.value for each in operands if isinstance(each, Literal) and each.type == "System.String"]
    return list(dict.fromkeys(words)) if len(words) == len(operands) else None
