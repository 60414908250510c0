"""Messages of other projects made ready to be sent: their patients known here, their submissions new."""

from __future__ import annotations

import re

from lxml import etree

from server.soap.names import SOAP
from server.xds import vocabulary as v
from tests.data.soap_messages import Answered, envelope
from tests.xds_corpus.node import PLAIN, PROVIDE, Node

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_TAG = re.compile(rb"<(?:\w+:)?ExternalIdentifier\b[^>]*>")
_VALUE = re.compile(rb'\bvalue\s*=\s*(["\'])(.*?)\1', re.DOTALL)
_PATIENTS = tuple(each.encode() for each in (v.DOCUMENT_PATIENT, v.SUBMISSION_PATIENT, v.FOLDER_PATIENT))
_PARTS = re.compile(rb"^--(\S+)[ \t]*\r?\n(?=Content-)", re.MULTILINE | re.IGNORECASE)
_OF_REGISTRY = (
    b"urn:ihe:iti:2007:RegistryStoredQuery",
    b"urn:ihe:iti:2007:RegisterDocumentSet-b",
    b"AdhocQueryRequest",
)

ACTIONS = {
    f"{{{v.XDSB}}}ProvideAndRegisterDocumentSetRequest": ("/xds/repository", PROVIDE),
    f"{{{v.XDSB}}}RetrieveDocumentSetRequest": ("/xds/repository", "urn:ihe:iti:2007:RetrieveDocumentSet"),
    f"{{{v.LCM}}}SubmitObjectsRequest": ("/xds/registry", "urn:ihe:iti:2007:RegisterDocumentSet-b"),
    f"{{{v.QUERY}}}AdhocQueryRequest": ("/xds/registry", "urn:ihe:iti:2007:RegistryStoredQuery"),
}


async def made_ready(node: Node, content: bytes) -> bytes:
    """Patients belong to our domain, the submission set was never seen before, prefixes are declared."""
    if b"<wsse:Security>" in content and b"xmlns:wsse" not in content:
        content = content.replace(b"<wsse:Security>", b'<wsse:Security xmlns:wsse="%s">' % WSSE.encode())
    for tag in set(_TAG.findall(content)):
        value = _VALUE.search(tag)
        new = await _known(node, tag, value[2]) if value is not None else b""
        if value is not None and new:
            content = content.replace(tag, tag.replace(value[0], b'value="%s"' % new))
    return content


async def _known(node: Node, tag: bytes, value: bytes) -> bytes:
    """The new value of an identifier; empty where it stays."""
    number, mark, _ = value.partition(b"^^^&amp;")
    if mark and any(each in tag for each in _PATIENTS):
        return (await node.admit(number.decode())).replace("&", "&amp;").encode()
    return node.new_oid().encode() if v.SUBMISSION_UNIQUE.encode() in tag else b""


async def sent(node: Node, content: bytes) -> Answered:
    """A whole SOAP message, a bare body, or raw parts, with or without the head of an HTTP request before it."""
    content = await made_ready(node, content)
    if parts := _PARTS.search(content):
        media_type = f'multipart/related; boundary="{parts[1].decode()}"; type="application/xop+xml"'
        return await node.post(_place(content), content[parts.start() :], media_type)
    content = content[max(content.find(b"<"), 0) :]
    try:
        root = etree.fromstring(content)
    except etree.XMLSyntaxError:
        return await node.post("/xds/repository", content, PLAIN)
    _complete(root)
    if root.tag == f"{{{SOAP}}}Envelope":
        return await node.post(_place(content), etree.tostring(root), PLAIN)
    where, action = ACTIONS[str(root.tag)]
    return await node.post(where, envelope(action, etree.tostring(root)), PLAIN)


def _complete(root: etree._Element) -> None:
    """A message whose documents were left out gets some, and says nothing of the octets of those it had."""
    for request in root.iter(f"{{{v.XDSB}}}ProvideAndRegisterDocumentSetRequest"):
        if request.find(f"{{{v.XDSB}}}Document") is not None:
            continue
        for entry in list(request.iter(f"{{{v.RIM}}}ExtrinsicObject")):
            for slot in entry.findall(f"{{{v.RIM}}}Slot"):
                if slot.get("name") in ("hash", "size"):
                    entry.remove(slot)
            made = etree.SubElement(request, f"{{{v.XDSB}}}Document", id=entry.get("id", ""))
            made.text = "ZG9jdW1lbnQ="


def _place(content: bytes) -> str:
    if b"CrossGateway" in content:
        return "/xds/gateway"
    is_registry = any(each in content for each in _OF_REGISTRY)
    return "/xds/registry" if is_registry else "/xds/repository"
