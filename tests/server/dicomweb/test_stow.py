"""STOW-RS answers what became of each instance, with the statuses and codes of PS3.18 10.5.3."""

from __future__ import annotations

import gzip
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from lxml import etree

from server.dicom import native_xml, part10
from server.dicomweb import failures, problems
from server.http.content_encoding import GRACE
from server.kernel.context import Actor
from server.kernel.problem import Kind
from storage.errors import StoreUnavailable
from tests.data.small_files import instance_file
from tests.server.dicomweb.storing import BASE, FILES, JSON, XML, Surface, multipart, running, with_headers


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    return running(tmp_path)


def test_every_kind_of_problem_has_a_status_and_a_failure_reason() -> None:
    assert set(problems.STATUS) == set(Kind)
    assert set(failures.REASON) == set(Kind)


def test_what_is_stored_is_referenced_with_absolute_urls(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        reply = await web.post("/studies", multipart(instance_file(), instance_file(uid="1.2.3.1.2")))
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/dicom+json"
        assert reply.json() == {
            "00081190": {"vr": "UR", "Value": [f"{BASE}/studies/1.2.3"]},
            "00081199": {
                "vr": "SQ",
                "Value": [
                    {
                        "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
                        "00081155": {"vr": "UI", "Value": [uid]},
                        "00081190": {"vr": "UR", "Value": [f"{BASE}/studies/1.2.3/series/1.2.3.1/instances/{uid}"]},
                    }
                    for uid in ("1.2.3.1.1", "1.2.3.1.2")
                ],
            },
        }
        assert await web.archive.file() == instance_file()

    run(body)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/related; type=application/dicom; boundary=XX",
        'Multipart/Related; Boundary="XX"; TYPE="application/dicom"; start="<1>"',
        "multipart/related; boundary=XX",
    ],
)
def test_loosely_written_content_types_are_understood(run: Callable[..., None], content_type: str) -> None:
    async def body(web: Surface) -> None:
        part = with_headers(({}, instance_file()))
        assert (await web.post("/studies", b"\r\n" + part, content_type)).status == 200

    run(body)


def test_a_body_may_be_one_file(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        content = instance_file()
        reply = await web.post("/studies/1.2.3", [content[:100], content[100:]], "application/dicom")
        assert reply.status == 200
        assert (await web.post("/studies", b"", "application/dicom")).status == 409

    run(body)


def test_some_stored_and_some_not_is_202_and_says_which(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        await web.post("/studies", multipart(instance_file()))
        sent = multipart(
            b"no DICOM", instance_file(modality="MR"), instance_file(uid="1.2.3.1.2"), instance_file()[:-9]
        )
        reply = await web.post("/studies", sent)
        assert reply.status == 202
        assert [item["00081155"]["Value"] for item in reply.items("00081199")] == [["1.2.3.1.2"]]
        assert reply.reasons("00081198") == [0x0111, 0xC000]
        assert reply.reasons("0008119A") == [0xC000]
        assert reply.items("00081198")[0]["00081155"]["Value"] == ["1.2.3.1.1"]
        assert "Part 2: " in reply.comments("00081198")
        assert "(00080018)" in reply.comments("00081198")
        assert "Part 1: " in reply.comments("0008119A")

    run(body)


def test_a_comment_fits_its_vr_and_loses_nothing(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        reply = await web.post("/studies/9.9", multipart(instance_file()))
        assert reply.reasons("00081198") == [0xA901]
        assert reply.comments("00081198") == (
            "Part 1: Study Instance UID is not that of the URL the instance was sent to. (0020000D)"
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dataset = pydicom.Dataset.from_json(reply.body.decode())
            comments = [item.ErrorComment for item in dataset.FailedSOPSequence[0].FailedAttributesSequence]
        assert all(len(comment) <= 64 for comment in comments)

    run(body)


def test_nothing_stored_is_409_with_the_module(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        reply = await web.post("/studies", multipart(b"no DICOM", b""))
        assert reply.status == 409
        assert list(reply.json()) == ["00081190", "0008119A"]
        assert reply.json()["00081190"] == {"vr": "UR"}

    run(body)


def test_an_irregular_instance_is_stored_with_a_warning(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        odd = instance_file()
        swapped = odd.replace(b"\x10\0\x10\0PN", b"\x10\0\x30\0PN")
        irregularities = part10.scan(swapped).irregularities
        assert irregularities
        reply = await web.post("/studies", multipart(swapped))
        assert reply.status == 202
        [item] = reply.items("00081199")
        assert item["00081196"] == {"vr": "US", "Value": [0xB007]}
        assert irregularities[0].path in reply.comments("00081199")

    run(body)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (None, b"x", 415),
        ("image/png", b"x", 415),
        ("multipart/form-data; boundary=XX", multipart(b"x"), 415),
        ('multipart/related; type="image/png"; boundary=XX', multipart(b"x"), 415),
        ("not a type", b"x", 400),
        ('multipart/related; type="application/dicom"', multipart(b"x"), 400),
        ('multipart/related; type="application/dicom"; boundary=YY', multipart(b"x"), 400),
        (FILES, b"", 400),
        (FILES, b"--XX--\r\n", 400),
        (FILES, b"--XX\r\n\r\nDICM", 400),
        (JSON, with_headers(({"Content-Type": "application/dicom+json"}, b"[")), 409),
        (JSON, with_headers(({"Content-Type": "application/dicom+json"}, b"[]")), 400),
        (XML, with_headers(({"Content-Type": "application/dicom+xml"}, b"<a>")), 409),
        (FILES, multipart(b"GIF", content_type="image/gif"), 415),
    ],
)
def test_what_cannot_be_a_store_request_is_refused(
    run: Callable[..., None], content_type: str | None, body: bytes, status: int
) -> None:
    async def inner(web: Surface) -> None:
        reply = await web.post("/studies", body, content_type)
        assert reply.status == status
        document = reply.json()
        assert "00081190" in document or (document["status"] == status and document["text"])
        assert await web.archive.check() == 0

    run(inner)


def test_a_broken_frame_keeps_the_parts_before_it(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        sent = multipart(instance_file(), instance_file(uid="1.2.3.1.2"))
        reply = await web.post("/studies", sent[: len(sent) - 40])
        assert reply.status == 202
        assert len(reply.items("00081199")) == 1
        headers = b"--XX\r\n" + b"X: " + b"y" * 20_000
        reply = await web.post("/studies", multipart(instance_file())[: -len(b"--XX--\r\n")] + headers)
        assert reply.status == 202
        assert "Part 2: The headers" in reply.comments("0008119A")

    run(body)


def test_a_study_that_is_no_uid_is_a_bad_request(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        assert (await web.post("/studies/..", multipart(instance_file()))).status == 400

    run(body)


def test_the_answer_is_xml_for_who_asks_for_it(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        reply = await web.post("/studies", multipart(instance_file()), accept="application/dicom+xml")
        assert (reply.status, reply.headers["content-type"]) == (200, "application/dicom+xml")
        assert etree.fromstring(reply.body).tag.endswith("NativeDicomModel")
        assert "00081199" in native_xml.from_xml(reply.body)
        refused = await web.post("/studies", multipart(instance_file()), accept="image/png")
        assert refused.status == 406
        assert (await web.post("/studies", multipart(b"x"), "image/png", accept="text/html")).status in (406, 415)

    run(body)


def test_problems_are_text_for_who_reads_no_json(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        reply = await web.post("/studies", b"x", "image/png", accept="text/html, */*;q=0.1")
        assert reply.status == 415
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert b"image/png" in reply.body

    run(body)


def test_a_store_that_is_away_is_503_and_a_reason_to_try_again(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        async def full(*_: Any) -> None:
            raise StoreUnavailable("no space left")

        web.archive.blobs.instead["put_all"] = full
        reply = await web.post("/studies", multipart(instance_file()))
        assert reply.status == 503
        assert reply.reasons("00081198") == [0xA700]
        assert int(reply.headers["retry-after"]) > 0

    run(body)


def test_what_is_too_long_is_413(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        reply = await web.post("/studies", multipart(instance_file(pixels=bytes(5000))))
        assert reply.status == 413
        assert reply.reasons("0008119A") == [0xA700]

    run(body, max_part=3000)


def test_who_may_not_store_is_told_so(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        reply = await web.post("/studies", multipart(instance_file()))
        assert reply.status == 403
        assert reply.json()["kind"] == "forbidden"

    run(body, actor=Actor("r", "reader", ()))


def test_when_the_client_leaves_there_is_no_answer_and_nothing_half_done(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        sent = multipart(*[instance_file(uid=f"1.2.3.1.{i}") for i in range(50)])
        pieces = [sent[i : i + 5000] for i in range(0, len(sent), 5000)]
        assert await web.ask("POST", "/studies", pieces, leaves=True) is None
        assert await web.archive.check() < 50

    run(body)


def test_a_request_may_be_compressed(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        files = [instance_file(uid=f"1.2.3.1.{i}", pixels=bytes(300_000)) for i in range(8)]
        packed = gzip.compress(multipart(*files)[:1_000_000]) + gzip.compress(multipart(*files)[1_000_000:])
        pieces = [packed[i : i + 777] for i in range(0, len(packed), 777)]
        reply = await web.post("/studies", pieces, content_encoding="gzip")
        assert reply.status == 200
        assert len(reply.items("00081199")) == 8

    run(body)


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("br", b"x", 415),
        ("gzip, gzip", b"x", 415),
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(multipart(instance_file()))[:-12], 400),
        ("gzip", zlib.compress(b"x"), 400),
    ],
)
def test_what_is_not_compressed_as_said_is_refused(
    run: Callable[..., None], coding: str, body: bytes, status: int
) -> None:
    async def inner(web: Surface) -> None:
        reply = await web.post("/studies", body, content_encoding=coding)
        assert reply.status == status

    run(inner)


def test_a_compressed_request_cannot_grow_without_bound(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        packer = zlib.compressobj(9, wbits=31)
        start = packer.compress(b"--XX\r\n\r\n" + instance_file()[:-34] + b"\xe0\x7f\x10\0OW\0\0\xfe\xff\xff\xff")
        zeros = bytes(1 << 20)
        bomb = start + b"".join(packer.compress(zeros) for _ in range(2 * GRACE >> 20)) + packer.flush()
        reply = await web.post("/studies", bomb, content_encoding="gzip")
        assert reply.status in (409, 413)
        assert await web.archive.check() == 0

    run(body)
