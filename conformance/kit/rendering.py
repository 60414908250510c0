"""Rendered resources, thumbnails and WADO-URI (PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5, 9)."""

from __future__ import annotations

import struct
from urllib.parse import urlsplit

from conformance.kit.client import Response
from conformance.kit.report import Check, Checks
from conformance.kit.session import DICOM, Session
from conformance.kit.verdict import Failed, Skipped, expect

JPEG, PNG, GIF = "image/jpeg", "image/png", "image/gif"
_MAGIC = {JPEG: b"\xff\xd8\xff", PNG: b"\x89PNG\r\n\x1a\n", GIF: b"GIF8"}


def _expect_image(answer: Response, kind: str) -> None:
    expect(answer.status == 200, f"rendering gave {answer.status}: {answer.body[:200]!r}")
    expect(answer.media_type == kind, f"Content-Type is {answer.media_type}, expected {kind}")
    expect(answer.body.startswith(_MAGIC[kind]), f"the body is not {kind}")


def size_of(image: bytes) -> tuple[int, int]:
    """Width and height of a PNG or JPEG."""
    if image.startswith(_MAGIC[PNG]):
        width, height = struct.unpack_from(">II", image, 16)
        return width, height
    place = 2
    while place + 9 <= len(image):
        marker, length = struct.unpack_from(">HH", image, place)
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
            height, width = struct.unpack_from(">HH", image, place + 5)
            return width, height
        place += 2 + length
    raise Failed("the image has no frame header")


def renders_an_instance(session: Session) -> None:
    for kind in (JPEG, PNG, GIF):
        _expect_image(session.client.get(f"{session.samples.mr.path}/rendered", kind), kind)


def renders_jpeg_by_default(session: Session) -> None:
    _expect_image(session.client.get(f"{session.samples.mr.path}/rendered", "*/*"), JPEG)


def renders_frames(session: Session) -> None:
    path = f"{session.samples.cine.path}/frames"
    first = session.client.get(f"{path}/1/rendered", PNG)
    third = session.client.get(f"{path}/3/rendered", PNG)
    _expect_image(first, PNG)
    _expect_image(third, PNG)
    missing = session.client.get(f"{path}/9/rendered", PNG)
    expect(missing.status == 404, f"frame 9 of 3 rendered gave {missing.status}, expected 404")


def renders_study_and_series(session: Session) -> None:
    sample = session.samples.mr
    for path in (sample.series_path, sample.study_path):
        answer = session.client.get(f"{path}/rendered", 'multipart/related; type="image/jpeg", image/jpeg')
        expect(answer.status == 200, f"{path.rsplit('/', 2)[1]} rendered gave {answer.status}")


def scales_into_the_viewport(session: Session) -> None:
    for viewport, expected in (("8,8", (8, 8)), ("32,16", (16, 16)), ("40,100", (40, 40))):
        answer = session.client.get(f"{session.samples.mr.path}/rendered?viewport={viewport}", PNG)
        _expect_image(answer, PNG)
        expect(size_of(answer.body) == expected, f"viewport={viewport} gave {size_of(answer.body)}")


def windows(session: Session) -> None:
    path = f"{session.samples.mr.path}/rendered"
    dark = session.client.get(f"{path}?window=100000,10,linear", PNG)
    bright = session.client.get(f"{path}?window=-100000,10,linear", PNG)
    _expect_image(dark, PNG)
    _expect_image(bright, PNG)
    expect(dark.body != bright.body, "the window does not change the image")


def heeds_the_quality(session: Session) -> None:
    path = f"{session.samples.mr.path}/rendered"
    poor, good = (session.client.get(f"{path}?quality={quality}", JPEG) for quality in (5, 95))
    _expect_image(poor, JPEG)
    _expect_image(good, JPEG)
    expect(len(poor.body) < len(good.body), "quality=5 is no smaller than quality=95")


def refuses_bad_parameters(session: Session) -> None:
    path = f"{session.samples.mr.path}/rendered"
    for query in ("viewport=0,10", "viewport=a,b", "window=1,2", "window=1,2,cubic", "quality=0", "quality=101"):
        answer = session.client.get(f"{path}?{query}", JPEG)
        expect(answer.status == 400, f"{query} gave {answer.status}, expected 400")


def draws_thumbnails(session: Session) -> None:
    sample = session.samples.mr
    if session.client.get(f"{sample.path}/thumbnail", JPEG).status in (404, 501):
        raise Skipped("thumbnails are optional")
    for path in (sample.path, sample.series_path, sample.study_path, f"{sample.path}/frames/1"):
        answer = session.client.get(f"{path}/thumbnail?viewport=8,8", JPEG)
        _expect_image(answer, JPEG)
        expect(size_of(answer.body) == (8, 8), f"viewport=8,8 gave {size_of(answer.body)}")


def gives_a_document_as_rendered(session: Session) -> None:
    answer = session.client.get(f"{session.samples.report.path}/rendered", "application/pdf, text/html;q=0.1")
    if answer.status == 406:
        raise Skipped("application/pdf is optional")
    expect(answer.status == 200 and answer.body.startswith(b"%PDF"), f"gave {answer.status} {answer.media_type}")


def refuses_to_render_what_it_cannot(session: Session) -> None:
    answer = session.client.get(f"{session.samples.mr.path}/rendered", "text/csv")
    expect(answer.status == 406, f"Accept: text/csv gave {answer.status}, expected 406")


def _by_uri(session: Session, query: str, accept: str = "*/*") -> Response:
    """A WADO-URI request; where the service has another address than `/wado` below the base, it is found beside it."""
    sample = session.samples.mr
    names = f"requestType=WADO&studyUID={sample.study}&seriesUID={sample.series}&objectUID={sample.instance}"
    for path in ("/wado", ""):
        answer = session.client.get(f"{path}?{names}{query}", accept)
        if answer.status not in (404, 405):
            return answer
    raise Skipped(f"no WADO-URI service at {urlsplit(session.client.base_url).path}/wado")


def serves_an_object_by_uri(session: Session) -> None:
    answer = _by_uri(session, "&contentType=application/dicom", DICOM)
    expect(answer.status == 200 and answer.media_type == DICOM, f"gave {answer.status} {answer.media_type}")
    expect(answer.body[128:132] == b"DICM", "the body is not a DICOM file")


def renders_by_uri(session: Session) -> None:
    _expect_image(_by_uri(session, ""), JPEG)
    _expect_image(_by_uri(session, "&contentType=image/png&rows=8&columns=8"), PNG)


def refuses_bad_uris(session: Session) -> None:
    for query in ("&frameNumber=2", "&windowCenter=40", "&region=0,0,2,2"):
        answer = _by_uri(session, f"&contentType=image/jpeg{query}")
        expect(answer.status == 400, f"{query[1:]} gave {answer.status}, expected 400")


CHECKS: Checks = (
    Check("renders an instance as JPEG, PNG and GIF", "8.7.4, 10.4.1.1.3", renders_an_instance),
    Check("renders JPEG by default", "8.7.4", renders_jpeg_by_default),
    Check("renders frames", "10.4.1.1.3", renders_frames),
    Check("renders series and studies", "10.4.1.1.3", renders_study_and_series),
    Check("scales into the viewport", "8.3.5.1.3", scales_into_the_viewport),
    Check("applies the window asked for", "8.3.5.1.4", windows),
    Check("heeds the quality", "8.3.5.1.2", heeds_the_quality),
    Check("refuses bad rendering parameters with 400", "8.3.5.1", refuses_bad_parameters),
    Check("draws thumbnails at every level", "10.4.1.1.4", draws_thumbnails),
    Check("gives a document as its rendering", "8.7.4", gives_a_document_as_rendered),
    Check("refuses with 406 what it cannot render", "8.7.5", refuses_to_render_what_it_cannot),
    Check("serves an object by WADO-URI", "9.4", serves_an_object_by_uri),
    Check("renders by WADO-URI", "9.5", renders_by_uri),
    Check("refuses bad WADO-URI parameters with 400", "9.5", refuses_bad_uris),
)
