"""What CDA and FHIR documents tell of themselves, each attribute from its place; whatever else comes is refused."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.kernel.problem import Kind, Problem
from server.xds import cda_headers, fhir_documents
from server.xds.datatypes import uuid_oid
from server.xds.fhir_codes import level
from server.xds.metadata import Author, Code, Localized
from server.xds.self_told import labels, unique_id
from tests.data.structured_documents import CONFIDENTIALITY, cda, fhir_document, section

NUMBER = {"system": "urn:oid:1.2.6.5", "value": "P-7"}
CDA = cda("P-7", root="1.2.6.5", unique="1.2.3.4")


def test_every_attribute_of_a_cda_header_has_its_place() -> None:
    told = cda_headers.read(CDA, "text/xml")
    entry = told.entry

    assert told.numbers == ({"system": "urn:oid:1.2.6.404", "value": "nobody"}, NUMBER)
    assert (entry.unique_id, entry.mime_type, entry.title) == ("1.2.3.4^7", "text/xml", (Localized("胸部 CT"),))
    assert entry.type_code == Code("18748-4", "2.16.840.1.113883.6.1", "Diagnostic imaging study")
    assert entry.confidentiality_codes == (Code("N", "2.16.840.1.113883.5.25"),)
    assert (entry.creation_time, entry.language_code) == ("20261122021530", "zh-CN")
    assert (entry.service_start_time, entry.service_stop_time) == ("202611220100", "20261122")
    assert entry.event_codes == (Code("P5-08000", "2.16.840.1.113883.6.96"),)
    assert entry.facility_type_code == Code("HOSP", "2.16.840.1.113883.5.111")
    assert entry.authors == (
        Author("D7^Li^Na^^^Dr^^^&1.2.6.8&ISO", ("Hospital A^^^^^^^^^1.2.6.9",), ("Radiologist",), ("Radiology",)),
    )
    assert entry.legal_authenticator == "D8^Zhao^^^^^^^&1.2.6.8&ISO"
    assert entry.source_patient_id == "nobody^^^&1.2.6.404&ISO"
    assert entry.source_patient_info[-3:] == ("PID-5|王^小明", "PID-7|19700102", "PID-8|M")
    assert entry.reference_ids == ("E1^^^&1.2.6.10&ISO^urn:ihe:iti:xds:2015:encounterId",)


def test_every_attribute_of_a_fhir_document_has_its_place() -> None:
    bundle = fhir_document([NUMBER], unique="1.2.3.4") | {"meta": {"profile": ["http://example.org/summary|1.0"]}}
    told = fhir_documents.read(bundle, "application/fhir+json")
    entry = told.entry

    assert (told.numbers, told.patient) == ((NUMBER,), "https://elsewhere.example/fhir/Patient/1")
    assert (entry.unique_id, entry.mime_type) == ("1.2.3.4", "application/fhir+json")
    assert (entry.title, entry.language_code) == ((Localized("病历摘要"),), "zh-CN")
    assert entry.type_code == Code("60591-5", "2.16.840.1.113883.6.1", "Patient summary")
    assert entry.class_code == Code("11503-0", "2.16.840.1.113883.6.1")
    assert entry.format_code == Code("http://example.org/summary", "urn:ietf:rfc:3986")
    assert entry.confidentiality_codes == (level("N"),)
    assert entry.creation_time == "20261122021530"
    assert (entry.service_start_time, entry.service_stop_time) == ("20261120", "20261122")
    assert entry.event_codes == (Code("77477000", "2.16.840.1.113883.6.96"),)
    assert entry.authors == (Author("D7^Li^Na^^^^^^&1.2.6.8&ISO", ("Hospital A",), (), ("Radiology",)),)
    assert entry.legal_authenticator == "D7^Li^Na^^^^^^&1.2.6.8&ISO"
    assert entry.source_patient_id == "P-7^^^&1.2.6.5&ISO"
    assert entry.source_patient_info == ("PID-3|P-7^^^&1.2.6.5&ISO", "PID-5|王^小明", "PID-7|19700102", "PID-8|M")
    assert entry.reference_ids == ("E1^^^&1.2.6.10&ISO^urn:ihe:iti:xds:2015:encounterId",)


def test_a_document_bears_the_labels_of_its_parts_and_of_levels_the_highest() -> None:
    bundle = fhir_document([NUMBER])
    psy = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
    bundle["entry"][3]["resource"]["meta"] = {
        "security": [{"system": CONFIDENTIALITY, "code": "R"}, psy, {"system": "urn:other", "code": "x"}]
    }
    found = fhir_documents.read(bundle, "application/fhir+json").entry.confidentiality_codes
    assert sorted(each.code for each in found) == ["PSY", "R"]
    secret = cda_headers.read(cda("P-7", root="1.2.6.5", more=section("V")), "text/xml")
    assert [each.code for each in secret.entry.confidentiality_codes] == ["V"]
    assert labels([None, level("V"), level("N"), level("V")]) == (level("V"),)


LEVEL = b'<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>'


@pytest.mark.parametrize(
    ("told", "codes"),
    [
        ('<confidentialityCode code="R"/>', [level("R")]),
        ('<confidentialityCode code="3" codeSystem="1.2.156.1"/>', [Code("3", "1.2.156.1")]),
        (
            '<confidentialityCode nullFlavor="OTH"><translation code="V" codeSystem="2.16.840.1.113883.5.25"/>'
            "</confidentialityCode>",
            [level("V")],
        ),
        ('<confidentialityCode nullFlavor="UNK"/>', []),
    ],
)
def test_no_label_of_a_cda_document_is_lost(told: str, codes: list[Code]) -> None:
    found = cda_headers.read(CDA.replace(LEVEL, told.encode()), "text/xml").entry.confidentiality_codes
    assert [each.key for each in found] == [each.key for each in codes]


INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"


@pytest.mark.parametrize("system", [CONFIDENTIALITY, "http://hl7.org/fhir/v3/Confidentiality", None])
@pytest.mark.parametrize("place", ["resource", "within", "inline"])
def test_no_label_within_a_fhir_document_is_lost(place: str, system: str | None) -> None:
    label = {"code": "V"} | ({"system": system} if system else {})
    labelled: Any = {"resourceType": "Basic", "code": {"text": "x"}, "meta": {"security": [label]}}
    if place == "within":
        labelled = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": labelled}]}
    if place == "inline":
        inline = {"extension": [{"url": INLINE, "valueCoding": label}], "text": "x"}
        labelled = {"resourceType": "Basic", "code": inline}
    bundle = fhir_document([NUMBER])
    bundle["entry"].append({"fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e9", "resource": labelled})
    [found] = fhir_documents.read(bundle, "application/fhir+json").entry.confidentiality_codes
    assert found.key == level("V").key


def test_a_scanned_document_may_be_long() -> None:
    scanned = b'<text mediaType="application/pdf" representation="B64">' + b"JVBERi0x" * 2_000_000 + b"</text>"
    told = cda_headers.read(cda("P-7", root="1.2.6.5", more=scanned.decode()), "text/xml")
    assert told.entry.title == (Localized("胸部 CT"),)
    with pytest.raises(Problem):
        cda_headers.read(CDA + scanned[scanned.index(b">") :], "text/xml")


def test_values_that_have_only_extensions_are_none() -> None:
    """Each is null in its list, or not there at all (R4 json.html#primitive)."""
    bundle = fhir_document([NUMBER])
    patient, doctor = (bundle["entry"][n]["resource"] for n in (1, 3))
    patient["address"] = [{"line": [None, "Road 1"]}]
    for each in (patient, doctor):
        each["name"] = [{"family": "Li", "given": [None, "Na"], "suffix": [None], "prefix": [None]}]
    del bundle["entry"][0]["resource"]["title"]
    entry = fhir_documents.read(bundle, "application/fhir+json").entry
    assert entry.title == ()
    assert [each for each in entry.source_patient_info if each[:5] != "PID-3"] == [
        "PID-5|Li^Na", "PID-7|19700102", "PID-8|M", "PID-11|Road 1",
    ]  # fmt: skip
    assert entry.legal_authenticator == "D7^Li^Na^^^^^^&1.2.6.8&ISO"


def test_a_unique_id_is_the_same_for_the_same_identifier_and_nobody_elses() -> None:
    uuid = "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    assert unique_id({"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid}"}) == uuid_oid(uuid)
    assert unique_id({"system": "urn:oid:1.2.3", "value": "7"}) == "1.2.3^7"
    local = [{"system": f"http://{each}.example/documents", "value": "7"} for each in "aab"]
    one, same, other = map(unique_id, local)
    assert one == same != other
    assert one.startswith("2.25.")


def test_a_composition_without_an_identifier_goes_by_its_address() -> None:
    bundle = fhir_document([NUMBER], identifier=None)
    bundle["entry"][0]["fullUrl"] = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1"
    bundle["entry"][0]["resource"]["author"] = [{"reference": bundle["entry"][3]["fullUrl"]}]
    entry = fhir_documents.read(bundle, "application/fhir+json").entry
    assert entry.unique_id == uuid_oid("0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1")
    assert [each.person for each in entry.authors] == ["D7^Li^Na^^^^^^&1.2.6.8&ISO"]
    assert entry.reference_ids == (), "relative to nothing"


def test_a_patient_is_never_told_by_an_address_that_is_relative_to_nothing() -> None:
    bundle = fhir_document([NUMBER], subject={"reference": "Patient/3"})
    assert fhir_documents.read(bundle, "x").patient == "https://elsewhere.example/fhir/Patient/3"
    bundle["entry"][0]["fullUrl"] = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1"
    assert fhir_documents.read(bundle, "x").patient == ""
    group = fhir_document([NUMBER], subject={"reference": "https://elsewhere.example/fhir/Organization/1"})
    with pytest.raises(Problem, match="no Patient"):
        fhir_documents.read(group, "x")


@pytest.mark.parametrize(
    ("told", "utc"),
    [
        ("2026", "2026"),
        ("20261122", "20261122"),
        ("202611220030+0800", "202611211630"),
        ("20261122003015.5-0530", "20261122060015"),
        ("20261131", ""),
        ("00010101000000+0800", ""),
        ("soon", ""),
    ],
)
def test_times_are_in_utc_and_no_more_precise_than_told(told: str, utc: str) -> None:
    changed = CDA.replace(b"20261122101530.250+0800", told.encode())
    assert cda_headers.read(changed, "text/xml").entry.creation_time == utc


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<ClinicalDocument/>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + CDA.partition(b"?>")[2].strip(),
        b'<!DOCTYPE a [<!ENTITY a "b">]>' + CDA.partition(b"?>")[2].strip().replace("胸部".encode(), b"&a;"),
        b"<a>" * 100_000,
        CDA.replace(b'<id root="1.2.3.4" extension="7"/>', b""),
        CDA.replace(b'<id root="1.2.3.4"', b'<id root="nothing"'),
    ],
)
def test_what_is_no_cda_document_is_refused(octets: bytes) -> None:
    with pytest.raises(Problem) as caught:
        cda_headers.read(octets, "text/xml")
    assert caught.value.kind is Kind.INVALID


@given(st.integers(0, len(CDA)), st.integers(0, 200), st.binary(max_size=20))
def test_a_bent_document_is_read_or_refused(at: int, length: int, put: bytes) -> None:
    with suppress(Problem):
        cda_headers.read(CDA[:at] + put + CDA[at + length :], "text/xml")


@given(st.data())
def test_a_fhir_document_without_some_of_its_parts_is_read_or_refused(data: st.DataObject) -> None:
    bundle: Any = copy.deepcopy(fhir_document([NUMBER]))
    for each in bundle["entry"]:
        for name in data.draw(st.sets(st.sampled_from(sorted(each["resource"].keys() - {"resourceType", "title"})))):
            del each["resource"][name]
    with suppress(Problem):
        fhir_documents.read(bundle, "application/fhir+json")
