"""STOW-RS answers what became of each instance, with the statuses and codes of PS3.18 10.5.3."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import warnings
import zlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pydicom.data import get_testdata_file

from server.dicom import native_xml, part10
from server.dicomweb import failures, problems
from server.dicomweb.bulk_parts import MEMORY
from server.http.content_encoding import GRACE
from server.kernel.context import Actor
from server.kernel.problem import Kind
from storage.errors import StoreUnavailable
from tests.data.small_files import instance_file
from tests.server.dicomweb.storing import BASE, FILES, Surface, multipart, surface, with_headers

Body = Callable[[Surface], Coroutine[Any, Any, None]]
JSON = 'multipart/related; type="application/dicom+json"; boundary=XX'
XML = 'multipart/related; type="application/dicom+xml"; boundary=XX'


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    """Run a test's body on a surface; afterwards the archive below must be whole."""

    def runner(body: Body, **settings: Any) -> None:
        async def whole() -> None:
            async with surface(tmp_path, **settings) as web:
                await body(web)
                web.archive.blobs.instead.clear()
                await web.archive.check()

        asyncio.run(whole())

    return runner


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


def _described(**changes: Any) -> dict[str, Any]:
    dataset: dict[str, Any] = {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
        "00080018": {"vr": "UI", "Value": ["1.2.3.1.1"]},
        "00080060": {"vr": "CS", "Value": ["OT"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Li^Wei", "Ideographic": "李^伟"}]},
        "00100020": {"vr": "LO", "Value": ["P1"]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.3.1"]},
        "00280002": {"vr": "US", "Value": [1]},
        "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
        "00280010": {"vr": "US", "Value": [4]},
        "00280011": {"vr": "US", "Value": [4]},
        "00280100": {"vr": "US", "Value": [8]},
        "00280101": {"vr": "US", "Value": [8]},
        "00280102": {"vr": "US", "Value": [7]},
        "00280103": {"vr": "US", "Value": [0]},
        "7FE00010": {"vr": "OB", "BulkDataURI": "bulk/1"},
    }
    return dataset | changes


def _part(dataset: Any) -> tuple[dict[str, str], bytes]:
    return {"Content-Type": "application/dicom+json"}, json.dumps(dataset).encode()


def _bulk(
    content: bytes, location: str = "bulk/1", kind: str = "application/octet-stream"
) -> tuple[dict[str, str], bytes]:
    return {"Content-Type": kind, "Content-Location": location}, content


def test_instances_come_as_json_with_bulk_data_beside_them(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        second = _described(**{"00080018": {"vr": "UI", "Value": ["1.2.3.1.2"]}})
        second["7FE00010"] = {"vr": "OB", "InlineBinary": base64.b64encode(bytes(range(16, 32))).decode()}
        sent = with_headers(_part([_described(), second]), _bulk(bytes(range(16)), f"{BASE}/studies/bulk/1"))
        reply = await web.post("/studies", sent, JSON)
        assert reply.status == 200
        instance = await web.archive.instance("1.2.3.1.1")
        assert instance.transfer_syntax_uid == "1.2.840.10008.1.2.1"
        stored = await web.archive.file("1.2.3.1.1")
        scanned = part10.scan(stored)
        assert scanned.dataset["00100010"]["Value"] == [{"Alphabetic": "Li^Wei", "Ideographic": "李^伟"}]
        [bulk] = scanned.bulk
        assert stored[bulk.start : bulk.start + bulk.length] == bytes(range(16))
        assert await web.archive.file("1.2.3.1.2")

    run(body)


def test_instances_come_as_xml_with_bulk_data_beside_them(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        kind = {"Content-Type": "application/dicom+xml; charset=utf-8"}
        sent = with_headers(
            (kind, native_xml.to_xml(_described())),
            (kind, b"<broken"),
            _bulk(bytes(range(16))),
            (kind, native_xml.to_xml(_described(**{"00080018": {"vr": "UI", "Value": ["1.2.3.1.2"]}}))),
        )
        reply = await web.post("/studies", sent, XML)
        assert reply.status == 202
        assert [item["00081155"]["Value"] for item in reply.items("00081199")] == [["1.2.3.1.1"], ["1.2.3.1.2"]]
        assert "Part 2: " in reply.comments("0008119A")

    run(body)


def test_metadata_alone_may_be_the_body(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        dataset = _described()
        del dataset["7FE00010"]
        assert (await web.post("/studies", orjson.dumps([dataset]), "application/dicom+json")).status == 200
        assert (await web.post("/studies", native_xml.to_xml(dataset), "application/dicom+xml")).status == 200

    run(body)


@pytest.mark.parametrize("multiple", [1, 3])
def test_compressed_pixel_data_is_encapsulated_as_it_is(run: Callable[..., None], multiple: int) -> None:
    source = pydicom.dcmread(get_testdata_file("SC_rgb_small_odd_jpeg.dcm"))
    codestream = next(pydicom.encaps.generate_frames(source.PixelData, number_of_frames=1))

    async def body(web: Surface) -> None:
        dataset = {tag: value for tag, value in _described().items() if not tag.startswith("0028")}
        sent = with_headers(_part([dataset]), *[_bulk(codestream, kind="image/jpeg")] * multiple)
        reply = await web.post("/studies", sent, JSON)
        assert reply.status == 200, reply.body
        stored = part10.scan(await web.archive.file())
        assert stored.transfer_syntax_uid == "1.2.840.10008.1.2.4.50"
        assert stored.frames is not None
        assert stored.frames.count == multiple
        assert stored.dataset["00280010"]["Value"] == [source.Rows]
        assert stored.dataset["00280002"]["Value"] == [3]
        assert codestream in await web.archive.file()

    run(body)


def test_the_part_names_the_transfer_syntax(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        rle = bytes(64)
        kind = "image/dicom-rle; transfer-syntax=1.2.840.10008.1.2.5"
        assert (
            await web.post("/studies", with_headers(_part(_described()), _bulk(rle, kind=kind)), JSON)
        ).status == 200
        assert (await web.archive.instance()).transfer_syntax_uid == "1.2.840.10008.1.2.5"

    run(body)


@pytest.mark.parametrize(
    ("dataset", "bulk", "reason"),
    [
        (_described(), _bulk(b"", "elsewhere"), 0xC000),
        (_described(), _bulk(b"GIF89a", kind="image/gif"), 0xC122),
        (_described(), _bulk(b"no jpeg", kind="image/jpeg"), 0xC000),
        (_described(), _bulk(b"x", kind="image/jpeg; transfer-syntax=1.2.840.10008.1.2.1"), 0xC122),
        (_described(), _bulk(b"x", kind="no type"), 0xC000),
        (_described(**{"7FE00010": {"vr": "OB", "BulkDataURI": 7}}), _bulk(b""), 0xC000),
        (_described(**{"00280010": {"vr": "US", "Value": ["four"]}}), _bulk(bytes(16)), 0xC000),
        (_described(**{"00400275": {"vr": "SQ", "Value": 3}}), _bulk(bytes(16)), 0xC000),
        (_described(**{"7FE00010": {"vr": "OB", "BulkDataURI": "http://169.254.169.254/"}}), _bulk(b""), 0xC000),
        (_described(**{"7FE00010": {"vr": "OB", "BulkDataURI": "http://[broken"}}), _bulk(b""), 0xC000),
    ],
)
def test_bulk_data_that_does_not_fit_fails_its_instance(
    run: Callable[..., None], dataset: dict[str, Any], bulk: tuple[dict[str, str], bytes], reason: int
) -> None:
    async def body(web: Surface) -> None:
        good = _described(**{"00080018": {"vr": "UI", "Value": ["1.2.3.1.2"]}})
        del good["7FE00010"]
        reply = await web.post("/studies", with_headers(_part([dataset, good]), bulk), JSON)
        assert reply.status == 202
        assert reply.reasons("00081198") == [reason]
        assert reply.items("00081198")[0]["00081155"]["Value"] == ["1.2.3.1.1"]

    run(body)


def test_long_bulk_data_is_spooled_and_the_spool_removed(run: Callable[..., None]) -> None:
    async def body(web: Surface) -> None:
        content = bytes(MEMORY) + b"the end!"
        sent = with_headers(_part(_described()), _bulk(content), _bulk(content[::-1], "unused"))
        reply = await web.post("/studies", [sent[i : i + 65536] for i in range(0, len(sent), 65536)], JSON)
        assert reply.json()
        assert len(await web.archive.blob_names()) == await web.archive.check()

    run(body)


_CASES = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=60).map(lambda tail: b"--XX\r\n\r\n" + instance_file()[:300] + tail),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(["vr", "Value", "BulkDataURI", "InlineBinary", "00080016", "00400275", "7FE00010"]),
                inner,
                max_size=4,
            ),
        ),
        max_leaves=12,
    ).map(lambda value: with_headers(_part([_described(), value]), _bulk(bytes(16)))),
)


def test_no_body_causes_a_fault(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        opening = surface(tmp_path)
        web = runner.run(opening.__aenter__())

        @given(body=_CASES, content_type=st.sampled_from([JSON, XML, FILES]))
        @settings(max_examples=100, deadline=None)
        def each(body: bytes, content_type: str) -> None:
            reply = runner.run(web.post("/studies", body, content_type))
            assert reply.status in (200, 202, 400, 409, 413, 415)
            assert 0x0110 not in (*reply.reasons("00081198"), *reply.reasons("0008119A"))

        each()
        runner.run(web.archive.check())
        runner.run(opening.__aexit__(None, None, None))
