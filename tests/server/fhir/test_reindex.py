"""Reindexing: custom parameters come into force, versions stay, runs resume and do not cross."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from server.cli import main
from server.fhir.index.in_force import COLLECTION, InForce, SearchParameters, read_in_force
from server.fhir.index.reading import Reading
from server.fhir.index.terms import term
from server.fhir.json_form import Resource, encode
from server.fhir.reindex import PLACE, Progress, Reindexer
from server.fhir.stored import Stored, collection, from_record
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.ports import Put, Records
from storage.query import Key
from storage.sqlite.records import SqliteRecords
from tests.server.fhir.index.asking import NOW

EYES = {
    "resourceType": "SearchParameter",
    "id": "eyes",
    "url": "http://example.org/eyes",
    "status": "active",
    "code": "eyes",
    "base": ["Patient"],
    "type": "token",
    "expression": "Patient.extension('http://example.org/eyes').value.ofType(code)",
}


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Records, Offload]]:
    offload = Offload()
    records = SqliteRecords(folder / "records.sqlite", offload)
    try:
        yield records, offload
    finally:
        await records.close()
        offload.close()


async def no_pause(_: float) -> None:
    return None


def put(parameters: SearchParameters, resource: Resource, version: int = 1) -> Put:
    stored = Stored(resource["resourceType"], resource["id"], version, 1000, encode(resource))
    keys = parameters.keys(resource, 1000)
    return Put(collection(stored.type), stored.id, stored.record_body(), keys)


def patient(number: int, eyes: str = "blue") -> Resource:
    extension = [{"url": "http://example.org/eyes", "valueCode": eyes}]
    return {"resourceType": "Patient", "id": f"p{number:04d}", "extension": extension}


async def count(records: Records, parameters: SearchParameters, eyes: str) -> int | None:
    """How many patients a search finds; `None` where it does not know the parameter."""
    parameter = parameters.registry.find("Patient", "eyes")
    if parameter is None:
        return None
    found = term(parameter, None, eyes, Reading(NOW))
    return await records.count(collection("Patient"), found, at_most=10_000)


async def run(reindexer: Reindexer, *types: str) -> list[Progress]:
    return [each async for each in reindexer.run(types)]


def test_a_custom_parameter_works_after_reindexing_and_not_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (records, offload):
            parameters = SearchParameters()
            await records.commit([put(parameters, patient(number)) for number in range(450)])
            await records.commit([put(parameters, EYES)])
            await parameters.refresh(records)
            assert await count(records, parameters, "blue") is None
            told = await run(Reindexer(records, parameters, parameters.keys, offload, no_pause))
            assert await count(records, parameters, "blue") == 450
            assert (told[-1].done, told[-1].total) == (451, 451)
            other = SearchParameters()
            assert await other.refresh(records)
            assert not await other.refresh(records)
            assert await count(records, other, "blue") == 450
            assert not await records.get(COLLECTION, [PLACE])

    asyncio.run(scenario())


def test_bodies_and_versions_stay(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (records, offload):
            parameters = SearchParameters()
            await records.commit([put(parameters, patient(1), version=7)])
            before = (await records.get(collection("Patient"), ["p0001"]))[0]
            await run(Reindexer(records, parameters, parameters.keys, offload, no_pause), "Patient")
            after = (await records.get(collection("Patient"), ["p0001"]))[0]
            assert from_record("Patient", after).body == from_record("Patient", before).body
            assert from_record("Patient", after).version == 7
            assert from_record("Patient", after).patients == ("Patient/p0001",)

    asyncio.run(scenario())


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (records, offload):
            parameters = SearchParameters()
            await records.commit([put(parameters, patient(number)) for number in range(450)])
            await records.commit([put(parameters, EYES)])
            indexed: list[str] = []

            def keys(resource: Resource, micros: int) -> Mapping[str, frozenset[Key]]:
                indexed.append(resource["id"])
                return parameters.keys(resource, micros)

            first = Reindexer(records, parameters, keys, offload, no_pause)
            async for progress in first.run(("Patient",)):
                if progress.done == 200:
                    break
            assert await count(records, parameters, "blue") is None
            second = await run(Reindexer(records, parameters, keys, offload, no_pause), "Patient")
            assert second[0].done == 200
            assert len(indexed) == len(set(indexed)) == 450
            assert await count(records, parameters, "blue") == 450

    asyncio.run(scenario())


def test_a_resource_written_meanwhile_keeps_what_was_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (records, offload):
            parameters = SearchParameters()
            await records.commit([put(parameters, patient(number)) for number in range(3)])
            writes = iter([put(parameters, patient(1, "green"), version=2)])
            loop = asyncio.get_running_loop()

            def keys(resource: Resource, micros: int) -> Mapping[str, frozenset[Key]]:
                for write in writes:
                    asyncio.run_coroutine_threadsafe(records.commit([write]), loop).result()
                return parameters.keys(resource, micros)

            await records.commit([put(parameters, EYES)])
            await run(Reindexer(records, parameters, keys, offload, no_pause))
            assert await count(records, parameters, "green") == 1
            assert await count(records, parameters, "blue") == 2
            kept = (await records.get(collection("Patient"), ["p0001"]))[0]
            assert from_record("Patient", kept).version == 2

    asyncio.run(scenario())


def test_two_runs_at_once_find_each_other_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (records, offload):
            parameters = SearchParameters()
            await records.commit([put(parameters, patient(number)) for number in range(3)])
            one, other = (Reindexer(records, parameters, parameters.keys, offload, no_pause) for _ in range(2))
            running = one.run(("Patient",))
            await anext(running)
            await run(other, "Patient")
            with pytest.raises(Problem) as caught:
                await run_rest(running)
            assert caught.value.kind is Kind.CONFLICT

    asyncio.run(scenario())


async def run_rest(running: AsyncIterator[Progress]) -> None:
    async for _ in running:
        pass


@pytest.mark.parametrize(
    ("change", "types", "finds"),
    [
        ({"status": "retired"}, (), None),
        ({"base": ["Patient", "Person"]}, ("Patient",), 1),
        ({"base": ["Patient", "Person"], "code": "iris"}, ("Patient", "Person"), None),
        ({"expression": "Patient.gender"}, ("Patient",), 0),
        ({"base": ["Resource"], "expression": "Resource.language"}, ("Patient",), 1),
    ],
)
def test_a_changed_parameter_waits_for_all_resources_it_is_about(
    tmp_path: Path, change: dict[str, Any], types: tuple[str, ...], finds: int | None
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (records, offload):
            parameters = SearchParameters()
            reindexer = Reindexer(records, parameters, parameters.keys, offload, no_pause)
            await records.commit([put(parameters, patient(1)), put(parameters, EYES)])
            await run(reindexer)
            assert await count(records, parameters, "blue") == 1
            await records.commit([put(parameters, EYES | change)])
            await run(reindexer, *types)
            assert await count(records, parameters, "blue") == finds

    asyncio.run(scenario())


def test_servers_write_the_new_keys_before_searches_use_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (records, offload):
            parameters, server = SearchParameters(), SearchParameters()
            await records.commit([put(parameters, EYES)])
            paused: list[float] = []

            async def pause(seconds: float) -> None:
                paused.append(seconds)
                await server.refresh(records)
                assert "eyes" in server.keys(patient(1), 0)
                assert server.registry.find("Patient", "eyes") is None

            await run(Reindexer(records, parameters, parameters.keys, offload, pause))
            await run(Reindexer(records, parameters, parameters.keys, offload, pause))
            assert len(paused) == 1

    asyncio.run(scenario())


def test_own_parameters_are_in_force_from_the_start(tmp_path: Path) -> None:
    parameters = SearchParameters([EYES])
    assert parameters.registry.find("Patient", "eyes") is not None
    parameters.use(InForce((EYES | {"status": "retired"},), ()))
    assert parameters.registry.find("Patient", "eyes") is None
    assert parameters.indexing.find("Patient", "eyes") is not None


def test_what_is_in_force_survives_the_records(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (records, _):
            assert await read_in_force(records) == (InForce(), 0)
            await records.commit([Put(COLLECTION, "parameters", InForce((EYES,), ()).encode())])
            assert await read_in_force(records) == (InForce((EYES,), ()), 1)

    asyncio.run(scenario())


def test_the_command_tells_what_it_did(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["reindex", "Patient", "--data", str(tmp_path / "data")])
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith("0 resources indexed")
    ended = CliRunner().invoke(main, ["reindex", "Elephant", "--data", str(tmp_path / "data")])
    assert ended.exit_code == 2
    assert "Elephant" in ended.stdout
