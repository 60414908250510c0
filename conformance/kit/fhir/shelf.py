"""Resources that one check makes for itself: called by short names, told from all others by a tag of their own.

Whatever else the server holds, a search with the tag sees these alone; so a check can say exactly what is to be found.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from conformance.kit.client import Response
from conformance.kit.fhir.session import TAGS, Fhir, Resource, body_of, expect_status, link, refused
from conformance.kit.verdict import Skipped, expect

_KEPT = "=&%+,:$/?*._-~@!()';"
_ABSENT = (404, 405, 501)


class Shelf:
    def __init__(self, fhir: Fhir, **resources: Resource) -> None:
        self.fhir = fhir
        self.token = f"{fhir.token}-{secrets.token_hex(4)}"
        self._names: dict[str, str] = {}
        self._references: dict[str, str] = {}
        for name, resource in resources.items():
            self.add(name, resource)

    def tagged(self, resource: Resource) -> Resource:
        """The resource under the tags of the run and of this shelf."""
        meta = dict(resource.get("meta", {}))
        tags = [*meta.get("tag", []), {"system": TAGS, "code": self.token}, {"system": TAGS, "code": self.fhir.token}]
        return {**resource, "meta": {**meta, "tag": tags}}

    def add(self, name: str, resource: Resource) -> str:
        """Create a resource; gives its reference, `Type/id`."""
        made = self.fhir.created(self.tagged(resource))
        return self.keep(name, f"{made['resourceType']}/{made['id']}")

    def put(self, name: str, resource: Resource) -> str:
        """Update, or create under the id that the resource has."""
        reference = f"{resource['resourceType']}/{resource['id']}"
        answer = self.fhir.put(f"/{reference}", self.tagged(resource))
        if answer.status in (404, 405):
            raise Skipped("resources cannot be created by update")
        expect_status(answer, 200, 201)
        return self.keep(name, reference)

    def keep(self, name: str, reference: str) -> str:
        self._names[reference] = name
        self._references[name] = reference
        return reference

    def __getitem__(self, name: str) -> str:
        """The reference of a resource by its short name."""
        return self._references[name]

    def has(self, resource: Resource) -> bool:
        return f"{resource.get('resourceType')}/{resource.get('id')}" in self._names

    def id(self, name: str) -> str:
        return self._references[name].partition("/")[2]

    def remove(self, name: str) -> None:
        expect_status(self.fhir.delete(f"/{self[name]}"), 200, 204)

    # Searches

    def path(self, query: str) -> str:
        """`Type?query` narrowed to what is on the shelf."""
        return encoded(f"/{query}{'' if query.endswith('?') else '&' if '?' in query else '?'}_tag={TAGS}|{self.token}")

    def ask(self, query: str, *, strict: bool = False, **headers: str) -> Response:
        return self.fhir.get(self.path(query), **({"prefer": "handling=strict"} if strict else {}), **headers)

    def search(self, query: str) -> Resource:
        """The Bundle that a search answers, which must succeed."""
        return searchset(self.ask(query), query)

    def names(self, bundle: Resource, mode: str = "match") -> list[str]:
        """The short names of what a page holds, in its order; of something else the reference."""
        listed = [each for each in bundle.get("entry", []) if each.get("search", {}).get("mode", "match") == mode]
        return [self._names.get(each, f"?{each}") for each in map(_reference, listed)]

    def finds(self, query: str, names: str) -> None:
        """A search matches exactly these, whatever their order; names are separated by blanks."""
        found, wanted = sorted(self.names(self.search(query))), sorted(names.split())
        expect(found == wanted, f"{query} found {_told(found)}, expected {_told(wanted)}")

    def finds_all(self, prefix: str, queries: Mapping[str, str]) -> None:
        for query, names in queries.items():
            self.finds(prefix + query, names)

    def includes(self, query: str, names: str) -> None:
        """What a search brings beside its matches is exactly this."""
        found, wanted = sorted(self.names(self.search(query), "include")), sorted(names.split())
        expect(found == wanted, f"{query} included {_told(found)}, expected {_told(wanted)}")

    def sorts(self, query: str, names: str) -> None:
        found = self.names(self.search(query))
        expect(found == names.split(), f"{query} gave {_told(found)}, expected {names}")

    def refuses(self, *queries: str, strict: bool = False) -> None:
        """Each search is a bad request, with an outcome that says so."""
        for query in queries:
            answer = self.ask(query, strict=strict)
            expect(answer.status == 400, f"{query} gave {answer.status}, expected 400")
            refused(answer, 400)

    def pages(self, query: str, at_most: int = 50) -> list[Resource]:
        return self.fhir.pages(self.path(query), at_most)


def encoded(path: str) -> str:
    """What may not stand in a path as it is, percent-encoded; what is encoded already stays so."""
    return quote(path, safe=_KEPT)


def searchset(answer: Response, what: str) -> Resource:
    expect(answer.status == 200, f"{what} gave {answer.status}: {answer.body[:300].decode(errors='replace')}")
    found = body_of(answer, "Bundle")
    expect(found.get("type") == "searchset", f"the Bundle is a {found.get('type')}, expected a searchset")
    return found


def self_link(bundle: Resource) -> str:
    url = link(bundle, "self")
    expect(url is not None, "the page has no self link")
    return url or ""


def errors(outcome: Resource) -> list[Resource]:
    return [each for each in outcome.get("issue", []) if each.get("severity") in ("error", "fatal")]


def expressions(issues: Iterable[Resource]) -> list[str]:
    return [each for issue in issues for each in issue.get("expression", [])]


def offered(answer: Response, what: str) -> Response:
    """The answer, unless it says that the server does not do such things."""
    if answer.status in _ABSENT:
        raise Skipped(f"{what} is not offered ({answer.status})")
    return answer


def each_one(resource: Resource, member: str, values: Mapping[str, Any]) -> dict[str, Resource]:
    """By name, a resource for each value of one member."""
    return {name: {**resource, member: value} for name, value in values.items()}


def _reference(entry: Resource) -> str:
    resource = entry.get("resource", {})
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def _told(names: list[str]) -> str:
    return " ".join(names) if names else "nothing"
