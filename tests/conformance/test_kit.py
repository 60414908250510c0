"""The kit's own parts: what it builds is DICOM, what it reads is taken apart rightly, how checks end."""

from __future__ import annotations

import io

import pydicom
import pytest

from conformance.kit.asking import ask
from conformance.kit.client import Client, Response, multipart
from conformance.kit.rendering import size_of
from conformance.kit.report import Check, Outcome, Report
from conformance.kit.samples import draw
from conformance.kit.session import Session
from conformance.kit.suite import SUITE
from conformance.kit.verdict import Failed, Skipped, Verdict, expect

SESSION = Session(Client("http://127.0.0.1:1/none"), draw())


def test_samples_are_dicom_files_that_others_read() -> None:
    for sample in SESSION.samples.all:
        dataset = pydicom.dcmread(io.BytesIO(sample.data()))
        assert dataset.SOPInstanceUID == sample.instance
        assert dataset.PatientName == sample.patient_name
        if not sample.document:
            assert dataset.pixel_array.tobytes() == sample.pixels


def test_no_two_runs_share_uids() -> None:
    assert not {each.instance for each in draw().all} & {each.instance for each in draw().all}


def test_multipart_is_taken_apart_as_it_was_put_together() -> None:
    parts = [("application/dicom", b"\r\n--not a boundary\r\n"), ("text/plain", b"", "here")]
    body, content_type = multipart(parts, "application/dicom")
    found = Response(200, {"content-type": content_type}, body).parts()
    assert [(part.media_type, part.body) for part in found] == [each[:2] for each in parts]
    assert found[1].headers["content-location"] == "here"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", b""),
        ("multipart/related", b""),
        ("multipart/related; boundary=x", b"--x\r\nno blank line--x--"),
        ("multipart/related; boundary=x", b"--x\r\n\r\nnever closed"),
    ],
)
def test_multipart_that_is_none_fails_the_check(content_type: str, body: bytes) -> None:
    with pytest.raises(Failed):
        Response(200, {"content-type": content_type}, body).parts()


def test_a_transfer_syntax_is_read_quoted_or_not() -> None:
    for label in ("transfer-syntax=1.2.3", 'transfer-syntax="1.2.3"; charset=x'):
        body, content_type = multipart([(f"application/dicom; {label}", b"")], "application/dicom")
        assert Response(200, {"content-type": content_type}, body).parts()[0].transfer_syntax == "1.2.3"


def test_urls_of_other_places_are_not_followed() -> None:
    client = Client("https://pacs.example/dicomweb/")
    assert client.path_of("https://pacs.example/dicomweb/studies/1?x=2") == "/studies/1?x=2"
    assert client.path_of("/studies") == "/studies"
    with pytest.raises(Failed):
        client.path_of("https://pacs.example/elsewhere")
    with pytest.raises(ValueError):
        Client("ftp://pacs.example")


def test_sizes_are_read_from_image_headers() -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\x08\0\0\0\x10"
    jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x0b\x08\0\x10\0\x08\x01\x01"
    assert size_of(png) == size_of(jpeg) == (8, 16)
    with pytest.raises(Failed):
        size_of(b"\xff\xd8")


def _skip(_: Session) -> None:
    raise Skipped("not offered")


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (lambda _: None, Verdict.PASSED),
        (_skip, Verdict.SKIPPED),
        (lambda _: expect(False, "wrong"), Verdict.FAILED),
        (lambda _: {}["absent"], Verdict.FAILED),
        (lambda session: session.search("/studies"), Verdict.FAILED),
    ],
)
def test_a_check_ends_in_one_of_three_ways(check: object, verdict: Verdict) -> None:
    assert ask(Check("name", "1.2", check), SESSION).verdict is verdict  # type: ignore[arg-type]


def test_a_report_names_clauses_and_counts() -> None:
    outcomes = [Outcome(Check("a check", "10.4", _skip), verdict, "text") for verdict in Verdict]
    report = Report("http://x", tuple(outcomes))
    assert report.lines()[1] == "failed   a check  10.4: text"
    assert report.lines()[-1] == "http://x: 1 passed, 1 failed, 1 skipped"
    assert not report.is_clean


def test_checks_have_names_of_their_own_and_a_clause() -> None:
    assert all(check.clause and check.name for check in SUITE)
    names = [check.name for check in SUITE]
    assert len(set(names)) == len(names)
