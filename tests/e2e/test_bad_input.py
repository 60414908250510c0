"""Whatever comes in, the answer is in DICOM's own terms, comes soon, and is never a 5xx."""

from __future__ import annotations

import gzip
import itertools
import socket
import struct
from collections.abc import Iterator

import pytest

from conformance.kit.client import multipart
from conformance.kit.samples import CT_IMAGE, EXPLICIT_LITTLE, element, part10, short, text
from conformance.kit.session import DICOM, DICOM_JSON, DICOM_XML
from tests.data.instances import instance
from tests.e2e.clients import client, failures, fetch, store, stored
from tests.e2e.running import Place, Server, resident_bytes, running

CANNOT_UNDERSTAND = range(0xC000, 0xD000)
REFUSED = (400, 406, 409, 413, 415)
GOOD = instance(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Place("sqlite+folder", tmp_path_factory.mktemp("bad"))) as each:
        assert store(each, GOOD.data()).status == 200
        yield each


_numbers = itertools.count(1)


def file_of(*elements: bytes, syntax: str = EXPLICIT_LITTLE) -> bytes:
    """A file with a SOP Instance UID of its own, and otherwise these elements."""
    uid = f"2.25.77.{next(_numbers)}"
    head = (text(0x00080016, "UI", CT_IMAGE), text(0x00080018, "UI", uid), text(0x00080060, "CS", "CT"))
    return part10(b"".join((*head, *elements)), CT_IMAGE, uid, syntax)


STUDY = (text(0x0020000D, "UI", "2.25.75"), text(0x0020000E, "UI", "2.25.76"))
_OPEN_SEQUENCE = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
    "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
)
_PIXELS = (
    short(0x00280002, 1),
    text(0x00280004, "CS", "MONOCHROME2"),
    short(0x00280010, 65535),
    short(0x00280011, 65535),
    short(0x00280100, 16),
    short(0x00280101, 16),
    short(0x00280102, 15),
    short(0x00280103, 0),
)

BAD_FILES = {
    "nothing": b"",
    "text": b"this is not DICOM\n" * 100,
    "zeros": bytes(100_000),
    "preamble only": bytes(128) + b"DICM",
    "half a header": GOOD.data()[:200],
    "cut inside pixels": GOOD.data()[:-100],
    "cut inside an element": GOOD.data()[:700],
    "gzip": gzip.compress(GOOD.data()),
    "100,000 nested sequences": file_of(*STUDY, _OPEN_SEQUENCE * 100_000),
    "8 GB claimed": file_of(*STUDY, *_PIXELS, element(0x7FE00010, "OW", b"")[:-4] + b"\xfe\xff\xff\xff" + b"x" * 9),
    "frames without end": file_of(*STUDY, *_PIXELS, text(0x00280008, "IS", "2147483647"), text(0x00280009, "AT", "")),
    "no UIDs": part10(text(0x00080060, "CS", "CT"), CT_IMAGE, "2.25.78", EXPLICIT_LITTLE),
    "UIDs that are none": file_of(text(0x0020000D, "UI", "../../etc"), text(0x0020000E, "UI", "a b")),
    "unknown transfer syntax": file_of(*STUDY, syntax="1.2.3.4.5"),
    "wrong VRs": file_of(*STUDY, element(0x00280010, "UL", b"\xff" * 4), element(0x00280011, "ZZ", b"\xff\xff")),
    "length beyond the file": file_of(*STUDY, element(0x00100010, "PN", b"")[:-2] + b"\xff\xff"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_and_its_neighbours_stored(server: Server, name: str) -> None:
    neighbour = instance(1000 + list(BAD_FILES).index(name), study=9)
    before = resident_bytes(server.pid)
    answer = store(server, BAD_FILES[name], neighbour.data())
    assert neighbour.instance in stored(answer)
    assert answer.status in (200, 202)
    if answer.status == 202:
        assert all(reason in CANNOT_UNDERSTAND or reason in (0x0110, 0xA700, 0xA900) for reason in failures(answer))
    assert resident_bytes(server.pid) - before < 150 << 20


@pytest.mark.parametrize("name", [*list(BAD_FILES)[:9], "no UIDs", "UIDs that are none", "length beyond the file"])
def test_a_bad_file_alone_is_refused_with_a_reason(server: Server, name: str) -> None:
    answer = store(server, BAD_FILES[name])
    assert answer.status in (400, 409), answer.body[:300]
    if answer.status == 409:
        assert failures(answer)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/related", b"--x\r\n\r\n--x--"),
        ('multipart/related; type="application/dicom"; boundary=', b""),
        ('multipart/related; type="application/dicom"; boundary=x', b""),
        ('multipart/related; type="application/dicom"; boundary=x', b"--x\r\n" + b"A: b\r\n" * 100_000),
        ('multipart/related; type="application/dicom"; boundary=x', b"--y\r\n\r\n\r\n--y--"),
        ('multipart/related; type="application/dicom"; boundary="' + "x" * 5000 + '"', b"--x--"),
        ('multipart/related; type="application/dicom+json"; boundary=x', b"--x\r\n\r\n{\r\n--x--"),
        (
            'multipart/related; type="application/dicom+json"; boundary=x',
            b"--x\r\n\r\n" + b"[" * 200_000 + b"\r\n--x--",
        ),
        ('multipart/related; type="application/dicom+xml"; boundary=x', b"--x\r\n\r\n<a><b>\r\n--x--"),
        ("application/dicom", b""),
        ("application/dicom", b"\xff" * 1000),
        ("application/json", b"[]"),
        ("text/html; charset=nonsense", b"<p>"),
        ("\xff\xfe", b""),
    ],
)
def test_a_bad_body_is_refused(server: Server, content_type: str, body: bytes) -> None:
    answer = client(server).post("/studies", body, content_type, DICOM_JSON)
    assert answer.status in REFUSED, (answer.status, answer.body[:300])


def test_entities_of_xml_are_not_expanded(server: Server) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "%s"><!ENTITY c "%s">]><a>&c;</a>' % (b"x" * 1000, b"&b;" * 1000)
    leak = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><NativeDicomModel>&b;</NativeDicomModel>'
    for xml in (bomb, leak):
        body, content_type = multipart([(DICOM_XML, xml)], DICOM_XML)
        answer = client(server).post("/studies", body, content_type, DICOM_JSON)
        assert answer.status in REFUSED
        assert b"root:" not in answer.body


@pytest.mark.parametrize(
    "query",
    [
        *("StudyDate=2024-13-45", "StudyDate=20241345", "StudyDate=20240101-2023", "StudyTime=2561", "StudyTime=a-b"),
        *("limit=-1", "limit=1e9", "limit=", "offset=x", f"limit={10**30}", "limit=5&limit=6"),
        *("PatientID=%ff%fe", "fuzzymatching=maybe", f"PatientName={'*' * 5000}", "StudyInstanceUID=1.2.x"),
        *("PatientID=%00", f"includefield={'a' * 10_000}", "&".join(f"00{n:06X}=1" for n in range(3000))),
        *("NumberOfStudyRelatedInstances=many", "00080020=%2A%2A", "RequestAttributesSequence=1", "PatientName=%5C"),
        *("0000000000=1", "Study.Date=1", "00400275.00400275.00400275=1", "=", "&&&", "includefield=,,,"),
    ],
)
def test_a_bad_query_is_answered(server: Server, query: str) -> None:
    for level in ("/studies", "/series", "/instances", f"{GOOD.study_path}/series", f"{GOOD.series_path}/instances"):
        answer = client(server).get(f"{level}?{query}", DICOM_JSON)
        assert answer.status in (200, 400, 413, 414), (answer.status, answer.body[:300])


@pytest.mark.parametrize("query", ["StudyDate=2024-13-45", "StudyTime=2561", "limit=-1", "PatientID=%ff%fe"])
def test_a_query_that_cannot_be_read_is_refused_by_name(server: Server, query: str) -> None:
    answer = client(server).get(f"/studies?{query}", DICOM_JSON)
    assert answer.status == 400
    problem = answer.json()
    assert problem["text"]


@pytest.mark.parametrize(
    "accept",
    [
        *(
            "text/csv",
            "application/dicom; transfer-syntax=1.2.3",
            ";;;",
            ",",
            "*/*;q=0",
            "multipart/related",
            "a" * 20_000,
        ),
        *('multipart/related; type="image/nonsense"', "application/dicom+json;q=7", "image/*;q=x, text/*", "\x7f"),
        ", ".join(f"a/b{number}" for number in range(2000)),
    ],
)
def test_an_odd_accept_is_answered(server: Server, accept: str) -> None:
    resources = ("", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010", "/pixeldata")
    for path in ("/studies", *(GOOD.path + each for each in resources)):
        answer = client(server).get(path, accept)
        assert answer.status in (200, 400, 406, 431), (path, answer.status, answer.body[:300])


@pytest.mark.parametrize(
    "path",
    [
        *("/studies/..", "/studies/%2e%2e/%2e%2e", "/studies/1.2.3%00", "/studies/" + "9" * 5000, "/studies//series"),
        *(f"{GOOD.path}/frames/0", f"{GOOD.path}/frames/-1", f"{GOOD.path}/frames/1,1,1", f"{GOOD.path}/frames/"),
        *(f"{GOOD.path}/frames/{10**40}", f"{GOOD.path}/frames/{','.join(['1'] * 3000)}", f"{GOOD.path}/frames/1,x"),
        *(f"{GOOD.path}/bulkdata/../../x", f"{GOOD.path}/bulkdata/7FE00010/0/1", f"{GOOD.path}/bulkdata/zzzz"),
        *(f"{GOOD.path}/rendered?viewport=1e99,1", f"{GOOD.path}/rendered?viewport=99999999,99999999"),
        *(f"{GOOD.path}/rendered?window=nan,inf,linear", f"{GOOD.path}/rendered?window=0,0,linear"),
        *(
            f"{GOOD.path}/rendered?quality=abc",
            f"{GOOD.path}/rendered?annotation=",
            f"{GOOD.path}/rendered?viewport=,,,,,,",
        ),
        *("/wado", "/wado?requestType=WADO", "/wado?requestType=X&studyUID=1", "/%ff%fe", "/studies?%"),
        f"/wado?requestType=WADO&studyUID={GOOD.study}&seriesUID={GOOD.series}&objectUID={GOOD.instance}&rows=-1",
    ],
)
def test_an_odd_path_is_answered(server: Server, path: str) -> None:
    answer = client(server).get(path, "*/*")
    assert answer.status in (200, 206, 400, 404, 406, 413, 414), (answer.status, answer.body[:300])


@pytest.mark.parametrize(
    "value", ["bytes=5-2", "bytes=-", "bytes=a-b", f"bytes={10**30}-", "lines=1-2", "bytes=0-1,3-4"]
)
def test_an_odd_range_is_answered(server: Server, value: str) -> None:
    answer = client(server).get(f"{GOOD.path}/bulkdata/7FE00010", "application/octet-stream", range=value)
    assert answer.status in (200, 206, 416, 400)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /dicomweb/studies HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
        b"GET /dicomweb/studies HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /dicomweb/studies HTTP/1.1\r\nHost: evil.example/<x>\r\nConnection: close\r\n\r\n",
        b"POST /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\nConnection: close\r\n\r\n",
        b"POST /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"FETCH /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
)
def test_odd_bytes_on_the_wire_get_an_answer_or_a_closed_door(server: Server, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall(request_bytes)
        wire.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    assert not answer.startswith(b"HTTP/1.1 5")


def test_a_sender_who_leaves_in_the_middle_costs_nothing(server: Server) -> None:
    gone = instance(1, study=77)
    body, content_type = multipart([(DICOM, gone.data())], DICOM)
    lines = (
        "POST /dicomweb/studies HTTP/1.1",
        "Host: h",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    )
    head = "\r\n".join((*lines, "", ""))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall(head.encode() + body[: len(body) // 2])
    assert client(server).get(gone.study_path, "*/*").status == 404
    assert store(server, gone.data()).status == 200


def test_what_was_stored_before_is_still_there(server: Server) -> None:
    assert fetch(server, GOOD.path) == [GOOD.data()]
    assert not server.faults(), server.tail()


def test_the_deep_file_is_as_deep_as_it_says() -> None:
    assert BAD_FILES["100,000 nested sequences"].count(_OPEN_SEQUENCE) == 100_000
