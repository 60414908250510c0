"""WADO-RS: instances, metadata, frames, bulk data and their negotiation (PS3.18 10.4, 8.7)."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from conformance.kit.report import Check, Checks
from conformance.kit.samples import EXPLICIT_LITTLE, JPEG_2000_LOSSLESS, JPEG_LS_LOSSLESS, RLE_LOSSLESS, new_uid
from conformance.kit.session import DICOM, DICOM_JSON, DICOM_XML, OCTETS, Session, related, value
from conformance.kit.verdict import Skipped, expect


def _expect_files(session: Session, path: str, expected: list[bytes]) -> None:
    parts = session.retrieve(path, related(DICOM, "*")).parts()
    expect(sorted(part.body for part in parts) == sorted(expected), f"GET {path}: not the files stored, byte for byte")


def gives_back_a_study(session: Session) -> None:
    samples = session.samples
    _expect_files(session, samples.mr.study_path, [each.data() for each in (*samples.ct, samples.mr)])


def gives_back_a_series(session: Session) -> None:
    _expect_files(session, session.samples.ct[0].series_path, [each.data() for each in session.samples.ct])


def gives_back_an_instance(session: Session) -> None:
    _expect_files(session, session.samples.cine.path, [session.samples.cine.data()])


def labels_its_parts(session: Session) -> None:
    for part in session.retrieve(session.samples.mr.path, related(DICOM, "*")).parts():
        expect(part.media_type == DICOM, f"a part's Content-Type is {part.media_type}")
        expect(part.transfer_syntax == EXPLICIT_LITTLE, f"a part's transfer-syntax is {part.transfer_syntax}")


def gives_explicit_little_endian_by_default(session: Session) -> None:
    for part in session.retrieve(session.samples.mr.path, related(DICOM)).parts():
        expect(part.transfer_syntax == EXPLICIT_LITTLE, f"the default is {part.transfer_syntax}")


def gives_a_single_part_instance(session: Session) -> None:
    answer = session.client.get(session.samples.mr.path, f"{DICOM}; transfer-syntax=*")
    if answer.status == 406:
        raise Skipped("single-part application/dicom is optional")
    expect(answer.status == 200 and answer.body == session.samples.mr.data(), f"gave {answer.status}")


def transcodes(session: Session) -> None:
    sample, offered = session.samples.ct[0], []
    for syntax in (JPEG_2000_LOSSLESS, JPEG_LS_LOSSLESS, RLE_LOSSLESS):
        answer = session.client.get(sample.path, related(DICOM, syntax))
        if answer.status == 406:
            continue
        expect(answer.status == 200, f"{syntax} gave {answer.status}")
        part = answer.parts()[0]
        expect(part.transfer_syntax == syntax and syntax.encode() in part.body[:1000], f"asked for {syntax}, got other")
        offered.append(syntax)
    if not offered:
        raise Skipped("none of JPEG 2000, JPEG-LS and RLE is offered for an uncompressed image")


def serves_metadata_at_every_level(session: Session) -> None:
    sample = session.samples.ct[0]
    for path, count in ((sample.study_path, 4), (sample.series_path, 3), (sample.path, 1)):
        answer = session.retrieve(f"{path}/metadata", DICOM_JSON)
        expect(answer.media_type == DICOM_JSON, f"Content-Type is {answer.media_type}")
        expect(len(answer.json()) == count, f"{path}/metadata holds {len(answer.json())} data sets, expected {count}")


def serves_whole_metadata(session: Session) -> None:
    sample = session.samples.ct[0]
    row = session.retrieve(f"{sample.path}/metadata", DICOM_JSON).json()[0]
    for tag in ("00080018", "00100010", "00280010", "00400275", "00090010", "00091001"):
        expect(tag in row, f"{tag} is missing from the metadata")
    expect(list(row) == sorted(row), "tags are not in ascending order")
    expect(not any(tag.startswith("0002") for tag in row), "group 0002 is part of the metadata")


def serves_metadata_in_xml(session: Session) -> None:
    parts = session.retrieve(f"{session.samples.ct[0].series_path}/metadata", related(DICOM_XML)).parts()
    expect(len(parts) == 3, f"{len(parts)} parts, expected one for each of 3 instances")
    expect(all(b"NativeDicomModel" in part.body for part in parts), "a part is not in the Native DICOM Model")


def serves_bulk_data_by_its_uri(session: Session) -> None:
    sample = session.samples.mr
    uri = _bulk_uri(session, "7FE00010")
    part = session.retrieve(uri, related(OCTETS)).parts()[0]
    expect(part.body == sample.pixels, "the bulk data of Pixel Data are not the pixels stored")


def locates_bulk_data_parts(session: Session) -> None:
    uri = _bulk_uri(session, "7FE00010")
    part = session.retrieve(uri, related(OCTETS)).parts()[0]
    expect(part.headers.get("content-location") == uri, f"Content-Location is {part.headers.get('content-location')}")


def serves_private_bulk_data(session: Session) -> None:
    attribute = _metadata(session)["00091001"]
    if "InlineBinary" in attribute:
        raise Skipped("this server sends the value inline")
    part = session.retrieve(attribute["BulkDataURI"], related(OCTETS)).parts()[0]
    expect(part.body == bytes(range(256)) * 16, "the bulk data of a private element are not the bytes stored")


def serves_bulk_data_as_a_single_part(session: Session) -> None:
    answer = session.client.get(_bulk_uri(session, "7FE00010"), OCTETS)
    if answer.status == 406:
        raise Skipped("single-part octet-stream is optional")
    expect(answer.status == 200 and answer.body == session.samples.mr.pixels, f"gave {answer.status}")


def serves_ranges_of_bulk_data(session: Session) -> None:
    answer = session.client.get(_bulk_uri(session, "7FE00010"), OCTETS, range="bytes=10-19")
    if answer.status in (200, 406):
        raise Skipped("range requests are optional")
    expect(answer.status == 206 and answer.body == session.samples.mr.pixels[10:20], f"gave {answer.status}")


def serves_pixel_data_resources(session: Session) -> None:
    sample = session.samples.cine
    for path in (sample.study_path, sample.series_path, sample.path):
        parts = session.retrieve(f"{path}/pixeldata", related(OCTETS)).parts()
        expect(b"".join(part.body for part in parts) == sample.pixels, f"{path}/pixeldata is not the pixels stored")


def serves_bulk_data_resources(session: Session) -> None:
    sample = session.samples.cine
    for path in (sample.study_path, sample.series_path, sample.path):
        bodies = [part.body for part in session.retrieve(f"{path}/bulkdata", related(OCTETS)).parts()]
        expect(sample.pixels in bodies, f"{path}/bulkdata does not hold the pixels stored")


def serves_single_frames(session: Session) -> None:
    sample = session.samples.cine
    for number in (1, 2, 3):
        parts = session.retrieve(f"{sample.path}/frames/{number}", related(OCTETS)).parts()
        expect([part.body for part in parts] == [sample.frame(number)], f"frame {number} is not the one stored")


def serves_lists_of_frames(session: Session) -> None:
    sample = session.samples.cine
    parts = session.retrieve(f"{sample.path}/frames/1,3", related(OCTETS)).parts()
    expect([part.body for part in parts] == [sample.frame(1), sample.frame(3)], "frames 1,3 are not those two")


def serves_frames_as_viewers_ask(session: Session) -> None:
    accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    part = session.retrieve(f"{session.samples.mr.path}/frames/1", accept).parts()[0]
    expect(part.body == session.samples.mr.frame(1), "an unquoted type did not bring the frame")
    expect(part.transfer_syntax is not None, "the part does not say its transfer syntax")


def refuses_frames_that_are_not_there(session: Session) -> None:
    for numbers, statuses in (("4", (404,)), ("0", (400, 404)), ("one", (400, 404))):
        answer = session.client.get(f"{session.samples.cine.path}/frames/{numbers}", related(OCTETS))
        expect(answer.status in statuses, f"frames/{numbers} gave {answer.status}")


def knows_what_is_not_there(session: Session) -> None:
    sample = session.samples.mr
    for path in (f"/studies/{new_uid()}", f"{sample.study_path}/series/{new_uid()}", f"{sample.path[:-3]}"):
        answer = session.client.get(path, related(DICOM, "*"))
        expect(answer.status == 404, f"an unknown {path.rsplit('/', 2)[1]} gave {answer.status}, expected 404")


def refuses_what_it_cannot_send(session: Session) -> None:
    sample = session.samples.mr
    for path, accept in ((sample.path, "text/csv"), (f"{sample.path}/metadata", "image/png"), (sample.path, "a/b;q=1")):
        answer = session.client.get(path, accept)
        expect(answer.status == 406, f"Accept: {accept} gave {answer.status}, expected 406")


def refuses_single_parts_of_many(session: Session) -> None:
    answer = session.client.get(session.samples.ct[0].series_path, DICOM)
    expect(answer.status == 406, f"application/dicom for a series gave {answer.status}, expected 406")


def weighs_the_ranges_of_accept(session: Session) -> None:
    accept = f"{related(DICOM_XML)}; q=0.3, {DICOM_JSON}; q=0.8, text/csv"
    answer = session.retrieve(f"{session.samples.mr.path}/metadata", accept)
    expect(answer.media_type == DICOM_JSON, f"of xml;q=0.3 and json;q=0.8 came {answer.media_type}")


def takes_any_type(session: Session) -> None:
    for path in (session.samples.mr.path, f"{session.samples.mr.path}/frames/1", f"{session.samples.mr.path}/metadata"):
        answer = session.client.get(path, "*/*")
        expect(answer.status == 200, f"Accept: */* for {path.rsplit('/', 1)[1]} gave {answer.status}")
    answer = session.client.get(_bulk_uri(session, "7FE00010"), 'multipart/related; type="*/*"')
    expect(answer.status == 200, f'type="*/*" for bulk data gave {answer.status}')


def answers_head(session: Session) -> None:
    answer = session.client.request("HEAD", session.samples.mr.path, accept=related(DICOM, "*"))
    expect(answer.status == 200 and not answer.body, f"HEAD gave {answer.status} and {len(answer.body)} bytes")


def validates_metadata_by_etag(session: Session) -> None:
    path = f"{session.samples.mr.study_path}/metadata"
    tag = session.retrieve(path, DICOM_JSON).headers.get("etag")
    if tag is None:
        raise Skipped("entity tags are optional")
    answer = session.client.get(path, DICOM_JSON, if_none_match=tag)
    expect(answer.status == 304 and not answer.body, f"If-None-Match gave {answer.status}, expected 304")


def packs_a_study_into_a_zip(session: Session) -> None:
    answer = session.client.get(session.samples.mr.study_path, "application/zip")
    if answer.status == 406:
        raise Skipped("application/zip is optional")
    expect(answer.status == 200, f"gave {answer.status}")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        expect(len([name for name in archive.namelist() if not name.endswith("/")]) >= 4, "fewer than 4 files")


def sends_documents_as_bulk_data(session: Session) -> None:
    sample = session.samples.report
    attribute = session.retrieve(f"{sample.path}/metadata", DICOM_JSON).json()[0]["00420011"]
    if "InlineBinary" in attribute:
        raise Skipped("this server sends the value inline")
    part = session.retrieve(attribute["BulkDataURI"], 'multipart/related; type="application/pdf", */*;q=0.1').parts()[0]
    expect(part.body.rstrip(b"\0") == sample.document, "the document is not the one stored")


def _metadata(session: Session) -> dict[str, Any]:
    row: dict[str, Any] = session.retrieve(f"{session.samples.mr.path}/metadata", DICOM_JSON).json()[0]
    expect(value(row, "00080018") == session.samples.mr.instance, "metadata of another instance")
    return row


def _bulk_uri(session: Session, tag: str) -> str:
    uri = _metadata(session).get(tag, {}).get("BulkDataURI")
    expect(isinstance(uri, str), f"{tag} has no BulkDataURI")
    expect(str(uri).startswith("http"), f"the BulkDataURI {uri!r} is not absolute")
    return str(uri)


CHECKS: Checks = (
    Check("gives a study back byte for byte", "10.4.1.1.1", gives_back_a_study),
    Check("gives a series back byte for byte", "10.4.1.1.1", gives_back_a_series),
    Check("gives an instance back byte for byte", "10.4.1.1.1", gives_back_an_instance),
    Check("labels each part with its transfer syntax", "8.7.3.5.2", labels_its_parts),
    Check("sends Explicit VR Little Endian by default", "8.7.3.4", gives_explicit_little_endian_by_default),
    Check("sends an instance as a single part", "10.4.4", gives_a_single_part_instance),
    Check("transcodes on request", "8.7.3.5.2", transcodes),
    Check("serves metadata at every level", "10.4.1.1.2", serves_metadata_at_every_level),
    Check("serves every attribute in metadata", "10.4.1.1.2, F", serves_whole_metadata),
    Check("serves metadata in XML", "10.4.4, F", serves_metadata_in_xml),
    Check("serves bulk data by its URI", "10.4.1.1.5", serves_bulk_data_by_its_uri),
    Check("locates each part of bulk data", "8.6.1.2.2", locates_bulk_data_parts),
    Check("serves private bulk data", "10.4.1.1.5", serves_private_bulk_data),
    Check("serves bulk data as a single part", "10.4.4", serves_bulk_data_as_a_single_part),
    Check("serves ranges of bulk data", "8.4.1", serves_ranges_of_bulk_data),
    Check("serves pixel data at every level", "10.4.1.1.6", serves_pixel_data_resources),
    Check("serves bulk data at every level", "10.4.1.1.5", serves_bulk_data_resources),
    Check("serves single frames", "10.4.1.1.6", serves_single_frames),
    Check("serves lists of frames", "10.4.1.1.6", serves_lists_of_frames),
    Check("serves frames as browsers' viewers ask", "8.7.3.5", serves_frames_as_viewers_ask),
    Check("refuses frames that are not there", "10.4.3.1", refuses_frames_that_are_not_there),
    Check("knows what is not there", "10.4.3.1", knows_what_is_not_there),
    Check("refuses with 406 what it cannot send", "8.7.5", refuses_what_it_cannot_send),
    Check("refuses one part for many instances", "8.7.3.1", refuses_single_parts_of_many),
    Check("weighs the ranges of Accept", "8.7.5", weighs_the_ranges_of_accept),
    Check("takes any type", "8.7.5", takes_any_type),
    Check("answers HEAD", "RFC 9110 9.3.2", answers_head),
    Check("validates metadata by entity tag", "RFC 9110 13.1.2", validates_metadata_by_etag),
    Check("packs a study into a ZIP file", "8.7.3.3, 10.4.4", packs_a_study_into_a_zip),
    Check("sends documents as bulk data", "10.4.1.1.5", sends_documents_as_bulk_data),
)
