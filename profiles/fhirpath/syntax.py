"""The abstract syntax of FHIRPath (N1 grammar)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    value: Any
    type: str
    """A type of the System namespace: `System.Integer`."""


@dataclass(frozen=True, slots=True)
class EmptyCollection:
    """`{}`."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`$this`, `$index` or `$total`, without the dollar."""

    name: str


@dataclass(frozen=True, slots=True)
class External:
    """`%resource` and its like, without the per cent sign."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    base: Tree | None
    """`None` where the path begins here."""
    name: str


@dataclass(frozen=True, slots=True)
class Indexer:
    base: Tree
    index: Tree


@dataclass(frozen=True, slots=True)
class Call:
    base: Tree | None
    name: str
    arguments: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Polarity:
    sign: str
    operand: Tree


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class Series:
    """Operands of one operator that associates: `|`, `and`, `or`. A long list so stays shallow."""

    operator: str
    operands: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class TypeOperation:
    operator: str
    """`is` or `as`."""
    operand: Tree
    type: str
    """As written: `Quantity`, `System.String`."""


Tree: TypeAlias = (
    Literal
    | EmptyCollection
    | Variable
    | External
    | Member
    | Indexer
    | Call
    | Polarity
    | Binary
    | Series
    | TypeOperation
)


def parts(tree: Tree) -> tuple[Tree, ...]:
    """The trees a tree is made of."""
    match tree:
        case Literal() | EmptyCollection() | Variable() | External():
            return ()
        case Member(base, _):
            return () if base is None else (base,)
        case Indexer(base, index):
            return (base, index)
        case Call(base, _, arguments):
            return arguments if base is None else (base, *arguments)
        case Polarity(_, operand) | TypeOperation(_, operand, _):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Series(_, operands):
            return operands


def everything(tree: Tree) -> Iterator[Tree]:
    """The tree and all within it."""
    pending = [tree]
    while pending:
        each = pending.pop()
        yield each
        pending.extend(parts(each))


def is_fixed(tree: Tree) -> bool:
    """Whether it gives the same whatever `$this` is: all its paths begin at `%resource` or another constant."""
    match tree:
        case Variable() | Member(None, _) | Call(None, _, _):
            return False
        case Call(_, "trace" | "now" | "today" | "timeOfDay", _):
            return False
    return all(is_fixed(each) for each in parts(tree))
