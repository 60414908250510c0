"""Two clients that share no line with the server: zeep over the published WSDLs, and MTOM by httpx and `email`."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import requests
import zeep
from lxml import etree

from tests.e2e.xds_source import LCM, RIM, XDSB, Report

SOAP, WSA = "http://www.w3.org/2003/05/soap-envelope", "http://www.w3.org/2005/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
XOP = "http://www.w3.org/2004/08/xop/include"
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
FIND_BY_REFERENCE = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
NOTHING: Mapping[str, str] = {}
WSDLS = "data/xds/schema/ipf"
"""Below the folder of samples."""
SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


@dataclass(frozen=True)
class Named:
    """A document by where it is kept."""

    repository: str
    unique_id: str


@dataclass(frozen=True)
class Image:
    study: str
    series: str
    instance: str
    location: str
    """The imaging source that keeps it."""


class Fault(Exception):
    """What a sender is told who is not let in."""


class Filling(zeep.Plugin):
    """Puts registry objects into their list: zeep has no answer to the substitution groups of ebRIM."""

    def __init__(self, objects: str) -> None:
        self._objects = objects

    def egress(self, envelope: Any, headers: Any, operation: Any, options: Any) -> tuple[Any, Any]:
        held = next(envelope.iter(f"{{{RIM}}}RegistryObjectList"))
        held.extend(etree.fromstring(f"<all>{self._objects}</all>"))
        return envelope, headers


@dataclass
class Zeep:
    """Built from the WSDLs, nothing added but where the server is, and what proves the sender."""

    url: str
    wsdls: Path
    session: requests.Session
    security: Any = None
    """Gives a wsse:Security header for each message."""

    def find(self, query: str, patient: str, more: Mapping[str, str] = NOTHING) -> etree._Element:
        """ITI-18: the AdhocQueryResponse with whole entries; values as they stand in a slot (`('…')`)."""
        named = {"$XDSDocumentEntryPatientId": f"'{patient}'", "$XDSDocumentEntryStatus": f"('{APPROVED}')", **more}
        slots = [{"name": name, "ValueList": {"_value_1": [{"Value": value}]}} for name, value in named.items()]
        answer = self._ask(
            "iti18",
            "/xds/registry",
            "DocumentRegistry_RegistryStoredQuery",
            ResponseOption={"returnType": "LeafClass", "returnComposedObjects": True},
            AdhocQuery={"id": query, "Slot": slots},
            is_raw=True,
        )
        return next(etree.fromstring(answer.content).iter("{*}AdhocQueryResponse"))

    def provide(self, report: Report) -> str:
        """ITI-41 with the document inline; the status."""
        answer = self._ask(
            "iti41",
            "/xds/repository",
            "DocumentRepository_ProvideAndRegisterDocumentSet-b",
            SubmitObjectsRequest={"RegistryObjectList": {}},
            Document=[{"_value_1": report.content, "id": "D1"}],
            plugins=[Filling(report.objects)],
        )
        return str(answer.status).rpartition(":")[2]

    def retrieve(self, *documents: Named) -> dict[str, bytes]:
        """ITI-43: octets by uniqueId."""
        asked = [{"RepositoryUniqueId": each.repository, "DocumentUniqueId": each.unique_id} for each in documents]
        answer = self._ask("iti43", "/xds/repository", "DocumentRepository_RetrieveDocumentSet", DocumentRequest=asked)
        return {each.DocumentUniqueId: each.Document for each in answer.DocumentResponse}

    def images(self, *images: Image) -> dict[str, bytes]:
        """RAD-69: files by SOP Instance UID."""
        studies: dict[str, dict[str, list[dict[str, str]]]] = {}
        for each in images:
            request = {"RepositoryUniqueId": each.location, "DocumentUniqueId": each.instance}
            studies.setdefault(each.study, {}).setdefault(each.series, []).append(request)
        asked = [
            {
                "studyInstanceUID": study,
                "SeriesRequest": [
                    {"seriesInstanceUID": series, "DocumentRequest": held} for series, held in by_series.items()
                ],
            }
            for study, by_series in studies.items()
        ]
        answer = self._ask(
            "rad69",
            "/xds/imaging",
            "DocumentRepository_RetrieveImagingDocumentSet",
            StudyRequest=asked,
            TransferSyntaxUIDList={"TransferSyntaxUID": list(SYNTAXES)},
        )
        return {each.DocumentUniqueId: each.Document for each in answer.DocumentResponse}

    def _ask(
        self, wsdl: str, path: str, operation: str, *, is_raw: bool = False, plugins: Sequence[Any] = (), **body: Any
    ) -> Any:
        client = self._client(wsdl, plugins)
        service = client.create_service(next(iter(client.wsdl.bindings)), self.url + path)
        headers = [self.security()] if self.security else None
        with client.settings(raw_response=is_raw):
            try:
                answer = service[operation](_soapheaders=headers, **body)
            except zeep.exceptions.Fault as fault:
                raise Fault(fault.code, *(each.text for each in fault.subcodes or ())) from fault
        if is_raw and answer.status_code != 200:
            raise Fault(answer.status_code)
        return answer

    def _client(self, wsdl: str, plugins: Sequence[Any]) -> Any:
        untyped: Any = zeep
        transport = untyped.Transport(session=self.session, operation_timeout=30)
        return untyped.Client(str(self.wsdls / f"{wsdl}.wsdl"), transport=transport, plugins=list(plugins))


@dataclass
class Mtom:
    """SOAP with attachments as they are on the wire, both ways."""

    url: str
    http: httpx.Client

    def provide(self, report: Report, chunk: int = 8192) -> str:
        """ITI-41: the document follows in a part of its own, in pieces; its content id needs escapes in the href."""
        cid = "report:1/a@source.example"
        include = f'<x:Include xmlns:x="{XOP}" href="cid:{quote(cid, safe="")}"/>'
        body = (
            f'<p:ProvideAndRegisterDocumentSetRequest xmlns:p="{XDSB}"><l:SubmitObjectsRequest xmlns:l="{LCM}">'
            f'<r:RegistryObjectList xmlns:r="{RIM}">{report.objects}</r:RegistryObjectList></l:SubmitObjectsRequest>'
            f'<p:Document id="D1">{include}</p:Document></p:ProvideAndRegisterDocumentSetRequest>'
        )
        pieces = (report.content[at : at + chunk] for at in range(0, len(report.content), chunk))
        action = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
        root, _ = self._ask("/xds/repository", action, body, cid, pieces)
        return str(next(root.iter("{*}RegistryResponse")).get("status")).rpartition(":")[2]

    def retrieve(self, *documents: Named) -> dict[str, bytes]:
        asked = "".join(
            f"<DocumentRequest><RepositoryUniqueId>{each.repository}</RepositoryUniqueId>"
            f"<DocumentUniqueId>{each.unique_id}</DocumentUniqueId></DocumentRequest>"
            for each in documents
        )
        body = f'<RetrieveDocumentSetRequest xmlns="{XDSB}">{asked}</RetrieveDocumentSetRequest>'
        return _documents(*self._ask("/xds/repository", "urn:ihe:iti:2007:RetrieveDocumentSet", body))

    def _ask(
        self, path: str, action: str, body: str, cid: str = "", content: Iterable[bytes] = ()
    ) -> tuple[etree._Element, dict[str, bytes]]:
        message = (
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header>'
            f'<a:Action s:mustUnderstand="1">{action}</a:Action><a:MessageID>urn:uuid:{action}</a:MessageID>'
            f"<a:ReplyTo><a:Address>{WSA}/anonymous</a:Address></a:ReplyTo></s:Header><s:Body>{body}</s:Body>"
            "</s:Envelope>"
        )
        head = (
            'multipart/related; boundary="frontier 1"; type="application/xop+xml"; start="<root@source.example>";'
            f' start-info="application/soap+xml"; action="{action}"'
        )
        parts = _package(message, cid, content)
        with self.http.stream("POST", self.url + path, content=parts, headers={"Content-Type": head}) as answer:
            received = answer.read()
            assert answer.status_code == 200, received
        return _unpacked(answer.headers["content-type"], received)


def _package(message: str, cid: str, content: Iterable[bytes]) -> Iterator[bytes]:
    yield b'--frontier 1\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
    yield b"Content-Transfer-Encoding: binary\r\nContent-ID: <root@source.example>\r\n\r\n" + message.encode()
    if cid:
        yield b"\r\n--frontier 1\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n"
        yield f"Content-ID: <{cid}>\r\n\r\n".encode()
        yield from content
    yield b"\r\n--frontier 1--\r\n"


def _unpacked(media_type: str, content: bytes) -> tuple[etree._Element, dict[str, bytes]]:
    """The envelope, and the parts by content id, as Python's own mail parser finds them."""
    head = f"MIME-Version: 1.0\r\nContent-Type: {media_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + content, policy=email.policy.HTTP)
    assert message.get_content_type() == "multipart/related"
    assert message.get_param("type") == "application/xop+xml"
    parts: dict[str, Any] = {
        str(each["content-id"]).strip("<> "): each.get_payload(decode=True) for each in message.iter_parts()
    }
    return etree.fromstring(parts.pop(str(message.get_param("start")).strip("<>"))), parts


def _documents(envelope: etree._Element, parts: Mapping[str, bytes]) -> dict[str, bytes]:
    found = {}
    for each in envelope.iter(f"{{{XDSB}}}DocumentResponse"):
        (include,) = each.iter(f"{{{XOP}}}Include")
        found[str(each.findtext(f"{{{XDSB}}}DocumentUniqueId"))] = parts[unquote(include.get("href", "")[4:])]
    return found


def entries(answer: etree._Element) -> dict[str, etree._Element]:
    """The documents found, by uniqueId."""
    assert str(answer.get("status")).endswith(":Success"), etree.tostring(answer)[:2000]
    return {unique_id(each): each for each in answer.iter(f"{{{RIM}}}ExtrinsicObject")}


def unique_id(entry: etree._Element) -> str:
    scheme = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
    (found,) = (each for each in entry.iter("{*}ExternalIdentifier") if each.get("identificationScheme") == scheme)
    return str(found.get("value"))


def slot(entry: etree._Element, name: str) -> list[str]:
    values = entry.findall(f"{{{RIM}}}Slot[@name='{name}']/{{{RIM}}}ValueList/{{{RIM}}}Value")
    return [str(each.text) for each in values]
