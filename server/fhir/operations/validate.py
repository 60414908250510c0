"""`$validate` on types and resources (OperationDefinition Resource-validate): what would be said of a resource.

The answer is an OperationOutcome, valid or not; only what keeps the check from running is a problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from profiles.findings import Finding, Severity
from server.fhir import outcome
from server.fhir.json_form import Resource, decode
from server.fhir.operations.catalogue import Invocation, Level, Operation
from server.fhir.stored import Stored
from server.fhir.validation import Validation
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem

DEFINITION = "http://hl7.org/fhir/OperationDefinition/Resource-validate"
MODES = ("create", "update", "delete", "profile")


class Reader(Protocol):
    """Reads a stored resource; a `Problem` where it is not found, deleted or not to be seen."""

    async def read(self, context: Context, resource_type: str, resource_id: str) -> Stored: ...


@dataclass(frozen=True, slots=True)
class ValidateOperation:
    validation: Validation
    reader: Reader

    def rows(self) -> tuple[Operation, ...]:
        levels = frozenset({Level.TYPE, Level.INSTANCE})
        return (Operation("$validate", levels, None, False, DEFINITION, self.validate),)

    async def validate(self, context: Context, invocation: Invocation) -> Resource:
        invocation.parameters.allow(("resource", "mode", "profile"))
        mode = _mode(invocation)
        profile = invocation.parameters.string("profile")
        given = invocation.body or invocation.parameters.resource("resource")
        if mode == "delete":
            return await self._deletion(context, invocation)
        resource = given if given is not None else await self._stored(context, invocation)
        findings = await self.validation.findings(resource, (profile,) if profile else ())
        return outcome.of_findings([*_asked(resource, mode, invocation, given is not None), *findings])

    async def _stored(self, context: Context, invocation: Invocation) -> Resource:
        if invocation.type is None or invocation.id is None:
            raise _missing("The resource to validate is missing.")
        return decode((await self.reader.read(context, invocation.type, invocation.id)).body)

    async def _deletion(self, context: Context, invocation: Invocation) -> Resource:
        """A resource that can be read here can be deleted; content does not matter."""
        if invocation.type is None or invocation.id is None:
            raise _missing("mode=delete is asked of a resource: Type/id/$validate.")
        await self.reader.read(context, invocation.type, invocation.id)
        return outcome.of_findings([])


def _mode(invocation: Invocation) -> str | None:
    mode = invocation.parameters.string("mode")
    if mode is not None and mode not in MODES:
        raise Problem(
            Kind.INVALID, f"mode is one of {', '.join(MODES)}.", (Issue("mode is unknown.", "mode", "value"),)
        )
    if mode == "profile" and invocation.parameters.string("profile") is None:
        raise _missing("mode=profile needs the parameter profile.")
    return mode


def _asked(resource: Any, mode: str | None, invocation: Invocation, is_given: bool) -> list[Finding]:
    """What the place of the question tells of the resource: its type, and its id where it would be written."""
    found = []
    type_name = resource.get("resourceType") if isinstance(resource, dict) else None
    if invocation.type is not None and isinstance(type_name, str) and type_name != invocation.type:
        text = f"The operation was called on {invocation.type}, but the resource is of another type."
        found.append(Finding(Severity.ERROR, "invalid", type_name, text))
    if mode == "update" and is_given and invocation.id is not None and resource.get("id") != invocation.id:
        text = "The id of the resource is not the one of the URL."
        found.append(Finding(Severity.ERROR, "value", f"{type_name}.id", text))
    return found


def _missing(text: str) -> Problem:
    return Problem(Kind.INVALID, text, (Issue(text, None, "required"),))
