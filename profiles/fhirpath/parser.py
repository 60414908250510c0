"""FHIRPath text to a tree, by precedence climbing over the N1 grammar; length and depth are bounded."""

from __future__ import annotations

from decimal import Decimal

from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.quantities import CALENDAR_UNITS, Quantity
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
    parts,
)
from profiles.fhirpath.tokens import Token, tokens_of

MAX_DEPTH = 100
"""Most levels of a tree. Lists of `|`, `and` and `or` count as one level however long."""

_PRECEDENCE = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4, "=": 5, "~": 5, "!=": 5, "!~": 5,
    "<": 6, ">": 6, "<=": 6, ">=": 6, "|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9,
    "*": 10, "/": 10, "div": 10, "mod": 10,
}  # fmt: skip
_POLARITY = 11
_SERIES = ("|", "and", "or")


def parse(text: str) -> Tree:
    """The tree of an expression; `FhirPathError` where it is none."""
    parser = _Parser(tokens_of(text))
    tree = parser.expression(0, 0)
    if parser.token.kind != "end":
        raise parser.unexpected()
    _limit_depth(tree)
    return tree


def _limit_depth(tree: Tree) -> None:
    level: list[Tree] = [tree]
    for _ in range(MAX_DEPTH):
        level = [part for each in level for part in parts(each)]
        if not level:
            return
    raise FhirPathError("The expression is nested too deeply.")


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def unexpected(self) -> FhirPathError:
        if self.token.kind == "end":
            return FhirPathError("The expression ends too early.")
        return FhirPathError(f"The expression has something unexpected at character {self.token.place + 1}.")

    def advance(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def accept(self, symbol: str) -> bool:
        if self.token.kind == "symbol" and self.token.text == symbol:
            self.at += 1
            return True
        return False

    def expect(self, symbol: str) -> None:
        if not self.accept(symbol):
            raise self.unexpected()

    def expression(self, least: int, depth: int) -> Tree:
        if depth > MAX_DEPTH:
            raise FhirPathError("The expression is nested too deeply.")
        left = self.operand(depth)
        while (power := self.power()) > least:
            operator = self.advance().text
            if operator in ("is", "as"):
                left = TypeOperation(operator, left, self.type_name())
            else:
                left = _joined(operator, left, self.expression(power, depth + 1))
        return left

    def power(self) -> int:
        token = self.token
        return _PRECEDENCE.get(token.text, 0) if token.kind in ("symbol", "name") else 0

    def operand(self, depth: int) -> Tree:
        if self.token.kind == "symbol" and self.token.text in "+-":
            return Polarity(self.advance().text, self.expression(_POLARITY, depth + 1))
        tree = self.term(depth)
        while True:
            if self.accept("."):
                tree = self.invocation(tree, depth)
            elif self.accept("["):
                tree = Indexer(tree, self.expression(0, depth + 1))
                self.expect("]")
            else:
                return tree

    def term(self, depth: int) -> Tree:
        token = self.token
        match token.kind:
            case "string":
                self.advance()
                return Literal(token.text, "System.String")
            case "number":
                return self.number()
            case "moment":
                self.advance()
                return _moment(token.text)
            case "external":
                self.advance()
                return External(token.text)
            case "symbol":
                return self.enclosed(depth)
            case "name" if token.text in ("true", "false") and not self.is_called():
                self.advance()
                return Literal(token.text == "true", "System.Boolean")
            case _:
                return self.invocation(None, depth)

    def is_called(self) -> bool:
        following = self.tokens[self.at + 1]
        return following.kind == "symbol" and following.text == "("

    def enclosed(self, depth: int) -> Tree:
        if self.accept("{"):
            self.expect("}")
            return EmptyCollection()
        self.expect("(")
        tree = self.expression(0, depth + 1)
        self.expect(")")
        return tree

    def number(self) -> Tree:
        text = self.advance().text
        unit = self.token
        if unit.kind == "string" or (unit.kind == "name" and unit.text in CALENDAR_UNITS and not self.is_called()):
            self.advance()
            calendar = unit.kind == "name"
            return Literal(Quantity(Decimal(text), unit.text, is_calendar=calendar), "System.Quantity")
        return Literal(Decimal(text), "System.Decimal") if "." in text else Literal(_integer(text), "System.Integer")

    def invocation(self, base: Tree | None, depth: int) -> Tree:
        token = self.advance()
        if token.kind == "variable":
            if base is not None and token.text != "this":
                raise FhirPathError(f"${token.text} cannot follow a path.")
            return base if base is not None else Variable(token.text)
        if token.kind not in ("name", "quoted"):
            self.at -= 1
            raise self.unexpected()
        if not self.accept("("):
            return Member(base, token.text)
        return Call(base, token.text, self.arguments(depth))

    def arguments(self, depth: int) -> tuple[Tree, ...]:
        if self.accept(")"):
            return ()
        found = [self.expression(0, depth + 1)]
        while self.accept(","):
            found.append(self.expression(0, depth + 1))
        self.expect(")")
        return tuple(found)

    def type_name(self) -> str:
        names = [self.identifier()]
        while self.accept("."):
            names.append(self.identifier())
        return ".".join(names)

    def identifier(self) -> str:
        if self.token.kind not in ("name", "quoted"):
            raise self.unexpected()
        return self.advance().text


def _joined(operator: str, left: Tree, right: Tree) -> Tree:
    if operator not in _SERIES:
        return Binary(operator, left, right)
    if isinstance(left, Series) and left.operator == operator:
        return Series(operator, (*left.operands, right))
    return Series(operator, (left, right))


def _integer(text: str) -> int:
    if len(text) > 30:
        raise FhirPathError("A number has too many digits.")
    return int(text)


def _moment(text: str) -> Literal:
    if text.startswith("T"):
        return Literal(text[1:], "System.Time")
    return Literal(text.removesuffix("T"), "System.DateTime" if "T" in text else "System.Date")
