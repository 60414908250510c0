"""WADO-URI: one instance by query parameters."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from tests.server.dicomweb import samples
from tests.server.dicomweb.served import Got, Served, served

JLS, EXPLICIT, RLE = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"


def run(folder: Path, files: list[bytes], check: Callable[[Served], Awaitable[None]]) -> None:
    async def main() -> None:
        async with served(folder, *files) as server:
            await check(server)

    asyncio.run(main())


async def wado(server: Served, accept: str | None = None, **parameters: str) -> Got:
    named = {
        "requestType": "WADO",
        "studyUID": samples.STUDY,
        "seriesUID": samples.SERIES,
        "objectUID": "1.2.3.1.1",
        **parameters,
    }
    return await server.get("/wado", accept, query=urlencode({name: value for name, value in named.items() if value}))


def image(frames: int = 1) -> bytes:
    return samples.written(samples.image(array=samples.pixels(frames, 40, 60)))


def size(got: Got) -> tuple[int, int]:
    return Image.open(io.BytesIO(got.body)).size


@pytest.mark.parametrize("accept", [None, "*/*", "image/*", "text/html, */*;q=0.1"])
def test_without_a_content_type_it_is_a_picture(tmp_path: Path, accept: str | None) -> None:
    async def check(server: Served) -> None:
        got = await wado(server, accept)
        assert (got.status, got.headers["content-type"]) == (200, "image/jpeg")
        assert size(got) == (60, 40)

    run(tmp_path, [image()], check)


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "jp2"])
def test_the_content_type_is_what_is_sent(tmp_path: Path, kind: str) -> None:
    async def check(server: Served) -> None:
        for accept in ("*/*", "image/webp", None):
            assert (await wado(server, accept, contentType=f"image/{kind}")).media_type == f"image/{kind}"
        assert (await wado(server, "*/*", contentType="image/webp")).status == 406

    run(tmp_path, [image()], check)


def test_the_file_is_sent_in_the_transfer_syntax_named(tmp_path: Path) -> None:
    content = samples.compressed(samples.image(array=samples.pixels(1, 40, 60)), RLE)

    async def check(server: Served) -> None:
        for named, syntax in (("", EXPLICIT), ("*", RLE), (RLE, RLE), (JLS, JLS), (EXPLICIT, EXPLICIT)):
            got = await wado(server, contentType="application/dicom", transferSyntax=named)
            assert got.media_type == "application/dicom"
            assert samples.read(got.body).file_meta.TransferSyntaxUID == syntax
            assert "attachment" in got.headers["content-disposition"]
        assert (await wado(server, "application/dicom", transferSyntax="*")).body == content
        assert (await wado(server, contentType="application/dicom", transferSyntax="1.2.3")).status == 406

    run(tmp_path, [content], check)


def test_the_picture_follows_its_parameters(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        assert size(await wado(server, rows="20", columns="20")) == (20, 13)
        assert size(await wado(server, rows="20")) == (30, 20)
        assert size(await wado(server, region="0,0,0.5,0.5")) == (30, 20)
        dark = await wado(server, contentType="image/png", windowCenter="9000", windowWidth="2")
        assert np.asarray(Image.open(io.BytesIO(dark.body))).max() == 0
        frames = [await wado(server, contentType="image/png", frameNumber=str(number)) for number in (1, 2)]
        assert frames[0].body != frames[1].body
        animated = await wado(server, contentType="image/gif")
        assert getattr(Image.open(io.BytesIO(animated.body)), "n_frames", 1) == 2
        still = await wado(server, contentType="image/gif", frameNumber="2")
        assert getattr(Image.open(io.BytesIO(still.body)), "n_frames", 1) == 1
        assert (await wado(server, imageAnnotation="patient", imageQuality="50", charset="UTF-8")).status == 200

    run(tmp_path, [image(2)], check)


@pytest.mark.parametrize(
    "wrong",
    [
        {"requestType": ""},
        {"requestType": "WADOX"},
        {"studyUID": ""},
        {"seriesUID": "x"},
        {"objectUID": "1..2"},
        {"frameNumber": "0"},
        {"frameNumber": "3"},
        {"frameNumber": "x"},
        {"windowCenter": "1"},
        {"windowWidth": "1"},
        {"windowCenter": "a", "windowWidth": "1"},
        {"rows": "0"},
        {"columns": "1e3"},
        {"region": "0,0,1"},
        {"region": "0.5,0,0.5,1"},
        {"imageQuality": "101"},
        {"imageAnnotation": "nothing"},
        {"presentationUID": "1.2"},
        {"contentType": "application/dicom", "windowCenter": "1", "windowWidth": "1"},
        {"contentType": "application/dicom", "anonymize": "yes"},
        {"contentType": "application/dicom", "transferSyntax": "jpeg"},
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(tmp_path: Path, wrong: dict[str, str]) -> None:
    async def check(server: Served) -> None:
        got = await wado(server, **wrong)
        assert got.status == 400
        assert any(name.encode() in got.body for name in wrong)

    run(tmp_path, [image(2)], check)


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        for name in ("studyUID", "seriesUID", "objectUID"):
            assert (await wado(server, **{name: "1.9"})).status == 404

    run(tmp_path, [image()], check)


def test_what_cannot_be_shown_is_sent_as_a_file_to_those_who_take_it(tmp_path: Path) -> None:
    content = samples.written(samples.base("1.2.3.1.1", "1.2.840.10008.5.1.4.1.1.481.5"))

    async def check(server: Served) -> None:
        assert (await wado(server, "*/*")).body == content
        assert (await wado(server, "image/jpeg")).status == 406

    run(tmp_path, [content], check)


def test_a_video_and_a_document_pass_through(tmp_path: Path) -> None:
    stream, pdf = bytes(range(256)) * 20, b"%PDF-1.7 " + b"x" * 3000
    files = [
        samples.written(samples.video("1.2.3.1.1", stream), samples.MPEG4),
        samples.written(samples.document("1.2.3.1.2", pdf)),
    ]

    async def check(server: Served) -> None:
        assert (await wado(server, contentType="video/mp4")).body == stream
        assert (await wado(server, contentType="application/dicom", transferSyntax="*")).body == files[0]
        assert (await wado(server, contentType="application/dicom")).body == files[0]
        assert (await wado(server, contentType="application/dicom", transferSyntax=EXPLICIT)).status == 406
        opened = await wado(server, objectUID="1.2.3.1.2")
        assert (opened.media_type, opened.body.rstrip(b"\0")) == ("application/pdf", pdf)

    run(tmp_path, files, check)
