"""One event of each pattern, as requests and services make them."""

from __future__ import annotations

import msgspec

from server.audit import security_events as security
from server.audit.acts import AUDIT_USED, TRANSACTIONS, pattern_of
from server.audit.alerts import AlertLimits, Alerts
from server.audit.codes import EMERGENCY_OVERRIDE_STOPPED
from server.audit.entities import document_detail
from server.audit.event import Entity, Event
from server.audit.security_events import Changed
from server.audit.telling import Deed, event_of, events_of
from server.audit.who import Who
from server.audit.writes import Deed as Write
from server.audit.writes import RecordedWrites
from server.kernel.context import Actor
from tests.server.audit.recording import AT, BACKEND, NURSE, Clock, Remembered, context

STUDY = "urn:oid:1.2.826.0.1.3680043.9.7777.1"
WHO = Who.of(context())


def read(name: str, *notes: tuple[str, tuple[str, ...], str], query: str = "", **facts: object) -> list[Event]:
    asked = context()
    for note in notes:
        asked.trail.add(*note)
    pattern = pattern_of(name)
    assert pattern is not None
    return events_of(AT, asked, Deed(pattern, "", query)._replace(**facts))


def written(interaction: str, reference: str, detail: str = "", actor: Actor = NURSE) -> list[Event]:
    log = Remembered()
    RecordedWrites(log, Clock()).acts(context(actor), [Write(interaction, reference, ("Patient/3",), detail)])
    return log.events


CX = "42^^^&1.3.6.1.4.1.21367.13.20.3000&ISO"
SPEAKING = Actor(
    "xua|<dr-a@https://idp.example>|",
    "Dr A",
    (),
    frozenset({"radiologist"}),
    user="<dr-a@https://idp.example>",
    client="north",
    session="saml:_a1",
)
"""For whom an assertion speaks, which a node passed on."""
STORED_QUERY = (
    '<query:AdhocQueryRequest xmlns:query="urn:q"><rim:AdhocQuery xmlns:rim="urn:r" '
    'id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"/></query:AdhocQueryRequest>'
)


def transaction(
    name: str, *given: str, failed: str = "", query: str = "", actor: Actor = SPEAKING, detail: str = ""
) -> list[Event]:
    """What the door tells of an IHE transaction about one patient."""
    asked = context(actor)
    for each in given:
        asked.trail.add(each, ("Patient/3",), detail)
    asked.trail.touch(["Patient/3"])
    asked.trail.number("Patient/3", CX)
    if failed:
        asked.trail.fail("XDSDocumentUniqueIdError", failed, detail)
    return events_of(AT, asked, Deed(TRANSACTIONS[name], "", query))


def unknown_patient() -> list[Event]:
    asked = context(BACKEND)
    asked.trail.number("", CX)
    asked.trail.fail("XDSUnknownPatientId")
    return events_of(AT, asked, Deed(TRANSACTIONS["ITI-18"], "", STORED_QUERY))


def registered(name: str, reference: str) -> list[Event]:
    log, asked = Remembered(), context(SPEAKING)
    asked.trail.number("Patient/3", CX)
    RecordedWrites(log, Clock()).acts(asked, [Write(name, reference, ("Patient/3",))])
    return log.events


def consent_decision(outcome: int) -> list[Event]:
    asked = context()
    asked.trail.add("Observation/7/_history/1", ("Patient/3",))
    asked.trail.rely("Consent/9")
    asked.trail.hide("rule-7", 3)
    pattern = pattern_of("search.type")
    assert pattern is not None
    return events_of(AT, asked, Deed(pattern, "", "GET /fhir/Observation?patient=3", outcome))[-1:]


def _over(begun: Event) -> Event:
    """As the server tells it when the time is over."""
    return msgspec.structs.replace(begun, subtype=EMERGENCY_OVERRIDE_STOPPED, outcome_text="time-out", entities=())


def emergency() -> Event:
    asked = context(purpose="BTG")
    return event_of(asked, ("rest", "read", "R", AT, 0, ""), ("Patient/3",), (Entity("data", "Condition/4"),))


def samples() -> dict[str, list[Event]]:
    """By pattern; several events where one shows too little."""
    one = (STUDY, ("Patient/3",), "1 instance")
    seen = ("Observation/7/_history/2", ("Patient/3",), "")
    return {
        "P01": written("create", "Observation/7/_history/1"),
        "P02": read("read", seen),
        "P02-no-patient": read("read", ("Organization/2/_history/1", (), "")),
        "P03": read("history.instance", seen),
        "P04": written("patch", "Observation/7/_history/2"),
        "P05": written("delete", "Observation/7/_history/3"),
        "P06": read("search.type", patients=("Patient/3", "Patient/4"), query="GET /fhir/Observation?code=1"),
        "P07": read("transaction", seen),
        "P08": read("operation.$everything.instance", query="GET /fhir/Patient/3/$everything", patients=("Patient/3",)),
        "P09": read("operation.$export.system", ("job1", (), "accepted"), query="GET /fhir/$export?_type=Patient"),
        "P09-end": written("export", "job1", "complete Patient=7"),
        "P09-file": read("export.file", ("job1", (), "file 2")),
        "P12": read("qido.studies", query="GET /dicomweb/studies?PatientID=7"),
        "P13": read("wado.frames", one),
        "P14": read("wado.study.metadata", (STUDY, ("Patient/3",), "120 instances")),
        "P15": written("store", STUDY, "32 instances", BACKEND),
        "P16": written("remove", STUDY, "study"),
        "P18": transaction("ITI-18", query=STORED_QUERY),
        "P18-unknown": unknown_patient(),
        "P19": transaction("ITI-43", "1.2.3.9", failed="1.2.3.10", detail=document_detail("1.2.3", "urn:oid:1.2")),
        "P20": registered("ITI-42", "1.2.3.1"),
        "P20-update": registered("ITI-57", "1.2.3.2"),
        "P20-removed": registered("ITI-62", "urn:uuid:a6e06ca8-0c75-4064-9e5c-88b9045a9ab6"),
        "P20-feed": registered("ITI-8", "Patient/3"),
        "P21": transaction("RAD-69", STUDY, detail="12 instances", actor=BACKEND),
        "P22": [security.signed_in(AT, WHO, ("pwd", "otp"))],
        "P23": [security.sign_in_failed(AT, security.unknown("nobody", b"k" * 32, "10.0.0.9"), "password")],
        "P24": [security.signed_out(AT, WHO, "administrator", ended_by="admin1")],
        "P25": [security.token_issued(AT, WHO, "authorization_code", ("patient/*.rs",), AT + 3_600_000_000)],
        "P26": [security.token_refused(AT, WHO, "refresh_token", "invalid_grant", is_replay=True)],
        "P27": [security.token_revoked(AT, WHO, "approval1")],
        "P28": consent_decision(4),
        "P29": consent_decision(0),
        "P30": [
            begun := security.break_glass_started(AT, WHO, "unconscious in the emergency room", "Patient/3"),
            emergency(),
            _over(begun),
        ],
        "P31": [security.changed(AT, WHO, Changed.ROLES, "U", "User/5", "nurse", before="0" * 64, after="1" * 64)],
        "P33": events_of(AT, context(), Deed(AUDIT_USED, "AuditEvent", "GET /fhir/AuditEvent?patient=3")),
        "P34": [security.server_event(AT, "110120", "1.0", "ab" * 32)],
        "P35": [security.node_refused(AT, "10.0.0.9", "unknown authority", "CN=modality")],
        "P36": read("read", subject="Observation/7", outcome=4, text="forbidden"),
        "alert": Alerts(AlertLimits(patients=1)).see(
            read("search.type", patients=("Patient/3", "Patient/4"), query="GET /fhir/Patient")
        ),
    }
