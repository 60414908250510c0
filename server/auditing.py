"""Opens the audit trail as the settings have it; without sign-in there is none."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping
from datetime import time
from importlib.metadata import version
from zoneinfo import ZoneInfo

from server.audit.activity import Activity
from server.audit.alerts import AlertLimits, Alerts
from server.audit.feed import Repository, SyslogFeed, SyslogSender
from server.audit.metrics import Figures
from server.audit.opening import Audit, AuditOptions, open_audit
from server.audit.parts import Node
from server.fhir.audit_events import AuditProjection, ProjectionOptions, read_progress
from server.fhir.lease import Lease
from server.fhir.services import FhirServices
from server.kernel.clock import Clock
from server.kernel.ids import new_token
from server.kernel.offload import Offload
from server.kernel.supervision import Worker
from server.settings import Settings
from server.smart.site import Site
from storage.open import open_journal, open_witness
from storage.ports import Records


async def open_trail(settings: Settings, records: Records, clock: Clock, offload: Offload, url: str) -> Audit | None:
    """After the stores, whose key the journal shares. `ValueError` names a setting that cannot be."""
    if settings.auth == "off":
        return None
    options = AuditOptions(
        settings.audit_key,
        refuses=settings.audit_failure == "refuse",
        retention_days=settings.audit_retention_days,
        flushes=settings.audit_flush == "each",
    )
    witness = await open_witness(settings.audit_witness, offload)
    sender = _sender(settings, clock, url)
    journal = await open_journal(
        settings.audit_log_url, encryption=settings.encryption, key_file=settings.key_file, threads=offload
    )
    try:
        copies = {"syslog": sender.checkpoint} if sender is not None else {}
        return await open_audit(journal, records, clock, offload, options, witness, copies)
    except BaseException:
        await journal.journal.close()
        raise


def projection_of(audit: Audit, settings: Settings, records: Records, fhir: FhirServices, url: str) -> AuditProjection:
    """What makes the trail searchable; of several processes one works."""
    turn = Lease(records, fhir.clock, "audit-projection", new_token())
    options = ProjectionOptions(_node(settings, url), settings.audit_retention_days)
    keys = fhir.repository.writing.keys
    alerts = Alerts(alert_limits(settings))
    return AuditProjection(records, audit.recorder, keys, fhir.offload, fhir.clock, turn, options, alerts)


def trail_workers(audit: Audit, settings: Settings, records: Records, clock: Clock, url: str) -> Mapping[str, Worker]:
    """What tells of this process in the trail, and what sends the trail on."""
    configuration = hashlib.sha256(repr(settings).encode()).hexdigest()
    found: dict[str, Worker] = {"activity": Activity(audit.recorder, clock, version("weft"), configuration).run}
    if (sender := _sender(settings, clock, url)) is not None:
        turn = Lease(records, clock, "audit-feed", new_token())
        found["audit-feed"] = SyslogFeed(audit.recorder, records, sender, turn).run
    return found


async def figures(audit: Audit, records: Records) -> Figures:
    progress, _ = await read_progress(records)
    return Figures(progress.alerts, audit.recorder.lost, audit.recorder.is_failing)


def alert_limits(settings: Settings) -> AlertLimits:
    """`ValueError` where the working hours are none."""
    return AlertLimits(
        patients=settings.audit_alert_patients,
        refusals=settings.audit_alert_refusals,
        working=working_hours(settings.audit_working_hours),
        zone=ZoneInfo(settings.image_time_zone),
    )


def working_hours(text: str) -> tuple[time, time] | None:
    """`07:00-19:30`; empty: none are set."""
    if not text:
        return None
    start, _, end = text.partition("-")
    return time.fromisoformat(start.strip()), time.fromisoformat(end.strip())


def _node(settings: Settings, url: str) -> Node:
    return Node(url, Site(url).issuer, settings.organization, socket.gethostname())


def _sender(settings: Settings, clock: Clock, url: str) -> SyslogSender | None:
    if not settings.audit_syslog:
        return None
    repository = Repository.parse(
        settings.audit_syslog,
        settings.audit_syslog_authority,
        settings.audit_syslog_certificate,
        settings.audit_syslog_key,
    )
    return SyslogSender.to(repository, _node(settings, url), clock)
