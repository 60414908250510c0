"""Retrieve Study, Series and Instance: bytes as stored, transcoding, choices per part, and what clients send."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess, NoStudies
from server.archive import recode, retrieve
from server.dicomweb import wado
from server.kernel.context import Actor
from server.kernel.problem import Kind
from storage.query import Equals, Not, Predicate
from tests.server.dicomweb import samples
from tests.server.dicomweb.served import ANY_DICOM, BASE, OCTETS, Served, served

STUDY, SERIES = f"/studies/{samples.STUDY}", f"/studies/{samples.STUDY}/series/{samples.SERIES}"
ONE, TWO, THREE = (samples.INSTANCE_PATH + f"1.2.3.1.{number}" for number in (1, 2, 3))

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED, RLE, JLS, J2K = (f"1.2.840.10008.1.2.{each}" for each in ("1.99", "5", "4.80", "4.90"))
DICOM = 'multipart/related; type="application/dicom"'


def bundled(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


def run(folder: Path, files: list[bytes], check: Callable[[Served], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with served(folder, *files, **options) as server:
            await check(server)

    asyncio.run(main())


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "image_dfl.dcm", "JPEG2000.dcm", "test-SR.dcm",
     "JPGExtended.dcm", "SC_rgb_rle_2frame.dcm", "rtplan.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm"],
)  # fmt: skip
def test_any_transfer_syntax_gives_back_what_was_stored(tmp_path: Path, name: str) -> None:
    content = bundled(name)

    async def check(server: Served) -> None:
        read = samples.read(content)
        path = f"/studies/{read.StudyInstanceUID}/series/{read.SeriesInstanceUID}/instances/{read.SOPInstanceUID}"
        (part,) = (await server.get(path, ANY_DICOM)).parts()
        assert part.body == content
        assert part.transfer_syntax.strip('"') == read.file_meta.TransferSyntaxUID
        alone = await server.get(path, "application/dicom; transfer-syntax=*")
        assert alone.body == content
        assert alone.media_type == "application/dicom"
        assert "attachment" in alone.headers["content-disposition"]

    run(tmp_path, [content], check)


@pytest.mark.parametrize(
    "name",
    ["MR_small_bigendian.dcm", "MR_small_implicit.dcm", "image_dfl.dcm", "JPEG2000.dcm", "SC_rgb_rle_2frame.dcm"],
)
def test_by_default_an_instance_comes_in_explicit_little_endian(tmp_path: Path, name: str) -> None:
    content = bundled(name)

    async def check(server: Served) -> None:
        read = samples.read(content)
        path = f"/studies/{read.StudyInstanceUID}/series/{read.SeriesInstanceUID}/instances/{read.SOPInstanceUID}"
        for accept in (None, "*/*", DICOM):
            (part,) = (await server.get(path, accept)).parts()
            got = samples.read(part.body)
            assert got.file_meta.TransferSyntaxUID == EXPLICIT
            assert part.transfer_syntax.strip('"') == EXPLICIT
            assert got.SOPInstanceUID == read.SOPInstanceUID
            assert np.array_equal(got.pixel_array, read.pixel_array)

    run(tmp_path, [content], check)


@pytest.mark.parametrize("syntax", [JLS, J2K, RLE, "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.201"])
@pytest.mark.parametrize("frames", [1, 3])
def test_pixels_survive_lossless_transcoding(tmp_path: Path, syntax: str, frames: int) -> None:
    array = samples.pixels(frames, 64, 48)

    async def check(server: Served) -> None:
        got = await server.get(ONE, f"{DICOM}; transfer-syntax={syntax}")
        (part,) = got.parts()
        read = samples.read(part.body)
        assert read.file_meta.TransferSyntaxUID == syntax
        assert read.StudyInstanceUID == samples.STUDY
        frame = await server.get(ONE + "/frames/1", OCTETS)
        assert frame.parts()[0].body == array[0].tobytes()
        # Storing what was sent shows that the archive itself decodes it to the same samples.
        read.SOPInstanceUID = read.file_meta.MediaStorageSOPInstanceUID = "1.2.3.1.9"
        again = io.BytesIO()
        read.save_as(again)
        assert (await server.archive.send(again.getvalue()))[0].failure is None
        for number in range(1, frames + 1):
            decoded = await server.get(f"{samples.INSTANCE_PATH}1.2.3.1.9/frames/{number}", OCTETS)
            assert decoded.parts()[0].body == array[number - 1].tobytes()

    run(tmp_path, [samples.written(samples.image(array=array))], check)


def test_a_long_object_is_transcoded_as_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recode, "_AT_ONCE", 0)
    array = samples.pixels(5)

    async def check(server: Served) -> None:
        for accept in (f"{DICOM}; transfer-syntax={RLE}", f"application/dicom; transfer-syntax={RLE}"):
            got = await server.get(ONE, accept)
            body = got.parts()[0].body if got.media_type == "multipart/related" else got.body
            assert np.array_equal(samples.read(body).pixel_array, array)

    run(tmp_path, [samples.written(samples.image(array=array))], check)


def test_a_study_comes_in_order_with_its_length_stated(tmp_path: Path) -> None:
    files = [samples.written(samples.image(f"1.2.3.1.{number}", number=4 - number)) for number in (1, 2, 3)]

    async def check(server: Served) -> None:
        for path in (STUDY, SERIES):
            got = await server.get(path, ANY_DICOM)
            assert [part.body for part in got.parts()] == files[::-1]
            assert "content-length" in got.headers
            locations = [part.headers["content-location"] for part in got.parts()]
            assert locations == [BASE + each for each in (THREE, TWO, ONE)]

    run(tmp_path, files, check)


def test_each_part_of_a_study_is_negotiated_for_itself(tmp_path: Path) -> None:
    files = [
        samples.written(samples.image("1.2.3.1.1")),
        samples.compressed(samples.image("1.2.3.1.2", number=2), RLE),
        samples.written(samples.base("1.2.3.1.3", samples.TEXT_SR, number=3), IMPLICIT),
    ]

    async def check(server: Served) -> None:
        def syntaxes(got: Any) -> list[str]:
            return [part.transfer_syntax.strip('"') for part in got.parts()]

        assert syntaxes(await server.get(STUDY, ANY_DICOM)) == [EXPLICIT, RLE, IMPLICIT]
        assert syntaxes(await server.get(STUDY)) == [EXPLICIT, EXPLICIT, EXPLICIT]
        assert syntaxes(await server.get(STUDY, f"{DICOM}; transfer-syntax={RLE}")) == [RLE, RLE, EXPLICIT]
        either = f"{DICOM}; transfer-syntax={RLE}, {DICOM}; transfer-syntax={EXPLICIT}"
        assert syntaxes(await server.get(STUDY, either)) == [EXPLICIT, RLE, EXPLICIT]

    run(tmp_path, files, check)


def test_a_study_part_of_which_cannot_be_given_says_so(tmp_path: Path) -> None:
    files = [
        samples.written(samples.image("1.2.3.1.1")),
        samples.written(samples.video("1.2.3.1.2", b"\0\0\1\xb3" + bytes(60)), samples.MPEG4),
    ]

    async def check(server: Served) -> None:
        got = await server.get(STUDY, f"{DICOM}; transfer-syntax={J2K}")
        assert got.status == 206
        assert "1 of 2" in got.headers["warning"]
        assert len(got.parts()) == 1
        assert (await server.get(TWO, f"{DICOM}; transfer-syntax={J2K}")).status == 406
        (part,) = (await server.get(TWO, DICOM)).parts()
        assert part.transfer_syntax.strip('"') == samples.MPEG4

    run(tmp_path, files, check)


def test_what_does_not_decode_is_sent_as_stored_unless_something_else_was_demanded(tmp_path: Path) -> None:
    broken = samples.image("1.2.3.1.1")
    broken.PixelData = samples.encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
    broken["PixelData"].VR, broken["PixelData"].is_undefined_length = "OB", True
    content = samples.written(broken, J2K)

    async def check(server: Served) -> None:
        for path, accept in ((ONE, DICOM), (ONE, "*/*"), (STUDY, DICOM)):
            (part,) = (await server.get(path, accept)).parts()
            assert part.body == content
            assert part.transfer_syntax.strip('"') == J2K
        assert (await server.get(ONE, f"{DICOM}; transfer-syntax={EXPLICIT}")).status == 406
        assert (await server.get(ONE, f"{DICOM}; transfer-syntax={RLE}")).status == 406
        assert (await server.get(ONE + "/frames/1", OCTETS)).status == 406
        assert (await server.get(ONE + "/rendered", "image/jpeg")).status == 406

    run(tmp_path, [content], check)


@pytest.mark.parametrize(
    ("accept", "path", "media_type"),
    [
        # cornerstone3D
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", "/frames/1", "multipart/related"),
        # OHIF
        ("application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*", "/metadata",
         "application/dicom+json"),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", "/bulkdata/7FE00010",
         "multipart/related"),
        # dicomweb-client for Python
        ("application/dicom+json, application/json", "/metadata", "application/dicom+json"),
        (f"{DICOM}; transfer-syntax=*", "", "multipart/related"),
        ('multipart/related; type="*/*"', "/bulkdata/7FE00010", "multipart/related"),
        ('multipart/related; type="*/*"', "/frames/1", "multipart/related"),
        ('multipart/related; type="image/"', "/frames/1", "multipart/related"),
        ("image/", "/rendered", "image/jpeg"),
        ("*/*", "/rendered", "image/jpeg"),
        # dcmjs
        (f"multipart/related; type=application/dicom; transfer-syntax={EXPLICIT}, multipart/related; "
         f"type=application/dicom; transfer-syntax={J2K}", "", "multipart/related"),
        # browsers
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", "/metadata",
         "application/dicom+json"),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "/rendered", "image/jpeg"),
        # Java's HttpURLConnection
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "/metadata", "application/dicom+json"),
        # curl
        ("*/*", "", "multipart/related"),
        ("application/json", "/metadata", "application/json"),
    ],
)  # fmt: skip
def test_what_clients_send_is_understood(tmp_path: Path, accept: str, path: str, media_type: str) -> None:
    async def check(server: Served) -> None:
        got = await server.get(ONE + path, accept)
        assert got.status == 200
        assert got.media_type == media_type
        if media_type.endswith("json"):
            assert got.headers["content-type"] == media_type
        assert "Accept" in got.headers["vary"]

    run(tmp_path, [samples.written(samples.image(array=samples.pixels(1, 64, 64)))], check)


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (ONE, "image/jpeg"),
        (ONE, "text/css"),
        (STUDY, "application/dicom"),
        (SERIES, "application/dicom; transfer-syntax=*"),
        (STUDY, f"{DICOM}; transfer-syntax=1.2.3"),
        (ONE, f"{DICOM}; transfer-syntax={IMPLICIT}"),
        (ONE, f"{DICOM}; transfer-syntax={BIG}"),
        (ONE + "/metadata", "image/png"),
        (ONE + "/frames/1", "application/dicom"),
        (ONE + "/rendered", "application/dicom"),
        (ONE + "/bulkdata/7FE00010", "application/dicom+json"),
    ],
)
def test_what_cannot_be_given_is_not_acceptable(tmp_path: Path, path: str, accept: str) -> None:
    async def check(server: Served) -> None:
        got = await server.get(path, accept)
        assert got.status == 406
        assert b"offered" in got.body

    run(tmp_path, [samples.written(samples.image())], check)


@pytest.mark.parametrize("tail", ["", "/metadata", "/rendered", "/thumbnail", "/bulkdata", "/pixeldata"])
def test_what_is_not_there_is_not_found_and_what_is_no_uid_is_refused(tmp_path: Path, tail: str) -> None:
    async def check(server: Served) -> None:
        for path in (
            "/studies/1.9",
            STUDY + "/series/1.9",
            SERIES + "/instances/1.9",
            f"/studies/1.9{ONE[len(STUDY) :]}",
        ):
            assert (await server.get(path + tail)).status == 404, path
        for path in ("/studies/x", STUDY + "/series/1..2", SERIES + "/instances/1.2/", "/studies/" + "1" * 65):
            assert (await server.get(path + tail)).status in (400, 404), path
        assert (await server.get("/studies/x" + tail)).status == 400

    run(tmp_path, [samples.written(samples.image())], check)


def test_a_client_that_has_an_instance_is_not_sent_it_again(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        for accept in (ANY_DICOM, "application/dicom", f"{DICOM}; transfer-syntax={JLS}"):
            first = await server.get(ONE, accept)
            again = await server.get(ONE, accept, if_none_match=first.headers["etag"])
            assert again.status == 304
            assert again.body == b""
            assert again.headers["etag"] == first.headers["etag"]
        plain = (await server.get(ONE, "application/dicom")).headers["etag"]
        assert (await server.get(ONE, f"application/dicom; transfer-syntax={JLS}", if_none_match=plain)).status == 200

    run(tmp_path, [samples.written(samples.image())], check)


def test_head_tells_everything_but_the_body(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        for path, accept in (
            (ONE, ANY_DICOM),
            (STUDY, ANY_DICOM),
            (ONE + "/metadata", None),
            (ONE + "/frames/1", OCTETS),
        ):
            got, head = await server.get(path, accept), await server.get(path, accept, method="HEAD")
            assert head.status == 200
            assert head.body == b""
            assert head.headers["content-length"] == got.headers["content-length"]
            assert head.media_type == got.media_type

    run(tmp_path, [samples.written(samples.image())], check)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize(("path", "accept"), [(ONE, ANY_DICOM), (ONE, "application/dicom"), (STUDY, ANY_DICOM)])
def test_every_file_that_is_opened_is_closed(
    tmp_path: Path, path: str, accept: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (retrieve, wado):
        monkeypatch.setattr(module, "STREAMED", 10)
    content = samples.written(samples.image())
    still_open: list[int] = []

    async def read(*_: Any, **__: Any) -> AsyncIterator[bytes]:
        still_open.append(1)
        try:
            for place in range(0, len(content), 100):
                yield content[place : place + 100]
        finally:
            still_open.pop()

    async def check(server: Served) -> None:
        server.archive.blobs.instead["read"] = read
        got = await server.get(path, accept, method=method)
        assert got.status == 200
        assert not still_open
        if method == "GET":
            assert content in got.body

    run(tmp_path, [content], check)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_range_of_a_file_alone(tmp_path: Path, streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    content = samples.written(samples.image())
    if streamed:
        for module in (retrieve, wado):
            monkeypatch.setattr(module, "STREAMED", 10)

    async def check(server: Served) -> None:
        got = await server.get(ONE, "application/dicom", range="bytes=128-131")
        assert got.status == 206
        assert got.body == b"DICM"
        assert got.headers["content-range"] == f"bytes 128-131/{len(content)}"
        assert (await server.get(ONE, "application/dicom")).body == content
        assert (await server.get(ONE, ANY_DICOM)).parts()[0].body == content
        assert (await server.get(STUDY, ANY_DICOM)).parts()[0].body == content
        refused = await server.get(ONE, "application/dicom", range=f"bytes={len(content)}-")
        assert refused.status == 416

    run(tmp_path, [content], check)


def test_a_zip_holds_the_files_as_stored(tmp_path: Path) -> None:
    files = [
        samples.written(samples.image("1.2.3.1.1"), IMPLICIT),
        samples.compressed(samples.image("1.2.3.1.2", number=2), RLE),
        samples.written(samples.base("1.2.3.1.3", samples.TEXT_SR, number=3), IMPLICIT),
    ]

    async def check(server: Served) -> None:
        for path, count in ((STUDY, 3), (SERIES, 3), (ONE, 1)):
            got = await server.get(path, "application/zip")
            assert got.media_type == "application/zip"
            assert "attachment" in got.headers["content-disposition"]
            with zipfile.ZipFile(io.BytesIO(got.body)) as archive:
                assert archive.testzip() is None
                assert [archive.read(name) for name in archive.namelist()] == files[:count]
                assert archive.namelist()[0] == f"{samples.SERIES}/1.2.3.1.1.dcm"
        uncompressed = await server.get(STUDY, f"application/zip; transfer-syntax={EXPLICIT}")
        with zipfile.ZipFile(io.BytesIO(uncompressed.body)) as archive:
            for name in archive.namelist():
                assert samples.read(archive.read(name)).file_meta.TransferSyntaxUID == EXPLICIT

    run(tmp_path, files, check)


def test_an_instance_as_octets_is_its_bulk_data(tmp_path: Path) -> None:
    dataset = samples.with_bulk()

    async def check(server: Served) -> None:
        for path in (ONE, SERIES, STUDY):
            parts = (await server.get(path, OCTETS)).parts()
            assert parts[-1].body == dataset.PixelData
            assert parts[-1].headers["content-location"] == f"{BASE}{ONE}/bulkdata/7FE00010"
            assert len(parts) == 3

    run(tmp_path, [samples.written(dataset)], check)


class AllButRestricted(AccessPoint):
    async def constrain(self, *_: Any) -> Predicate:
        return Not(Equals("@level", 4))


class OneSeriesRestricted(NoStudies):
    async def stamp(self, study: str) -> Hashable:
        return "1"

    async def series(self, predicate: Predicate, at_most: int) -> Sequence[str]:
        return ["1.2.3/1.2.3.2"]


HIDDEN = "/studies/1.2.3/series/1.2.3.2"
PARTLY = ImagingAccess(AllButRestricted(), OneSeriesRestricted())


@pytest.mark.parametrize("tail", ["", "/metadata", "/rendered", "/thumbnail", "/bulkdata", "/pixeldata"])
def test_what_an_actor_may_not_see_looks_as_if_it_were_not_there(tmp_path: Path, tail: str) -> None:
    hidden = samples.image("1.2.3.2.1")
    hidden.SeriesInstanceUID = "1.2.3.2"
    files = [samples.written(samples.image()), samples.written(hidden)]

    async def check(server: Served) -> None:
        for path in (HIDDEN, HIDDEN + "/instances/1.2.3.2.1"):
            seen, absent = await server.get(path + tail), await server.get(path.replace("3.2", "3.9") + tail)
            assert (seen.status, seen.body) == (absent.status, absent.body)
            assert seen.status == 404
        assert (await server.get(STUDY + tail)).status == 403
        shown = await server.get(SERIES + tail)
        assert shown.status == 200
        assert b"1.2.3.2" not in shown.body

    run(tmp_path, files, check, access=PARTLY)


def test_an_actor_without_a_grant_sees_nothing(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        for path in (STUDY, SERIES, ONE, STUDY + "/metadata", ONE + "/frames/1", ONE + "/rendered"):
            assert (await server.get(path)).status == 403

    run(tmp_path, [samples.written(samples.image())], check, actor=Actor("nobody", "nobody", ()))


def test_a_file_that_vanished_is_not_found(tmp_path: Path) -> None:
    content = samples.written(samples.image())

    async def check(server: Served) -> None:
        await server.archive.blobs.delete((await server.archive.instance()).blob)
        for path in (ONE, ONE + "/frames/1", ONE + "/bulkdata/7FE00010"):
            assert (await server.get(path)).status == 404

    run(tmp_path, [content], check)


def test_real_files_of_every_transfer_syntax(tmp_path: Path, shared: Path, corpus: list[dict[str, Any]]) -> None:
    chosen: dict[str, dict[str, Any]] = {}
    for entry in corpus:
        if entry["expected"] == "store" and entry["size"] < 2_000_000 and entry.get("transfer_syntax"):
            chosen.setdefault(entry["transfer_syntax"], entry)
    assert len(chosen) > 10

    async def check(server: Served) -> None:
        for entry in chosen.values():
            content = (shared / "data/dicom" / entry["path"]).read_bytes()
            (outcome,) = await server.archive.send(content)
            if outcome.failure:  # the same image in another transfer syntax came before
                assert outcome.failure.kind is Kind.CONFLICT
                continue
            path = f"/studies/{entry['study_uid']}/series/{entry['series_uid']}/instances/{entry['instance_uid']}"
            assert (await server.get(path, ANY_DICOM)).parts()[0].body == content
            assert (await server.get(path, DICOM)).status == 200

    run(tmp_path, [], check)
