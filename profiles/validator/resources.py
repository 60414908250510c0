"""A resource within another: contained, an entry of a bundle, or a parameter (dom-2 to dom-5; FHIR R4 references)."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from profiles.validator.place import Place
from profiles.validator.remembered import text_of
from profiles.validator.run import Entry, Run, Scope

Resource: TypeAlias = dict[str, Any]

_LOCAL = re.compile(rb'(?<!\\)"(#[^"\\]*)"(?!:)')


def scope_of(resource: Resource, place: Place, run: Run) -> Scope:
    """The scope of a nested resource, by the element it stands at."""
    outer = run.scope
    if place[1] == "contained":
        return Scope(resource, place, container=outer.container or outer, entry=outer.entry)
    if place[1] == "resource" and outer.resource.get("resourceType") == "Bundle" and place[0][1] == "entry":
        return Scope(resource, place, entry=_entry(outer, place[0], run))
    return Scope(resource, place, entry=outer.entry)


def _entry(outer: Scope, place: Place, run: Run) -> Entry:
    index = place[2]
    entries = outer.resource.get("entry")
    described = entries[index] if type(entries) is list and index is not None and index < len(entries) else {}
    url = described.get("fullUrl")
    cache = run.bundles.setdefault(id(outer.resource), {})
    return Entry(outer.resource, url if type(url) is str else None, place, outer, cache)


def check_contained(resource: Resource, place: Place, run: Run) -> None:
    """The rules of what a resource contains."""
    contained = resource.get("contained")
    if type(contained) is not list or not run.options.check_contained:
        return
    seen: set[Any] = set()
    named = references_within(resource)
    for index, each in enumerate(contained):
        if type(each) is dict:
            _check_one(each, (place, "contained", index), seen, named, run)


def _check_one(each: Resource, place: Place, seen: set[Any], named: set[str], run: Run) -> None:
    if "contained" in each:
        run.error("invariant", place, "A contained resource contains no other.", "dom-2")
    meta = each.get("meta")
    if type(meta) is dict:
        if "versionId" in meta or "lastUpdated" in meta:
            run.error("invariant", place, "A contained resource has no version and no time of change.", "dom-4")
        if "security" in meta:
            run.error("invariant", place, "A contained resource has no security labels of its own.", "dom-5")
    own = each.get("id")
    if type(own) is not str:
        run.error("required", place, "A contained resource has an id.")
        return
    if own in seen:
        run.error("invariant", place, "The id of a contained resource is its own among them.")
    seen.add(own)
    if "#" + own not in named and "#" not in references_within(each):
        run.error("invariant", place, "A contained resource is referred to, or refers to its container.", "dom-3")


def references_within(resource: Resource) -> set[str]:
    """Every text that begins with `#`, wherever it stands: read off the JSON, as ids need no escapes in it."""
    return {each.decode() for each in _LOCAL.findall(text_of(resource))}
