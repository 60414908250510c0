"""Which slice an element belongs to (FHIR R4 profiling, 5.1.0.13), by value, pattern, type, existence or profile.

A discriminator's path is walked twice: through the slice's definition, for what it demands there, and through the
element, for what it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from profiles.validator import bindings, references
from profiles.validator.items import Item, items_of, named_items, resource_item
from profiles.validator.matching import equal, fits
from profiles.validator.run import Run
from profiles.validator.tree import Discriminator, Node

_STEP = re.compile(
    r"(extension|modifierExtension)\('([^']*)'\)|(resolve|ofType|as)\(([A-Za-z]*)\)|\$this|([A-Za-z][\w\[\]]*)"
)


@cache
def steps(path: str) -> tuple[tuple[str, str], ...]:
    """`code.coding`, `extension('url').value`, `$this.resolve()`: (kind, argument) each."""
    found = []
    for each in _STEP.finditer(path):
        if each[1]:
            found.append((each[1], each[2]))
        elif each[3]:
            found.append(("resolve", "") if each[3] == "resolve" else ("type", each[4]))
        elif each[5]:
            found.append(("child", each[5]))
    return tuple(found)


def matches(whole: Node, piece: Node, item: Item, run: Run) -> bool:
    """Whether an element is of a slice."""
    discriminators = whole.slicing.discriminators if whole.slicing else ()
    if not discriminators:
        return _by_constraints(piece, item, run)
    answers = [_matches(each, piece, item, run) for each in discriminators]
    return False not in answers and True in answers


def _by_constraints(piece: Node, item: Item, run: Run) -> bool:
    """Without a discriminator only the whole definition tells."""
    return run.validator.holds_of(piece, item, run)  # type: ignore[no-any-return]


def _matches(discriminator: Discriminator, piece: Node, item: Item, run: Run) -> bool | None:
    """`None` where the definition says nothing at the path."""
    path = steps(discriminator.path)
    described = _described(piece, path, run)
    match discriminator.type:
        case "exists":
            return _exists(described, _found(piece, item, path, run))
        case "type":
            return _is_of_type(described, _found(piece, item, path, run), run)
        case "profile":
            return _has_profile(described, _found(piece, item, path, run), run)
        case _:
            return _has_value(described, _found(piece, item, path, run), run)


def _exists(described: Sequence[Node], found: Sequence[Item]) -> bool | None:
    if not described:
        return None
    if described[0].maximum == 0:
        return not found
    return bool(found) if described[0].minimum > 0 else None


def _is_of_type(described: Sequence[Node], found: Sequence[Item], run: Run) -> bool | None:
    codes = {each.code for node in described for each in node.types}
    codes |= {node.id for node in described if not node.types and "." not in node.id}
    if not codes:
        return None
    return any(each.type in codes or not codes.isdisjoint({"Resource"}) for each in found)


def _has_profile(described: Sequence[Node], found: Sequence[Item], run: Run) -> bool | None:
    urls = [url for node in described for each in node.types for url in each.profiles]
    roots = [node for node in described if "." not in node.id]
    if not urls and not roots:
        return None
    profiles = [each for url in urls if (each := run.validator.profile(url)) is not None]
    if any(run.validator.conforms(each, item.value, item.place, run) for each in profiles for item in found):
        return True
    return any(_satisfies_root(each, item, run) for each in roots for item in found)


def _satisfies_root(root: Node, item: Item, run: Run) -> bool:
    if type(item.value) is dict and item.value.get("resourceType", root.id) != root.id:
        return False
    return run.validator.holds_of(root, item, run)  # type: ignore[no-any-return]


def _has_value(described: Sequence[Node], found: Sequence[Item], run: Run) -> bool | None:
    demanding = [each for each in described if demands(each, run)]
    if not demanding:
        return None
    telling = [each for each in demanding if _fixes(each)] or demanding
    return any(satisfies(each, item, run) for each in telling for item in found)


def _fixes(node: Node) -> bool:
    """Whether a value or pattern is given, itself or below: that tells more than a value set does."""
    if node.fixed or node.pattern or any(_fixes(each) for each in node.children.values()):
        return True
    return any(each.minimum > 0 and _fixes(each) for each in (node.slicing.slices if node.slicing else ()))


def demands(node: Node, run: Run) -> bool:
    """Whether a definition fixes anything of a value, itself or below."""
    if node.fixed or node.pattern or node.bindings:
        return True
    if any(demands(each, run) for each in node.children.values()):
        return True
    if node.slicing and any(each.minimum > 0 and demands(each, run) for each in node.slicing.slices):
        return True
    return any(demands(each, run) for each in _type_roots(node, run))


def satisfies(node: Node, item: Item, run: Run) -> bool:
    """Whether a value has what its definition fixes; other rules are not looked at."""
    if node.fixed and not equal(node.fixed[0], item.value):
        return False
    if node.pattern and not fits(node.pattern[0], item.value):
        return False
    if not all(bindings.holds(each, item.value, run) for each in node.bindings if each.is_required):
        return False
    if node.bindings and not (node.fixed or node.pattern) and not any(each.is_required for each in node.bindings):
        return all(bindings.holds(each, item.value, run) for each in node.bindings)
    needed = [each for each in (node.slicing.slices if node.slicing else ()) if each.minimum > 0 and demands(each, run)]
    if needed and not any(satisfies(each, item, run) for each in needed):
        return False
    if not all(_has_satisfying(each, item, run) for each in node.children.values() if demands(each, run)):
        return False
    return all(satisfies(each, item, run) for each in _type_roots(node, run))


def _has_satisfying(child: Node, item: Item, run: Run) -> bool:
    owner = item.value if type(item.value) is dict else {}
    found = items_of(child, owner, item.place)
    if not found:
        return child.minimum == 0 and not (child.fixed or child.pattern)
    required = [each for each in (child.slicing.slices if child.slicing else ()) if each.minimum > 0]
    if not all(any(satisfies(each, one, run) for one in found) for each in required):
        return False
    return any(satisfies(child, each, run) for each in found)


def _type_roots(node: Node, run: Run) -> list[Node]:
    """The roots of the one profile that its type names, where nothing was given in place."""
    urls = [url for each in node.types for url in each.profiles]
    if len(urls) != 1 or node.children.get("url"):
        return []
    profile = run.validator.profile(urls[0])
    return [profile.root] if profile is not None else []


def _described(piece: Node, path: Iterable[tuple[str, str]], run: Run) -> list[Node]:
    nodes = [piece]
    for kind, argument in path:
        nodes = [found for each in nodes for found in _step_described(each, kind, argument, run)]
    return nodes


def _step_described(node: Node, kind: str, argument: str, run: Run) -> list[Node]:
    match kind:
        case "resolve":
            targets = [
                url
                for each in node.types
                for url in (*each.targets, *(each.profiles if each.code == "canonical" else ()))
            ]
            return [root for url in targets if (root := run.validator.root_of(url)) is not None]
        case "type":
            return [node]
        case "child":
            return _children(node, argument, run)
        case _:
            return _extension_slices(node, kind, argument, run)


def _children(node: Node, name: str, run: Run) -> list[Node]:
    found = node.children.get(name) or node.children.get(name + "[x]")
    if found is None:
        found = next((each for key, each in node.children.items() if _is_choice_of(each, name)), None)
    if found is None:
        return [each for root in _type_roots(node, run) for each in _children(root, name, run)]
    return [found, *(found.slicing.slices if found.slicing else ())]


def _is_choice_of(node: Node, name: str) -> bool:
    return any(each.name != name and each.label.startswith(name + ".ofType(") for each in node.properties)


def _extension_slices(node: Node, member: str, url: str, run: Run) -> list[Node]:
    found = node.children.get(member)
    slices = _all_slices(found) if found is not None else []
    chosen = [each for each in slices if any(url in described.profiles for described in each.types)]
    chosen += [each for each in slices if each not in chosen and _fixes_url(each, url)]
    return chosen


def _all_slices(node: Node) -> list[Node]:
    """Its slices, and theirs."""
    own = node.slicing.slices if node.slicing else []
    return [found for each in own for found in (each, *_all_slices(each))]


def _fixes_url(node: Node, url: str) -> bool:
    child = node.children.get("url")
    return child is not None and child.fixed is not None and child.fixed[0] == url


def _found(piece: Node, item: Item, path: Iterable[tuple[str, str]], run: Run) -> list[Item]:
    items = [item]
    for kind, argument in path:
        items = [found for each in items for found in _step_found(each, kind, argument, run)]
    return items


def _step_found(item: Item, kind: str, argument: str, run: Run) -> list[Item]:
    match kind:
        case "resolve":
            return _resolved(item, run)
        case "type":
            return [item] if item.type == argument else []
        case "child":
            return named_items(item, argument)
        case _:
            listed = named_items(item, kind)
            return [each for each in listed if type(each.value) is dict and each.value.get("url") == argument]


def _resolved(item: Item, run: Run) -> list[Item]:
    text = item.value.get("reference") if type(item.value) is dict else item.value
    if type(text) is not str:
        return []
    resource: Any = references.resolve(text, run.scope)
    if type(resource) is dict:
        return [resource_item(resource, item.place)]
    told = references.literal_type(text)
    return [Item({}, None, told, item.place, None)] if told else []
