"""Queries at the initiating gateway: who is asked about whom by which number, and what is made of the answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import httpx
import pytest
from lxml import etree

from server.audit.dicom_message import messages
from server.kernel.context import INTERACTIONS, Actor, Context, Grant
from server.xds.vocabulary import FAILURE, QUERY, RIM
from tests.contract.asserted_world import asker, find_documents, unique_ids
from tests.contract.imaging_world import SERVER_CONTEXT
from tests.data.assertions import AUDIENCE, WSSE
from tests.data.soap_messages import envelope
from tests.data.xds_objects import document, folder
from tests.server.audit.recording import NODE
from tests.server.xca.gateway_world import (
    EAST,
    OURS,
    WEST,
    Gateway,
    close_gateway,
    error,
    errors_with_locations,
    found,
    open_gateway,
    simple,
)

CX, IN_WEST = f"M-1^^^&{OURS.patient_authority}&ISO", "W-1^^^&1.2.9.2.4&ISO"
STRANGER = f"M-2^^^&{OURS.patient_authority}&ISO"
GET = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with asyncio.Runner() as runner:
        gateway = open_gateway(tmp_path_factory.mktemp("queries"), runner, EAST, WEST)
        identifiers = [
            {"system": f"urn:oid:{OURS.patient_authority}", "value": "M-1"},
            {"system": "urn:oid:1.2.9.2.4", "value": "W-1"},
        ]
        runner.run(gateway.world.put({"resourceType": "Patient", "id": "p1", "identifier": identifiers}))
        yield gateway
        close_gateway(gateway)


@pytest.fixture
def gateway(opened: Gateway) -> Gateway:
    opened.sites.asked.clear()
    opened.log.taken()
    opened.sites.answers = {"east": found(), "west": found()}
    return opened


def person(grant: Grant, role: str = "patient", **more: frozenset[str]) -> Context:
    return Context(Actor("somebody", "somebody", (grant,), frozenset({role}), user="s", **more), "test")


OWN = person(Grant(INTERACTIONS, None, "p1"), own_patients=frozenset({"p1"}))
DOCTOR = person(Grant(INTERACTIONS), "radiologist")


def get_documents(home: str = "") -> bytes:
    given = f' home="{home}"' if home else ""
    return (
        f'<q:AdhocQueryRequest xmlns:q="{QUERY}" xmlns:r="{RIM}"><q:ResponseOption returnComposedObjects="true" '
        f'returnType="LeafClass"/><r:AdhocQuery id="{GET}"{given}><r:Slot name="$XDSDocumentEntryUniqueId">'
        "<r:ValueList><r:Value>('1.2.3')</r:Value></r:ValueList></r:Slot></r:AdhocQuery></q:AdhocQueryRequest>"
    ).encode()


def test_each_community_is_asked_by_the_number_it_knows_and_the_rest_is_not(gateway: Gateway) -> None:
    assert gateway.query(find_documents(CX)).status == "Success"
    assert (gateway.sites.patients("east"), gateway.sites.patients("west")) == ([f"'{CX}'"], [f"'{IN_WEST}'"])
    gateway.sites.asked.clear()
    assert gateway.query(find_documents(STRANGER)).status == "Success"
    assert gateway.sites.asked.keys() == {"east"}
    (asked,) = gateway.sites.asked["east"]
    assert next(asked.iter(f"{{{RIM}}}AdhocQuery")).get("home") is None


def test_answers_are_joined_and_each_community_speaks_for_itself_only(gateway: Gateway) -> None:
    own = document(unique_id="1.1", home=EAST.id)
    gateway.sites.answers |= {
        "east": found(own, document(unique_id="1.2", home=""), folder(home="")),
        "west": found(
            document(unique_id="2.1", home=WEST.id),
            document(unique_id="2.2", home=OURS.home),
            document(unique_id="2.3", home=EAST.id),
            b'<evil:Script xmlns:evil="urn:evil">x</evil:Script>',
        ),
    }
    answer = gateway.query(find_documents(CX))
    assert (answer.status, unique_ids(answer)) == ("PartialSuccess", {"1.1", "1.2", "2.1"})
    assert errors_with_locations(answer) == {WEST.id: "XDSRegistryError"}
    (listed,) = answer.body.iter(f"{{{RIM}}}RegistryObjectList")
    assert [each.get("home") for each in listed] == [EAST.id] * 3 + [WEST.id]


def test_what_a_neighbour_says_went_wrong_is_passed_on_as_its_own(gateway: Gateway) -> None:
    told = error("XDSUnknownPatientId", "x" * 5000) + error("no code; at all")
    gateway.sites.answers["east"] = found(status=FAILURE, errors=told)
    gateway.sites.answers["west"] = found(status=FAILURE)
    answer = gateway.query(find_documents(CX))
    assert (answer.status, answer.errors) == (
        "PartialSuccess",
        ["XDSUnknownPatientId", "XDSRegistryError", "XDSRegistryError"],
    )
    errors = list(answer.body.iter("{*}RegistryError"))
    assert [each.get("location") for each in errors] == [EAST.id, EAST.id, WEST.id]
    assert len(str(errors[0].get("codeContext"))) == 500


def test_a_query_by_id_goes_where_the_id_is_from(gateway: Gateway) -> None:
    assert gateway.query(get_documents()).errors == ["XDSMissingHomeCommunityId"]
    unknown = gateway.query(get_documents("urn:oid:1.9"))
    assert (unknown.status, unknown.errors) == ("Failure", ["XDSUnknownCommunity"])
    assert gateway.query(get_documents(OURS.home)).status == "Success"
    assert gateway.sites.asked == {}
    gateway.sites.answers["west"] = found(document(unique_id="2.1"))
    assert unique_ids(gateway.query(get_documents(WEST.id))) == {"2.1"}
    assert gateway.sites.asked.keys() == {"west"}
    (asked,) = gateway.sites.asked["west"]
    assert next(asked.iter(f"{{{RIM}}}AdhocQuery")).get("home") == WEST.id
    gateway.sites.answers["west"] = found(status=FAILURE, errors=error("XDSRegistryBusy"))
    alone = gateway.query(get_documents(WEST.id))
    assert (alone.status, errors_with_locations(alone)) == ("Failure", {WEST.id: "XDSRegistryBusy"})


@pytest.mark.parametrize("name", ["$homeCommunityId", "targetCommunityIdList"])
def test_a_consumer_may_say_who_is_to_be_asked(gateway: Gateway, name: str) -> None:
    value = f"<r:Value>('{WEST.id}')</r:Value><r:Value>('urn:oid:1.9')</r:Value>"
    slot = f'<r:Slot name="{name}"><r:ValueList>{value}</r:ValueList></r:Slot></r:AdhocQuery>'
    answer = gateway.query(find_documents(CX).replace(b"</r:AdhocQuery>", slot.encode()))
    assert gateway.sites.asked.keys() == {"west"}
    assert (answer.status, errors_with_locations(answer)) == ("PartialSuccess", {"urn:oid:1.9": "XDSUnknownCommunity"})


def test_whoever_may_see_only_some_patients_asks_about_these(gateway: Gateway) -> None:
    gateway.query(find_documents(CX), OWN)
    assert gateway.sites.asked.keys() == {"east", "west"}
    gateway.sites.asked.clear()
    for body in (find_documents(STRANGER), get_documents(WEST.id)):
        assert gateway.query(body, OWN).status == "Success"
    gateway.query(find_documents(CX), person(Grant(frozenset({"read"}))))
    gateway.query(find_documents(CX), person(Grant(INTERACTIONS, None, None, (("category", "x"),)), "radiologist"))
    assert gateway.sites.asked == {}
    gateway.query(find_documents(STRANGER), DOCTOR)
    gateway.query(get_documents(WEST.id), DOCTOR)
    assert gateway.sites.asked.keys() == {"east", "west"}


def test_an_assertion_goes_only_to_those_it_is_meant_for(gateway: Gateway) -> None:
    signed = asker(1)
    security = f'<w:Security xmlns:w="{WSSE}">{signed}</w:Security>'
    gateway.query(find_documents(CX), security=security.replace(AUDIENCE, "https://east.example/xca").encode())
    shown = {name: b"Assertion" in etree.tostring(asked[0]) for name, asked in gateway.sites.asked.items()}
    assert shown == {"east": True, "west": False}
    gateway.sites.asked.clear()
    meant = re.sub(AUDIENCE, WEST.id, security).encode()
    gateway.query(get_documents(WEST.id), OWN, meant)
    assert b"Assertion" in etree.tostring(gateway.sites.asked["west"][0])


def test_every_question_is_in_the_trail_with_how_it_ended(gateway: Gateway) -> None:
    gateway.sites.answers["west"] = lambda _: httpx.Response(302, headers={"location": "https://east.example/"})
    gateway.query(find_documents(CX), SERVER_CONTEXT)
    events = gateway.log.taken()
    assert [(each.subtype, each.action, each.outcome, each.entities[0].reference) for each in events] == [
        ("ITI-38", "E", 0, EAST.id), ("ITI-38", "E", 8, WEST.id),
    ]  # fmt: skip
    assert IN_WEST.replace("&", "&amp;") in events[1].query
    assert EAST.id.encode() in messages(events[0], NODE)[0]


HOSTILE = {
    "status": lambda _: httpx.Response(503),
    "redirect": lambda _: httpx.Response(307, headers={"location": "https://east.example/"}),
    "nothing": lambda _: httpx.Response(200),
    "page": lambda _: httpx.Response(200, headers={"content-type": "text/html"}, content=b"<html/>"),
    "another body": lambda _: simple(b"<x/>"),
    "another message": lambda _: httpx.Response(
        200, headers={"content-type": "application/soap+xml"},
        content=envelope("urn:x", b"<x/>").replace(b"</s:Header>", b"<a:RelatesTo>urn:uuid:1</a:RelatesTo></s:Header>"),
    ),
    "entities": lambda _: httpx.Response(
        200, headers={"content-type": "application/soap+xml"},
        content=b'<!DOCTYPE s [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + envelope("urn:x", b"<x>&e;</x>"),
    ),
    "fault": lambda _: httpx.Response(
        500, headers={"content-type": "application/soap+xml"},
        content=envelope("urn:x", b'<s:Fault><s:Reason><s:Text>no</s:Text></s:Reason></s:Fault>'),
    ),
    "many": found(*[b"<rim:ObjectRef id='urn:uuid:1'/>"] * 50_001),
    "closed": lambda _: (_ for _ in ()).throw(httpx.ConnectError("refused")),
    "broken": lambda _: (_ for _ in ()).throw(RuntimeError("a fault of our own")),
}  # fmt: skip


@pytest.mark.parametrize("how", HOSTILE)
def test_whatever_a_neighbour_answers_the_others_answers_are_given(gateway: Gateway, how: str) -> None:
    gateway.sites.answers |= {"east": found(document(unique_id="1.1")), "west": HOSTILE[how]}
    answer = gateway.query(find_documents(CX))
    assert (answer.http, answer.status, unique_ids(answer)) == (200, "PartialSuccess", {"1.1"})
    assert errors_with_locations(answer) == {WEST.id: "XDSUnavailableCommunity"}
