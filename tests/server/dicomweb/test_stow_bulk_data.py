"""STOW-RS takes metadata as JSON or XML with bulk data beside it (PS3.18 10.5.1); no body causes a fault."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from server.dicom import native_xml, part10
from server.dicomweb.bulk_parts import MEMORY
from tests.data.small_files import instance_file
from tests.server.dicomweb.storing import BASE, FILES, JSON, XML, Surface, running, surface, with_headers


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    return running(tmp_path)


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
