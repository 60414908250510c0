"""The door of the SOAP surfaces, with the shell behind it: who is let in, and what the audit trail hears."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from server.audit.doorstep import Doorstep
from server.audit.event import Event
from server.http.application import SurfaceApplication
from server.http.client_certificate import CLIENT_CERTIFICATE, SOCKET_PEER, ClientCertificates
from server.http.cors import Cors
from server.http.surface import Call, Endpoint
from server.ihe.asking import patients_named
from server.ihe.door import SoapDoor
from server.ihe.spoken import Spoken
from server.kernel.context import Actor, Context
from server.kernel.offload import Offload, P, T
from server.kernel.problem import Kind, Problem
from server.kernel.trail import Trail
from server.soap.message import Exchange, Reply, Transaction
from server.soap.surface import SoapSurface
from server.trust.assertions import Assertions
from server.trust.certificates import read_der
from server.trust.conditions import Own
from server.trust.model import Issuer, Node
from server.trust.nodes import Nodes
from server.trust.store import TrustStore
from storage.filesystem.blobs import FolderBlobs
from storage.sqlite.records import SqliteRecords
from tests.data.assertions import (
    AUDIENCE,
    ISSUER,
    NOW,
    PURPOSE,
    RESOURCE,
    ROLE,
    SOAP,
    WSA,
    WSSE,
    Unsigned,
    coded,
    signer,
)
from tests.server.audit.recording import NURSE, Clock, Remembered

QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
ACTION = "urn:ihe:iti:2007:RegistryStoredQuery"
KEEP_TO = "7^^^&1.2.3.4&ISO"


class Tokens:
    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        if call.header("authorization") != "Bearer good":
            raise Problem(Kind.UNAUTHENTICATED, "no", headers={"WWW-Authenticate": "Bearer"})
        return Context(NURSE, request_id, "TREAT", "10.0.0.7", Trail())


class Directory:
    async def practitioner(self, identifiers: Sequence[str]) -> str:
        return ""

    async def patients(self, number: str) -> tuple[str, ...]:
        return {KEEP_TO: ("Patient/3",), "old^^^&1.2.3.4&ISO": ("Patient/3",)}.get(number, ("Patient/9",))


@dataclass
class Guarded:
    """Patient/13 has said whose break-glass is."""

    async def reserves(self, context: Context, patient: str) -> bool:
        return patient == "Patient/13"


class Watched(Offload):
    """Knows what was not done on the event loop, where a long message would keep the others waiting."""

    def __init__(self, *, io_threads: int, cpu_threads: int) -> None:
        super().__init__(io_threads=io_threads, cpu_threads=cpu_threads)
        self.worked: set[str] = set()

    async def cpu(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self.worked.add(getattr(work, "__name__", ""))
        return await super().cpu(work, *args, **kwargs)


@dataclass
class House:
    folder: Path
    runner: asyncio.Runner
    threads: Watched
    records: SqliteRecords
    log: Remembered = field(default_factory=Remembered)
    clock: Clock = field(default_factory=lambda: Clock(NOW))

    def __post_init__(self) -> None:
        store = TrustStore(self.records)
        node = Node("north", read_der(signer("north").der).thumbprint, roles=("system",), organization="Organization/n")
        roles = {"309343006": ("radiologist",), "PAT": ("patient",)}
        self.runner.run(self.records.commit([store.put(Issuer(ISSUER, (signer().pem,), roles=roles)), store.put(node)]))
        assertions = Assertions(store, self.clock, self.threads, Own(AUDIENCE, "urn:oid:1.2.3"))
        self.door = door = SoapDoor(
            Tokens(),
            Doorstep(self.log, self.clock),
            Nodes(store, self.clock),
            ClientCertificates.behind("10.9.0.0/16"),
            Spoken(assertions, Directory(), Guarded(), self.log, self.clock, self.threads),
            self.clock,
            self.threads,
        )
        self.actors: list[tuple[Actor, str]] = []
        self.fails = ""
        row = Transaction(
            "ITI-18", ACTION, ACTION + "Response", f"{{{QUERY}}}AdhocQueryRequest", self._answered, self._refused
        )
        blobs = FolderBlobs(self.folder, self.threads)
        surface = SoapSurface("xds", {"/registry": (row,)}, blobs, self.threads, door)
        [self.endpoint] = surface.endpoints()
        self.app = SurfaceApplication(
            prefix="/xds",
            endpoints=[self.endpoint],
            problem=surface.problem,
            door=door,
            cors=Cors.parse(""),
            offload=self.threads,
            base_url=AUDIENCE,
        )

    async def _answered(self, exchange: Exchange) -> Reply:
        self.actors.append((exchange.context.actor, exchange.context.purpose))
        exchange.context.trail.touch(["Patient/3"])
        exchange.context.trail.number("Patient/3", KEEP_TO)
        if self.fails:
            exchange.context.trail.fail(self.fails)
        return Reply(b"<ok/>")

    def _refused(self, exchange: Exchange, failure: Exception) -> Reply:
        return Reply(b"<no/>")

    def send(
        self,
        *security: etree._Element,
        message: str = "urn:uuid:1",
        patient: str = KEEP_TO,
        headers: Sequence[tuple[str, str]] = (),
        extensions: dict[str, Any] | None = None,
        raw: bytes | None = None,
    ) -> tuple[int, str, list[Event]]:
        """Status, fault subcode, and events."""
        status, body = self.runner.run(
            self._sent(raw or enveloped(security, message, patient), headers, extensions or {})
        )
        values = [str(each.text) for each in etree.fromstring(body).iter(f"{{{SOAP}}}Value")]
        return status, values[1] if len(values) > 1 else "", self.log.taken()

    async def _sent(
        self, body: bytes, headers: Sequence[tuple[str, str]], extensions: dict[str, Any]
    ) -> tuple[int, bytes]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(part: dict[str, Any]) -> None:
            sent.append(part)

        named = [("content-type", "application/soap+xml"), *headers]
        scope = {
            "type": "http", "method": "POST", "scheme": "http", "path": "/xds/registry", "query_string": b"",
            "server": None, "client": ("10.0.0.7", 5), "extensions": extensions,
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in named],
        }  # fmt: skip
        await self.app(scope, receive, send)
        return sent[0]["status"], b"".join(bytes(each.get("body", b"")) for each in sent[1:])


def enveloped(security: Sequence[etree._Element], message: str, patient: str) -> bytes:
    held = "".join(etree.tostring(each).decode() for each in security)
    slot = (
        f"<r:Slot name=\"$XDSDocumentEntryPatientId\"><r:ValueList><r:Value>'{patient.replace('&', '&amp;')}'</r:Value>"
        "</r:ValueList></r:Slot>"
    )
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header><a:Action>{ACTION}</a:Action>'
        f'<a:MessageID>{message}</a:MessageID><w:Security xmlns:w="{WSSE}">{held}</w:Security></s:Header><s:Body>'
        f'<q:AdhocQueryRequest xmlns:q="{QUERY}" xmlns:r="{RIM}"><r:AdhocQuery id="urn:uuid:14d4">{slot}'
        "</r:AdhocQuery></q:AdhocQueryRequest></s:Body></s:Envelope>"
    ).encode()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    threads = Watched(io_threads=2, cpu_threads=1)
    records = SqliteRecords(tmp_path / "records.sqlite", threads)
    (tmp_path / "blobs").mkdir()
    with asyncio.Runner() as runner:
        yield House(tmp_path / "blobs", runner, threads, records)
        runner.run(records.close())
    threads.close()


GOOD = signer().sign(Unsigned().text)


def asserting(**attributes: str) -> etree._Element:
    names = {"role": ROLE, "purpose": PURPOSE, "patient": RESOURCE}
    told = {"role": coded("309343006"), **attributes}
    return signer().sign(Unsigned(attributes=tuple((names[name], value) for name, value in told.items())).text)


def test_an_assertion_speaks_for_its_subject_and_its_query_is_told(house: House) -> None:
    status, _, [event] = house.send(GOOD)
    assert status == 200
    [(actor, purpose)] = house.actors
    assert (actor.user, actor.roles, purpose) == (f"<dr-a@{ISSUER}>", frozenset({"radiologist"}), "TREAT")
    assert (event.code, event.subtype, event.action, event.outcome) == ("110112", "ITI-18", "E", 0)
    assert (event.patient, event.numbers, event.session) == ("Patient/3", (KEEP_TO,), "saml:_a1")
    assert 'AdhocQuery id="urn:uuid:14d4"' in event.query
    assert "Assertion" not in event.query


def test_errors_within_the_answer_are_told_as_such(house: House) -> None:
    house.fails = "XDSUnknownPatientId"
    status, _, [event] = house.send(GOOD)
    assert (status, event.outcome, event.outcome_text) == (200, 4, "XDSUnknownPatientId")


def test_a_node_and_a_token_are_let_in(house: House) -> None:
    house.send(extensions={CLIENT_CERTIFICATE: signer("north").der})
    house.send(headers=[("authorization", "Bearer good")])
    assert [actor.id for actor, _ in house.actors] == ["node|north", NURSE.id]


def test_behind_a_node_the_subject_acts_and_both_organizations_ask(house: House) -> None:
    house.send(GOOD, extensions={CLIENT_CERTIFICATE: signer("north").der})
    [(actor, _)] = house.actors
    assert (actor.client, actor.organizations) == ("north", frozenset({"Organization/n"}))


def test_a_bad_assertion_is_not_passed_over_for_a_good_connection(house: House) -> None:
    forged = signer("mallory").sign(Unsigned().text)
    for more in (
        {"extensions": {CLIENT_CERTIFICATE: signer("north").der}},
        {"headers": [("authorization", "Bearer good")]},
    ):
        status, code, _ = house.send(forged, **more)
        assert (status, code) == (400, "wsse:FailedAuthentication")
    assert house.actors == []


STRANGER = signer("stranger").der
SENDERS = {
    "a token's client": ({"authorization": "Bearer good"}, {}, "10.0.0.7", f"client|{NURSE.client or NURSE.id}"),
    "a node": ({}, {CLIENT_CERTIFICATE: signer("north").der}, "10.0.0.7", "node|north"),
    "a certificate of no node": (
        {}, {CLIENT_CERTIFICATE: STRANGER}, "10.0.0.7", f"certificate|{read_der(STRANGER).subject}",
    ),
    "a certificate a proxy tells of, who may be anybody": (
        {"client-cert": f":{b64encode(STRANGER).decode()}:"}, {SOCKET_PEER: "10.9.0.1"}, "10.0.0.7", "10.0.0.7",
    ),
    "an address": ({}, {}, "10.0.0.7", "10.0.0.7"),
    "addresses of one customer": ({}, {}, "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
}  # fmt: skip


@pytest.mark.parametrize("name", SENDERS)
def test_a_message_takes_up_room_of_whoever_its_connection_names(house: House, name: str) -> None:
    headers, extensions, peer, sender = SENDERS[name]

    async def receive() -> dict[str, Any]:
        return {}

    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    call = Call({"headers": named, "extensions": extensions, "client": (peer, 5)}, receive, {}, "", Context(NURSE, "1"))
    call.context = house.runner.run(house.door.enter(call, house.endpoint, "1"))
    assert house.runner.run(house.door.sender(call)) == sender


REFUSED: dict[str, dict[str, Any]] = {
    "nobody": {},
    "an unknown certificate": {"extensions": {CLIENT_CERTIFICATE: signer("stranger").der}},
    "a certificate told of by no proxy": {
        "headers": [("client-cert", ":AAAA:")], "extensions": {SOCKET_PEER: "10.0.0.7"},
    },
    "basic": {"headers": [("authorization", "Basic eDp5")]},
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_strangers_hear_a_fault_and_are_told_of(house: House, name: str) -> None:
    status, code, [event] = house.send(**REFUSED[name])
    assert (status, code) == (400, "wsse:FailedAuthentication")
    assert (event.outcome, event.peer) == (4, "10.0.0.7")
    assert event.code == ("110113" if name == "an unknown certificate" else "110114")
    assert house.send(**REFUSED[name])[2] == []
    assert house.actors == []


def test_a_bad_token_has_its_challenge(house: House) -> None:
    assert house.send(headers=[("authorization", "Bearer bad")])[0] == 401


def test_a_replayed_message_is_refused_and_told(house: House) -> None:
    assert house.send(GOOD)[0] == 200
    status, code, [event] = house.send(GOOD)
    assert (status, code, event.outcome_text) == (400, "wsse:FailedAuthentication", "replayed")
    assert len(house.actors) == 1


def test_an_assertion_for_one_patient_is_for_no_other(house: House) -> None:
    own = asserting(patient=KEEP_TO.replace("&", "&amp;"))
    assert house.send(own, message="1")[0] == 200
    assert house.send(own, message="2", patient="old^^^&1.2.3.4&ISO")[0] == 200
    status, code, [event] = house.send(own, message="3", patient="8^^^&1.2.3.4&ISO")
    assert (status, code) == (400, "wsse:FailedAuthentication")
    assert event.outcome_text == "for another patient than is asked for"
    assert [grant.patient for grant in house.actors[0][0].grants] == ["3"]
    assert {"patients_named", "query_text"} <= house.threads.worked


BREAK_GLASS = coded("BTG", "2.16.840.1.113883.5.8", "P")


def test_an_emergency_is_told_of_once_for_each_assertion(house: House) -> None:
    emergency = asserting(purpose=BREAK_GLASS)
    _, _, events = house.send(emergency, message="1")
    assert [(each.subtype, each.outcome) for each in events] == [("110127", 0), ("ITI-18", 0)]
    assert house.actors[0][1] == "BTG"
    _, _, events = house.send(emergency, message="2")
    assert [each.subtype for each in events] == ["ITI-18"]


def test_an_emergency_is_told_of_for_each_patient_and_whoever_else_uses_the_same_id(house: House) -> None:
    emergency = asserting(purpose=BREAK_GLASS)
    patients = (KEEP_TO, "8^^^&1.2.3.4&ISO")
    told = [house.send(emergency, message=str(n), patient=each)[2] for n, each in enumerate(patients)]
    assert [events[0].subtype for events in told] == ["110127", "110127"]
    assert [events[0].patient for events in told] == ["Patient/3", "Patient/9"]


def test_a_node_that_is_removed_is_shut_out_though_its_connection_stays(house: House) -> None:
    shown = {CLIENT_CERTIFICATE: signer("north").der}
    assert house.send(extensions=shown)[0] == 200
    house.runner.run(house.records.commit([TrustStore(house.records).delete(Node, "north")]))
    assert house.send(extensions=shown, message="2")[0] == 400


def test_case_51_an_emergency_of_somebody_who_may_not_declare_one(house: House) -> None:
    status, code, events = house.send(asserting(role=coded("PAT"), purpose=BREAK_GLASS))
    assert (status, code) == (400, "wsse:FailedAuthentication")
    assert [(each.subtype, each.outcome) for each in events] == [("110127", 4), ("110122", 4)]
    assert house.actors == []


def test_hostile_input_of_strangers_is_counted_and_of_others_told(house: House) -> None:
    bomb = b'<!DOCTYPE s [<!ENTITY a "b">]><s/>'
    _, _, [event] = house.send(raw=bomb)
    assert (event.outcome, event.outcome_text) == (4, "refused input: invalid")
    assert house.send(raw=bomb)[2] == []
    _, _, [event] = house.send(raw=bomb, headers=[("authorization", "Bearer good")])
    assert (event.subtype, event.user, event.outcome) == ("refused-input", NURSE.user, 4)


def test_whose_records_a_message_names() -> None:
    body = etree.fromstring(
        f"<q xmlns:r=\"{RIM}\"><r:Slot name=\"$XDSFolderPatientId\"><r:ValueList><r:Value>('a','b''c')</r:Value>"
        '</r:ValueList></r:Slot><r:Slot name="$patientId"><r:ValueList><r:Value>d</r:Value></r:ValueList></r:Slot>'
        '<r:Slot name="sourcePatientId"><r:ValueList><r:Value>e</r:Value></r:ValueList></r:Slot>'
        '<r:ExternalIdentifier identificationScheme="urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427" value="f"/>'
        '<r:ExternalIdentifier identificationScheme="urn:uuid:0" value="g"/></q>'
    )
    assert patients_named(body) == {"a", "b'c", "d", "f"}
