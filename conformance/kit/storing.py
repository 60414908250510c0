"""STOW-RS: what is accepted, what is refused, and how each is told (PS3.18 10.5, annex I)."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

from conformance.kit.client import multipart
from conformance.kit.report import Check, Checks
from conformance.kit.samples import new_uid
from conformance.kit.session import DICOM, DICOM_JSON, DICOM_XML, OCTETS, Session, sequence, value
from conformance.kit.verdict import Skipped, expect

_REFERENCED, _FAILED, _REASON = "00081199", "00081198", "00081197"


def stores_many_studies_at_once(session: Session) -> None:
    answer = session.store(*(sample.data() for sample in session.samples.all))
    expect(answer.status in (200, 202), f"storing gave {answer.status}: {answer.body[:200]!r}")
    stored = {value(item, "00081155") for item in sequence(answer, _REFERENCED)}
    expect(stored == {sample.instance for sample in session.samples.all}, "not every instance is referenced as stored")


def answers_in_json_with_urls(session: Session) -> None:
    answer = session.store(session.samples.mr.data())
    expect(answer.media_type == DICOM_JSON, f"Content-Type is {answer.media_type}")
    referenced = sequence(answer, _REFERENCED)
    expect(bool(referenced), "Referenced SOP Sequence is missing")
    expect(bool(value(referenced[0], "00081150")), "Referenced SOP Class UID is missing")
    found = session.client.get(session.client.path_of(value(referenced[0], "00081190") or ""), "*/*")
    expect(found.status == 200, f"Retrieve URL answers {found.status}")


def leaves_empty_sequences_out(session: Session) -> None:
    body = session.store(session.samples.mr.data()).json()
    expect(_FAILED not in body and "0008119A" not in body, "a sequence without items is present")


def answers_in_xml(session: Session) -> None:
    answer = session.store(session.samples.mr.data(), accept=DICOM_XML)
    expect(answer.status == 200, f"storing gave {answer.status}")
    expect(answer.media_type == DICOM_XML, f"Content-Type is {answer.media_type}")
    expect(b"NativeDicomModel" in answer.body, "the body is not in the Native DICOM Model")


def stores_again_the_same_bytes(session: Session) -> None:
    sample = session.samples.ct[0]
    answer = session.store(sample.data())
    expect(answer.status in (200, 202), f"the same bytes again gave {answer.status}")
    expect(len(session.search(f"{sample.series_path}/instances?SOPInstanceUID={sample.instance}")) == 1, "a duplicate")


def keeps_the_first_of_two_versions(session: Session) -> None:
    sample = session.samples.ct[0]
    answer = session.store(replace(sample, patient_name="Other^Name").data())
    if answer.status in (200, 202) and not sequence(answer, _FAILED):
        raise Skipped("this server replaces an instance by a later one of the same UID")
    expect(answer.status == 409, f"other bytes under a known UID gave {answer.status}, expected 409")
    expect(value(sequence(answer, _FAILED)[0], _REASON) is not None, "Failure Reason is missing")


def refuses_another_study_than_the_url(session: Session) -> None:
    answer = session.store(session.samples.mr.data(), study=new_uid())
    expect(answer.status == 409, f"an instance of another study gave {answer.status}, expected 409")


def stores_into_the_study_of_the_url(session: Session) -> None:
    sample = session.samples.mr
    answer = session.store(sample.data(), study=sample.study)
    expect(answer.status == 200, f"storing gave {answer.status}")


def keeps_the_neighbours_of_a_bad_part(session: Session) -> None:
    sample = session.samples.ct[1]
    answer = session.store(b"this is not DICOM", sample.data(), b"")
    expect(answer.status == 202, f"one good part of three gave {answer.status}, expected 202")
    expect([value(each, "00081155") for each in sequence(answer, _REFERENCED)] == [sample.instance], "neighbour lost")
    failures = len(sequence(answer, _FAILED)) + len(sequence(answer, "0008119A"))
    expect(failures == 2, f"{failures} failures are told, expected 2")


def refuses_when_no_part_is_dicom(session: Session) -> None:
    answer = session.store(b"this is not DICOM")
    expect(answer.status in (400, 409), f"a body without DICOM gave {answer.status}, expected 409 or 400")


def refuses_other_content_types(session: Session) -> None:
    answer = session.client.post("/studies", b"hello", "text/plain", DICOM_JSON)
    expect(answer.status == 415, f"text/plain gave {answer.status}, expected 415")


def refuses_an_unanswerable_accept(session: Session) -> None:
    answer = session.store(session.samples.mr.data(), accept="text/csv")
    expect(answer.status == 406, f"Accept: text/csv gave {answer.status}, expected 406")


def takes_a_chunked_body(session: Session) -> None:
    sample = session.samples.mr
    body, content_type = multipart([(DICOM, sample.data())], DICOM)
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    answer = session.client.post("/studies", pieces, content_type, DICOM_JSON)
    expect(answer.status == 200, f"a chunked body gave {answer.status}")


def takes_an_unquoted_type(session: Session) -> None:
    body, content_type = multipart([(DICOM, session.samples.mr.data())], DICOM)
    answer = session.client.post("/studies", body, content_type.replace('"', ""), DICOM_JSON)
    expect(answer.status == 200, f"type=application/dicom without quotes gave {answer.status}")


def takes_a_single_part(session: Session) -> None:
    answer = session.client.post("/studies", session.samples.mr.data(), DICOM, DICOM_JSON)
    if answer.status == 415:
        raise Skipped("single-part application/dicom is optional")
    expect(answer.status == 200, f"a single part gave {answer.status}")


def takes_metadata_with_bulk_data(session: Session) -> None:
    sample = replace(session.samples.ct[2], study=new_uid(), series=new_uid(), instance=new_uid())
    location = "kit-pixels"
    body, content_type = multipart(
        [
            (DICOM_JSON, json.dumps([_as_json(sample.study, sample.series, sample.instance, location)]).encode()),
            (f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.1", sample.pixels, location),
        ],
        DICOM_JSON,
    )
    answer = session.client.post("/studies", body, content_type, DICOM_JSON)
    expect(answer.status in (200, 202), f"dicom+json with bulk data gave {answer.status}: {answer.body[:300]!r}")
    frame = session.client.get(f"{sample.path}/frames/1", 'multipart/related; type="application/octet-stream"')
    expect(frame.status == 200 and frame.parts()[0].body == sample.pixels, "the pixels sent are not the pixels kept")
    session.client.request("DELETE", sample.study_path)


def _as_json(study: str, series: str, instance: str, location: str) -> dict[str, object]:
    def attribute(vr: str, *content: object) -> dict[str, object]:
        return {"vr": vr, "Value": list(content)}

    return {
        "00080005": attribute("CS", "ISO_IR 192"),
        "00080016": attribute("UI", "1.2.840.10008.5.1.4.1.1.2"),
        "00080018": attribute("UI", instance),
        "00080020": attribute("DA", "20240229"),
        "00080060": attribute("CS", "CT"),
        "00100010": attribute("PN", {"Alphabetic": "Kit^Json", "Ideographic": "王^小东"}),
        "00100020": attribute("LO", "KIT-JSON"),
        "0020000D": attribute("UI", study),
        "0020000E": attribute("UI", series),
        "00280002": attribute("US", 1),
        "00280004": attribute("CS", "MONOCHROME2"),
        "00280010": attribute("US", 16),
        "00280011": attribute("US", 16),
        "00280100": attribute("US", 16),
        "00280101": attribute("US", 12),
        "00280102": attribute("US", 11),
        "00280103": attribute("US", 0),
        "00281101": {"vr": "OW", "InlineBinary": base64.b64encode(b"\0\1\2\3").decode()},
        "7FE00010": {"vr": "OW", "BulkDataURI": location},
    }


CHECKS: Checks = (
    Check("stores several studies in one request", "10.5.1", stores_many_studies_at_once),
    Check("answers in JSON with working Retrieve URLs", "10.5.3, I.2", answers_in_json_with_urls),
    Check("leaves sequences without items out", "I.2", leaves_empty_sequences_out),
    Check("answers a store in XML", "10.5.3.3", answers_in_xml),
    Check("takes the same bytes again as success", "10.5.3", stores_again_the_same_bytes),
    Check("tells when a known UID comes with other bytes", "I.2.2", keeps_the_first_of_two_versions),
    Check("refuses an instance of another study than the URL's", "10.5.2", refuses_another_study_than_the_url),
    Check("stores into the study of the URL", "10.5.1", stores_into_the_study_of_the_url),
    Check("keeps the neighbours of a bad part", "10.5.3.1", keeps_the_neighbours_of_a_bad_part),
    Check("refuses a body without DICOM", "10.5.3.1", refuses_when_no_part_is_dicom),
    Check("refuses other content types with 415", "8.5, 10.5.3.1", refuses_other_content_types),
    Check("refuses a store it cannot answer with 406", "8.7.5", refuses_an_unanswerable_accept),
    Check("takes a chunked body", "8.4.2", takes_a_chunked_body),
    Check("takes a type parameter without quotes", "8.7.1", takes_an_unquoted_type),
    Check("takes a single-part instance", "8.6.1.1", takes_a_single_part),
    Check("takes metadata with bulk data parts", "10.5.2, 8.6.1.2.2", takes_metadata_with_bulk_data),
)
