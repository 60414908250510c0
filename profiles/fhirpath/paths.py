"""Paths compiled: from an item to its children, which is what expressions do most."""

from __future__ import annotations

from functools import cache

from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.nodes import Items, Node, Reader, property_names, reader
from profiles.fhirpath.plan import Compiler, Presence, Run, single
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.syntax import Indexer, Member
from profiles.fhirpath.type_names import is_of_type, known_type


@cache
def _is_type_name(name: str) -> bool:
    if not name[:1].isupper():
        return False
    try:
        return not known_type(name).startswith("System.")
    except FhirPathError:
        return False


def member_items(compiler: Compiler, tree: Member) -> Run:
    if tree.base is None:
        return _of_type(tree.name) if _is_type_name(tree.name) else _of_this(tree.name)
    base, name = compiler.items(tree.base), tree.name
    readers: dict[str | None, Reader] = {}

    def run(this: Node | None, scope: Scope) -> Items:
        found: Items = []
        for node in base(this, scope):
            value = node.value
            if type(value) is dict:
                read = readers.get(node.type)
                if read is None:
                    read = readers[node.type] = reader(node.type, name)
                read(value, found)
            elif type(node.element) is dict:
                reader("Element", name)(node.element, found)
        scope.left -= len(found)
        return found

    return run


def _of_this(name: str) -> Run:
    readers: dict[str | None, Reader] = {}

    def run(this: Node | None, scope: Scope) -> Items:
        found: Items = []
        if this is None:
            return found
        value = this.value
        if type(value) is dict:
            read = readers.get(this.type)
            if read is None:
                read = readers[this.type] = reader(this.type, name)
            read(value, found)
        elif type(this.element) is dict:
            reader("Element", name)(this.element, found)
        return found

    return run


def _of_type(name: str) -> Run:
    """A path may begin with the type of its focus: `Patient.name`."""

    def run(this: Node | None, scope: Scope) -> Items:
        return [this] if this is not None and is_of_type(this, name) else []

    return run


def member_presence(compiler: Compiler, tree: Member) -> Presence:
    name = tree.name
    if tree.base is None:
        return _presence_of_type(name) if _is_type_name(name) else _has_member(name)
    base, has = compiler.items(tree.base), _has_member(name)

    def some(this: Node | None, scope: Scope) -> bool:
        for node in base(this, scope):  # noqa: SIM110  (a generator costs as much as the rest)
            if has(node, scope):
                return True
        return False

    return some


def _presence_of_type(name: str) -> Presence:
    return lambda this, scope: this is not None and is_of_type(this, name)


def _has_member(name: str) -> Presence:
    names: dict[str | None, tuple[str, str] | frozenset[str]] = {}

    def some(this: Node | None, scope: Scope) -> bool:
        if this is None:
            return False
        value, type_name = this.value, this.type
        if type(value) is not dict:
            value, type_name = this.element, "Element"
            if type(value) is not dict:
                return False
        wanted = names.get(type_name)
        if wanted is None:
            wanted = names[type_name] = _pair(property_names(type_name, name))
        if type(wanted) is tuple:
            return wanted[0] in value or wanted[1] in value
        return not wanted.isdisjoint(value)  # type: ignore[union-attr]

    return some


def _pair(names: frozenset[str]) -> tuple[str, str] | frozenset[str]:
    if not 1 <= len(names) <= 2:
        return names
    shortest, *rest = sorted(names, key=lambda each: each.startswith("_"))
    return (shortest, rest[0] if rest else shortest)


def indexer_items(compiler: Compiler, tree: Indexer) -> Run:
    base, index = compiler.items(tree.base), compiler.items(tree.index)

    def run(this: Node | None, scope: Scope) -> Items:
        items = base(this, scope)
        place = single(index(this, scope))
        if place is None:
            return []
        if type(place.value) is not int:
            raise FhirPathError("An index must be an integer.")
        return [items[place.value]] if 0 <= place.value < len(items) else []

    return run
