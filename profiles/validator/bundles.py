"""Bundles: full URLs, links, and references that must be met within a document or message (FHIR R4 bundle, 2.36)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from profiles.definitions import definitions
from profiles.validator.place import Place
from profiles.validator.references import resolve_in_bundle
from profiles.validator.run import Entry, Run, Scope

Resource: TypeAlias = dict[str, Any]

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+")
_REST = re.compile(r"https?://(?:.*)/([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})")
_SINGLE_LINKS = frozenset({"self", "first", "previous", "prev", "next", "last"})
_LOCAL = ("document", "message")


def check(bundle: Resource, place: Place, run: Run) -> None:
    """What the definition of Bundle leaves to prose."""
    _check_links(bundle.get("link"), place, run)
    entries = bundle.get("entry")
    if type(entries) is not list:
        return
    for index, each in enumerate(entries):
        if type(each) is dict:
            _check_entry(each, (place, "entry", index), run)
    if run.options.profiles_of_entries:
        _check_demanded(entries, place, run)
    if bundle.get("type") == "document" and entries and type(entries[0]) is dict:
        _check_document(bundle, entries, place, run)


def _check_demanded(entries: list[Any], place: Place, run: Run) -> None:
    """Entries that the caller wants to meet a profile."""
    counts: dict[Any, int] = {}
    for index, each in enumerate(entries):
        resource = each.get("resource") if type(each) is dict else None
        type_name = resource.get("resourceType") if type(resource) is dict else None
        number = counts.get(str(type_name), 0)
        counts[str(type_name)] = number + 1
        for wanted, at, url in run.options.profiles_of_entries:
            if (wanted, at) == (type_name, number):
                run.validator.apply_named(url, resource, ((place, "entry", index), "resource", None), run)


def _check_links(links: Any, place: Place, run: Run) -> None:
    seen = set()
    for index, each in enumerate(links if type(links) is list else ()):
        relation = each.get("relation") if type(each) is dict else None
        if type(relation) is str and relation in seen and relation in _SINGLE_LINKS:
            run.error("invalid", (place, "link", index), f"A bundle has one link of relation {relation}.")
        seen.add(relation if type(relation) is str else None)


def _check_entry(entry: Resource, place: Place, run: Run) -> None:
    url, resource = entry.get("fullUrl"), entry.get("resource")
    if type(url) is not str:
        return
    if not _ABSOLUTE.fullmatch(url):
        run.error("value", place, "The fullUrl is an absolute URL.")
        return
    rest = _REST.fullmatch(url)
    if rest is None or type(resource) is not dict or rest[1] not in definitions().resource_types:
        return
    if type(resource.get("id")) is not str:
        if run.scope.resource.get("type") not in ("batch", "transaction"):
            run.error("value", place, "The fullUrl is that of a resource on a server, but the resource has no id.")
    elif (resource.get("resourceType"), resource["id"]) != (rest[1], rest[2]):
        run.add(run.options.doubtful, "value", place, "The fullUrl ends with the type and id of another resource.")


_COMPOSITION = ("subject", "encounter", "author", "custodian", "attester.party", "event.detail")
_SECTION = ("author", "focus", "entry")


def _check_document(bundle: Resource, entries: list[Any], place: Place, run: Run) -> None:
    """The references of the composition are met within the document."""
    composition = entries[0].get("resource")
    if type(composition) is not dict or composition.get("resourceType") != "Composition":
        return
    own = ((place, "entry", 0), "resource", None)
    url = entries[0].get("fullUrl")
    cache = run.bundles.setdefault(id(bundle), {})
    entry = Entry(bundle, url if type(url) is str else None, own, Scope(bundle, place), cache)
    for at, text in _references(composition, own):
        if text[:1] != "#" and resolve_in_bundle(text, entry) is None:
            run.error("not-found", at, "What this refers to is not in the document.")


def _references(composition: Resource, place: Place) -> Iterator[tuple[Place, str]]:
    for path in _COMPOSITION:
        yield from _at(composition, path.split("."), place)
    pending = [(composition, place)]
    while pending:
        holder, at = pending.pop()
        sections = holder.get("section")
        for index, each in enumerate(sections if type(sections) is list else ()):
            if type(each) is dict:
                pending.append((each, (at, "section", index)))
                for name in _SECTION:
                    yield from _at(each, [name], (at, "section", index))


def _at(holder: Resource, path: list[str], place: Place) -> Iterator[tuple[Place, str]]:
    value = holder.get(path[0])
    listed = list(enumerate(value)) if type(value) is list else [(None, value)]
    for index, each in listed:
        at = (place, path[0], index)
        if type(each) is not dict:
            continue
        if path[1:]:
            yield from _at(each, path[1:], at)
        elif type(each.get("reference")) is str:
            yield at, each["reference"]
