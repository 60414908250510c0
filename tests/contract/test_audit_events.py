"""The log made searchable, and events in the commits of writes, over each kind of records."""

from __future__ import annotations

import asyncio
from pathlib import Path

from server.access.decision import AccessPoint
from server.audit.opening import Audit, AuditOptions, open_audit
from server.audit.writes import RecordedWrites
from server.fhir.audit_events import AuditProjection, ProjectionOptions
from server.fhir.lease import Lease
from server.fhir.search.request import SearchRequest
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.kernel.context import Actor, Context, Grant
from server.kernel.trail import Trail
from storage.open import open_journal
from storage.ports import Records
from tests.contract.conftest import Archive
from tests.server.audit.recording import NODE, Clock

ALL = (Grant(frozenset({"read", "search", "create", "update", "delete"})),)
AUDITOR = Context(Actor("a1", "Auditor", ALL, frozenset({"auditor"}), user="a1"), "req-9")


def projection(records: Records, audit: Audit, fhir: FhirServices, archive: Archive, clock: Clock) -> AuditProjection:
    turn = Lease(records, clock, "audit-projection", "here")
    options = ProjectionOptions(NODE)
    keys = fhir.repository.writing.keys
    return AuditProjection(records, audit.recorder, keys, archive.threads, clock, turn, options)


async def played(archive: Archive, folder: Path) -> None:
    records, clock = archive.open(), Clock()
    journal = await open_journal(
        f"file://{folder}/audit", encryption="off", key_file=folder / "key", threads=archive.threads
    )
    audit = await open_audit(journal, records, clock, archive.threads, AuditOptions(folder / "audit.key"))
    writes = RecordedWrites(audit.recorder, clock)
    fhir = await open_fhir(records, AccessPoint(), clock, archive.threads, FhirOptions(), writes=writes)
    try:
        await wrote(fhir)
        await asyncio.gather(*(projection(records, audit, fhir, archive, clock).catch_up(20) for _ in range(3)))
        for query, count in (("", 30), ("subtype=create", 10), ("subtype=update", 20), ("agent-name=rita", 30)):
            pairs = (tuple(query.split("=")), ("_count", "100")) if query else (("_count", "100"),)
            found = await fhir.searcher.search(AUDITOR, SearchRequest("AuditEvent", pairs, strict=True))  # type: ignore[arg-type]
            assert len(found.matches) == count, query
            assert len({each.id for each in found.matches}) == count
    finally:
        await audit.close()


async def wrote(fhir: FhirServices) -> None:
    """Ten patients made, each changed twice by senders who meet."""
    rita = Actor("u1|app", "Rita", ALL, frozenset({"radiologist"}), user="u1", client="app")

    async def one(number: int) -> None:
        context = Context(rita, f"req-{number}", trail=Trail())
        made = await fhir.repository.create(context, "Patient", {"resourceType": "Patient"})
        for text in ("a", "b"):
            changed = {"resourceType": "Patient", "id": made.stored.id, "name": [{"text": text}]}
            await fhir.repository.update(context, "Patient", made.stored.id, changed)

    await asyncio.gather(*(one(number) for number in range(10)))


def test_every_write_is_found_by_an_auditor_exactly_once(archive: Archive, tmp_path: Path) -> None:
    archive.run(played(archive, tmp_path))
