"""Small resources, and a server of them that is searched page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from server.access.decision import AccessPoint
from server.fhir.search.request import Limits, SearchRequest, SearchResult
from server.kernel.context import Context
from server.kernel.problem import Problem
from tests.contract.conftest import Archive
from tests.contract.fhir_store import FhirStore

Json = Any


def patient(id_: str, **members: Json) -> Json:
    return {"resourceType": "Patient", "id": id_} | members


def observation(id_: str, subject: str = "Patient/a", code: str = "x", **members: Json) -> Json:
    coding = [{"system": "http://loinc.org", "code": code}]
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": coding},
        "subject": {"reference": subject},
    } | members


def request_of(query: str, *, strict: bool = False) -> SearchRequest:
    """`Patient?name=a`, `Patient/a/Observation`; without a type all are searched."""
    path, _, parameters = query.partition("?")
    *compartment, resource_type = path.split("/")
    return SearchRequest(
        resource_type if resource_type not in ("", "*") else None,
        tuple(parse_qsl(parameters, keep_blank_values=True)),
        (compartment[0], compartment[1]) if compartment else None,
        strict,
    )


class Server:
    """A store and the searches upon it, waited for."""

    def __init__(self, archive: Archive, access: AccessPoint | None = None, limits: Limits | None = None) -> None:
        self.archive = archive
        self.store = FhirStore(archive.open(), access, limits)

    def load(self, *resources: Json) -> None:
        self.archive.run(self.store.load(resources))

    def delete(self, reference: str) -> None:
        self.archive.run(self.store.delete(*reference.split("/")))

    def page(self, query: str, *, strict: bool = False, context: Context | None = None) -> SearchResult:
        request = request_of(query, strict=strict)
        return self.archive.run(self.store.searcher.search(context or self.store.context, request))

    def more(self, token: str | None, context: Context | None = None) -> SearchResult:
        assert token is not None
        return self.archive.run(self.store.searcher.more(context or self.store.context, token))

    def pages(self, query: str) -> Iterator[SearchResult]:
        page = self.page(query)
        yield page
        while page.next:
            page = self.more(page.next)
            yield page

    def ids(self, query: str) -> list[str]:
        return [each.id for page in self.pages(query) for each in page.matches]

    def refused(self, query: str, *, strict: bool = False) -> Problem:
        with pytest.raises(Problem) as caught:
            self.page(query, strict=strict)
        return caught.value
