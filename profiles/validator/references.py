"""References: what they may point to, and what they point to within a resource or its bundle (FHIR R4 references)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from profiles.definitions import CANONICAL, definitions
from profiles.findings import Severity
from profiles.validator.model import ItemCheck
from profiles.validator.place import Place
from profiles.validator.run import Entry, Run, Scope

Resource: TypeAlias = dict[str, Any]

_REST = re.compile(r"(?:(.*)/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")
_ANY = frozenset({"Resource", "DomainResource"})


def check(target_profiles: Sequence[str]) -> ItemCheck:
    """A check of references at an element: that the type they tell is one of those allowed."""
    allowed = frozenset(each.removeprefix(CANONICAL) for each in target_profiles)
    if not allowed or not allowed.isdisjoint(_ANY):
        return _check_form
    names = ", ".join(sorted(allowed))

    def check_target(item: Any, place: Place, run: Run) -> None:
        found, severity = target_type(item, run)
        if found is not None and severity is not None and found not in allowed:
            run.add(severity, "value", place, f"A reference to {found} is not allowed here, but to {names}.")
        _check_form(item, place, run)

    return check_target


def _check_form(item: Any, place: Place, run: Run) -> None:
    """A relative reference names a type and an id."""
    text = item.get("reference") if type(item) is dict else None
    if type(text) is not str or text[:1] == "#" or ":" in text or "?" in text:
        return
    parsed = _REST.fullmatch(text)
    if run.scope.entry is not None and parsed is not None:
        found = resolve_in_bundle(text, run.scope.entry) or _by_uuid(text, run.scope.entry)
        if found is not None and found.get("resourceType") != parsed[2]:
            run.error("value", place, "The resource of the bundle that this refers to is of another type.")
    if parsed is None or parsed[2] not in _types():
        severity = Severity.WARNING if "/" in text else Severity.ERROR
        run.add(severity, "value", place, "A relative reference has the form Type/id, of a type of resource.")


def _types() -> frozenset[str]:
    global _known
    _known = _known or frozenset(definitions().resource_types)
    return _known


_known: frozenset[str] = frozenset()


def target_type(item: Any, run: Run) -> tuple[str | None, Severity | None]:
    """The type of resource that a reference points to, and what to say if it is wrong.

    What is met within the resource or its bundle is sure; what only the URL tells is less so.
    """
    text = item.get("reference") if type(item) is dict else None
    if type(text) is not str:
        return _stated(item), run.options.targets
    if text[:1] == "#":
        return _type_of(resolve_contained(text, run.scope)), Severity.ERROR
    if run.scope.entry is not None:
        found = resolve_in_bundle(text, run.scope.entry) or _by_uuid(text, run.scope.entry)
        if found is not None:
            return _type_of(found), Severity.ERROR
    return literal_type(text) or _stated(item), run.options.targets


def _by_uuid(text: str, entry: Entry) -> Resource | None:
    """`Practitioner/<uuid>` where the bundle has that UUID: it is meant, whether or not it may be written so."""
    parts = text.split("/")
    return bundle_index(entry).get("urn:uuid:" + parts[1]) if len(parts) == 2 else None


def _stated(item: Any) -> str | None:
    stated = item.get("type") if type(item) is dict else None
    return stated if type(stated) is str and stated in _types() else None


def literal_type(text: str) -> str | None:
    """`Patient` of `Patient/1`, also at the end of a URL and with a version."""
    parts = text.split("/")
    if len(parts) == 2:
        return parts[0] if parts[0] in _types() else None
    parsed = _REST.fullmatch(text)
    return parsed[2] if parsed and parsed[2] in _types() else None


def _type_of(resource: Resource | None) -> str | None:
    found = resource.get("resourceType") if resource is not None else None
    return found if type(found) is str else None


def resolve(text: str, scope: Scope) -> Resource | None:
    """The resource that a reference means, where it is contained, the container, or in the bundle."""
    if text[:1] == "#":
        return resolve_contained(text, scope)
    return resolve_in_bundle(text, scope.entry) if scope.entry is not None else None


def resolve_contained(text: str, scope: Scope) -> Resource | None:
    root = scope.root
    contained = root.get("contained")
    for each in contained if type(contained) is list else ():
        if type(each) is dict and each.get("id") == text[1:]:
            return each
    return root if text[1:] in ("", root.get("id")) else None


def resolve_in_bundle(text: str, entry: Entry) -> Resource | None:
    """By fullUrl, absolute or made absolute against that of the entry (bundle, resolving references)."""
    if not text:
        return None
    index = bundle_index(entry)
    url = absolute(text, entry.url)
    versioned = index.get(url)
    if versioned is not None:
        return versioned
    plain, separator, version = url.partition("/_history/")
    found: Resource | None = index.get(plain)
    if found is None or not separator:
        return found
    meta = found.get("meta")
    return found if type(meta) is dict and meta.get("versionId") == version else None


def absolute(text: str, base_url: str | None) -> str:
    """A relative reference put after the base of the entry's own REST URL."""
    if ":" in text.partition("/")[0] or base_url is None:
        return text
    own = _REST.fullmatch(base_url)
    return f"{own[1]}/{text}" if own and own[1] and not base_url.startswith("urn:") else text


def bundle_index(entry: Entry) -> dict[str, Resource]:
    """The resources of a bundle by fullUrl; the first of several versions stands for the URL."""
    index: dict[str, Resource] | None = entry.cache.get("index")
    if index is None:
        index = entry.cache["index"] = {}
        entries = entry.bundle.get("entry")
        for each in entries if type(entries) is list else ():
            url, resource = (each.get("fullUrl"), each.get("resource")) if type(each) is dict else (None, None)
            if type(url) is str and type(resource) is dict:
                index.setdefault(url, resource)
                _index_version(index, url, resource)
    return index


def _index_version(index: dict[str, Resource], url: str, resource: Resource) -> None:
    meta = resource.get("meta")
    if type(meta) is dict and type(meta.get("versionId")) is str:
        index.setdefault(f"{url}/_history/{meta['versionId']}", resource)
