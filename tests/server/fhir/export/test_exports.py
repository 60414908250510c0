"""Bulk exports over real services: what is in the files, and who sees them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.access.roles import SYSTEM
from server.assembly import Services, open_services
from server.audit.event import Entity
from server.audit.writes import RecordedWrites
from server.fhir.export import exports as exporting
from server.fhir.export.exports import Exports
from server.fhir.export.job import Job, State
from server.fhir.export.opening import open_exports
from server.fhir.export.request import Level, parse
from server.fhir.stored import Stored
from server.kernel.context import INTERACTIONS, LOCAL_ACTOR, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from server.settings import Settings
from tests.server.audit.recording import Remembered

WHO = Context(LOCAL_ACTOR, "r1")


@pytest.fixture(autouse=True)
def _nothing_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_SETTLED", 0)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Services, Exports]]:
    services = await open_services(Settings(data=folder, auth="off"))
    try:
        records, blobs = services.stores.records, services.stores.blobs
        yield services, open_exports(records, blobs, services.access, services.fhir)
    finally:
        await services.close()


async def run(exports: Exports, level: Level, pairs: Sequence[tuple[str, str]] = (), group: str | None = None) -> Job:
    job = await exports.kick_off(WHO, parse(level, group, list(pairs)), "http://here/fhir/$export")
    assert await exports.step()
    return await exports.job(WHO, job)


async def lines(exports: Exports, job: Job, kind: str = "output") -> dict[str, list[dict[str, Any]]]:
    """Resources by type, in all files of a kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in job.files:
        if each.kind == kind:
            text = b"".join([bytes(piece) async for piece in exports.blobs.read(each.blob)])
            assert text.endswith(b"\n")
            resources = [json.loads(line) for line in text.splitlines()]
            assert len(resources) == each.count
            found.setdefault(each.type, []).extend(resources)
    return found


async def put(services: Services, resource_type: str, resource_id: str, **more: Any) -> None:
    resource = {"resourceType": resource_type, "id": resource_id, **more}
    await services.fhir.repository.update(WHO, resource_type, resource_id, resource)


def observation(patient: str, status: str = "final") -> dict[str, Any]:
    return {"status": status, "code": {"text": "x"}, "subject": {"reference": f"Patient/{patient}"}}


def test_a_system_export_holds_everything_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (services, exports):
            await put(services, "Patient", "a")
            await put(services, "Patient", "a", gender="male")
            await put(services, "Observation", "o", **observation("a"))
            job = await run(exports, Level.SYSTEM)
            assert job.state is State.COMPLETE
            found = await lines(exports, job)
            assert found["Patient"][0]["gender"] == "male"
            assert {name: len(each) for name, each in found.items() if name in ("Patient", "Observation")} == {
                "Patient": 1,
                "Observation": 1,
            }

    asyncio.run(scenario())


def test_what_changed_after_the_transaction_time_is_as_it_was_then(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (services, exports):
            for each in ("kept", "changed", "deleted"):
                await put(services, "Patient", each, gender="male")
            asked = parse(Level.SYSTEM, None, [("_type", "Patient")])
            job_id = await exports.kick_off(WHO, asked, "u")
            await put(services, "Patient", "changed", gender="female")
            await services.fhir.repository.delete(WHO, "Patient", "deleted")
            await put(services, "Patient", "late")
            assert await exports.step()
            found = await lines(exports, await exports.job(WHO, job_id))
            assert {each["id"]: each["gender"] for each in found["Patient"]} == {
                "kept": "male",
                "changed": "male",
                "deleted": "male",
            }

    asyncio.run(scenario())


def test_since_takes_what_changed_and_tells_what_was_deleted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (services, exports):
            await put(services, "Patient", "old")
            await put(services, "Patient", "gone")
            since = (await services.fhir.repository.read(WHO, "Patient", "gone")).last_updated_text
            await services.fhir.repository.delete(WHO, "Patient", "gone")
            await put(services, "Patient", "new")
            job = await run(exports, Level.SYSTEM, [("_type", "Patient"), ("_since", since)])
            assert [each["id"] for each in (await lines(exports, job))["Patient"]] == ["new"]
            (bundle,) = (await lines(exports, job, "deleted"))["Bundle"]
            assert bundle["type"] == "transaction"
            assert bundle["entry"] == [{"request": {"method": "DELETE", "url": "Patient/gone"}}]

    asyncio.run(scenario())


def test_a_group_export_holds_its_members_and_what_is_theirs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (services, exports):
            for each in ("a", "b", "c"):
                await put(services, "Patient", each)
                await put(services, "Observation", f"o-{each}", **observation(each))
            inner = [{"entity": {"reference": "Patient/b"}}, {"entity": {"reference": "Patient/c"}, "inactive": True}]
            outer = [{"entity": {"reference": "Patient/a"}}, {"entity": {"reference": "Group/inner"}}]
            await put(services, "Group", "inner", type="person", actual=True, member=inner)
            await put(services, "Group", "outer", type="person", actual=True, member=outer)
            found = await lines(exports, await run(exports, Level.GROUP, group="outer"))
            assert sorted(each["id"] for each in found["Patient"]) == ["a", "b"]
            assert sorted(each["id"] for each in found["Observation"]) == ["o-a", "o-b"]
            with pytest.raises(Problem) as unknown:
                await exports.kick_off(WHO, parse(Level.GROUP, "none", []), "u")
            assert unknown.value.kind is Kind.NOT_FOUND

    asyncio.run(scenario())


def test_a_patient_export_leaves_out_what_is_nobodys(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (services, exports):
            await put(services, "Patient", "a")
            await put(services, "Observation", "theirs", **observation("a"))
            await put(services, "Observation", "nobodys", status="final", code={"text": "x"})
            found = await lines(exports, await run(exports, Level.PATIENT))
            assert [each["id"] for each in found["Observation"]] == ["theirs"]
            assert "Organization" not in found

    asyncio.run(scenario())


def test_filters_and_elements(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (services, exports):
            await put(services, "Patient", "a", gender="male", birthDate="2000-01-01")
            await put(services, "Observation", "f", **observation("a"))
            await put(services, "Observation", "p", **observation("a", "preliminary"))
            pairs = [("_typeFilter", "Observation?status=preliminary"), ("_elements", "gender")]
            found = await lines(exports, await run(exports, Level.SYSTEM, [("_type", "Patient,Observation"), *pairs]))
            assert [each["id"] for each in found["Observation"]] == ["p"]
            assert found["Patient"][0]["gender"] == "male"
            assert "birthDate" not in found["Patient"][0]
            assert found["Patient"][0]["meta"]["tag"][0]["code"] == "SUBSETTED"

    asyncio.run(scenario())


@pytest.mark.parametrize("filter_", ["Observation?nonsense=1", "Observation?date=soon", "Observation?_count=1"])
def test_a_criterion_that_is_not_understood_is_refused(tmp_path: Path, filter_: str) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (_, exports):
            with pytest.raises(Problem) as refused:
                await exports.kick_off(WHO, parse(Level.SYSTEM, None, [("_typeFilter", filter_)]), "u")
            assert refused.value.kind is Kind.INVALID
            assert not await exports.step()

    asyncio.run(scenario())


def test_a_fault_ends_its_job_and_no_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (services, exports):
            await put(services, "Patient", "a")
            await put(services, "Observation", "o", **observation("a"))

            def part(stored: Stored) -> bytes:
                if stored.type == "Observation":
                    raise KeyError
                return stored.body

            broken = replace(exports, subset=lambda _: part)
            job = await run(broken, Level.SYSTEM, [("_type", "Patient,Observation")])
            assert job.state is State.FAILED
            assert job.failure
            assert [each.type for each in job.files] == ["Patient"]
            assert (await run(exports, Level.SYSTEM, [("_type", "Patient")])).state is State.COMPLETE

    asyncio.run(scenario())


def test_only_who_asked_sees_a_job_and_cancelling_removes_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (services, exports):
            await put(services, "Patient", "a")
            job = await run(exports, Level.SYSTEM, [("_type", "Patient")])
            other = Context(Actor("other", "somebody else", LOCAL_ACTOR.grants), "r2")
            with pytest.raises(Problem) as hidden:
                await exports.job(other, job.id)
            assert hidden.value.kind is Kind.NOT_FOUND
            before = {each async for each in exports.blobs.list()}
            await exports.cancel(WHO, job.id)
            assert {each async for each in exports.blobs.list()} < before
            with pytest.raises(Problem) as gone:
                await exports.job(WHO, job.id)
            assert gone.value.kind is Kind.NOT_FOUND

    asyncio.run(scenario())


def test_who_may_not_search_may_not_export(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (_, exports):
            nobody = Context(Actor("nobody", "nobody", ()), "r3")
            with pytest.raises(Problem) as refused:
                await exports.kick_off(nobody, parse(Level.SYSTEM, None, []), "u")
            assert refused.value.kind is Kind.FORBIDDEN

    asyncio.run(scenario())


def test_an_export_holds_what_its_actor_may_see_for_its_purpose(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (services, exports):
            for each in "ab":
                await put(services, "Patient", each)
                await put(services, "Observation", f"o{each}", **observation(each))
            await put(services, "Group", "g", type="person", actual=True,
                      member=[{"entity": {"reference": f"Patient/{each}"}} for each in "ab"])  # fmt: skip
            grants = (Grant(INTERACTIONS),)
            limited = Actor("backend", "b", grants, frozenset({SYSTEM}), own_patients=frozenset("a"))
            context = Context(limited, "r", "HPAYMT")
            job_id = await exports.kick_off(context, parse(Level.SYSTEM, None, []), "u")
            assert await exports.step()
            job = await exports.job(context, job_id)
            assert job.purpose == "HPAYMT"
            found = await lines(exports, job)
            named = {name: [each["id"] for each in found.get(name, ())] for name in ("Patient", "Observation", "Group")}
            assert named == {"Patient": ["a"], "Observation": ["oa"], "Group": []}
            for level, group, pairs in (
                (Level.PATIENT, None, [("patient", "Patient/b")]),
                (Level.SYSTEM, None, [("_type", "AuditEvent")]),
                (Level.SYSTEM, None, [("_type", "Group")]),
            ):
                with pytest.raises(Problem) as refused:
                    await exports.kick_off(context, parse(level, group, pairs), "u")
                assert refused.value.kind is Kind.FORBIDDEN

    asyncio.run(scenario())


def test_what_became_of_an_export_is_told_with_its_counts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (services, exports):
            log = Remembered()
            exports.writes = RecordedWrites(log, services.clock)
            await put(services, "Patient", "a")
            job = await run(exports, Level.SYSTEM, [("_type", "Patient")])
            [event] = log.events
            assert (event.code, event.subtype, event.action) == ("110106", "operation", "R")
            assert event.entities[0] == Entity("job", job.id, "complete Patient=1")

    asyncio.run(scenario())
