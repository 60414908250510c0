"""`weft institution` and `weft person`: who sends images, and who is who, at the command line."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from server.commands.over_services import opened
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.problem import Problem
from server.mpi.institutions import organization_id
from server.settings import Settings
from tests.server.commands.administering import refused, told

CONTEXT = Context(LOCAL_ACTOR, "test")


def test_an_institution_is_registered_and_shown(tmp_path: Path) -> None:
    told(tmp_path, "institution", "add", "E001", "East Hospital", "--oid", "1.9.1", "--alias", "EAST HOSP")
    assert re.search(r"E001 +East Hospital +1\.9\.1 +EAST HOSP", told(tmp_path, "institution", "list"))
    assert "Another institution" in refused(tmp_path, "institution", "add", "X", "X", "--alias", "east hosp")

    async def shown() -> bytes:
        async with opened(Settings(data=tmp_path)) as services:
            stored = await services.fhir.repository.read(CONTEXT, "Organization", organization_id("E001"))
            return stored.body

    assert b"East Hospital" in asyncio.run(shown())


def test_a_number_that_came_for_two_people_is_shown_and_dismissed(tmp_path: Path) -> None:
    async def examined() -> None:
        async with opened(Settings(data=tmp_path)) as services:
            for id, expected in (("a", True), ("b", False)):
                await services.fhir.repository.update(CONTEXT, "Patient", id, {"resourceType": "Patient", "id": id})
                index = await services.documents.index.of_examination("E001", f"Patient/{id}", "7", "1.2.3")
                assert bool(index) is expected
            with pytest.raises(Problem):
                await services.documents.index.register(CONTEXT, "E001", "11010519491231002X", "7")

    assert "one person's" in told(tmp_path, "examination", "conflicts")
    asyncio.run(examined())
    found = re.search(r"^(\w{32}) +E001 +7 .* Patient/b +1\.2\.3 ", told(tmp_path, "examination", "conflicts"), re.M)
    assert found is not None
    assert "`weft person link`" in refused(tmp_path, "examination", "settle", found[1])
    told(tmp_path, "examination", "settle", found[1], "--dismiss")
    assert "`weft examination conflicts` shows" in refused(tmp_path, "examination", "settle", found[1])
    [other] = re.findall(r"^\w{32}", told(tmp_path, "examination", "conflicts"), re.M)
    assert refused(tmp_path, "examination", "settle", other).strip().endswith("so it can only be dismissed.")
    assert "no conflict" in refused(tmp_path, "examination", "settle", found[1], "--dismiss")


@pytest.mark.slow
def test_two_patients_are_made_one_person_and_two_again(tmp_path: Path) -> None:
    async def admitted() -> None:
        async with opened(Settings(data=tmp_path)) as services:
            for id in ("a", "b"):
                resource = {
                    "resourceType": "Patient",
                    "id": id,
                    "name": [{"text": "欧阳晓红"}],
                    "birthDate": "1962-03-14",
                }
                await services.fhir.repository.update(CONTEXT, "Patient", id, resource)

    asyncio.run(admitted())
    assert "knows nobody" in refused(tmp_path, "person", "show", "a")
    linked = told(tmp_path, "person", "link", "a", "Patient/b", "--why", "same card")
    assert "Patient/a, Patient/b" in linked
    assert told(tmp_path, "person", "show", linked.partition(":")[0]) == linked
    history = told(tmp_path, "person", "history", "b")
    found = re.search(r"^(\w{32}) .* link .* same card", history, re.MULTILINE)
    assert found is not None
    told(tmp_path, "person", "undo", found[1])
    assert told(tmp_path, "person", "show", "b").strip().endswith(": Patient/b")
    assert "nothing to decide" in told(tmp_path, "person", "proposals")
    assert "No images" in told(tmp_path, "person", "examinations", "--citizen", typed="11010519491231002X\n")
    assert "no such Patient" in refused(tmp_path, "person", "link", "a", "nobody")
