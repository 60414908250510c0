"""`$ihe-pix` on Patient: what else the bearer of an identifier is called (IHE PIXm, ITI-83)."""

from __future__ import annotations

from dataclasses import dataclass

from server.fhir.json_form import Resource
from server.fhir.operations.catalogue import Invocation, Level, Operation
from server.fhir.operations.parameters import Given, invalid, missing, parameter, parameters
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from server.mpi.feeding import CrossReferences
from server.mpi.identity import Identifier
from server.mpi.identity_feed import number_text
from server.mpi.master_index import MasterIndex

DEFINITION = "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix"
_SOURCE, _TARGET = "sourceIdentifier", "targetSystem"
_MOST_TARGETS = 32


@dataclass(frozen=True, slots=True)
class PixOperation:
    index: MasterIndex

    def rows(self) -> tuple[Operation, ...]:
        levels, types = frozenset({Level.TYPE}), frozenset({"Patient"})
        return (Operation("$ihe-pix", levels, types, False, DEFINITION, self.answer, "search"),)

    async def answer(self, context: Context, invocation: Invocation) -> Resource:
        given = invocation.parameters
        given.allow((_SOURCE, _TARGET))
        source, targets = _identifier(given.one(_SOURCE)), given.strings(_TARGET)
        if len(targets) > _MOST_TARGETS:
            raise invalid("Too many target systems.", _TARGET)
        if not await self._is_domain(source.system, invocation.base):
            raise _refusal(Kind.INVALID, "sourceIdentifier Assigning Authority not found", "code-invalid")
        for each in targets:
            if not await self._is_domain(each, invocation.base):
                raise _refusal(Kind.FORBIDDEN, "targetSystem not found", "code-invalid")
        found = await self._found(context, source, targets, invocation.base)
        if found is None:
            raise _refusal(Kind.NOT_FOUND, "sourceIdentifier Patient Identifier not found", "not-found")
        if source.system == invocation.base:
            context.trail.touch((source.value, *found.patients))
        else:
            context.trail.touch(found.patients)
            context.trail.number(found.patients[0], number_text(source))
        return parameters(
            *(parameter("targetIdentifier", valueIdentifier=each._asdict()) for each in found.identifiers),
            *(parameter("targetId", valueReference={"reference": each}) for each in found.patients),
        )

    async def _is_domain(self, system: str, base: str) -> bool:
        return system == base or await self.index.is_domain(system)

    async def _found(
        self, context: Context, source: Identifier, targets: list[str], base: str
    ) -> CrossReferences | None:
        """A Patient of this server may be named by its URL's two parts, as its domain is the server."""
        if source.system != base:
            return await self.index.cross_references(context, source, targets)
        identity = await self.index.of_patient(source.value)
        if identity is None:
            return None
        found = await self.index.cross_references(context, identity.number, targets)
        if found is None or source.value not in found.patients:
            return None
        number = [each for each in (identity.number,) if each.system in targets or not targets]
        others = tuple(each for each in found.patients if each != source.value)
        return CrossReferences((*number, *found.identifiers), others)


def _identifier(given: Given | None) -> Identifier:
    """A token `system|value`; some clients post an Identifier."""
    if given is None:
        raise missing(_SOURCE)
    if given.type == "Identifier" and isinstance(given.value, dict):
        system, value = given.value.get("system"), given.value.get("value")
    elif given.type in (None, "string"):
        system, _, value = str(given.value).partition("|")
    else:
        raise given.wrong("string")
    if not (isinstance(system, str) and isinstance(value, str) and system and value):
        raise invalid("The source identifier is a system, a bar and a value.", given.location)
    return Identifier(system, value)


def _refusal(kind: Kind, text: str, code: str) -> Problem:
    return Problem(kind, text, (Issue(text, None, code),))
