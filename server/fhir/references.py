"""The references a resource makes to others of this server, and keeping them sound where that is asked for.

Contained, foreign, logical and canonical references are nobody's business here (R4 2.3.0); a reference from an old
version or a deleted resource binds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import cache

from profiles.definitions import definitions
from server.fhir.collaborators import Keys
from server.fhir.json_form import Resource, walk
from server.fhir.stored import collection
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Records
from storage.query import All, Equals, Not, Predicate

REFERENCES = "@references"
"""Key of a current version, kept where references are enforced: `Type/id` of all it refers to."""

_LOCAL = re.compile(r"([A-Za-z]{2,64})/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")

Named = tuple[str, str]
"""Type and id."""

Visible = Callable[[str, Collection[str]], Awaitable[frozenset[str]]]
"""Which of some ids of a type are there."""


def local_targets(resource: Resource) -> set[Named]:
    """Type and id of each local resource that the resource refers to."""
    found = set()
    types = _types()
    for each in walk(resource):
        reference = each.get("reference")
        if isinstance(reference, str) and (match := _LOCAL.fullmatch(reference)) and match[1] in types:
            found.add((match[1], match[2]))
    return found


async def check_targets(visible: Visible, resources: Iterable[Resource], written: set[Named], gone: set[Named]) -> None:
    """Raises `UNSUPPORTED` unless every target is there, or is among those written at the same time."""
    targets = {target for each in resources for target in local_targets(each)}
    asked: dict[str, set[str]] = {}
    for kind, name in targets - written - gone:
        asked.setdefault(kind, set()).add(name)
    missing = targets & gone
    for kind, names in asked.items():
        missing |= {(kind, each) for each in names - await visible(kind, names)}
    if missing:
        issues = tuple(Issue(f"{kind}/{name} is not there.", None, "not-found") for kind, name in sorted(missing))
        raise Problem(Kind.UNSUPPORTED, "The resource refers to what is not there.", issues)


async def check_unreferenced(records: Records, gone: Sequence[Named], changed: dict[Named, Keys | None]) -> None:
    """Raises `CONFLICT` when a resource outside `gone` refers to one in it; `changed` gives keys after this request."""
    for named in gone:
        reference = f"{named[0]}/{named[1]}"
        for other, keys in changed.items():
            if keys and other != named and reference in keys.get(REFERENCES, frozenset()):
                raise _referenced(reference)
        for resource_type in _types():
            if await records.count(collection(resource_type), _referring(resource_type, named, changed), at_most=1):
                raise _referenced(reference)


def _referring(resource_type: str, named: Named, changed: dict[Named, Keys | None]) -> Predicate:
    own = {named[1]} if resource_type == named[0] else set()
    others = sorted(own | {each for kind, each in changed if kind == resource_type})
    term = Equals(REFERENCES, f"{named[0]}/{named[1]}")
    return All((term, *(Not(Equals("_id", each)) for each in others)))


def _referenced(reference: str) -> Problem:
    text = f"Another resource refers to {reference}."
    return Problem(Kind.CONFLICT, text, (Issue(text, None, "conflict"),))


@cache
def _types() -> frozenset[str]:
    return frozenset(definitions().resource_types)
