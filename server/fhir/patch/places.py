"""Where in a resource the path of a FHIRPath Patch leads (R4, FHIRPath Patch).

A patch must know not only the value but the place of an element, so a path is followed step by step here: children,
indexers, and functions that choose among items. Criteria within it are evaluated as any FHIRPath.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from profiles.definitions import Member as Property
from profiles.definitions import definitions
from profiles.fhirpath.engine import Expression, Node, compile_tree
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.scope import Environment
from profiles.fhirpath.syntax import Call, External, Indexer, Literal, Member, Tree, TypeOperation, Variable
from profiles.fhirpath.type_names import is_exactly, is_of_type, known_type, type_argument
from server.fhir.patch.elements import Path, read


@dataclass(frozen=True, slots=True)
class Place:
    """An element and the way to it."""

    path: Path
    node: Node

    @property
    def owner(self) -> Path:
        """The way to the object whose children it has: for a primitive that of its extensions."""
        if isinstance(self.node.value, dict) or not self.path:
            return self.path
        *before, (name, index) = self.path
        return (*before, (f"_{name}", index))


def properties(type_name: str | None, name: str) -> tuple[Property, ...]:
    """The JSON properties an element of that name may lie under; several for a choice."""
    try:
        members = definitions().shape(type_name or "").members
    except KeyError:
        return ()
    named = tuple(each for each in members.values() if each.element.name == name)
    return named or tuple(each for each in members.values() if each.name == name)


def type_below(place: Node) -> str | None:
    """The type whose children the item has: a primitive has those of Element."""
    return place.type if isinstance(place.value, dict) else "Element"


def locate(tree: Tree, root: Node) -> list[Place]:
    """The places a path leads to; `FhirPathError` for what is no path within the resource."""
    match tree:
        case Variable("this") | External("resource" | "rootResource" | "context"):
            return [Place((), root)]
        case Member(None, name) if name[:1].isupper() and not properties(root.type, name):
            return [Place((), root)] if is_of_type(root, known_type(name)) else []
        case Member(base, name):
            owners = [Place((), root)] if base is None else locate(base, root)
            return [child for each in owners for child in _children(each, name)]
        case Indexer(base, Literal(int() as index, _)):
            return locate(base, root)[index : index + 1]
        case TypeOperation("as", operand, type_name):
            return [each for each in locate(operand, root) if is_exactly(each.node, known_type(type_name))]
        case Call(base, name, arguments) if base is not None:
            return _chosen(locate(base, root), name, arguments, root)
    raise FhirPathError("The path of a patch is made of children, indexers and functions that choose among them.")


def _chosen(places: list[Place], name: str, arguments: tuple[Tree, ...], root: Node) -> list[Place]:
    match name, arguments:
        case "where", (criteria,):
            expression, environment = compile_tree(criteria), Environment(resource=root)
            return [each for each in places if _holds(expression, each, environment)]
        case (("ofType" | "as"), (type_name,)):
            return [each for each in places if is_exactly(each.node, known_type(type_argument(type_name)))]
        case "extension", (Literal(str() as url, _),):
            extensions = (child for each in places for child in _children(each, "extension"))
            return [each for each in extensions if each.node.value.get("url") == url]
        case "first" | "last" | "tail", ():
            return _SLICES[name](places)
        case "single", () if len(places) < 2:
            return places
    raise FhirPathError("The path of a patch is made of children, indexers and functions that choose among them.")


_SLICES: dict[str, Callable[[list[Place]], list[Place]]] = {
    "first": lambda places: places[:1],
    "last": lambda places: places[-1:],
    "tail": lambda places: places[1:],
}


def _holds(expression: Expression, place: Place, environment: Environment) -> bool:
    return expression.holds(place.node, environment) is True


def _children(place: Place, name: str) -> list[Place]:
    owner = place.node.value if isinstance(place.node.value, dict) else place.node.element
    if not isinstance(owner, dict):
        return []
    found = []
    for each in properties(type_below(place.node), name):
        is_list = each.element.maximum != 1
        for index, element in enumerate(read(owner, each.name)):
            step = (each.name, index if is_list else None)
            found.append(Place((*place.owner, step), _node(each, element.value, element.extended)))
    return found


def _node(member: Property, value: object, extended: dict[str, object] | None) -> Node:
    if member.shape is None and isinstance(value, dict):
        return Node(value, value.get("resourceType"))
    return Node(value, member.shape or member.type, extended)
