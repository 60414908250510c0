"""`$validate`: an outcome whatever the resource, a problem only where nothing can be checked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from profiles.terminology.service import Terminology
from profiles.validator.validator import Validator
from server.fhir.json_form import encode
from server.fhir.operations.catalogue import Catalogue, Invocation, Level
from server.fhir.operations.parameters import OperationParameters
from server.fhir.operations.validate import ValidateOperation
from server.fhir.stored import Stored
from server.fhir.validation import Structures, Validation
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem

CONTEXT = Context(LOCAL_ACTOR, "r1")
PATIENT = {"resourceType": "Patient", "id": "1", "text": {"status": "generated", "div": "<div/>"}}
TERMINOLOGY = Terminology()
VITALS = "http://hl7.org/fhir/StructureDefinition/vitalsigns"


@dataclass(frozen=True)
class OnePatient:
    """A store with a single resource."""

    async def read(self, context: Context, resource_type: str, resource_id: str) -> Stored:
        if (resource_type, resource_id) != ("Patient", "1"):
            raise Problem(Kind.NOT_FOUND, "There is no such resource.")
        return Stored("Patient", "1", 1, 0, encode({"resourceType": "Patient", "id": "1", "active": True}))


@pytest.fixture
def operation() -> Iterator[ValidateOperation]:
    offload = Offload(io_threads=1, cpu_threads=1)
    yield ValidateOperation(Validation(Validator(Structures(), TERMINOLOGY), offload), OnePatient())
    offload.close()


def call(operation: ValidateOperation, body: dict[str, Any] | None = None, **members: Any) -> list[dict[str, Any]]:
    parameters = OperationParameters.of_query(members.pop("query", ()))
    level = Level.INSTANCE if "id" in members else Level.TYPE
    invocation = Invocation(level, parameters, "https://a.test/fhir", **{"type": "Patient", "body": body, **members})
    outcome = asyncio.run(operation.validate(CONTEXT, invocation))
    assert outcome["resourceType"] == "OperationOutcome"
    issues: list[dict[str, Any]] = outcome["issue"]
    return issues


def severities(issues: list[dict[str, Any]]) -> set[str]:
    return {each["severity"] for each in issues}


def test_the_row_serves_types_and_resources(operation: ValidateOperation) -> None:
    catalogue = Catalogue(operation.rows())
    assert catalogue.find("$validate", Level.TYPE, "Patient") is not None
    assert catalogue.find("$validate", Level.INSTANCE, "Observation") is not None
    assert catalogue.find("$validate", Level.SYSTEM) is None


def test_a_valid_resource_has_no_errors(operation: ValidateOperation) -> None:
    assert "error" not in severities(call(operation, {"resourceType": "Patient", "active": True}))


def test_an_invalid_resource_is_told_with_places(operation: ValidateOperation) -> None:
    issues = call(operation, {"resourceType": "Patient", "active": "yes", "gender": "x"})
    found = {(each["severity"], each["code"], *each.get("expression", ())) for each in issues}
    assert ("error", "value", "Patient.active") in found
    assert ("error", "code-invalid", "Patient.gender") in found


def test_a_resource_of_another_type_than_the_url(operation: ValidateOperation) -> None:
    assert "error" in severities(call(operation, {"resourceType": "Organization", "name": "x"}))


def test_a_profile_that_is_asked_for(operation: ValidateOperation) -> None:
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    plain = call(operation, observation, type="Observation")
    assert "error" not in severities(plain)
    asked = call(operation, observation, type="Observation", query=[("profile", VITALS)])
    assert "error" in severities(asked)
    unknown = call(operation, observation, type="Observation", query=[("profile", "https://a.test/none")])
    assert ("error", "not-found") in {(each["severity"], each["code"]) for each in unknown}


def test_a_stored_resource_is_validated_in_its_place(operation: ValidateOperation) -> None:
    assert "error" not in severities(call(operation, id="1"))
    with pytest.raises(Problem) as caught:
        call(operation, id="2")
    assert caught.value.kind is Kind.NOT_FOUND


def test_an_update_has_the_id_of_the_url(operation: ValidateOperation) -> None:
    other = {"resourceType": "Patient", "id": "9"}
    issues = call(operation, other, id="1", query=[("mode", "update")])
    assert ["Patient.id"] in [each.get("expression") for each in issues if each["severity"] == "error"]
    assert "error" not in severities(call(operation, other, id="1", query=[("mode", "create")]))


def test_a_deletion_needs_a_resource_that_is_there(operation: ValidateOperation) -> None:
    assert "error" not in severities(call(operation, id="1", query=[("mode", "delete")]))
    with pytest.raises(Problem):
        call(operation, query=[("mode", "delete")])


@pytest.mark.parametrize("query", [[("mode", "x")], [("mode", "profile")], [("colour", "red")], []])
def test_what_cannot_be_run_is_a_problem(query: list[tuple[str, str]], operation: ValidateOperation) -> None:
    with pytest.raises(Problem) as caught:
        call(operation, query=query)
    assert caught.value.kind is Kind.INVALID
