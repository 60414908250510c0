"""Operations: each row of the catalogue becomes endpoints; parameters come in a query or a Parameters resource.

(R4 operations.html)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from server.fhir.json_form import Resource
from server.fhir.operations.catalogue import Accepted, Catalogue, Invocation, Level, Operation, OperationAnswer
from server.fhir.operations.parameters import OperationParameters
from server.fhir.search.request import SearchResult
from server.fhir.stored import Stored
from server.fhir_rest.bodies import Bodies, format_of
from server.fhir_rest.formats import CONTROLS, Presentation, presentation
from server.fhir_rest.noting import note, note_parameters, note_result
from server.fhir_rest.pages import answer_search
from server.fhir_rest.prefer import preferences
from server.fhir_rest.rendering import answer_resource, answer_stored
from server.fhir_rest.routing import INSTANCE, TYPE, VERSION
from server.http.surface import Answer, Call, Endpoint, Handler
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.kernel.trail import Trail

_CLAUSE = "R4 operations.html"
_PATHS = {Level.SYSTEM: "", Level.TYPE: TYPE, Level.INSTANCE: INSTANCE, Level.VERSION: VERSION}
_OWN_ELEMENTS = frozenset({"$export"})
"""Operations that have a parameter `_elements` of their own."""


@dataclass(frozen=True, slots=True)
class Operating:
    catalogue: Catalogue
    bodies: Bodies
    offload: Offload

    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(self._rows())

    def _rows(self) -> Iterator[Endpoint]:
        """One for each name, level and method: rows of one name may serve different types."""
        done: set[tuple[str, Level, str]] = set()
        for row in self.catalogue.rows:
            for level in sorted(row.levels):
                for method in ("POST",) if row.affects_state else ("GET", "POST"):
                    if (row.name, level, method) not in done:
                        done.add((row.name, level, method))
                        yield self._endpoint(row, level, method)

    def _endpoint(self, row: Operation, level: Level, method: str) -> Endpoint:
        handler = self._handler(row.name, level)
        return Endpoint(
            f"operation.{row.name}.{level}", method, f"{_PATHS[level]}/{row.name}", row.interaction, handler, _CLAUSE
        )

    def _handler(self, name: str, level: Level) -> Handler:
        path = f"{_PATHS[level]}/{name}"

        async def invoke(call: Call) -> Answer:
            row = self.catalogue.find(name, level, call.path.get("type"))
            if row is None:
                raise Problem(Kind.NOT_FOUND, f"There is no operation {name} on this type.")
            asked = presentation(call)
            answer = await row.handler(call.context, await self._invocation(call, level, row))
            _note(call.context.trail, answer)
            return await self._answer(call, asked, answer, path.format_map(call.path))

        return invoke

    async def _invocation(self, call: Call, level: Level, row: Operation) -> Invocation:
        passed_over = CONTROLS - {"_elements"} if row.name in _OWN_ELEMENTS else CONTROLS
        given = OperationParameters.of_query(pair for pair in call.query if pair[0] not in passed_over)
        body = sent = await self._body(call)
        if body is not None and body.get("resourceType") == "Parameters":
            if row.interaction != "create":
                # What is created has an event of its own, and may be long.
                note_parameters(call.context.trail, body)
            given, body = given.joined(OperationParameters.read(body)), None
        named = call.path
        return Invocation(
            level,
            given,
            call.base,
            named.get("type"),
            named.get("id"),
            named.get("version"),
            body,
            preferences(call).is_strict,
            preferences(call).is_lenient,
            format_of(call) if sent is not None else "",
        )

    async def _body(self, call: Call) -> Resource | None:
        return await self.bodies.optional(call) if call.method == "POST" else None

    async def _answer(self, call: Call, asked: Presentation, answer: OperationAnswer, path: str) -> Answer:
        match answer:
            case Accepted():
                return Answer(202, headers=[("Content-Location", answer.url)])
            case SearchResult():
                return await answer_search(answer, asked, self.offload, call.base, call.base + path)
            case Stored():
                return await answer_stored(answer, asked, self.offload)
            case _:
                return await answer_resource(answer, asked, self.offload)


def _note(trail: Trail, answer: OperationAnswer) -> None:
    if isinstance(answer, SearchResult):
        note_result(trail, answer)
    elif isinstance(answer, Stored):
        note(trail, answer)
