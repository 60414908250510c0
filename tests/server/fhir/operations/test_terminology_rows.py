"""The terminology operations as rows: on a type, on a stored resource, with a resource as the body."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from profiles.terminology.service import Terminology
from server.fhir.json_form import Resource
from server.fhir.operations.catalogue import Catalogue, Invocation, Level
from server.fhir.operations.parameters import OperationParameters
from server.fhir.operations.terminology import TerminologyOperations
from server.fhir.operations.terminology_rows import TerminologyRows
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from tests.server.archive.in_memory import InMemoryRecords
from tests.server.fhir.small import CONTEXT, Small

GENDERS = "http://hl7.org/fhir/administrative-gender"
BOYS: Resource = {
    "resourceType": "ValueSet",
    "status": "active",
    "compose": {"include": [{"system": GENDERS, "concept": [{"code": "male"}]}]},
}


def invocation(level: Level, resource_type: str, body: Resource | None = None, **pairs: str) -> Invocation:
    given = OperationParameters.of_query(pairs.items())
    return Invocation(
        level, given, "http://localhost/fhir", resource_type, "boys" if level is Level.INSTANCE else None, body=body
    )


def answered(name: str, asked: Invocation) -> Any:
    async def ask() -> Any:
        offload = Offload(io_threads=1, cpu_threads=1)
        small = Small(InMemoryRecords(), offload)
        try:
            await small.repository.update(CONTEXT, "ValueSet", "boys", BOYS | {"id": "boys"})
            operations = TerminologyOperations(Terminology(), small.clock)
            rows = Catalogue(TerminologyRows(operations, small.repository, offload).rows())
            row = rows.find(name, asked.level, asked.type)
            assert row
            return await row.handler(CONTEXT, asked)
        finally:
            offload.close()

    return asyncio.run(ask())


def test_on_a_type() -> None:
    answer = answered("$lookup", invocation(Level.TYPE, "CodeSystem", system=GENDERS, code="male"))
    assert {"name": "display", "valueString": "Male"} in answer["parameter"]


def test_on_a_stored_resource() -> None:
    answer = answered("$expand", invocation(Level.INSTANCE, "ValueSet"))
    assert [each["code"] for each in answer["expansion"]["contains"]] == ["male"]
    wrong = answered("$validate-code", invocation(Level.INSTANCE, "ValueSet", system=GENDERS, code="female"))
    assert wrong["parameter"][0] == {"name": "result", "valueBoolean": False}


def test_with_a_resource_as_the_body() -> None:
    answer = answered("$expand", invocation(Level.TYPE, "ValueSet", BOYS))
    assert answer["expansion"]["total"] == 1


def test_a_body_of_another_type() -> None:
    with pytest.raises(Problem) as error:
        answered("$expand", invocation(Level.TYPE, "ValueSet", {"resourceType": "Patient"}))
    assert error.value.kind is Kind.INVALID
