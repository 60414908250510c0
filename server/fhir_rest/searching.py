"""Searches of a type, of everything and of a compartment, by GET and by POST (R4 http.html#search, search.html)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeAlias

from profiles.definitions import definitions
from server.fhir.search.request import Pairs, SearchRequest, SearchResult
from server.fhir.search.searcher import Searcher
from server.fhir_rest.bodies import Bodies
from server.fhir_rest.formats import presentation
from server.fhir_rest.noting import note_form, note_result
from server.fhir_rest.pages import PAGE, answer_search
from server.fhir_rest.prefer import preferences
from server.fhir_rest.routing import COMPARTMENT, TYPE
from server.http.surface import Answer, Call, Endpoint
from server.kernel.answers import AnswerCache
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem

_SEARCH = "R4 http.html#search"
_EVERY_TYPE = "*"

Compartment: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Searching:
    """Answers are kept for as long as nothing is written: screens ask the same again until something changes."""

    searcher: Searcher
    bodies: Bodies
    answers: AnswerCache
    offload: Offload

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("search.type", "GET", TYPE, "search", self.of_type, _SEARCH),
            Endpoint("search.type.post", "POST", TYPE + "/_search", "search", self.of_type_posted, _SEARCH),
            Endpoint("search.system", "GET", "/", "search", self.of_system, _SEARCH),
            Endpoint("search.system.post", "POST", "/_search", "search", self.of_system_posted, _SEARCH),
            Endpoint("search.compartment", "GET", COMPARTMENT, "search", self.of_compartment, _SEARCH),
            Endpoint(
                "search.compartment.post",
                "POST",
                COMPARTMENT + "/_search",
                "search",
                self.of_compartment_posted,
                _SEARCH,
            ),
        )

    async def of_type(self, call: Call) -> Answer:
        return await self._search(call, call.path["type"], None, ())

    async def of_type_posted(self, call: Call) -> Answer:
        return await self._search(call, call.path["type"], None, await self._form(call))

    async def of_system(self, call: Call) -> Answer:
        return await self._search(call, None, None, ())

    async def of_system_posted(self, call: Call) -> Answer:
        return await self._search(call, None, None, await self._form(call))

    async def of_compartment(self, call: Call) -> Answer:
        return await self._search(call, *_compartment(call), ())

    async def of_compartment_posted(self, call: Call) -> Answer:
        return await self._search(call, *_compartment(call), await self._form(call))

    async def _form(self, call: Call) -> Pairs:
        form = tuple(await self.bodies.form(call))
        note_form(call.context.trail, form)
        return form

    async def _search(self, call: Call, resource_type: str | None, within: Compartment | None, form: Pairs) -> Answer:
        pairs = (*call.query, *form)
        asked = presentation(call, pairs)
        request = SearchRequest(resource_type, pairs, within, preferences(call).is_strict)
        revision = await self.searcher.revision(call.context, request)
        key = ("fhir.search", revision, request, asked, call.base)
        if revision is not None and (known := self._known(call, key)) is not None:
            return Answer(200, known, asked.media_type, [("Vary", "Accept")])
        result = await self._found(call, request)
        patients = note_result(call.context.trail, result)
        if result.request.pairs is not pairs:
            asked = presentation(call, (*result.request.pairs, *pairs))
        url = call.base + _path(resource_type, within)
        answer = await answer_search(result, asked, self.offload, call.base, url)
        if revision is not None and isinstance(answer.body, bytes):
            self._keep(call, key, answer.body, patients)
        return answer

    def _known(self, call: Call, key: Hashable) -> bytes | None:
        """An answer kept, of which is also known whose data it holds."""
        known, patients = self.answers.get(key), self.answers.get((key, "patients"))
        if known is None or patients is None:
            return None
        call.context.trail.touch(patients.decode().split())
        return known

    def _keep(self, call: Call, key: Hashable, body: bytes, patients: tuple[str, ...]) -> None:
        """What consent left out of an answer is told each time it is given, so such answers are not kept."""
        if not call.context.trail.hidden:
            self.answers.put(key, body)
            self.answers.put((key, "patients"), " ".join(patients).encode())

    async def _found(self, call: Call, request: SearchRequest) -> SearchResult:
        """The first page, or the one that a link of ours leads to."""
        pages = [value for name, value in request.pairs if name == PAGE]
        if not pages:
            return await self.searcher.search(call.context, request)
        if len(pages) > 1:
            raise Problem(Kind.INVALID, "A link leads to one page.")
        result = await self.searcher.more(call.context, pages[0])
        if (result.request.type, result.request.compartment) != (request.type, request.compartment):
            raise Problem(Kind.INVALID, "This link to a page belongs to another search.")
        return result


def _compartment(call: Call) -> tuple[str | None, Compartment]:
    name, member = call.path["type"], call.path["member"]
    if name not in definitions().compartments:
        raise Problem(Kind.NOT_FOUND, "The resource type has no compartment.")
    if member != _EVERY_TYPE and member not in definitions().resource_types:
        raise Problem(Kind.NOT_FOUND, "The path names no resource type of FHIR R4.")
    return (None if member == _EVERY_TYPE else member), (name, call.path["id"])


def _path(resource_type: str | None, within: Compartment | None) -> str:
    if within is not None:
        return f"/{within[0]}/{within[1]}/{resource_type or _EVERY_TYPE}"
    return f"/{resource_type}" if resource_type else ""
