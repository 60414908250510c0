"""A StructureDefinition compiled to a tree of what it demands beyond the base definitions.

Base checks run anyway, so a node keeps only what its profile narrows; branches that narrow nothing are not walked.
Slices stay whole: a discriminator may ask for any part of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles.definitions import CANONICAL, definitions
from profiles.validator import invariants
from profiles.validator.bindings import Binding, bindings_of
from profiles.validator.model import Element, ItemCheck, Property, Shape
from profiles.validator.shapes import shape, type_code
from profiles.validator.tree import Discriminator, Node, Profile, Slicing, Type

_PROFILE_ELEMENT = CANONICAL + "elementdefinition-profile-element"


class MalformedProfileError(ValueError):
    """A StructureDefinition that cannot be used."""


def compile_profile(structure: Mapping[str, Any], elements: list[Mapping[str, Any]]) -> Profile:
    """`elements`: its snapshot. Raises `MalformedProfileError`."""
    try:
        type_name = elements[0]["path"]
        root = _tree(elements, type_name)
        return Profile(structure["url"], type_name, structure, root, bool(elements[0].get("isModifier")))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise MalformedProfileError(str(error)) from error


def _tree(elements: list[Mapping[str, Any]], type_name: str) -> Node:
    of_type = shape(type_name)
    if of_type is None:
        raise MalformedProfileError(f"{type_name} is no type of R4")
    root_properties = (Property(type_name, type_name, type_name, of_type, False),)
    root = _node(elements[0], type_name, root_properties, None, _root_rules(type_name), type_name)
    nodes = {type_name: root}
    for each in elements[1:]:
        identity = each["id"]
        parent_id, _, last = identity.rpartition(".")
        parent = nodes.get(parent_id)
        if parent is not None:
            nodes[identity] = _attach(parent, each, identity, last, nodes)
    _settle(root)
    return root


def _attach(parent: Node, definition: Mapping[str, Any], identity: str, last: str, nodes: dict[str, Node]) -> Node:
    name, _, slice_name = last.partition(":")
    base, properties = _base(parent, definition["path"].rpartition(".")[2])
    rules = frozenset(_key(each) for each in base.definition.get("constraint", ())) if base else frozenset()
    node = _node(definition, identity, properties, slice_name or None, rules, base)
    if not slice_name:
        parent.children[name] = node
        return node
    whole = _sliced(parent, name, slice_name, nodes, identity)
    if whole is None:
        parent.children[last] = node
    else:
        whole.slicing = whole.slicing or Slicing((), "open", False)
        whole.slicing.slices.append(node)
    return node


def _sliced(parent: Node, name: str, slice_name: str, nodes: Mapping[str, Node], identity: str) -> Node | None:
    """The element that a slice is of: the slice it slices again, or the element itself."""
    outer = slice_name.rpartition("/")[0]
    if outer:
        found = nodes.get(f"{identity.rpartition(':')[0]}:{outer}")
        if found is not None:
            return found
    return parent.children.get(name)


def _base(parent: Node, name: str) -> tuple[Element | None, tuple[Property, ...]]:
    """The element of the base definitions, and the JSON properties it may have here."""
    for each in parent.properties:
        of_parent = each.shape or shape("Element" if each.is_primitive else _single_type(parent) or each.type)
        if of_parent is None:
            continue
        found = of_parent.elements.get(name) or of_parent.elements.get(name + "[x]")
        if found is not None:
            return found, found.properties
        typed = _typed(of_parent, name)
        if typed is not None:
            return typed
    return None, ()


def _single_type(node: Node) -> str | None:
    return node.types[0].code if len(node.types) == 1 else None


def _typed(of_parent: Shape, name: str) -> tuple[Element, tuple[Property, ...]] | None:
    """`valueQuantity` for `value[x]` of one type."""
    for element in of_parent.elements.values():
        for each in element.properties:
            if each.name == name:
                return element, (each,)
    return None


def _root_rules(type_name: str) -> frozenset[tuple[str, str]]:
    structure = definitions().structure(CANONICAL + type_name)
    root = structure["snapshot"]["element"][0] if structure else {}
    return frozenset(_key(each) for each in root.get("constraint", ()))


def _key(constraint: Mapping[str, Any]) -> tuple[str, str]:
    return str(constraint.get("key")), str(constraint.get("expression"))


def _node(
    definition: Mapping[str, Any],
    identity: str,
    properties: tuple[Property, ...],
    slice_name: str | None,
    rules: frozenset[tuple[str, str]],
    base: Element | str | None,
) -> Node:
    element = base if isinstance(base, Element) else None
    types = tuple(_type(each) for each in definition.get("type", ()))
    codes = {each.code for each in types}
    known = rules.union(*(_root_rules(each.type) for each in properties if not each.is_primitive))
    maximum = definition.get("max", "*")
    minimum = int(definition.get("min", 0))
    is_root = isinstance(base, str)
    return Node(
        id=identity,
        name=str(definition["path"]).rpartition(".")[2],
        slice_name=slice_name,
        definition=definition,
        properties=properties,
        types=types,
        minimum=minimum,
        maximum=None if maximum == "*" else int(maximum),
        needs_count=not is_root
        and (slice_name is not None or element is None or _is_narrower(element, minimum, maximum)),
        needs_type=bool(codes) and not is_root and bool({each.type for each in properties} - codes - {"id"}),
        needs_targets=_narrows_targets(types, element),
        fixed=_value(definition, "fixed"),
        pattern=_value(definition, "pattern"),
        bindings=_bindings(definition, element),
        rules=_rules(definition, properties, known),
        has_limits=any(each.startswith(("minValue", "maxValue", "maxLength")) for each in definition)
        or "extension" in definition,
        has_native_rules=_are_native(_own_constraints(definition, known)),
        slicing=slicing_of(definition),
        names=frozenset(name for each in properties for name in (each.name, "_" + each.name)),
    )


def _is_narrower(element: Element, minimum: int, maximum: str) -> bool:
    return minimum > element.minimum or maximum != element.maximum


def _type(described: Mapping[str, Any]) -> Type:
    return Type(
        type_code(described),
        _profiles(described),
        tuple(described.get("targetProfile", ())),
        tuple(described.get("aggregation", ())),
    )


def _profiles(described: Mapping[str, Any]) -> tuple[str, ...]:
    """Canonical URLs; where an extension tells an element of the profile, that follows after `#`."""
    urls = [str(each) for each in described.get("profile", ())]
    for index, beside in enumerate(described.get("_profile", ())):
        for extension in (beside or {}).get("extension", ()):
            if extension.get("url") == _PROFILE_ELEMENT and index < len(urls):
                urls[index] += "#" + str(extension.get("valueString"))
    return tuple(urls)


def _value(definition: Mapping[str, Any], stem: str) -> tuple[Any] | None:
    for name, value in definition.items():
        if name.startswith(stem) and name[len(stem) : len(stem) + 1].isupper():
            return (value,)
    return None


def _bindings(definition: Mapping[str, Any], element: Element | None) -> list[Binding]:
    own = bindings_of(definition.get("binding"))
    before = bindings_of(element.definition.get("binding")) if element else []
    return [each for each in own if each not in before]


def _rules(
    definition: Mapping[str, Any], properties: tuple[Property, ...], known: frozenset[tuple[str, str]]
) -> list[ItemCheck]:
    kept = _own_constraints(definition, known)
    if _are_native(kept):
        return invariants.native_or_compiled(kept, "")
    type_name = (properties[0].shape.name if properties[0].shape else properties[0].type) if properties else ""
    made = [invariants.compiled(each, type_name) for each in kept]
    return [each for each in made if each is not None]


def _own_constraints(definition: Mapping[str, Any], known: frozenset[tuple[str, str]]) -> list[Mapping[str, Any]]:
    return [
        each for each in definition.get("constraint", ()) if _key(each) not in known and each.get("key") not in _GENERAL
    ]


def _are_native(constraints: list[Mapping[str, Any]]) -> bool:
    return all(each.get("key") in _VITAL_SIGNS for each in constraints)


_VITAL_SIGNS = frozenset({"vs-1", "vs-2", "vs-3"})
_GENERAL = frozenset({"ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "txt-1", "txt-2"})
"""Rules of every element or resource, which the base checks see to, whatever form of words a profile copied."""


def _settle(node: Node) -> bool:
    """Find what is to be walked; tells whether this is."""
    for each in node.children.values():
        if _settle(each):
            node.active.append(each)
    slices = node.slicing.slices if node.slicing else []
    for each in slices:
        _settle(each)
    node.has_values = bool(
        node.fixed
        or node.pattern
        or node.bindings
        or node.rules
        or node.has_limits
        or node.needs_type
        or node.active
        or any(each.profiles for each in node.types)
        or node.needs_targets
    )
    _settle_closed(node, [*node.children.values(), *slices])
    has_slicing = node.slicing is not None and (bool(slices) or node.slicing.rules == "closed")
    node.is_active = node.has_values or node.needs_count or has_slicing
    return node.is_active


def _settle_closed(node: Node, inner: list[Node]) -> None:
    """Limits may depend on the time of day, profiles of types on what is around."""
    is_told = not node.has_limits and node.has_native_rules and not any(each.profiles for each in node.types)
    node.is_closed = is_told and not _has_number((node.fixed, node.pattern)) and all(each.is_closed for each in inner)
    looks_closer = bool(node.active or node.slicing or node.bindings or node.needs_targets)
    node.is_worth_remembering = node.is_closed and looks_closer


def _has_number(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_number(each) for each in value.values())
    if isinstance(value, list | tuple):
        return any(_has_number(each) for each in value)
    return value is not None and not isinstance(value, str | bool)


def _narrows_targets(types: tuple[Type, ...], element: Element | None) -> bool:
    own = {target for each in types for target in each.targets}
    before = (
        {target for each in element.definition.get("type", ()) for target in each.get("targetProfile", ())}
        if element
        else own
    )
    return any(each.aggregation for each in types) or (bool(own) and own != before)


def slicing_of(definition: Mapping[str, Any]) -> Slicing | None:
    described = definition.get("slicing")
    if not isinstance(described, Mapping):
        return None
    discriminators = tuple(
        Discriminator(str(each.get("type")), str(each.get("path"))) for each in described.get("discriminator", ())
    )
    return Slicing(discriminators, str(described.get("rules", "open")), bool(described.get("ordered")))
