"""A bundle of requests read into entries, each ready to be carried out or refused (R4 Bundle, 3.1.0.11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from profiles.definitions import definitions
from server.fhir.identity import is_id
from server.fhir.json_form import Resource
from server.kernel.problem import Issue, Kind, Problem

KINDS = ("transaction", "batch")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_ENTRY = frozenset({"fullUrl", "resource", "request", "link", "search", "response", "id", "extension"})
_REQUEST = frozenset({
    "method", "url", "ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist", "id", "extension",
})  # fmt: skip
_CONDITIONS = ("ifMatch", "ifNoneMatch", "ifNoneExist", "ifModifiedSince")
_LONGEST_URL = 8192


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of a bundle."""

    number: int
    method: str
    url: str
    """Below the base, without a leading slash: `Patient/1`, `Patient?name=x`."""
    type: str
    id: str | None
    query: str | None
    """What follows the question mark, as sent."""
    resource: Resource | None
    full_url: str | None
    if_match: str | None
    if_none_match: str | None
    if_none_exist: str | None
    if_modified_since: str | None

    @property
    def location(self) -> str:
        return f"Bundle.entry[{self.number}]"

    @property
    def is_write(self) -> bool:
        """One of the interactions with a resource; anything else is a request like any other to this server."""
        return self.method in ("POST", "PUT", "PATCH", "DELETE") and "$" not in self.url


def parse_bundle(bundle: Resource, base: str, most: int) -> tuple[str, list[Entry | Problem]]:
    """The kind of a bundle, and its entries or why one cannot be carried out. `base`: the URL of this service."""
    kind = bundle.get("type")
    if bundle.get("resourceType") != "Bundle" or kind not in KINDS:
        raise _invalid("The body is no Bundle of type transaction or batch.", "Bundle.type")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise _invalid("Bundle.entry is not a list.", "Bundle.entry", "structure")
    if len(entries) > most:
        text = f"A bundle may have at most {most} entries."
        raise Problem(Kind.UNSUPPORTED, text, (Issue(text, "Bundle.entry", "too-costly"),))
    return str(kind), [_parsed(number, each, base) for number, each in enumerate(entries)]


def all_sound(entries: Sequence[Entry | Problem]) -> list[Entry]:
    """The entries of a transaction, which stands or falls as a whole."""
    sound: list[Entry] = []
    names: set[tuple[str, str]] = set()
    for each in entries:
        if isinstance(each, Problem):
            raise each
        if each.full_url is not None:
            name = each.full_url, _version_of(each.resource)
            if name in names:
                raise _invalid("Two entries have the same fullUrl.", f"{each.location}.fullUrl", "invariant")
            names.add(name)
        sound.append(each)
    return sound


def located(problem: Problem, entry: Entry) -> Problem:
    """The problem of an entry's resource as one of the bundle."""
    issues = problem.issues or (Issue(problem.text),)
    moved = tuple(Issue(each.text, _moved(each.location, entry), each.code) for each in issues)
    return Problem(problem.kind, problem.text, moved, problem.retry_after)


def _moved(location: str | None, entry: Entry) -> str:
    if not location:
        return entry.location
    if location.startswith("Bundle.entry["):
        return location
    first, dot, rest = location.partition(".")
    return f"{entry.location}.resource{dot}{rest}" if dot else f"{entry.location}.resource"


def _parsed(number: int, entry: Any, base: str) -> Entry | Problem:
    try:
        return _entry(number, entry, base)
    except Problem as problem:
        return problem


def _entry(number: int, entry: Any, base: str) -> Entry:
    place = f"Bundle.entry[{number}]"
    if not isinstance(entry, dict) or not _known(entry, _ENTRY):
        raise _invalid("An entry has a member that entries have not.", place, "structure")
    request = entry.get("request")
    if not isinstance(request, dict) or not _known(request, _REQUEST):
        raise _invalid("An entry needs a request with method and url.", f"{place}.request", "invariant")
    method, url = _text(request, "method", place), _text(request, "url", place)
    if method not in _METHODS or url is None:
        raise _invalid("An entry needs a request with method and url.", f"{place}.request", "required")
    resource = entry.get("resource")
    if not (resource is None or isinstance(resource, dict)):
        raise _invalid("The resource of an entry is not an object.", f"{place}.resource", "structure")
    if resource is not None and not _is_of_r4(resource.get("resourceType")):
        raise _invalid("The resource of an entry is none of R4.", f"{place}.resource", "structure")
    if (resource is None) is (method in ("POST", "PUT", "PATCH")):
        raise _invalid("POST, PUT and PATCH need a resource, others have none.", place, "invariant")
    path, mark, query = _below(url, base, place).partition("?")
    full_url = entry.get("fullUrl")
    if full_url is not None and (not isinstance(full_url, str) or "/_history/" in full_url):
        raise _invalid("A fullUrl is a URL without a version.", f"{place}.fullUrl", "invariant")
    resource_type, resource_id = _target(method, path, bool(mark), place)
    return Entry(
        number, method, f"{path}{mark}{query}", resource_type, resource_id, query if mark else None, resource, full_url,
        *([_text(request, name, place) for name in _CONDITIONS] if len(request) > 2 else (None, None, None, None)),
    )  # fmt: skip


def _known(value: dict[str, Any], names: frozenset[str]) -> bool:
    return value.keys() <= names or all(
        name in names or name[:1] == "_" or name == "modifierExtension" for name in value
    )


def _text(request: dict[str, Any], name: str, place: str) -> str | None:
    value = request.get(name)
    if value is not None and (not isinstance(value, str) or not value or len(value) > _LONGEST_URL):
        raise _invalid(f"request.{name} is not a text.", f"{place}.request.{name}", "structure")
    return value


def _below(url: str, base: str, place: str) -> str:
    if url.startswith(f"{base}/"):
        return url[len(base) + 1 :]
    if "://" in url.partition("?")[0]:
        raise _invalid("The URL of a request leads to another server.", f"{place}.request.url", "value")
    return url.lstrip("/")


def _target(method: str, path: str, has_query: bool, place: str) -> tuple[str, str | None]:
    """Type and id that a writing request names."""
    if method in ("GET", "HEAD") or "$" in path:
        return "", None
    if method == "POST" and path in _types() and not has_query:
        return path, None
    segments = [unquote(each) for each in path.split("/")]
    resource_type = segments[0]
    if resource_type not in _types():
        raise Problem(
            Kind.NOT_FOUND,
            "There is no such resource type.",
            (Issue("There is no such resource type.", f"{place}.request.url", "not-found"),),
        )
    if len(segments) != (1 if has_query or method == "POST" else 2) or (has_query and method == "POST"):
        raise _invalid(f"{method} cannot be sent to this URL.", f"{place}.request.url", "value")
    if len(segments) == 2 and not is_id(segments[1]):
        raise _invalid(f"{method} cannot be sent to this URL.", f"{place}.request.url", "value")
    return resource_type, segments[1] if len(segments) == 2 else None


def _version_of(resource: Resource | None) -> str:
    meta = (resource or {}).get("meta")
    return str(meta.get("versionId", "")) if isinstance(meta, dict) else ""


def _is_of_r4(name: Any) -> bool:
    return isinstance(name, str) and name in _types()


@cache
def _types() -> frozenset[str]:
    return frozenset(definitions().resource_types)


def _invalid(text: str, location: str, code: str = "invalid") -> Problem:
    return Problem(Kind.INVALID, text, (Issue(text, location, code),))
