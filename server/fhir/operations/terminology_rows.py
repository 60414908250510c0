"""The terminology operations as rows of the catalogue: on the types, and on resources that are stored here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.fhir.json_form import Resource, reread
from server.fhir.operations.catalogue import Invocation, Level, Operation, OperationHandler
from server.fhir.operations.parameters import OperationParameters
from server.fhir.operations.terminology import TerminologyOperations
from server.fhir.repository import Repository
from server.kernel.context import Context
from server.kernel.offload import Offload

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/"
_LEVELS = frozenset((Level.TYPE, Level.INSTANCE))


@dataclass(frozen=True, slots=True)
class TerminologyRows:
    operations: TerminologyOperations
    repository: Repository
    offload: Offload

    def rows(self) -> tuple[Operation, ...]:
        answers = self.operations
        return (
            self._row("$expand", "ValueSet", "expand", answers.expand, "valueSet"),
            self._row("$validate-code", "ValueSet", "validate-code", answers.validate_in_value_set, "valueSet"),
            self._row("$validate-code", "CodeSystem", "validate-code", answers.validate_in_code_system, "codeSystem"),
            self._row("$lookup", "CodeSystem", "lookup", answers.lookup, None),
            self._row("$subsumes", "CodeSystem", "subsumes", answers.subsumes, "codeSystem"),
            self._row("$translate", "ConceptMap", "translate", answers.translate, "conceptMap"),
        )

    def _row(
        self,
        name: str,
        resource_type: str,
        short: str,
        answer: Callable[[OperationParameters], Resource],
        place: str | None,
    ) -> Operation:
        """`place` is the parameter that a resource it is called upon stands for; `None`: it is called on types only."""
        levels = _LEVELS if place else frozenset((Level.TYPE,))
        handler = self._handler(answer, place)
        return Operation(
            name, levels, frozenset((resource_type,)), False, f"{_DEFINITION}{resource_type}-{short}", handler
        )

    def _handler(self, answer: Callable[[OperationParameters], Resource], place: str | None) -> OperationHandler:
        async def handle(context: Context, invocation: Invocation) -> Resource:
            given = invocation.parameters
            if place and invocation.type and invocation.id:
                stored = await self.repository.read(context, invocation.type, invocation.id)
                given = given.adding(place, "resource", reread(stored.body))
            elif place and invocation.body is not None:
                given = given.adding(place, "resource", invocation.body)
            return await self.offload.cpu(answer, given)

        return handle
