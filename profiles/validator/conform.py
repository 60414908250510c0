"""Holding a resource against the tree of a profile.

An item is a value with what stands beside it, its type and its place; lists of items are counted, put into slices,
and each held against its node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from profiles.definitions import CANONICAL, definitions
from profiles.validator import bindings, limits, references, remembered, slicing
from profiles.validator.items import Item, items_of
from profiles.validator.matching import equal, fits
from profiles.validator.place import Place
from profiles.validator.resources import scope_of
from profiles.validator.run import Run, Scope
from profiles.validator.shapes import shape
from profiles.validator.tree import Node, Profile, Type

_OPEN = frozenset({"Resource", "DomainResource"})


def conform(profile: Profile, value: Any, place: Place, run: Run) -> None:
    """Everything a profile demands of an object; findings name the profile."""
    node = profile.root
    of = node.properties[0] if node.properties else None
    type_name = profile.type if "." not in node.id or of is None else of.type
    item = Item(value, None, type_name, place, of.shape if of else shape(profile.type))
    conform_item(node, item, profile.url, run)


def conform_item(node: Node, item: Item, url: str, run: Run) -> None:
    """One value, and what is below it."""
    if node.needs_type and not _has_type(node, item, run):
        allowed = ", ".join(each.code for each in node.types)
        place = item.place[0] if node.id == "Extension.value[x]" else item.place
        run.error("structure", place, f"The type {item.type} is not allowed here, but {allowed}.", url)
        return
    _conform_value(node, item, url, run)
    for rule in node.rules:
        rule(item.value, item.place, run)
    if node.needs_targets:
        _conform_target(node, item, url, run)
    if item.place is not run.scope.place and type(item.value) is dict and "resourceType" in item.value:
        with run.within(scope_of(item.value, item.place, run)):
            _conform_inside(node, item, url, run)
    else:
        _conform_inside(node, item, url, run)


def _conform_inside(node: Node, item: Item, url: str, run: Run) -> None:
    if any(each.profiles for each in node.types):
        _conform_to_type(node, item, url, run)
    if node.active:
        conform_children(node, item, url, run)


def _has_type(node: Node, item: Item, run: Run) -> bool:
    return any(each.code == item.type or each.code in _OPEN for each in node.types)


def _conform_value(node: Node, item: Item, url: str, run: Run) -> None:
    if node.fixed and not equal(node.fixed[0], item.value):
        run.error("value", item.place, f"The value is not the one that {node.id} is fixed to.", url)
    if node.pattern and not fits(node.pattern[0], item.value):
        run.error("value", item.place, f"The value lacks what the pattern of {node.id} has.", url)
    for each in node.bindings:
        for check in bindings.bound(each, item.type):
            check(item.value, item.place, run)
    if node.has_limits:
        limits.check(node.definition, item.value, item.place, url, run)


def conform_children(node: Node, item: Item, url: str, run: Run) -> None:
    holder = item.value if type(item.value) is dict else item.beside
    owner = holder if type(holder) is dict else {}
    for child in node.active:
        if child.is_worth_remembering and run.scope.entry is None:
            _conform_closed(child, owner, item.place, url, run)
        else:
            conform_list(child, items_of(child, owner, item.place), item.place, url, run)


def _conform_closed(node: Node, owner: dict[str, Any], place: Place, url: str, run: Run) -> None:
    """The values of an element, unless the same have been found sound before."""
    text = remembered.text_without_numbers({name: owner[name] for name in owner if name in node.names})
    if text in run.memory.known[node]:
        return
    before = len(run.findings)
    conform_list(node, items_of(node, owner, place), place, url, run)
    if remembered.stands_alone(text) and remembered.is_sound(run, before):
        run.memory.add(node, text)


def conform_list(node: Node, items: Sequence[Item], owner: Place, url: str, run: Run) -> None:
    """The values of an element together: how many, each by itself, and in their slices."""
    if node.needs_count:
        _count(node, len(items), owner, url, run)
    if node.has_values:
        for each in items:
            conform_item(node, each, url, run)
    if node.slicing is not None and (node.slicing.slices or node.slicing.rules == "closed"):
        _conform_slices(node, items, owner, url, run)


def _count(node: Node, count: int, owner: Place, url: str, run: Run) -> None:
    if count < node.minimum:
        run.error("required", owner, f"{node.id} is required: at least {node.minimum}, found {count}.", url)
    if node.maximum is not None and count > node.maximum:
        run.error("structure", owner, f"{node.id} may be given at most {node.maximum} times, found {count}.", url)


def _conform_slices(node: Node, items: Sequence[Item], owner: Place, url: str, run: Run) -> None:
    of = node.slicing
    if of is None or (not of.slices and not items):
        return
    assigned: dict[int, list[Item]] = {index: [] for index in range(len(of.slices))}
    order: list[int] = []
    for item in items:
        fitting = [index for index, each in enumerate(of.slices) if slicing.matches(node, each, item, run)]
        if len(fitting) > 1 and of.discriminators:
            names = ", ".join(str(of.slices[index].slice_name) for index in fitting)
            run.error("structure", item.place, f"The element fits more than one slice: {names}.", url)
        for index in fitting:
            assigned[index].append(item)
        order.append(fitting[0] if fitting else -1)
        if not fitting and of.rules == "closed":
            run.error(
                "structure", item.place, f"The element fits no slice of {node.id}, and others are not allowed.", url
            )
    _check_order(node, items, order, url, run)
    for index, each in enumerate(of.slices):
        conform_list(each, assigned[index], owner, url, run)


def _check_order(node: Node, items: Sequence[Item], order: Sequence[int], url: str, run: Run) -> None:
    of = node.slicing
    if of is None or not (of.is_ordered or of.rules == "openAtEnd"):
        return
    last, has_other = -1, False
    for item, index in zip(items, order, strict=True):
        if index < 0:
            has_other = True
            continue
        if of.is_ordered and index < last:
            run.error("structure", item.place, f"The slices of {node.id} stand in an order.", url)
        if of.rules == "openAtEnd" and has_other:
            run.error("structure", item.place, f"Other elements than the slices of {node.id} stand at the end.", url)
        last = max(last, index)


def _conform_to_type(node: Node, item: Item, url: str, run: Run) -> None:
    """The profiles on the type: one of them must hold."""
    choices = [each for described in node.types if _is_of(described, item) for each in described.profiles]
    known = [(each, found) for each in choices if (found := run.validator.profile(each)) is not None]
    if not choices:
        return
    if not known:
        if not definitions().structure(choices[0]):
            run.add(run.options.doubtful, "not-found", item.place, f"The profile {choices[0]} is not known.", url)
        return
    if len(choices) == 1:
        apply(known[0][1], item.value, item.place, run)
        return
    if not any(conforms(profile, item.value, item.place, run) for _, profile in known):
        run.error("structure", item.place, f"The element conforms to none of {', '.join(choices)}.", url)


def _is_of(described: Type, item: Item) -> bool:
    return described.code == item.type or described.code in _OPEN


def apply(profile: Profile, value: Any, place: Place, run: Run) -> None:
    """Hold an object against a profile, unless that is going on already or the type is another."""
    if type(value) is not dict:
        return
    key = (id(value), profile.url)
    if key in run.active:
        return
    if "resourceType" in value and value["resourceType"] != profile.type and profile.type not in _OPEN:
        run.error("structure", place, f"The profile {profile.url} is of {profile.type}.", profile.url)
        return
    run.active.add(key)
    try:
        conform(profile, value, place, run)
    finally:
        run.active.discard(key)


def conforms(profile: Profile, value: Any, place: Place, run: Run) -> bool:
    """Whether an object conforms, without a word."""
    key = (id(value), profile.url)
    known = run.done.get(key)
    if known is None:
        with run.aside() as found:
            apply(profile, value, place, run)
        known = run.done[key] = not any(each.is_error for each in found)
    return known


def _conform_target(node: Node, item: Item, url: str, run: Run) -> None:
    targets = [each for described in node.types if described.code == item.type for each in described.targets]
    if type(item.value) is not dict or item.type not in ("Reference", "canonical"):
        return
    _check_aggregation(node, item, url, run)
    if not targets:
        return
    if not _has_target_type(targets, item, url, run):
        return
    text = item.value.get("reference")
    if type(text) is not str:
        return
    resource = references.resolve(text, run.scope)
    if resource is None or not (run.options.follow_references or text[:1] == "#"):
        return
    profiles = [run.validator.profile(each) for each in targets]
    if any(each is None and target.startswith(CANONICAL) for each, target in zip(profiles, targets, strict=True)):
        bare = {each.removeprefix(CANONICAL) for each in targets}
        if not bare.isdisjoint({resource.get("resourceType"), "Resource"}):
            return
    known = [each for each in profiles if each is not None]
    with run.within(_target_scope(text, resource, item.place, run)):
        if known and not any(conforms(each, resource, item.place, run) for each in known):
            run.error("structure", item.place, f"What is referred to conforms to none of {', '.join(targets)}.", url)


def _target_scope(text: str, resource: dict[str, Any], place: Place, run: Run) -> Scope:
    container = run.scope.container or run.scope if text[:1] == "#" and resource is not run.scope.root else None
    return Scope(resource, place, container, run.scope.entry)


def _has_target_type(targets: Sequence[str], item: Item, url: str, run: Run) -> bool:
    found, severity = references.target_type(item.value, run)
    if found is None or severity is None:
        return True
    allowed = {run.validator.type_of(each) for each in targets}
    if None in allowed or found in allowed or "Resource" in allowed:
        return True
    names = ", ".join(sorted(str(each) for each in allowed))
    run.add(severity, "structure", item.place, f"A reference to {found} is not allowed here, but to {names}.", url)
    return False


def _check_aggregation(node: Node, item: Item, url: str, run: Run) -> None:
    modes = {each for described in node.types for each in described.aggregation}
    text = item.value.get("reference")
    if not modes or type(text) is not str:
        return
    if text[:1] == "#":
        mode = "contained"
    elif run.scope.entry is not None and references.resolve_in_bundle(text, run.scope.entry) is not None:
        mode = "bundled"
    elif run.scope.entry is None and not run.options.enforce_aggregation:
        return
    else:
        mode = "referenced"
    if mode not in modes and not (mode == "bundled" and "referenced" in modes):
        run.error("structure", item.place, f"A reference here is {' or '.join(sorted(modes))}, not {mode}.", url)
