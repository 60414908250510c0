"""Types of FHIRPath expressions: what `is`, `as` and `ofType` ask of an item (N1, Types; FHIR, Use of FHIRPath)."""

from __future__ import annotations

from functools import cache

from profiles.definitions import definitions
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.nodes import Node
from profiles.fhirpath.syntax import Member, Tree

_SYSTEM = frozenset(
    ("Any", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity", "Long")
)  # fmt: skip
DATES = frozenset(("date", "dateTime", "instant", "System.Date", "System.DateTime"))
TIMES = frozenset(("time", "System.Time"))
QUANTITIES = frozenset(("Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity", "MoneyQuantity"))


@cache
def known_type(name: str) -> str:
    """The type as nodes name it: `FHIR.Patient` gives `Patient`, `System.Boolean` itself, `Boolean` with no namespace
    `System.Boolean`; `FhirPathError` where there is none."""
    namespace, _, local = name.rpartition(".")
    if namespace in ("", "FHIR") and _is_fhir(local):
        return local
    if namespace == "System":
        return name
    if namespace == "" and local in _SYSTEM:
        return f"System.{local}"
    raise FhirPathError(f"There is no type {name[:80]}.")


@cache
def _is_fhir(name: str) -> bool:
    known = definitions()
    return (
        name in known.primitive_types
        or name in known.data_types
        or name in known.resource_types
        or known.base_of(name) is not None
        or name in ("Element", "Resource")
    )


def type_argument(tree: Tree) -> str:
    """A type given as the argument of a function: it parses as a path."""
    if isinstance(tree, Member):
        return tree.name if tree.base is None else f"{type_argument(tree.base)}.{tree.name}"
    raise FhirPathError("A type must be given by its name.")


@cache
def supertypes(type_name: str) -> frozenset[str]:
    """The type itself and all it specialises."""
    if type_name.startswith("System."):
        return frozenset((type_name, "System.Any"))
    name: str | None = declared_type(type_name)
    found = {type_name}
    while name:
        found.add(name)
        name = definitions().base_of(name)
    return frozenset(found)


@cache
def declared_type(type_name: str) -> str:
    """`BackboneElement` or `Element` for a path of nested children; else the type itself."""
    if "." not in type_name or type_name.startswith("System."):
        return type_name
    return "BackboneElement" if type_name.partition(".")[0] in definitions().resource_types else "Element"


def is_of_type(node: Node, type_name: str) -> bool:
    """Of the type or one that specialises it."""
    return node.type is not None and type_name in supertypes(node.type)


def is_exactly(node: Node, type_name: str) -> bool:
    """What `as` and `ofType` ask: a `code` is not taken for a `string`, but a resource for a `DomainResource`."""
    if node.type == type_name:
        return True
    return node.type is not None and type_name not in definitions().primitive_types and is_of_type(node, type_name)
