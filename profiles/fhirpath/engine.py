"""Expressions: compiled once, evaluated often. The way in for everybody else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from profiles.fhirpath.compiler import TreeCompiler
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.nodes import Items, Node, resource_node
from profiles.fhirpath.parser import parse
from profiles.fhirpath.plan import Run, Truth
from profiles.fhirpath.scope import Environment, Limits, Scope
from profiles.fhirpath.syntax import Tree

__all__ = ["Environment", "Expression", "FhirPathError", "Limits", "Node", "compile_expression", "resource_node"]

_PLAIN = Environment()


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression."""

    text: str
    _items: Run
    _truth: Truth

    def evaluate(self, focus: Node, environment: Environment | None = None) -> Items:
        """The collection it gives; `FhirPathError` where the language says error, or the limits are passed."""
        given = environment or _PLAIN
        return list(self._items(focus, Scope(given, focus, given.limits.steps)))

    def holds(self, focus: Node, environment: Environment | None = None) -> bool | None:
        """As an invariant: empty is `None`, any single item that is no boolean is true."""
        given = environment or _PLAIN
        return self._truth(focus, Scope(given, focus, given.limits.steps))


@lru_cache(4096)
def compile_expression(text: str) -> Expression:
    """The expression of a text, from a cache where it was met before; `FhirPathError` where the text is none."""
    return compile_tree(parse(text), text)


def compile_tree(tree: Tree, text: str = "") -> Expression:
    compiler = TreeCompiler()
    return Expression(text, compiler.items(tree), compiler.truth(tree))
