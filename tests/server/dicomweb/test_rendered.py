"""Rendered resources and thumbnails at every level: pictures, videos, documents and reports."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.server.dicomweb import samples
from tests.server.dicomweb.served import BASE, Served, served

STUDY, SERIES = f"/studies/{samples.STUDY}", f"/studies/{samples.STUDY}/series/{samples.SERIES}"
ONE = samples.INSTANCE_PATH + "1.2.3.1.1"


def run(folder: Path, files: list[bytes], check: Callable[[Served], Awaitable[None]]) -> None:
    async def main() -> None:
        async with served(folder, *files) as server:
            await check(server)

    asyncio.run(main())


def picture(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def image(frames: int = 1, **more: Any) -> bytes:
    return samples.written(samples.image(array=samples.pixels(frames, 40, 60), **more))


@pytest.mark.parametrize(
    ("accept", "kind"),
    [(None, "JPEG"), ("*/*", "JPEG"), ("image/*", "JPEG"), ("image/jpeg", "JPEG"), ("image/png", "PNG"),
     ("image/gif", "GIF"), ("image/jp2", "JPEG2000"), ("image/webp, image/png;q=0.5", "PNG")],
)  # fmt: skip
@pytest.mark.parametrize("path", [STUDY, SERIES, ONE, ONE + "/frames/1"])
def test_an_image_is_a_picture_at_every_level(tmp_path: Path, path: str, accept: str | None, kind: str) -> None:
    async def check(server: Served) -> None:
        got = await server.get(path + "/rendered", accept)
        assert got.status == 200
        shown = picture(got.body)
        assert (shown.format, shown.size) == (kind, (60, 40))
        assert (
            got.media_type == f"image/{kind.lower().replace('2000', '').replace('jpeg', 'jpeg')}" or kind == "JPEG2000"
        )
        assert (await server.get(path + "/rendered", accept, if_none_match=got.headers["etag"])).status == 304

    run(tmp_path, [image()], check)


def test_a_window_and_a_viewport_are_applied(tmp_path: Path) -> None:
    ramp = np.arange(40 * 60, dtype="<u2").reshape(1, 40, 60)

    async def check(server: Served) -> None:
        dark = picture((await server.get(ONE + "/rendered", "image/png", query="window=5000,2,linear")).body)
        assert np.asarray(dark).max() == 0
        small = picture((await server.get(ONE + "/rendered", "image/png", query="viewport=30,30")).body)
        assert small.size == (30, 20)
        cropped = picture((await server.get(ONE + "/rendered", "image/png", query="viewport=10,10,0,0,10,10")).body)
        assert cropped.size == (10, 10)
        coarse = await server.get(ONE + "/rendered", "image/jpeg", query="quality=5")
        fine = await server.get(ONE + "/rendered", "image/jpeg", query="quality=95")
        assert len(coarse.body) < len(fine.body)
        assert coarse.headers["etag"] != fine.headers["etag"]
        named = await server.get(ONE + "/rendered", "image/png", query="annotation=patient")
        assert named.body != (await server.get(ONE + "/rendered", "image/png")).body

    run(tmp_path, [samples.written(samples.image(array=ramp))], check)


@pytest.mark.parametrize(
    "query",
    ["viewport=a,b", "viewport=0,0", "viewport=10", "window=1,2", "window=1,2,cubic", "window=,,", "quality=0",
     "quality=101", "quality=x", "annotation=", "annotation=nothing", "iccprofile=cmyk", "window=1e400,1,linear"],
)  # fmt: skip
def test_a_parameter_that_cannot_be_used_is_refused_and_named(tmp_path: Path, query: str) -> None:
    async def check(server: Served) -> None:
        for path in (ONE, ONE + "/frames/1", STUDY, SERIES):
            got = await server.get(path + "/rendered", "image/jpeg", query=query)
            assert got.status == 400, path
            assert query.partition("=")[0].encode() in got.body

    run(tmp_path, [image()], check)


def test_parameters_nobody_knows_are_passed_over_and_unknown_annotations_are_told(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        assert (await server.get(ONE + "/rendered", query="colour=red&&x")).status == 200
        got = await server.get(ONE + "/rendered", query="annotation=patient,weather%0d%0aX:%201")
        assert got.status == 200
        assert "weather" in got.headers["warning"]
        assert "\n" not in got.headers["warning"]

    run(tmp_path, [image()], check)


def test_many_frames_are_the_first_or_an_animation_or_parts(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        assert getattr(picture((await server.get(ONE + "/rendered", "image/png")).body), "n_frames", 1) == 1
        animated = picture((await server.get(ONE + "/rendered", "image/gif")).body)
        assert getattr(animated, "n_frames", 1) == 3
        parts = (await server.get(ONE + "/rendered", 'multipart/related; type="image/jpeg"')).parts()
        assert [part.headers["content-location"] for part in parts] == [
            f"{BASE}{ONE}/frames/{number}/rendered" for number in (1, 2, 3)
        ]
        two = (await server.get(ONE + "/frames/3,1/rendered", 'multipart/related; type="image/png"')).parts()
        alone = [(await server.get(f"{ONE}/frames/{number}/rendered", "image/png")).body for number in (3, 1)]
        assert [part.body for part in two] == alone
        assert (await server.get(ONE + "/frames/1,2/rendered", "image/png")).status == 406
        assert len((await server.get(ONE + "/frames/1,2/rendered")).body) > 0

    run(tmp_path, [image(3)], check)


def test_a_study_in_multipart_is_a_part_for_each_instance_that_can_be_shown(tmp_path: Path) -> None:
    files = [
        samples.written(samples.image("1.2.3.1.1")),
        samples.written(samples.base("1.2.3.1.2", "1.2.840.10008.5.1.4.1.1.481.5", number=2)),
        samples.written(samples.image("1.2.3.1.3", number=3)),
    ]

    async def check(server: Served) -> None:
        for path in (STUDY, SERIES):
            parts = (await server.get(path + "/rendered", 'multipart/related; type="image/png"')).parts()
            assert [picture(part.body).format for part in parts] == ["PNG", "PNG"]
            assert picture((await server.get(path + "/rendered", "image/png")).body).format == "PNG"
        nothing = await server.get(samples.INSTANCE_PATH + "1.2.3.1.2/rendered")
        assert nothing.status == 406
        assert (await server.get(samples.INSTANCE_PATH + "1.2.3.1.2/thumbnail")).status == 404

    run(tmp_path, files, check)


@pytest.mark.parametrize("path", [STUDY, SERIES, ONE, ONE + "/frames/2"])
def test_a_thumbnail_is_small(tmp_path: Path, path: str) -> None:
    async def check(server: Served) -> None:
        got = await server.get(path + "/thumbnail")
        assert got.media_type == "image/jpeg"
        assert max(picture(got.body).size) <= 128
        tiny = await server.get(path + "/thumbnail", "image/png", query="viewport=16,16")
        assert max(picture(tiny.body).size) == 16
        assert (await server.get(path + "/thumbnail", query="viewport=16,16,0,0")).status == 400
        assert (await server.get(path + "/thumbnail", "application/dicom")).status == 406

    run(tmp_path, [samples.written(samples.image(array=samples.pixels(2, 300, 200)))], check)


def test_a_thumbnail_never_shows_who_the_patient_is(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        assert (await server.get(ONE + "/thumbnail")).status == 406
        assert (await server.get(ONE + "/rendered")).status == 200

    run(tmp_path, [image(BurnedInAnnotation="YES")], check)


def test_a_video_is_played(tmp_path: Path) -> None:
    stream = bytes(range(256)) * 20

    async def check(server: Served) -> None:
        for accept in (None, "video/*", "video/mp4"):
            got = await server.get(ONE + "/rendered", accept)
            assert (got.media_type, got.body) == ("video/mp4", stream)
            assert got.headers["content-type"] == "video/mp4"
        piece = await server.get(ONE + "/rendered", range="bytes=0-0")
        assert (piece.status, piece.body) == (206, b"\0")
        assert (await server.get(ONE + "/rendered", "image/jpeg")).status == 406
        assert (await server.get(ONE + "/thumbnail")).status == 406

    run(tmp_path, [samples.written(samples.video("1.2.3.1.1", stream), samples.MPEG4)], check)


@pytest.mark.parametrize("length", [301, 3001])
def test_a_document_is_opened_as_it_is(tmp_path: Path, length: int) -> None:
    pdf = b"%PDF-1.7 " + b"x" * (length - 9)

    async def check(server: Served) -> None:
        for accept in (None, "application/pdf", "text/html, application/pdf;q=0.5"):
            got = await server.get(ONE + "/rendered", accept)
            assert (got.headers["content-type"], got.body) == ("application/pdf", pdf)
        assert (await server.get(ONE + "/rendered", "image/jpeg")).status == 406
        (part,) = (await server.get(ONE + "/rendered", 'multipart/related; type="application/pdf"')).parts()
        assert part.body == pdf

    run(tmp_path, [samples.written(samples.document("1.2.3.1.1", pdf))], check)


def report() -> Dataset:
    def coded(meaning: str) -> Sequence:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99T", meaning
        return Sequence([item])

    finding = Dataset()
    finding.ValueType, finding.TextValue = "TEXT", "<script>alert(1)</script> nodule"
    finding.ConceptNameCodeSequence = coded("Finding")
    size = Dataset()
    size.ValueType, size.ConceptNameCodeSequence = "NUM", coded("Diameter")
    measured = Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "12.5", coded("millimeter")
    size.MeasuredValueSequence = Sequence([measured])
    finding.ContentSequence = Sequence([size])
    ds = samples.base("1.2.3.1.1", samples.TEXT_SR)
    ds.ValueType, ds.ConceptNameCodeSequence = "CONTAINER", coded("Chest report")
    ds.ContentSequence = Sequence([finding])
    return ds


def test_a_report_is_a_page_in_which_nothing_can_run(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        got = await server.get(ONE + "/rendered")
        assert got.headers["content-type"] == "text/html; charset=utf-8"
        assert b"Chest report" in got.body
        assert b"Diameter: 12.5 millimeter" in got.body
        assert "王^伟".encode() in got.body or b"Wang^Wei" in got.body
        assert b"<script" not in got.body
        assert "sandbox" in got.headers["content-security-policy"]
        plain = await server.get(ONE + "/rendered", "text/plain")
        assert b"    Diameter: 12.5 millimeter" in plain.body or b"  Diameter: 12.5 millimeter" in plain.body

    run(tmp_path, [samples.written(report())], check)


def test_a_real_report_is_shown(tmp_path: Path) -> None:
    name = get_testdata_file("reportsi.dcm", download=False)
    assert isinstance(name, str)
    content = Path(name).read_bytes()
    read = samples.read(content)

    async def check(server: Served) -> None:
        path = f"/studies/{read.StudyInstanceUID}/series/{read.SeriesInstanceUID}/instances/{read.SOPInstanceUID}"
        got = await server.get(path + "/rendered", "text/html")
        assert got.status == 200
        assert got.body.count(b"<li>") > 5

    run(tmp_path, [content], check)
