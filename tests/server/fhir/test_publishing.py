from __future__ import annotations

from pathlib import Path

from profiles.packages.load import resources
from server.fhir.publishing import publish
from tests.server.bridge.clinical import CONTEXT, Clinical, run


def test_our_conformance_resources_are_published_once(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        assert await publish(clinical.repository, CONTEXT) == len(resources())
        assert await publish(clinical.repository, CONTEXT) == 0
        found = await clinical.find("StructureDefinition", url="http://weft.health/fhir/StructureDefinition/cn-patient")
        assert [each["id"] for each in found] == ["cn-patient"]

    run(tmp_path, body)


def test_an_older_one_is_replaced_and_a_newer_one_stays(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await publish(clinical.repository, CONTEXT)
        await clinical.put(await clinical.get("ValueSet/temperature-site") | {"version": "0.9"})
        await clinical.put(await clinical.get("ValueSet/measuring-method") | {"version": "1.10.0"})
        assert await publish(clinical.repository, CONTEXT) == 1
        assert (await clinical.get("ValueSet/temperature-site"))["version"] == "1.0.0"
        assert (await clinical.get("ValueSet/measuring-method"))["version"] == "1.10.0"

    run(tmp_path, body)
