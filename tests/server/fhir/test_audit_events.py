from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from server.access.decision import AccessPoint
from server.audit.alerts import AlertLimits, Alerts
from server.audit.event import Entity, Event
from server.audit.opening import Audit, AuditOptions, open_audit
from server.audit.security_events import break_glass_started, token_revoked
from server.audit.who import Who
from server.audit.writes import RecordedWrites
from server.fhir.audit_events import AuditProjection, ProjectionOptions, read_progress
from server.fhir.lease import Lease
from server.fhir.search.request import SearchRequest
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.kernel.context import Actor, Context, Grant
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.kernel.trail import Trail
from storage.open import open_journal, open_stores
from storage.ports import Records
from tests.server.audit.recording import AT, NODE, Clock
from tests.server.audit.samples import samples

ALL = (Grant(frozenset({"read", "search", "create", "update", "delete"})),)
AUDITOR = Context(Actor("a1", "Auditor", ALL, frozenset({"auditor"}), user="a1"), "req-9")
NURSE = Context(Actor("u1", "Nurse", ALL, frozenset({"nurse"}), user="u1"), "req-8", trail=Trail())


class Stage(NamedTuple):
    records: Records
    fhir: FhirServices
    audit: Audit
    clock: Clock
    offload: Offload

    def projection(self, **limits: int) -> AuditProjection:
        return AuditProjection(
            self.records,
            self.audit.recorder,
            self.fhir.repository.writing.keys,
            self.offload,
            self.clock,
            Lease(self.records, self.clock, "audit-projection", "here"),
            ProjectionOptions(NODE),
            Alerts(AlertLimits(**limits)),
        )

    async def found(self, query: str, context: Context = AUDITOR) -> list[str]:
        pairs = tuple((each.split("=", 1)[0], each.split("=", 1)[1]) for each in query.split("&") if each)
        result = await self.fhir.searcher.search(context, SearchRequest("AuditEvent", pairs, strict=True))
        return [each.id for each in result.matches]


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    offload, clock, key = Offload(io_threads=2, cpu_threads=2), Clock(), folder / "master.key"
    stores = await open_stores(
        f"sqlite:///{folder}/r.sqlite", f"file://{folder}/b", encryption="off", key_file=key, threads=offload
    )
    journal = await open_journal(f"file://{folder}/audit", encryption="off", key_file=key, threads=offload)
    audit = await open_audit(journal, stores.records, clock, offload, AuditOptions(folder / "audit.key"))
    writes = RecordedWrites(audit.recorder, clock)
    fhir = await open_fhir(stores.records, AccessPoint(), clock, offload, FhirOptions(), writes=writes)
    try:
        yield Stage(stores.records, fhir, audit, clock, offload)
    finally:
        await audit.close()
        await stores.close()
        offload.close()


def play(folder: Path, work: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        async with staged(folder) as stage:
            await work(stage)

    asyncio.run(run())


def event(number: int = 1, **facts: object) -> Event:
    made = Event("rest", "read", "R", AT, request=f"req-{number}", user="u1", user_name="Wang Fang", client="app")
    made = msgspec.structs.replace(made, patient="Patient/3", entities=(Entity("data", "Observation/7/_history/2"),))
    return msgspec.structs.replace(made, **facts)


def test_what_is_recorded_can_be_searched_by_an_auditor(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        refused = event(2, outcome=4, patient="Patient/4", user="u2", user_name="Li Na", fhir_user="Practitioner/12")
        await stage.audit.recorder.record([event(), refused, *samples()["P22"]])
        assert await stage.projection().catch_up()
        everything = await stage.found("_sort=date")
        assert len(everything) == 3
        for query, count in {
            "patient=3": 1,
            "patient=Patient/4": 1,
            "outcome=4": 1,
            "type=rest": 2,
            "subtype=110122": 1,
            "action=R": 2,
            "agent-name=wang": 2,
            "agent=Practitioner/12": 2,
            "entity=Observation/7": 2,
            "entity=Observation/8": 0,
            "entity=Observation/7/_history/2": 2,
            "date=ge2026-11-22T09:00:00Z": 3,
            "date=lt2026-11-22": 0,
            "site=Example Hospital": 3,
        }.items():
            assert len(await stage.found(query)) == count, query

    play(tmp_path, work)


def test_an_event_that_cannot_be_told_holds_up_no_other(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        await stage.audit.recorder.record([event(1), event(2, recorded=10**18), event(3)])
        assert await stage.projection().catch_up()
        assert len(await stage.found("_sort=date")) == 2

    play(tmp_path, work)


def test_nobody_but_auditors_searches_reads_or_writes_events(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        await stage.audit.recorder.record([event()])
        await stage.projection().catch_up()
        [found] = await stage.found("")
        stored = await stage.fhir.repository.read(AUDITOR, "AuditEvent", found)
        body = json.loads(stored.body)
        repository = stage.fhir.repository
        for context in (NURSE, AUDITOR):
            changes = [
                repository.update(context, "AuditEvent", found, body),
                repository.delete(context, "AuditEvent", found),
                repository.create(context, "AuditEvent", body),
                repository.patch(context, "AuditEvent", found, lambda resource: resource),
            ]
            for change in changes:
                with pytest.raises(Problem) as caught:
                    await change
                assert caught.value.kind is Kind.FORBIDDEN
        with pytest.raises(Problem) as caught:
            await stage.found("", NURSE)
        assert caught.value.kind is Kind.FORBIDDEN
        assert (await repository.read(AUDITOR, "AuditEvent", found)).body == stored.body

    play(tmp_path, work)


def test_another_systems_event_comes_in_and_stays(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        lab = Context(Actor("|lab", "Lab", ALL, frozenset({"system"}), client="lab"), "req-7", trail=Trail())
        body = {
            "resourceType": "AuditEvent",
            "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110112"},
            "recorded": "2026-11-22T09:00:00Z",
            "agent": [{"requestor": True}],
            "source": {"observer": {"display": "lab"}},
        }
        written = await stage.fhir.repository.create(lab, "AuditEvent", body)
        assert await stage.found("") == [written.stored.id]
        with pytest.raises(Problem):
            await stage.fhir.repository.update(lab, "AuditEvent", written.stored.id, {**body, "id": written.stored.id})
        await stage.projection().catch_up()
        assert len(await stage.found("subtype=create")) == 1

    play(tmp_path, work)


def test_a_write_and_its_event_are_one_commit(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        repository = stage.fhir.repository
        created = await repository.create(NURSE, "Patient", {"resourceType": "Patient"})
        patient = created.stored.reference
        changed = {"resourceType": "Patient", "id": created.stored.id, "active": True}
        await repository.update(NURSE, "Patient", created.stored.id, changed)
        await repository.update(NURSE, "Patient", created.stored.id, changed)
        assert NURSE.trail.is_kept
        await stage.projection().catch_up()
        assert len(await stage.found(f"patient={patient}&subtype=create&action=C")) == 1
        assert len(await stage.found(f"entity={patient}/_history/2&subtype=update&action=U")) == 1
        assert len(await stage.found("")) == 2

    play(tmp_path, work)


def test_no_event_is_there_twice_whoever_makes_the_copies(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        await stage.audit.recorder.record([event(number) for number in range(900)])
        await asyncio.gather(*(stage.projection().catch_up(20) for _ in range(3)))
        assert len(await stage.found("_count=1000")) == 900

    play(tmp_path, work)


def test_what_came_since_is_added_and_ids_stay(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        await stage.audit.recorder.record([event(1, others=("Patient/4", "Patient/5"))])
        await stage.projection().catch_up()
        before = set(await stage.found(""))
        await stage.audit.recorder.record([event(2)])
        await stage.projection().catch_up()
        after = set(await stage.found(""))
        assert len(before) == 3
        assert before < after
        assert len(after) == 4

    play(tmp_path, work)


def test_alerts_are_events_of_their_own_and_counted(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        await stage.audit.recorder.record([event(number, patient=f"Patient/{number}") for number in range(9)])
        projection = stage.projection(patients=5)
        await projection.catch_up()
        await projection.catch_up()
        [alert] = await stage.found("subtype=unusual-access")
        body = json.loads((await stage.fhir.repository.read(AUDITOR, "AuditEvent", alert)).body)
        assert body["outcomeDesc"] == "more than 5 patients within an hour"
        progress, _ = await read_progress(stage.records)
        assert progress.alerts == {"volume": 1}

    play(tmp_path, work)


def test_emergency_access_ends_in_the_log_once(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        begun = [
            break_glass_started(AT, Who("u1", session=name, purpose="BTG"), "unconscious", "Patient/3")
            for name in ("approval1", "approval2")
        ]
        await stage.audit.recorder.record(begun)
        for _ in range(2):
            assert await stage.projection().catch_up()
        assert await stage.found("subtype=110138") == []
        await stage.audit.recorder.record([token_revoked(AT, Who("u1"), "approval2")])
        await stage.projection().catch_up()
        stage.clock.move(3601)
        for number in range(3):
            await stage.audit.recorder.record([event(number)])
            await stage.projection().catch_up()
        await stage.projection().catch_up()
        assert len(await stage.found("subtype=110138")) == 2
        assert len(await stage.found("subtype=110127&patient=3")) == 2

    play(tmp_path, work)


def test_copies_go_when_the_log_keeps_contents_no_longer(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        await stage.audit.recorder.record([event(1, recorded=AT - 2191 * 86_400_000_000), event(2)])
        projection = stage.projection()
        await projection.catch_up()
        assert await projection.sweep(AT) == 1
        assert len(await stage.found("")) == 1

    play(tmp_path, work)
