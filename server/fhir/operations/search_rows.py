"""`$everything` and `$lastn` as rows of the catalogue: operations that answer with pages of a search."""

from __future__ import annotations

from dataclasses import dataclass

from server.fhir.operations.catalogue import Invocation, Level, Operation
from server.fhir.operations.everything import Everything
from server.fhir.operations.lastn import LastN
from server.fhir.search.request import SearchResult
from server.kernel.context import Context

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/"
_PAGE = "_page"


@dataclass(frozen=True, slots=True)
class SearchRows:
    everything: Everything
    last: LastN

    def rows(self) -> tuple[Operation, ...]:
        instance, type_ = frozenset({Level.INSTANCE}), frozenset({Level.TYPE})
        of = [
            Operation(
                "$everything", instance, frozenset({each}), False, f"{_DEFINITION}{each}-everything", self._everything
            )
            for each in ("Patient", "Encounter")
        ]
        last = Operation(
            "$lastn", type_, frozenset({"Observation"}), False, f"{_DEFINITION}Observation-lastn", self._last
        )
        return (*of, last)

    async def _everything(self, context: Context, invocation: Invocation) -> SearchResult:
        """The first page, or the one that a link of ours leads to."""
        page = invocation.parameters.string(_PAGE)
        if page is not None:
            return await self.everything.more(context, page)
        return await self.everything.first(context, invocation.type or "", invocation.id or "", invocation.parameters)

    async def _last(self, context: Context, invocation: Invocation) -> SearchResult:
        return await self.last(context, invocation.parameters)
