"""Conformance resources that users store take effect, here at once and in another process soon after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from server.access.decision import AccessPoint
from server.fhir.conformance import StoredConformance
from server.fhir.json_form import Resource, encode
from server.fhir.reindex import Reindexer
from server.fhir.search.request import SearchRequest
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.fhir.stored import HISTORY, Stored, collection
from server.kernel.clock import SystemClock
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.ports import Put, Records
from storage.sqlite.records import SqliteRecords
from tests.data.reports import SPOUSE

CONTEXT = Context(LOCAL_ACTOR, "test")
PROFILE = "http://example.org/fhir/StructureDefinition/named-patient"
EYES = "http://example.org/fhir/ValueSet/eyes"
COLOURS = "http://example.org/fhir/CodeSystem/colours"


def profile(**more: Any) -> Resource:
    return {
        "resourceType": "StructureDefinition",
        "id": "named-patient",
        "url": PROFILE,
        "name": "NamedPatient",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient.name", "path": "Patient.name", "min": 1}]},
        **more,
    }


def bound_profile() -> Resource:
    binding = {"strength": "required", "valueSet": EYES}
    element = {"id": "Patient.maritalStatus", "path": "Patient.maritalStatus", "min": 1, "binding": binding}
    return profile(differential={"element": [element]})


def colours(*codes: str) -> Resource:
    return {
        "resourceType": "CodeSystem",
        "id": "colours",
        "url": COLOURS,
        "status": "active",
        "content": "complete",
        "valueSet": "http://example.org/fhir/ValueSet/all-colours",
        "concept": [{"code": each} for each in codes],
    }


def eyes(*codes: str, **more: Any) -> Resource:
    include = {"system": COLOURS, "concept": [{"code": each} for each in codes]}
    return {
        "resourceType": "ValueSet",
        "id": "eyes",
        "url": EYES,
        "status": "active",
        "compose": {"include": [include]},
        **more,
    }


def patient(**more: Any) -> Resource:
    return {"resourceType": "Patient", "meta": {"profile": [PROFILE]}, **more}


def with_eyes(code: str) -> Resource:
    return patient(maritalStatus={"coding": [{"system": COLOURS, "code": code}]})


@dataclass
class Archive:
    """Sets of services over one store, as several processes have them."""

    records: Records
    offload: Offload

    async def services(self) -> FhirServices:
        return await open_fhir(self.records, AccessPoint(), SystemClock(), self.offload, FhirOptions())


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Archive]:
    offload = Offload()
    records = SqliteRecords(folder / "records.sqlite", offload)
    try:
        yield Archive(records, offload)
    finally:
        await records.close()
        offload.close()


def run(folder: Path, body: Callable[[Archive], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with opened(folder) as archive:
            await body(archive)

    asyncio.run(whole())


async def put(fhir: FhirServices, resource: Resource) -> None:
    await fhir.repository.update(CONTEXT, resource["resourceType"], resource["id"], resource)


async def refused(fhir: FhirServices, resource: Resource) -> bool:
    try:
        await fhir.repository.create(CONTEXT, resource["resourceType"], resource)
    except Problem as problem:
        if problem.kind is not Kind.UNSUPPORTED:
            raise
        return True
    return False


def codes(fhir: FhirServices, url: str) -> list[str]:
    expanded = fhir.knowledge.terminology.expand(url, identifier="urn:uuid:0", timestamp="2026-11-22")
    return [each["code"] for each in expanded["expansion"]["contains"]]


def test_a_stored_profile_is_enforced_until_it_is_deleted(tmp_path: Path) -> None:
    async def body(archive: Archive) -> None:
        fhir = await archive.services()
        assert not await refused(fhir, patient())
        await put(fhir, profile())
        assert await refused(fhir, patient())
        assert not await refused(fhir, patient(name=[{"family": "Wang"}]))
        await put(
            fhir,
            profile(differential={"element": [{"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}]}),
        )
        assert await refused(fhir, patient(name=[{"family": "Wang"}]))
        assert not await refused(fhir, patient(birthDate="1970-01-01"))
        await fhir.repository.delete(CONTEXT, "StructureDefinition", "named-patient")
        assert not await refused(fhir, patient())

    run(tmp_path, body)


def test_stored_terminology_expands_and_binds(tmp_path: Path) -> None:
    async def body(archive: Archive) -> None:
        fhir = await archive.services()
        await put(fhir, bound_profile())
        await put(fhir, colours("blue", "brown", "green"))
        await put(fhir, eyes("blue"))
        assert codes(fhir, EYES) == ["blue"]
        assert await refused(fhir, with_eyes("brown"))
        await put(fhir, eyes("blue", "brown"))
        assert codes(fhir, EYES) == ["blue", "brown"]
        assert not await refused(fhir, with_eyes("brown"))
        assert codes(fhir, "http://example.org/fhir/ValueSet/all-colours") == ["blue", "brown", "green"]
        await fhir.repository.delete(CONTEXT, "CodeSystem", "colours")
        assert fhir.knowledge.terminology.codes_of("http://example.org/fhir/ValueSet/all-colours") is None

    run(tmp_path, body)


def test_in_follows_the_stored_value_set(tmp_path: Path) -> None:
    async def found(fhir: FhirServices) -> int:
        asked = SearchRequest("Patient", (("_tag:in", EYES),))
        return len((await fhir.searcher.search(CONTEXT, asked)).matches)

    async def body(archive: Archive) -> None:
        fhir = await archive.services()
        await put(fhir, eyes("blue"))
        await put(fhir, {"resourceType": "Patient", "id": "p", "meta": {"tag": [{"system": COLOURS, "code": "brown"}]}})
        assert await found(fhir) == 0
        await put(fhir, eyes("brown"))
        assert await found(fhir) == 1

    run(tmp_path, body)


def test_in_takes_the_place_of_a_stored_value_set(tmp_path: Path) -> None:
    async def body(archive: Archive) -> None:
        fhir = await archive.services()
        brown = eyes("brown")
        await put(fhir, brown)
        await put(fhir, {"resourceType": "Patient", "id": "p", "meta": {"tag": [{"system": COLOURS, "code": "brown"}]}})
        asked = SearchRequest("Patient", (("_tag:in", f"ValueSet/{brown['id']}"),))
        assert len((await fhir.searcher.search(CONTEXT, asked)).matches) == 1

    run(tmp_path, body)


def test_another_process_follows_and_one_that_starts_knows(tmp_path: Path) -> None:
    async def body(archive: Archive) -> None:
        writing, other = await archive.services(), await archive.services()
        await put(writing, profile())
        await put(writing, eyes("blue"))
        assert not await refused(other, patient())
        await other.following.look()
        assert await refused(other, patient())
        assert codes(other, EYES) == ["blue"]
        later = await archive.services()
        assert await refused(later, patient())
        await later.repository.delete(CONTEXT, "StructureDefinition", "named-patient")
        await other.following.look()
        assert not await refused(other, patient())

    run(tmp_path, body)


def test_only_what_was_asked_for_makes_things_to_be_worked_out_anew() -> None:
    def version(number: int, resource: Resource) -> Stored:
        return Stored(resource["resourceType"], resource["id"], number, number, encode(resource))

    stored = StoredConformance()
    assert not stored.take(version(1, profile()))
    assert stored.find(PROFILE) == profile()
    assert not stored.take(version(1, profile()))
    assert not stored.take(version(1, eyes("blue")))
    assert stored.take(version(2, profile(status="draft")))
    assert not stored.take(version(1, profile()))
    assert stored.find(PROFILE) == profile(status="draft")
    assert stored.value_set("http://example.org/fhir/ValueSet/all-colours") is None
    assert stored.take(version(1, colours("blue")))
    assert stored.take(Stored("StructureDefinition", "named-patient", 3, 3, b""))
    assert stored.find(PROFILE) is None


def test_of_two_with_one_url_the_newer_version_counts_and_then_the_other(tmp_path: Path) -> None:
    async def body(archive: Archive) -> None:
        fhir = await archive.services()
        await put(fhir, eyes("blue", version="1.10"))
        await put(fhir, eyes("green", version="1.9", id="older"))
        assert (codes(fhir, EYES), codes(fhir, EYES + "|1.9")) == (["blue"], ["green"])
        await fhir.repository.delete(CONTEXT, "ValueSet", "eyes")
        assert codes(fhir, EYES) == ["green"]

    run(tmp_path, body)


def test_nobody_replaces_what_r4_itself_defines(tmp_path: Path) -> None:
    async def body(archive: Archive) -> None:
        fhir = await archive.services()
        url = "http://hl7.org/fhir/ValueSet/administrative-gender"
        await put(fhir, eyes("blue", url=url))
        await put(fhir, profile(url="http://hl7.org/fhir/StructureDefinition/Patient"))
        assert codes(fhir, url) == ["male", "female", "other", "unknown"]
        assert not await refused(fhir, {"resourceType": "Patient", "gender": "male"})

    run(tmp_path, body)


@pytest.mark.parametrize(
    "broken",
    [
        {"differential": {"element": [{"path": "Patient.nothing", "min": 1}]}},
        {"baseDefinition": "http://example.org/nowhere"},
        {"type": "Nothing", "snapshot": {"element": [{"id": "Nothing", "path": "Nothing"}]}},
        {"differential": {"element": [{"path": "Patient.name", "constraint": [{"key": "x", "expression": "((("}]}]}},
        {"differential": None},
    ],
)
def test_a_broken_profile_from_elsewhere_disturbs_nobody(
    tmp_path: Path, broken: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """As an older release or another program may have left it: today such a profile is refused."""

    async def body(archive: Archive) -> None:
        resource = profile(**broken)
        stored = Stored("StructureDefinition", "named-patient", 1, 1000, encode(resource))
        await archive.records.commit(
            [
                Put(collection(stored.type), stored.id, stored.record_body()),
                Put(HISTORY, "StructureDefinition/named-patient/1", stored.record_body()),
            ]
        )
        fhir = await archive.services()
        assert not await refused(fhir, patient(name=[{"family": "Secret"}]))
        assert "Secret" not in caplog.text

    run(tmp_path, body)


def test_a_profile_that_cannot_be_used_is_named_in_the_log_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(archive: Archive) -> None:
        fhir = await archive.services()
        await put(fhir, profile(baseDefinition="http://example.org/nowhere"))
        assert not await refused(fhir, patient())
        assert not await refused(fhir, patient())
        assert caplog.text.count(PROFILE) == 1

    run(tmp_path, body)


def test_a_custom_search_parameter_answers_after_reindexing_in_every_process(tmp_path: Path) -> None:

    async def found(fhir: FhirServices) -> int | None:
        try:
            pairs = [("spouse", "wid")]
            return len(await fhir.searcher.matching(CONTEXT, "Patient", pairs, 10))
        except Problem:
            return None

    async def no_pause(_: float) -> None:
        return None

    async def body(archive: Archive) -> None:
        fhir, other = await archive.services(), await archive.services()
        await put(fhir, {"resourceType": "Patient", "id": "p", "maritalStatus": {"text": "Widowed"}})
        await put(fhir, SPOUSE)
        assert (await found(fhir), await found(other)) == (None, None)
        keys = fhir.repository.writing.keys
        parameters = fhir.knowledge.parameters
        reindexer = Reindexer(archive.records, parameters, keys, archive.offload, no_pause)
        assert [each.done async for each in reindexer.run()][-1] > 0
        assert await found(fhir) == 1
        await other.knowledge.parameters.refresh(archive.records)
        assert await found(other) == 1
        assert await found(await archive.services()) == 1

    run(tmp_path, body)
