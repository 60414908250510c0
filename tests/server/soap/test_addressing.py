"""Which transaction a message asks for, and what is refused before anything is carried out."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from server.http.surface import Call
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from server.soap.message import Exchange, Transaction
from tests.server.soap.shell import ACTION, MTOM, Shell, document, fault, include, message, package, part, root

WSA = "http://www.w3.org/2005/08/addressing"
DO = f'<a:Action xmlns:a="{WSA}">{ACTION}</a:Action>'
ID = "<a:MessageID>urn:uuid:m1</a:MessageID>"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "blobs")


def reply_to(address: str, name: str = "ReplyTo") -> str:
    return f"<a:{name}><a:Address>{address}</a:Address></a:{name}>"


@pytest.mark.parametrize(
    "header",
    [
        "",
        DO,
        DO + ID + reply_to(WSA + "/anonymous") + reply_to(WSA + "/anonymous", "FaultTo"),
        DO + '<n:Extra xmlns:n="urn:n" xmlns:s="http://www.w3.org/2003/05/soap-envelope" s:mustUnderstand="0"/>',
        DO + '<n:Extra xmlns:n="urn:n" s:mustUnderstand="1" s:role="urn:somebody:else"/>',
        '<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" '
        's:mustUnderstand="true"/>',
    ],
)
def test_what_many_senders_leave_out_or_add_is_no_matter(shell: Shell, header: str) -> None:
    assert shell.send(message(header=header)).status == 200


def test_the_action_parameter_of_the_media_type_decides_nothing(shell: Shell) -> None:
    kind = 'application/soap+xml; action="urn:something:else"'

    assert shell.send(message(), kind, {"soapaction": '"urn:other"'}).status == 200


def test_an_answer_relates_to_its_request(shell: Shell) -> None:
    answer = etree.fromstring(shell.send(message()).body)

    header = answer[0]
    assert header.findtext(f"{{{WSA}}}RelatesTo") == "urn:uuid:m1"
    assert header.findtext(f"{{{WSA}}}Action") == ACTION + "Response"
    assert header.find(f"{{{WSA}}}Action").values() == ["true"]


REFUSED = {
    "unknown action": (message(action="urn:unknown"), "wsa:ActionNotSupported"),
    "action of another body": (message(body="Other"), "wsa:ActionMismatch"),
    "unknown body": (message(header="", body="Other"), "wsa:ActionNotSupported"),
    "two actions": (message(header=DO + DO), "wsa:InvalidAddressingHeader"),
    "two ids": (message(header=DO + ID + ID), "wsa:InvalidAddressingHeader"),
    "a long id": (message(header=DO + ID.replace("m1", "x" * 2000)), "wsa:InvalidAddressingHeader"),
    "another address": (message(header=DO + ID + reply_to("http://10.0.0.1/x")), "wsa:OnlyAnonymousAddressSupported"),
    "none": (message(header=DO + ID + reply_to(WSA + "/none")), "wsa:OnlyAnonymousAddressSupported"),
    "faults elsewhere": (
        message(header=DO + ID + reply_to("http://10.0.0.1/x", "FaultTo")),
        "wsa:OnlyAnonymousAddressSupported",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_addressing_that_cannot_be_is_a_fault(shell: Shell, case: str) -> None:
    body, subcode = REFUSED[case]

    sent = shell.send(body)

    assert fault(sent)[:3] == (400, "Sender", subcode)
    assert WSA.encode() + b"/fault" in sent.body
    assert shell.exchanges == 0


def test_a_header_that_must_be_understood_is_named_in_the_fault(shell: Shell) -> None:
    sent = shell.send(message(header=DO + '<n:Extra xmlns:n="urn:n" s:mustUnderstand="true"/>'))

    assert fault(sent)[:2] == (500, "MustUnderstand")
    found = next(etree.fromstring(sent.body).iter("{*}NotUnderstood"))
    assert found.get("qname") == "n:Extra"
    assert found.nsmap["n"] == "urn:n"


def test_soap_11_is_answered_so_that_its_sender_can_read_it(shell: Shell) -> None:
    old = "http://schemas.xmlsoap.org/soap/envelope/"
    sent = shell.send(message().replace(b"http://www.w3.org/2003/05/soap-envelope", old.encode()), "text/xml")

    answer = etree.fromstring(sent.body)
    assert (sent.status, sent.header("content-type")) == (500, "text/xml; charset=UTF-8")
    assert answer.tag == f"{{{old}}}Envelope"
    assert answer.findtext(".//faultcode") == "s:VersionMismatch"

    assert (
        fault(shell.send(message().replace(b"2003/05/soap-envelope", b"2001/12/soap-envelope")))[1] == "VersionMismatch"
    )


class Nobody:
    """Lets nobody in, and remembers what was there when it was asked."""

    def __init__(self) -> None:
        self.header: etree._Element | None = None

    async def sender(self, call: Call) -> str:
        return "nobody"

    async def identify(
        self, call: Call, header: etree._Element | None, body: etree._Element, transaction: Transaction
    ) -> Context:
        self.header = header
        text = "The assertion has expired."
        raise Problem(Kind.UNAUTHENTICATED, text, (Issue(text, code="wsse:FailedAuthentication"),))


def test_who_is_not_named_gets_a_fault_before_the_parts_are_read(tmp_path: Path) -> None:
    door = Nobody()
    shell = Shell(tmp_path / "blobs", identify=door)
    assertion = (
        '<S:Assertion xmlns:S="urn:saml" ID="_1"><!-- as\n signed --><S:Issuer  a="1">x</S:Issuer></S:Assertion>'
    )
    body = package(
        root(message(document(include("cid:a@b")), header=DO + ID + assertion)), part(bytes(1 << 20), "<a@b>")
    )

    sent = shell.send([body[:3000], body[3000:]], MTOM)

    assert fault(sent) == (400, "Sender", "wsse:FailedAuthentication", "The assertion has expired.")
    assert b"<wsa:RelatesTo>urn:uuid:m1<" in sent.body
    assert door.header is not None
    canonical = etree.tostring(door.header[-1], method="c14n", exclusive=True, with_comments=True).decode()
    assert canonical == assertion.replace("  a", " a")
    assert shell.left == []


def test_what_is_wrong_with_the_content_is_no_fault(shell: Shell) -> None:
    def refuse(exchange: Exchange) -> None:
        raise Problem(Kind.CONFLICT, "not now")

    shell.asked = refuse

    sent = shell.send(message(document("AAAA")))

    assert sent.status == 200
    assert b"Refused" in sent.body
    assert shell.left == []
