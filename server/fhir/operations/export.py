"""`$export` as rows of the catalogue: the kick-off of a bulk export (Bulk Data Access)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from server.fhir.export import request
from server.fhir.export.exports import Exports
from server.fhir.operations.catalogue import Accepted, Invocation, Level, Operation
from server.fhir.operations.parameters import invalid
from server.kernel.context import Context

_DEFINITION = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"


@dataclass(frozen=True, slots=True)
class ExportOperation:
    exports: Exports

    def rows(self) -> tuple[Operation, ...]:
        """The base exports everything, `Patient` all patients, a Group its members."""
        of = {
            "export": (Level.SYSTEM, None),
            "patient-export": (Level.TYPE, frozenset({"Patient"})),
            "group-export": (Level.INSTANCE, frozenset({"Group"})),
        }
        return tuple(
            Operation("$export", frozenset({level}), types, False, _DEFINITION + name, self._kick_off, "search")
            for name, (level, types) in of.items()
        )

    async def _kick_off(self, context: Context, invocation: Invocation) -> Accepted:
        if invocation.body is not None:
            raise invalid("The body of an operation must be a Parameters resource.", "resourceType")
        pairs = [(each, text) for each in sorted(invocation.parameters.names) for text in _texts(invocation, each)]
        level = {Level.SYSTEM: request.Level.SYSTEM, Level.TYPE: request.Level.PATIENT}.get(
            invocation.level, request.Level.GROUP
        )
        asked = request.parse(level, invocation.id, pairs, is_lenient=invocation.lenient)
        job = await self.exports.kick_off(context, asked, _url(invocation, pairs))
        return Accepted(f"{invocation.base}/$export/{job}")


def _texts(invocation: Invocation, name: str) -> list[str]:
    """Values as a query has them; a patient is given as a Reference in a Parameters resource."""
    if name == "patient":
        given = invocation.parameters.all(name)
        return [str(each.get("reference", "")) if isinstance(each, dict) else str(each) for each in given]
    return invocation.parameters.strings(name)


def _url(invocation: Invocation, pairs: list[tuple[str, str]]) -> str:
    place = [each for each in (invocation.base, invocation.type, invocation.id, "$export") if each]
    return "/".join(place) + (f"?{urlencode(pairs)}" if pairs else "")
