"""Retrieve Frames: whatever the storage, the pixels are those another library reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from server.archive import rows
from tests.server.dicomweb import samples
from tests.server.dicomweb.served import BASE, OCTETS, Served, served

ONE = samples.INSTANCE_PATH + "1.2.3.1.1"
FRAMES = ONE + "/frames/"
EXPLICIT, RLE, JLS = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"


def run(folder: Path, files: list[bytes], check: Callable[[Served], Awaitable[None]]) -> None:
    async def main() -> None:
        async with served(folder, *files) as server:
            await check(server)

    asyncio.run(main())


def path_of(dataset: Any) -> str:
    study, series, uid = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
    return f"/studies/{study}/series/{series}/instances/{uid}"


@pytest.mark.parametrize("numbers", [(1,), (3,), (1, 2, 3, 4), (4, 2), (2, 3)])
def test_frames_come_in_the_order_asked(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    array = samples.pixels(4)

    async def check(server: Served) -> None:
        asked = ",".join(map(str, numbers))
        parts = (await server.get(FRAMES + asked, OCTETS)).parts()
        assert [part.body for part in parts] == [array[number - 1].tobytes() for number in numbers]
        assert [part.headers["content-location"] for part in parts] == [f"{BASE}{FRAMES}{number}" for number in numbers]
        assert {part.headers["content-type"].replace('"', "") for part in parts} == {
            f"application/octet-stream; transfer-syntax={EXPLICIT}"
        }

    run(tmp_path, [samples.written(samples.image(array=array))], check)


def test_the_first_header_of_a_part_is_its_content_type_spelled_so(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        got = await server.get(FRAMES + "1", "multipart/related; type=application/octet-stream; transfer-syntax=*")
        assert got.headers["content-type"].startswith('multipart/related; type="application/octet-stream"; boundary=')
        lines = got.body.split(b"\r\n")
        assert lines[0].startswith(b"--")
        assert lines[1] == b"Content-Type: application/octet-stream; transfer-syntax=" + EXPLICIT.encode()

    run(tmp_path, [samples.written(samples.image())], check)


def test_a_boundary_is_never_used_twice(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        types = {(await server.get(FRAMES + "1", OCTETS)).headers["content-type"] for _ in range(3)}
        assert len(types) == 3

    run(tmp_path, [samples.written(samples.image())], check)


@pytest.mark.parametrize("asked", ["0", "1,1", "x", "1,", ",1", "-1", "1.5", "1;2", "01,1", "١", "9" * 20])
def test_a_bad_frame_list_is_refused(tmp_path: Path, asked: str) -> None:
    async def check(server: Served) -> None:
        assert (await server.get(FRAMES + asked, OCTETS)).status == 400
        assert (await server.get(f"{FRAMES}{asked}/rendered")).status == 400

    run(tmp_path, [samples.written(samples.image(array=samples.pixels(2)))], check)


def test_a_list_of_more_frames_than_can_be_asked_is_refused(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        assert (await server.get(FRAMES + ",".join(map(str, range(1, 10_002))), OCTETS)).status == 400

    run(tmp_path, [samples.written(samples.image())], check)


@pytest.mark.parametrize("asked", ["3", "1,3", "2147483648"])
def test_a_frame_beyond_the_last_is_not_found(tmp_path: Path, asked: str) -> None:
    async def check(server: Served) -> None:
        assert (await server.get(FRAMES + asked, OCTETS)).status == 404
        assert (await server.get(f"{FRAMES}{asked}/rendered")).status == 404
        assert (await server.get(f"{FRAMES}{asked}/thumbnail")).status in (404, 200)

    run(tmp_path, [samples.written(samples.image(array=samples.pixels(2)))], check)


def test_an_object_without_pixels_has_no_frames(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        assert (await server.get(FRAMES + "1", OCTETS)).status == 404
        assert (await server.get(FRAMES + "1/rendered")).status == 404
        assert (await server.get(ONE + "/pixeldata")).status == 404

    run(tmp_path, [samples.written(samples.base("1.2.3.1.1", samples.TEXT_SR))], check)


def test_frames_of_one_bit_begin_at_a_byte_each(tmp_path: Path) -> None:
    dataset, array = samples.bits()

    async def check(server: Served) -> None:
        for part, frame in zip((await server.get(FRAMES + "1,2,3", OCTETS)).parts(), array, strict=True):
            unpacked = np.unpackbits(np.frombuffer(part.body, "u1"), bitorder="little")
            assert len(part.body) == 2
            assert np.array_equal(unpacked[:15].reshape(5, 3), frame)
            assert not unpacked[15:].any()

    run(tmp_path, [samples.written(dataset)], check)


@pytest.mark.parametrize(
    "name",
    ["MR_small_bigendian.dcm", "MR_small_implicit.dcm", "image_dfl.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm",
     "SC_rgb_rle_16bit_2frame.dcm", "SC_rgb_small_odd_big_endian.dcm", "MR_small_jp2klossless.dcm"],
)  # fmt: skip
def test_octets_are_the_pixels_whatever_the_transfer_syntax(tmp_path: Path, name: str) -> None:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    content = Path(path).read_bytes()
    dataset = samples.read(content)
    frames = int(dataset.get("NumberOfFrames") or 1)
    array = dataset.pixel_array if frames > 1 else dataset.pixel_array[None]

    async def check(server: Served) -> None:
        asked = ",".join(str(number + 1) for number in range(frames))
        for accept in (OCTETS, f"{OCTETS}; transfer-syntax={EXPLICIT}", "*/*"):
            parts = (await server.get(f"{path_of(dataset)}/frames/{asked}", accept)).parts()
            assert [part.body for part in parts] == [
                frame.astype(frame.dtype.newbyteorder("<")).tobytes() for frame in array
            ]
        alone = await server.get(f"{path_of(dataset)}/frames/1", "application/octet-stream")
        assert alone.body == parts[0].body

    run(tmp_path, [content], check)


def test_any_transfer_syntax_is_the_stored_codestream_under_its_own_type(tmp_path: Path) -> None:
    array = samples.pixels(2)
    content = samples.compressed(samples.image(array=array), RLE)

    async def check(server: Served) -> None:
        for accept in (f"{OCTETS}; transfer-syntax=*", 'multipart/related; type="image/dicom-rle"',
                       'multipart/related; type="image/x-dicom-rle"',
                       'multipart/related; type="*/*"; transfer-syntax=*',
                       f'multipart/related; type="image/*"; transfer-syntax={RLE}'):  # fmt: skip
            got = await server.get(FRAMES + "1,2", accept)
            for part in got.parts():
                assert part.media_type == "image/dicom-rle"
                assert part.transfer_syntax.strip('"') == RLE
                assert part.body in content
                assert "content-length" in got.headers

    run(tmp_path, [content], check)


@pytest.mark.parametrize(
    ("media_type", "syntax"),
    [("image/jls", JLS), ("image/x-jls", JLS), ("image/jp2", "1.2.840.10008.1.2.4.90"),
     ("image/jpeg", "1.2.840.10008.1.2.4.70"), ("image/dicom-rle", RLE), ("image/jphc", "1.2.840.10008.1.2.4.201")],
)  # fmt: skip
def test_an_image_type_alone_means_its_default_transfer_syntax(tmp_path: Path, media_type: str, syntax: str) -> None:
    array = samples.pixels(1, 64, 64)

    async def check(server: Served) -> None:
        for accept in (f'multipart/related; type="{media_type}"', f"{OCTETS}; transfer-syntax={syntax}"):
            (part,) = (await server.get(FRAMES + "1", accept)).parts()
            assert part.transfer_syntax.strip('"') == syntax
            assert part.body != array[0].tobytes()

    run(tmp_path, [samples.written(samples.image(array=array))], check)


def test_samples_too_deep_for_a_coding_get_the_next_best(tmp_path: Path) -> None:
    baseline = "1.2.840.10008.1.2.4.50"

    async def check(server: Served) -> None:
        demanded = f'multipart/related; type="image/jpeg"; transfer-syntax={baseline}'
        assert (await server.get(FRAMES + "1", demanded)).status == 406
        (part,) = (await server.get(FRAMES + "1", f"{demanded}, {OCTETS};q=0.1")).parts()
        assert part.transfer_syntax.strip('"') == EXPLICIT

    run(tmp_path, [samples.written(samples.image())], check)


def test_a_video_is_one_stream(tmp_path: Path) -> None:
    stream = bytes(range(256)) * 20

    async def check(server: Served) -> None:
        for accept in ("*/*", f"{OCTETS}; transfer-syntax=*", 'multipart/related; type="video/mp4"'):
            (part,) = (await server.get(FRAMES + "1", accept)).parts()
            assert (part.media_type, part.body) == ("video/mp4", stream)
        alone = await server.get(FRAMES + "1", "video/mp4", range="bytes=10-19")
        assert (alone.status, alone.body) == (206, stream[10:20])
        assert (await server.get(FRAMES + "2", "*/*")).status == 404
        assert (await server.get(FRAMES + "1", 'multipart/related; type="image/jpeg"')).status == 406

    run(tmp_path, [samples.written(samples.video("1.2.3.1.1", stream), samples.MPEG4)], check)


def test_a_long_index_is_read_in_pieces(tmp_path: Path) -> None:
    count = rows.FRAMES_INLINE * 2 + 5
    array = samples.pixels(count, 2, 2)

    async def check(server: Served) -> None:
        assert (await server.archive.instance()).frames is None
        for numbers in ((1,), (count,), (rows.FRAMES_INLINE, rows.FRAMES_INLINE + 1), (count, 1)):
            parts = (await server.get(FRAMES + ",".join(map(str, numbers)), OCTETS)).parts()
            assert [part.body for part in parts] == [array[number - 1].tobytes() for number in numbers]
        assert (await server.get(f"{FRAMES}{count + 1}", OCTETS)).status == 404
        (whole,) = (await server.get(ONE + "/pixeldata", OCTETS)).parts()
        assert whole.body == array.tobytes()

    run(tmp_path, [samples.compressed(samples.image(array=array), RLE)], check)


def test_a_client_that_has_a_frame_is_not_sent_it_again(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        for asked in ("1", "1,2"):
            first = await server.get(FRAMES + asked, OCTETS)
            assert (await server.get(FRAMES + asked, OCTETS, if_none_match=first.headers["etag"])).status == 304
            assert (await server.get(FRAMES + "2,1", OCTETS, if_none_match=first.headers["etag"])).status == 200

    run(tmp_path, [samples.written(samples.image(array=samples.pixels(2)))], check)


def test_a_range_of_a_frame_alone(tmp_path: Path) -> None:
    array = samples.pixels()

    async def check(server: Served) -> None:
        got = await server.get(FRAMES + "1", "application/octet-stream", range="bytes=2-5")
        assert (got.status, got.body) == (206, array.tobytes()[2:6])

    run(tmp_path, [samples.written(samples.image(array=array))], check)
