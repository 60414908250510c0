"""Retrieve Bulkdata and Pixel Data: every URI the metadata gives is served, alone, in multipart and by range."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from server.archive import retrieve
from tests.server.dicomweb import samples
from tests.server.dicomweb.served import BASE, OCTETS, Served, served

ONE = samples.INSTANCE_PATH + "1.2.3.1.1"
RLE = "1.2.840.10008.1.2.5"


def run(folder: Path, files: list[bytes], check: Callable[[Served], Awaitable[None]]) -> None:
    async def main() -> None:
        async with served(folder, *files) as server:
            await check(server)

    asyncio.run(main())


def uris(dataset: dict[str, Any]) -> Iterator[str]:
    for attribute in dataset.values():
        if "BulkDataURI" in attribute:
            yield attribute["BulkDataURI"]
        for item in attribute.get("Value", []):
            if isinstance(item, dict) and attribute["vr"] == "SQ":
                yield from uris(item)


def test_every_uri_of_the_metadata_is_served(tmp_path: Path) -> None:
    dataset = samples.with_bulk()
    expected = {bytes(range(256)) * 16, b"\1\2\3\4" * 1000, dataset.PixelData}

    async def check(server: Served) -> None:
        (found,) = json.loads((await server.get(ONE + "/metadata")).body)
        paths = [uri.removeprefix(BASE) for uri in uris(found)]
        assert len(paths) == 3
        assert all(path.startswith(ONE + "/bulkdata/") for path in paths)
        assert {(await server.get(path, "application/octet-stream")).body for path in paths} == expected
        for path in paths:
            (part,) = (await server.get(path, 'multipart/related; type="*/*"')).parts()
            assert part.body in expected
            assert part.headers["content-location"] == BASE + path
        parts = (await server.get(ONE + "/bulkdata", OCTETS)).parts()
        assert {part.headers["content-location"].removeprefix(BASE) for part in parts} == set(paths)

    run(tmp_path, [samples.written(dataset)], check)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("accept", ["application/octet-stream", OCTETS])
def test_a_range_is_a_range_of_the_value(
    tmp_path: Path, accept: str, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if streamed:
        monkeypatch.setattr(retrieve, "STREAMED", 1)

    async def check(server: Served) -> None:
        path = ONE + "/bulkdata/00191030"
        got = await server.get(path, accept, range="bytes=256-511")
        assert got.status == 206
        assert got.headers["content-range"] == "bytes 256-511/4096"
        body = got.body if accept == "application/octet-stream" else got.parts()[0].body
        assert body == bytes(range(256))
        assert (await server.get(path, accept, range="bytes=4096-")).status == 416
        whole = await server.get(path, accept)
        assert (await server.get(path, accept, if_none_match=whole.headers["etag"])).status == 304

    run(tmp_path, [samples.written(samples.with_bulk())], check)


@pytest.mark.parametrize("path", ["00191031", "7FE00008", "00081140/0/00211031", "x", "../../x", "00191030/0", "%"])
def test_a_value_that_is_not_there_is_not_found(tmp_path: Path, path: str) -> None:
    async def check(server: Served) -> None:
        assert (await server.get(f"{ONE}/bulkdata/{path}")).status == 404

    run(tmp_path, [samples.written(samples.with_bulk())], check)


def test_an_attribute_path_may_be_in_lower_case(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        assert (await server.get(ONE + "/bulkdata/7fe00010")).status == 200

    run(tmp_path, [samples.written(samples.image())], check)


def test_values_are_little_endian_whatever_the_file(tmp_path: Path) -> None:
    dataset = samples.with_bulk()
    content = samples.written(dataset, "1.2.840.10008.1.2.1")
    big = get_testdata_file("MR_small_bigendian.dcm", download=False)
    assert isinstance(big, str)
    read = samples.read(Path(big).read_bytes())

    async def check(server: Served) -> None:
        path = f"/studies/{read.StudyInstanceUID}/series/{read.SeriesInstanceUID}/instances/{read.SOPInstanceUID}"
        got = await server.get(path + "/bulkdata/7FE00010", "application/octet-stream")
        assert got.body == read.pixel_array.astype("<i2").tobytes()
        (part,) = (await server.get(path + "/pixeldata", OCTETS)).parts()
        assert part.body == got.body
        assert (
            await server.get(path + "/bulkdata/7FE00010", "application/octet-stream", range="bytes=1-2")
        ).status == 200

    run(tmp_path, [content, Path(big).read_bytes()], check)


def test_a_value_of_a_deflated_file_is_found_in_it(tmp_path: Path) -> None:
    name = get_testdata_file("image_dfl.dcm", download=False)
    assert isinstance(name, str)
    content = Path(name).read_bytes()
    read = samples.read(content)

    async def check(server: Served) -> None:
        path = f"/studies/{read.StudyInstanceUID}/series/{read.SeriesInstanceUID}/instances/{read.SOPInstanceUID}"
        assert (await server.get(path + "/bulkdata/7FE00010", "application/octet-stream")).body == read.PixelData

    run(tmp_path, [content], check)


def test_compressed_pixel_data_is_a_frame_to_a_part_or_one_value_uncompressed(tmp_path: Path) -> None:
    array = samples.pixels(3)

    async def check(server: Served) -> None:
        for path in (ONE + "/bulkdata/7FE00010", ONE + "/pixeldata", "/studies/1.2.3/pixeldata"):
            coded = await server.get(path, f"{OCTETS}; transfer-syntax=*")
            assert [part.media_type for part in coded.parts()] == ["image/dicom-rle"] * 3
            (plain,) = (await server.get(path, OCTETS)).parts()
            assert plain.body == array.tobytes()
            assert plain.headers["content-location"] == f"{BASE}{ONE}/bulkdata/7FE00010"
        alone = await server.get(ONE + "/bulkdata/7FE00010", "application/octet-stream")
        assert alone.body == array.tobytes()
        assert (await server.get(ONE + "/bulkdata/7FE00010", "image/dicom-rle")).status == 406

    run(tmp_path, [samples.compressed(samples.image(array=array), RLE)], check)


def test_native_pixel_data_is_coded_for_those_who_take_only_that(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        for path in (ONE + "/bulkdata/7FE00010", ONE + "/pixeldata"):
            (part,) = (await server.get(path, 'multipart/related; type="image/jls"')).parts()
            assert part.media_type == "image/jls"

    run(tmp_path, [samples.written(samples.image(array=samples.pixels(1, 32, 32)))], check)


def test_a_document_comes_as_octets_or_as_what_it_is(tmp_path: Path) -> None:
    pdf = b"%PDF-1.7 " + bytes(4001) + b"\n%%EOF"

    async def check(server: Served) -> None:
        path = ONE + "/bulkdata/00420011"
        for accept, media_type in (
            ("*/*", "multipart/related"),
            (OCTETS, "multipart/related"),
            ("application/octet-stream", "application/octet-stream"),
            ("application/pdf", "application/pdf"),
        ):
            got = await server.get(path, accept)
            assert got.media_type == media_type
            body = got.parts()[0].body if media_type == "multipart/related" else got.body
            assert body == pdf

    run(tmp_path, [samples.written(samples.document("1.2.3.1.1", pdf))], check)


def test_pixel_data_leaves_other_bulk_data_out(tmp_path: Path) -> None:
    dataset = samples.with_bulk()

    async def check(server: Served) -> None:
        for path in (ONE, "/studies/1.2.3/series/1.2.3.1", "/studies/1.2.3"):
            (part,) = (await server.get(path + "/pixeldata", OCTETS)).parts()
            assert part.body == dataset.PixelData

    run(tmp_path, [samples.written(dataset)], check)


def test_a_video_streams_whole_and_by_range(tmp_path: Path) -> None:
    stream = bytes(range(256)) * 20

    async def check(server: Served) -> None:
        path = ONE + "/bulkdata/7FE00010"
        assert (await server.get(path, "video/mp4")).body == stream
        got = await server.get(path, "video/mp4", range="bytes=-10")
        assert (got.status, got.body, got.headers["content-range"]) == (206, stream[-10:], "bytes 5110-5119/5120")
        for each in (path, ONE + "/pixeldata"):
            assert (await server.get(each)).parts()[0].body == stream

    run(tmp_path, [samples.written(samples.video("1.2.3.1.1", stream), samples.MPEG4)], check)
