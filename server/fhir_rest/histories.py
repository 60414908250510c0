"""Histories of a resource, of a type, of the server (R4 http.html#history)."""

from __future__ import annotations

from dataclasses import dataclass

from profiles.definitions import definitions
from server.fhir.history import History, HistoryPage, parse_history
from server.fhir_rest.formats import CONTROLS, presentation
from server.fhir_rest.noting import note_page
from server.fhir_rest.pages import PAGE, answer_history
from server.fhir_rest.routing import INSTANCE, TYPE
from server.http.surface import Answer, Call, Endpoint
from server.kernel.offload import Offload

_CLAUSE = "R4 http.html#history"
_USED = frozenset({"_since", "_at", "_count", "_list", PAGE}) | CONTROLS


@dataclass(frozen=True, slots=True)
class Histories:
    history: History
    offload: Offload

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("history.instance", "GET", INSTANCE + "/_history", "read", self.of_instance, _CLAUSE),
            Endpoint("history.type", "GET", TYPE + "/_history", "search", self.of_type, _CLAUSE),
            Endpoint("history.system", "GET", "/_history", "search", self.of_system, _CLAUSE),
        )

    async def of_instance(self, call: Call) -> Answer:
        resource_type, resource_id = call.path["type"], call.path["id"]
        page = await self.history.of_instance(call.context, resource_type, resource_id, parse_history(call.query))
        return await self._answer(call, page, f"/{resource_type}/{resource_id}")

    async def of_type(self, call: Call) -> Answer:
        resource_type = call.path["type"]
        page = await self.history.of_type(call.context, resource_type, parse_history(call.query))
        return await self._answer(call, page, f"/{resource_type}")

    async def of_system(self, call: Call) -> Answer:
        types = definitions().resource_types
        page = await self.history.of_system(call.context, types, parse_history(call.query))
        return await self._answer(call, page, "")

    async def _answer(self, call: Call, page: HistoryPage, path: str) -> Answer:
        note_page(call.context.trail, page.versions)
        used = tuple(pair for pair in call.query if pair[0] in _USED and pair[1])
        url = f"{call.base}{path}/_history"
        return await answer_history(page, presentation(call), self.offload, call.base, url, used)
