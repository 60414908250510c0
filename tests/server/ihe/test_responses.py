"""What a registry and a repository answer with: the right status, and valid against the schemas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lxml import etree

from server.ihe.repository import read_requests
from server.ihe.responses import query_response, refuse, registry_response, retrieve_response
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.problem import Issue, Kind, Problem
from server.kernel.trail import Trail
from server.soap.message import Exchange
from server.xds.ebxml_writing import write_object, write_reference
from server.xds.errors import ErrorCode, RegistryError
from server.xds.repository import DocumentRequest, RetrievedDocument
from tests.data.xds_objects import document, submission_set

ERROR = RegistryError(ErrorCode.REGISTRY_METADATA, 'wrong "<&\n>', "urn:uuid:1")
WARNING = RegistryError(ErrorCode.EXTRA_METADATA, "left out", is_warning=True)


async def _octets() -> AsyncIterator[bytes]:
    yield b"abc"


def retrieved(home: str = "") -> RetrievedDocument:
    return RetrievedDocument(DocumentRequest(home, "1.2.3", "1.2.3.4^5"), "urn:uuid:1", "text/plain", 3, _octets)


def status(body: bytes) -> str:
    found = etree.fromstring(body)
    response = found if "status" in found.attrib else found[0]
    return str(response.get("status")).rpartition(":")[2]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (registry_response(), "Success"),
        (registry_response([WARNING]), "Success"),
        (registry_response([WARNING, ERROR]), "Failure"),
        (registry_response([ERROR], is_partial=True), "PartialSuccess"),
        (query_response([]), "Success"),
        (query_response([], [ERROR]), "Failure"),
        (query_response([write_reference("urn:uuid:1")], [ERROR]), "PartialSuccess"),
        (retrieve_response([retrieved()]).body, "Success"),
        (retrieve_response([retrieved()], [ERROR]).body, "PartialSuccess"),
        (retrieve_response([], [ERROR]).body, "Failure"),
    ],
)
def test_the_status_follows_from_what_is_in_the_answer(body: bytes, expected: str) -> None:
    assert status(body) == expected


def test_errors_are_told_whole() -> None:
    found = etree.fromstring(registry_response([ERROR, WARNING]))

    assert [str(each.get("highestSeverity")).rpartition(":")[2] for each in found] == ["Error"]
    first, second = found[0]
    assert (first.get("errorCode"), first.get("codeContext"), first.get("location")) == (
        "XDSRegistryMetadataError", 'wrong "<&\n>', "urn:uuid:1",
    )  # fmt: skip
    assert [str(each.get("severity")).rpartition(":")[2] for each in (first, second)] == ["Error", "Warning"]


def test_documents_stand_where_they_are_sent() -> None:
    reply = retrieve_response([retrieved("urn:oid:1.2"), retrieved()])

    assert [each.length for each in reply.attachments] == [3, 3]
    assert reply.body.count(b"<?attachment ") == 2
    assert reply.body.count(b"HomeCommunityId>") == 2


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Problem(Kind.BUSY, "busy"), "XDSRegistryBusy"),
        (Problem(Kind.UNAVAILABLE, "gone"), "XDSRegistryNotAvailable"),
        (Problem(Kind.FORBIDDEN, "no"), "XDSRegistryError"),
        (Problem(Kind.INVALID, "two", (Issue("a", "x", "XDSPatientIdDoesNotMatch"), Issue("b"))),
         "XDSPatientIdDoesNotMatch XDSRegistryMetadataError"),
        (ValueError("unforeseen"), "XDSRegistryError"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_by_the_codes_of_the_standard_and_noted(problem: Exception, code: str) -> None:
    trail = Trail()
    exchange = Exchange(Context(LOCAL_ACTOR, "1", trail=trail), etree.Element("x"), None, {}, "")

    body = refuse(exchange, problem).body

    assert status(body) == "Failure"
    assert [str(each.get("errorCode")) for each in etree.fromstring(body)[0]] == code.split()
    assert [each.code for each in trail.failures] == code.split()
    assert b"unforeseen" not in body


NAMESPACE = 'xmlns="urn:ihe:iti:xds-b:2007"'


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<DocumentRequest/>",
        "<DocumentRequest><RepositoryUniqueId>1.2</RepositoryUniqueId></DocumentRequest>",
        "<DocumentRequest><DocumentUniqueId>1.2</DocumentUniqueId></DocumentRequest>",
    ],
)
def test_a_request_names_its_documents(inner: str) -> None:
    with pytest.raises(Problem) as caught:
        read_requests(etree.fromstring(f"<RetrieveDocumentSetRequest {NAMESPACE}>{inner}</RetrieveDocumentSetRequest>"))

    assert caught.value.issues[0].code == "XDSRepositoryError"


def test_answers_are_valid_against_the_schemas(shared: Path) -> None:
    folder = shared / "data/xds/schema/nist-v3"
    schema = {path.stem: etree.XMLSchema(file=str(path)) for path in folder.rglob("*.xsd")
              if path.stem in ("query", "rs", "XDS.b_DocumentRepository")}  # fmt: skip
    objects = [
        write_object(document(id="urn:uuid:00000000-0000-4000-8000-000000000001")),
        write_object(submission_set()),
    ]
    bodies = {
        "rs": [registry_response(), registry_response([ERROR, WARNING])],
        "query": [
            query_response([]),
            query_response(objects, [ERROR]),
            query_response([write_reference("urn:uuid:1")]),
        ],
        "XDS.b_DocumentRepository": [
            retrieve_response([], [ERROR]).body,
            retrieve_response([retrieved("urn:oid:1.2"), retrieved()]).body.replace(
                b"<?attachment", b"YWJj<?attachment"
            ),
        ],
    }
    for name, each in bodies.items():
        for body in each:
            schema[name].assertValid(etree.fromstring(body))
