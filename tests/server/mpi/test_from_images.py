"""From images to the regional index through the whole server: two hospitals, one patient, two examinations."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from server.assembly import Services, open_services
from server.fhir.operations.catalogue import Invocation, Level
from server.fhir.operations.parameters import OperationParameters
from server.kernel.context import LOCAL_ACTOR, Context
from server.mpi.institutions import Institution
from server.settings import Settings
from tests.server.bridge.clinical import incoming
from tests.server.bridge.images import image

CONTEXT = Context(LOCAL_ACTOR, "test")
ZHANG = "11010519491231002X"
_ISSUER = {"UniversalEntityID": "2.16.156.10011.1.3", "UniversalEntityIDType": "ISO"}


def exam(study: str, name: str, institution: str, number: str) -> bytes:
    citizen = {"PatientID": ZHANG, "TypeOfPatientID": "TEXT", "IssuerOfPatientIDQualifiersSequence": [_ISSUER]}
    return image(
        study=study,
        PatientID=number,
        IssuerOfPatientID=institution,
        PatientName=name,
        OtherPatientIDsSequence=[citizen],
        AccessionNumber="CT0007",
        InstitutionName=institution,
    )


async def found(services: Services, **asked: str) -> list[dict[str, Any]]:
    """The parts of each examination by name."""
    row = next(each for each in services.documents.operations() if each.name == "$imaging-index")
    given = [{"name": name, "valueString": value} for name, value in asked.items()]
    parameters = OperationParameters.read({"resourceType": "Parameters", "parameter": given})
    answer = await row.handler(CONTEXT, Invocation(Level.TYPE, parameters, "http://x/fhir", "ImagingStudy"))
    assert isinstance(answer, dict)
    return [{part["name"]: part for part in each["part"]} for each in answer.get("parameter", ())]


def test_images_of_two_hospitals_are_one_patient_and_two_examinations(tmp_path: Path) -> None:
    async def check() -> None:
        services = await open_services(Settings(data=tmp_path, auth="off"))
        for each in (Institution("E001", "East", aliases=("EAST HOSP",)), Institution("W001", "West")):
            await services.documents.institutions.add(CONTEXT, each)
        files = (
            exam("1.2.3", "Ouyang^Xiaoming=欧阳^小明=", "EAST HOSP", "E7"),
            exam("1.2.4", "OUYANG^XIAO MING", "West", "W9"),
        )
        await services.store.store(CONTEXT, incoming(files))
        await services.bridge.drain()
        await services.documents.manifests().drain()
        both = await found(services, citizen=ZHANG)
        assert [each["institution"]["valueString"] for each in both] == ["E001", "W001"]
        assert await found(services, number="CT0007") == both
        index = both[1]["index"]["valueUuid"]
        [west] = await found(services, index=index)
        study = {each["name"]: each for each in west["study"]["part"]}
        assert study["address"]["valueUrl"].endswith("/dicomweb/studies/1.2.4")
        assert {each["name"] for each in study["document"]["part"]} == {"repository", "uniqueId", "community"}
        patients = await services.fhir.searcher.matching(CONTEXT, "Patient", [("name", "Ouyang")], 9)
        identities = [await services.documents.master.of_patient(each.reference) for each in patients]
        assert len(identities) == 2
        assert identities[0] == identities[1]
        await services.close()

    asyncio.run(check())
