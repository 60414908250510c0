"""`$imaging-index` on ImagingStudy: where the images of an examination are.

What it promises clients stands in its OperationDefinition (profiles.packages.imaging_index).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from profiles.packages.imaging_index import DEFINITION
from server.fhir.json_form import Resource
from server.fhir.operations.catalogue import Invocation, Level, Operation
from server.fhir.operations.parameters import invalid, parameter, parameters
from server.kernel.context import Context
from server.mpi.lookup import Asked, Found, Lookup, Study

_PARAMETERS = ("index", "citizen", "number", "institution")


@dataclass(frozen=True, slots=True)
class ImagingIndexOperation:
    lookup: Lookup

    def rows(self) -> tuple[Operation, ...]:
        levels, types = frozenset({Level.TYPE}), frozenset({"ImagingStudy"})
        return (Operation("$imaging-index", levels, types, False, DEFINITION, self.answer, "search"),)

    async def answer(self, context: Context, invocation: Invocation) -> Resource:
        given = invocation.parameters
        given.allow(_PARAMETERS)
        citizen = given.one("citizen")
        if citizen is not None and citizen.type is None:
            raise invalid("A citizen number is posted, never part of a URL.", "citizen")
        asked = Asked(*(given.string(name) or "" for name in _PARAMETERS))
        found = await self.lookup.find(context, asked)
        return parameters(*(parameter("examination", part=list(_told(each))) for each in found))


def _told(found: Found) -> Iterator[dict[str, Any]]:
    yield parameter("index", valueUuid=f"urn:uuid:{found.examination.index}")
    yield parameter("institution", valueString=found.examination.institution)
    if found.institution:
        yield parameter("name", valueString=found.institution)
    yield parameter("number", valueString=found.examination.number)
    for each in found.studies:
        yield parameter("study", part=list(_study(each)))


def _study(study: Study) -> Iterator[dict[str, Any]]:
    yield parameter("uid", valueOid=f"urn:oid:{study.uid}")
    yield parameter("resource", valueReference={"reference": study.resource})
    yield parameter("address", valueUrl=study.url)
    for each in study.documents:
        yield parameter(
            "document",
            part=[
                parameter("repository", valueOid=f"urn:oid:{each.repository.removeprefix('urn:oid:')}"),
                parameter("uniqueId", valueString=each.unique_id),
                parameter("community", valueOid=f"urn:oid:{each.home.removeprefix('urn:oid:')}"),
            ],
        )
