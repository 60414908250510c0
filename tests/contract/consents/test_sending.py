"""Consents hold for what is exported, told to subscribers and asked for by other organizations."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from server.access.roles import RADIOLOGIST
from server.documents import Documents
from server.fhir.export import exports as exporting
from server.fhir.subscriptions.follower import Desk, Pace
from server.fhir.subscriptions.sending import Notification
from server.fhir.subscriptions.worker import SubscriptionWorker
from server.kernel.context import LOCAL_ACTOR, Context
from server.xds.vocabulary import APND
from tests.contract.consent_world import BACKEND, DR_A, World, observation, person
from tests.contract.consents.cases import ALL, Case, Json, agreed, found, numbered, reads, report
from tests.data.consents import TPO, consent, deny, permit
from tests.data.xds_objects import association, document, submission

CASES: dict[str, Case] = {}
case = numbered(CASES)


@case(38)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO))
    agreed(world, f"{name}-none")
    assert found(world, BACKEND, name, purpose="TREAT") == ALL
    assert found(world, BACKEND, name, purpose="") == set()
    assert found(world, BACKEND, f"{name}-none", purpose="") == ALL
    assert found(world, BACKEND, f"{name}-none", purpose="", site={"consent_policy": "basic-normal"}) == set()


@pytest.mark.parametrize("name", CASES)
def test_case(world: World, name: str) -> None:
    CASES[name](world, name)


def test_case_38_as_an_export(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_SETTLED", 0)
    name = "case-38-export"
    agreed(world, name, permit(TPO), data=[report(name, f"{name}-n")])
    for purpose, expected in (("TREAT", True), ("", False)):
        manifest = exported(world, "_type=Observation", purpose)
        assert purpose or manifest["extension"]["patientsLeftOut"] > 0
        lines = b"".join(
            world.ask(BACKEND, "GET", path(each["url"]), purpose=purpose).body for each in manifest["output"]
        )
        assert (f"Observation/{name}-n".encode() in lines or f'"id":"{name}-n"'.encode() in lines) is expected


def test_an_export_ends_with_the_consents_it_was_made_under(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_SETTLED", 0)
    agreed(world, "exported", permit(TPO))
    [listed] = exported(world, "_type=Patient", "TREAT")["output"]
    assert world.ask(BACKEND, "GET", path(listed["url"])).status == 200
    world.put(consent(deny(TPO), "Patient/exported", id="exported-1"))
    assert world.ask(BACKEND, "GET", path(listed["url"])).status == 410


def exported(world: World, query: str, purpose: str) -> Json:
    """The manifest of a system export."""
    accepted = world.ask(BACKEND, "GET", f"/fhir/$export?{query}", purpose=purpose, headers={"prefer": "respond-async"})
    assert accepted.status == 202, accepted.body
    while world.runner.run(world.server().services.exports.step()):
        pass
    got = world.ask(BACKEND, "GET", path(accepted.headers["content-location"]), purpose=purpose)
    assert got.status == 200, got.body
    manifest: Json = got.json
    return manifest


def path(url: str) -> str:
    return "/fhir" + url.partition("/fhir")[2]


@dataclass
class Outbox:
    sent: list[Notification] = field(default_factory=list)
    has_some: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, notification: Notification) -> None:
        self.sent.append(notification)
        self.has_some.set()


@dataclass
class Hastened:
    """The real time, or some hours later."""

    hours: int = 0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=self.hours)


@pytest.mark.parametrize("payload", ["application/fhir+json", None])
def test_case_53(world: World, payload: str | None) -> None:
    name = f"case-53-{'full' if payload else 'empty'}"
    agreed(world, name, permit(TPO, labels=["N"]))
    channel = {"type": "rest-hook", "endpoint": "https://ward.example/told"} | ({"payload": payload} if payload else {})
    subscription = {"resourceType": "Subscription", "status": "requested", "reason": "news", "channel": channel}
    subscription |= {"criteria": f"Observation?patient={name}", "end": Hastened(1).now().isoformat()}
    made = world.ask(BACKEND, "POST", "/fhir/Subscription", subscription)
    assert made.status == 201, made.body
    sent = world.runner.run(_told(world, made.json["id"], name))
    assert len(sent) == 1
    assert b"psy" not in sent[0].body
    assert sent[0].url.endswith(f"/{name}-last" if payload else "told")


async def _told(world: World, subscription_id: str, name: str) -> list[Notification]:
    """What is sent of two Observations written while the subscription is served, the second one visible.

    The subscription ends by its own end: to be cancelled while it waits for MongoDB would take half a minute.
    """
    services, outbox, clock = world.server().services, Outbox(), Hastened()
    fhir, context = services.fhir, Context(LOCAL_ACTOR, "world")
    records, reading, pace = services.stores.records, fhir.repository.reading, Pace(poll=0.002, delays=(0, 0))
    desk = Desk(records, clock, fhir.offload, fhir.searcher, fhir.knowledge.parameters, outbox, pace, reading)
    async with asyncio.timeout(20):
        await SubscriptionWorker(desk, fhir.repository).look()
        for made in (observation(name, "psy-new", "R", "PSY"), observation(name, "last", "N")):
            await fhir.repository.update(context, "Observation", made["id"], made)
        await outbox.has_some.wait()
        clock.hours = 2
        while True:
            stored = await fhir.repository.read(context, "Subscription", subscription_id)
            if b'"status":"off"' in stored.body:
                return outbox.sent
            await asyncio.sleep(0)


@pytest.mark.parametrize("by", ["reference", "identifier"])
def test_an_asking_organization_that_is_denied_finds_and_reads_no_document(world: World, by: str) -> None:
    """What is registered over XDS is found (ITI-67), read and fetched (ITI-68) over FHIR by others alone."""
    name, codes = f"documents-{by}", "urn:oid:2.16.156.10011.1.5"
    number = {"system": codes, "value": name}
    denied = {"reference": f"Organization/{name}"} if by == "reference" else {"identifier": number}
    nested = deny(TPO, actors=["?"])
    nested["actor"][0]["reference"] = denied
    agreed(world, name, permit(TPO, nested=[nested]))
    if by == "reference":
        world.put({"resourceType": "Organization", "id": name, "name": "X", "identifier": [number]})
    services = world.server().services
    id_ = world.runner.run(_provided(services.documents, name))
    barred, other = (
        person(f"dr-{code}", RADIOLOGIST, organizations=frozenset((f"{codes}|{code}",))) for code in (name, "other")
    )
    for actor, is_seen in ((barred, False), (other, True)):
        assert found(world, actor, name, "DocumentReference") == ({id_} if is_seen else set())
        assert reads(world, actor, f"DocumentReference/{id_}") is is_seen
        assert world.get(actor, f"Binary/{id_}").status == (200 if is_seen else 404)
        assert (f"DocumentReference/{id_}" in world.get(actor, f"Patient/{name}/$everything").names) is is_seen


def test_neither_a_submission_nor_a_relation_names_a_document_that_a_consent_hides(world: World) -> None:
    world.put({"resourceType": "Patient", "id": "related"})
    services = world.server().services
    hidden = world.runner.run(_provided(services.documents, "related"))
    shown = world.runner.run(_provided(services.documents, "related", hidden))

    def named(path: str) -> list[bool]:
        body = world.get(DR_A, path).body.decode()
        return [each in body for each in (hidden, shown)]

    submissions, relations = "List?patient=related", f"DocumentReference/{shown}"
    assert named(submissions) == named(relations) == [True, True]
    world.put(consent(deny(TPO, data=[("instance", f"DocumentReference/{hidden}")]), "Patient/related", id="c-related"))
    assert named(submissions) == named(relations) == [False, True]
    assert world.get(DR_A, relations).json["relatesTo"][0]["code"] == "appends"


async def _provided(documents: Documents, patient: str, appended: str = "") -> str:
    """Logical id of the document, made as a member of the community provides one (ITI-41), an addendum to another."""
    context = Context(LOCAL_ACTOR, "provided")
    identity = await documents.master.enroll(context, f"Patient/{patient}")
    number = f"{identity.number.value}^^^&{documents.community.patient_authority}&ISO"
    id_ = str(uuid4())
    entry = document(
        id=f"urn:uuid:{id_}", unique_id=f"2.25.{UUID(id_).int}", patient_id=number, hash="", size=None,
        repository_unique_id="",
    )  # fmt: skip
    relations = (association(entry.id, f"urn:uuid:{appended}", APND, id="addendum"),) if appended else ()
    sent = submission(entry, unique_id=f"2.25.{uuid4().int}", patient_id=number, associations=relations)
    await documents.repository.provide_bytes(context, sent, {entry.id: b"value of it"})
    return id_
