"""Functions FHIR adds, and those that need the host: resolving, terminology, the clock (FHIR, Use of FHIRPath)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.nodes import Items, Node, boolean, read_child
from profiles.fhirpath.plan import Plain, single
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.strings import string_of


def extension(scope: Scope, items: Items, url: Items) -> Items:
    wanted = string_of(url)
    scope.spend(len(items))
    return [
        each
        for node in items
        for each in read_child(node, "extension")
        if type(each.value) is dict and each.value.get("url") == wanted
    ]


def has_value(scope: Scope, items: Items) -> Items:
    return [boolean(len(items) == 1 and items[0].value is not None and type(items[0].value) is not dict)]


def get_value(scope: Scope, items: Items) -> Items:
    return items if has_value(scope, items)[0].value else []


def resolve(scope: Scope, items: Items) -> Items:
    """The resources that references, canonicals and URIs lead to; what cannot be found is left out."""
    scope.spend(len(items))
    found = [_resolved(scope, each) for each in items]
    return [each for each in found if each is not None]


def _resolved(scope: Scope, node: Node) -> Node | None:
    reference = node.value.get("reference") if type(node.value) is dict else node.value
    if type(reference) is not str:
        return None
    if reference.startswith("#"):
        return contained(scope, reference[1:])
    find = scope.environment.resolve
    return None if find is None else find(reference)


def contained(scope: Scope, wanted: str) -> Node | None:
    """The contained resource of that id; the container itself where the id is empty."""
    environment = scope.environment
    root = environment.root_resource or environment.resource or scope.context
    if not wanted:
        return root
    matches = (
        each for each in read_child(root, "contained") if type(each.value) is dict and each.value.get("id") == wanted
    )
    return next(matches, None)


def member_of(scope: Scope, items: Items, value_set: Items) -> Items:
    node, url = single(items), string_of(value_set)
    ask = scope.environment.member_of
    if node is None or url is None or ask is None:
        return []
    return _logical(ask(node, url))


def subsumes(scope: Scope, items: Items, code: Items) -> Items:
    one, other = single(items), single(code)
    ask = scope.environment.subsumes
    return [] if one is None or other is None or ask is None else _logical(ask(one, other))


def subsumed_by(scope: Scope, items: Items, code: Items) -> Items:
    return subsumes(scope, code, items)


def conforms_to(scope: Scope, items: Items, structure: Items) -> Items:
    node, url = single(items), string_of(structure)
    ask = scope.environment.conforms_to
    if node is None or url is None or ask is None:
        return []
    result = ask(node, url)
    if result is None:
        raise FhirPathError("The structure that conformsTo() names is not known.")
    return [boolean(result)]


def check_modifiers(scope: Scope, items: Items, *urls: Items) -> Items:
    """What it is given, if no modifier extension but these is there."""
    known = {string_of(each) for each in urls}
    for node in items:
        for each in read_child(node, "modifierExtension"):
            if type(each.value) is not dict or each.value.get("url") not in known:
                raise FhirPathError("There is a modifier extension that the expression does not know.")
    return items


def html_checks(scope: Scope, items: Items) -> Items:
    """True: narrative is judged as XHTML by whoever validates, not within an expression."""
    return [boolean(True)]


def _logical(result: bool | None) -> Items:
    return [] if result is None else [boolean(result)]


def moment_of(scope: Scope) -> datetime:
    """One and the same moment all through an evaluation."""
    if scope.now is None:
        scope.now = scope.environment.now or datetime.now(UTC)
    return scope.now


def now(scope: Scope, items: Items) -> Items:
    return [Node(moment_of(scope).isoformat(timespec="milliseconds"), "System.DateTime")]


def today(scope: Scope, items: Items) -> Items:
    return [Node(moment_of(scope).date().isoformat(), "System.Date")]


def time_of_day(scope: Scope, items: Items) -> Items:
    return [Node(moment_of(scope).time().isoformat(timespec="milliseconds"), "System.Time")]


FUNCTIONS: Mapping[str, Plain] = {
    "extension": Plain(extension, 1, 1),
    "hasValue": Plain(has_value),
    "getValue": Plain(get_value),
    "resolve": Plain(resolve),
    "memberOf": Plain(member_of, 1, 1),
    "subsumes": Plain(subsumes, 1, 1),
    "subsumedBy": Plain(subsumed_by, 1, 1),
    "conformsTo": Plain(conforms_to, 1, 1),
    "checkModifiers": Plain(check_modifiers, 0, 20),
    "htmlChecks": Plain(html_checks),
    "now": Plain(now),
    "today": Plain(today),
    "timeOfDay": Plain(time_of_day),
}
