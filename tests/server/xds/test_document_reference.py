"""A document entry as DocumentReference, and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.findings import Severity
from server.fhir.index.indexer import Indexer
from server.fhir.index.registry import Registry
from server.fhir.json_form import Resource
from server.fhir.knowledge import Knowledge, knowledge_of
from server.kernel.offload import Offload
from server.xds.datatypes import Cx, Cxi, Dtm, Xcn, Xon
from server.xds.document_reference import document_reference
from server.xds.lists import folder_list, submission_list
from server.xds.metadata import Association, Author, Code, DocumentEntry, Folder, Localized, SubmissionSet
from server.xds.mhd_reading import Provided, document_entry, folder, relations, submission_set
from server.xds.vocabulary import APND, DEPRECATED, RPLC, SIGNS, XFRM, XFRM_RPLC

ID = "urn:uuid:0cfedab5-af95-4e82-8d5c-6eee02c86c60"
OTHER = "urn:uuid:0cfedab5-af95-4e82-8d5c-6eee02c86c61"
PATIENT = "7^^^&1.2.3&ISO"
URL = "http://localhost/fhir/Binary/0cfedab5-af95-4e82-8d5c-6eee02c86c60"
CONFIDENTIALITY = "2.16.840.1.113883.5.25"

ENTRY = DocumentEntry(
    id=ID,
    unique_id="1.2.840.99.1",
    patient_id=PATIENT,
    mime_type="application/pdf",
    class_code=Code("REPORTS", "Connect-a-thon classCodes", "Reports"),
    type_code=Code("18748-4", "2.16.840.1.113883.6.1", "Diagnostic imaging study"),
    format_code=Code("1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.2.6.1", "KOS"),
    facility_type_code=Code("x", "1.2.3", "Hospital"),
    practice_setting_code=Code("r", "1.2.3", "Radiology"),
    confidentiality_codes=(Code("R", CONFIDENTIALITY, "restricted"),),
    event_codes=(Code("CT", "1.2.840.10008.2.16.4", "CT"),),
    authors=(
        Author(
            "1^Li^Wei^^^Dr^MD^^&1.2.9&ISO", ("H^^^^^&1.2.5&ISO^^^^44", "H2^^^^^^^^^1.2.6"), ("doctor",), ("radiology",)
        ),
        Author("", ("Clinic",), (), (), ("^^Internet^a@b.example",)),
        Author("^Mu"),
    ),
    creation_time="20260101",
    service_start_time="20260101020300",
    service_stop_time="2027",
    hash="da39a3ee5e6b4b0d3255bfef95601890afd80709",
    size=0,
    language_code="zh-CN",
    legal_authenticator="^Wang^Fang",
    source_patient_id="77^^^&1.2.4&ISO",
    source_patient_info=(
        "PID-3|77^^^&1.2.4&ISO",
        "PID-5|Li^Si",
        "PID-7|19800101",
        "PID-8|M",
        "PID-11|1 Street^^City^ST^123^CN",
    ),
    reference_ids=(
        "1.2.3^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
        "A1^^^&1.2.5&ISO^urn:ihe:iti:xds:2013:accession",
        "x^^^NS^local kind",
        "E1^^^&1.2.5&ISO^urn:ihe:iti:xds:2015:encounterId",
    ),
    home="urn:oid:1.2.3.9",
    title=(Localized("Report"),),
    comments=(Localized("comments"),),
)


@pytest.fixture(scope="module")
def knowledge() -> Any:
    threads = Offload()
    yield knowledge_of(("http://localhost/fhir",), UTC, threads, Severity.ERROR)
    threads.close()


def errors(knowledge: Knowledge, resource: Resource) -> list[str]:
    found = knowledge.validation._found(resource)
    return [f"{each.expression}: {each.text}" for each in found if each.is_error]


def back(resource: Resource) -> DocumentEntry:
    return document_entry(Provided(resource, lambda _: None), ID, PATIENT)


def test_every_attribute_has_its_place(knowledge: Knowledge) -> None:
    made = document_reference(ENTRY, "Patient/3", URL, [Association(id=OTHER, type=RPLC, source=ID, target=OTHER)])
    attachment = made["content"][0]["attachment"]

    assert errors(knowledge, made) == []
    assert made["masterIdentifier"]["value"] == "urn:oid:1.2.840.99.1"
    assert made["identifier"] == [{"use": "official", "system": "urn:ietf:rfc:3986", "value": ID}]
    assert (made["status"], made["subject"]) == ("current", {"reference": "Patient/3"})
    assert made["type"]["coding"][0]["system"] == "http://loinc.org"
    assert made["category"][0]["coding"][0]["system"] == "urn:weft:coding-scheme:Connect-a-thon%20classCodes"
    assert attachment | {"title": ""} == {
        "contentType": "application/pdf",
        "language": "zh-CN",
        "url": URL,
        "size": 0,
        "hash": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        "title": "",
        "creation": "2026-01-01",
    }
    assert made["context"]["period"] == {"start": "2026-01-01T02:03:00Z", "end": "2027"}
    assert made["context"]["related"][0]["identifier"]["value"] == "urn:oid:1.2.3"
    assert [each["identifier"]["value"] for each in made["context"]["encounter"]] == ["E1"]
    assert made["relatesTo"] == [
        {"code": "replaces", "target": {"reference": "DocumentReference/0cfedab5-af95-4e82-8d5c-6eee02c86c61"}}
    ]
    assert [each["display"] for each in made["author"]] == ["Dr Wei Li", "Dr Wei Li", "Clinic", "Mu"]


def test_labels_stand_where_access_looks_for_them() -> None:
    made = document_reference(ENTRY, "Patient/3", URL)
    keys = Indexer(Registry()).keys(made, 0)

    assert made["meta"]["security"][0]["system"] == "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    assert keys["@level"] == {4}
    assert keys["@patient"] == {"Patient/3"}


def test_an_entry_comes_back_as_it_went() -> None:
    assert back(document_reference(ENTRY, "Patient/3", URL)) == ENTRY


def test_a_deprecated_on_demand_entry_comes_back() -> None:
    entry = replace(ENTRY, status=DEPRECATED, hash="", size=None, is_limited=True, source_patient_info=())

    assert back(document_reference(entry, "Patient/3", URL)) == entry


def test_relations_come_back_and_a_transforming_replacement_is_one() -> None:
    made = document_reference(
        ENTRY,
        "Patient/3",
        URL,
        [Association(id=OTHER, type=each, source=ID, target=OTHER) for each in (APND, SIGNS, XFRM)],
    )
    target = "DocumentReference/0cfedab5-af95-4e82-8d5c-6eee02c86c61"

    assert relations(made) == [(APND, target), (SIGNS, target), (XFRM, target)]
    made["relatesTo"] = [{"code": each, "target": {"reference": "x"}} for each in ("replaces", "transforms")]
    assert relations(made) == [(XFRM_RPLC, "x")]


def test_a_hash_is_read_in_the_forms_it_is_sent_in() -> None:
    made = document_reference(ENTRY, "Patient/3", URL)
    for sent in (ENTRY.hash, "ZGEzOWEzZWU1ZTZiNGIwZDMyNTViZmVmOTU2MDE4OTBhZmQ4MDcwOQ=="):
        made["content"][0]["attachment"]["hash"] = sent
        assert back(made).hash == ENTRY.hash


def test_authors_listed_one_by_one_are_one_author() -> None:
    made = document_reference(ENTRY, "Patient/3", URL)
    made["contained"] = [
        {"resourceType": "Practitioner", "id": "p", "name": [{"family": "Li"}]},
        {"resourceType": "Organization", "id": "o", "name": "H"},
        {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "#p"},
         "organization": {"reference": "#o"}},
    ]  # fmt: skip
    for order in ("pro", "orp", "rpo"):
        made["author"] = [{"reference": f"#{each}"} for each in order]
        assert back(made).authors == (Author("^Li", ("H",)),)


def test_lists_come_back(knowledge: Knowledge) -> None:
    sent = SubmissionSet(
        id=ID,
        unique_id="1.2.3.4",
        patient_id=PATIENT,
        source_id="1.2.3",
        submission_time="20260101010101",
        content_type_code=Code("c", "1.2.3", "C"),
        authors=(Author("^Li", ("H",), ("doctor",)),),
        intended_recipients=("|^Smith|^^Internet^a@b.example", "Clinic"),
        home="urn:oid:1.2.3.9",
        title=(Localized("t"),),
        comments=(Localized("c"),),
    )
    kept = Folder(
        id=ID,
        unique_id="1.2.3.4",
        patient_id=PATIENT,
        codes=(Code("a", "1.2.3", "A"), Code("b", "1.2.3", "B")),
        last_update_time="20260101010101",
        title=(Localized("t"),),
        is_limited=True,
    )
    by_clinic = replace(sent, authors=(Author("", ("Clinic",)),), status=DEPRECATED)
    for each in (sent, by_clinic):
        made = submission_list(each, "Patient/3", ("DocumentReference/1",))
        assert errors(knowledge, made) == []
        assert submission_set(Provided(made, lambda _: None), ID, PATIENT) == each
    made = folder_list(kept, "Patient/3")
    assert errors(knowledge, made) == []
    assert folder(Provided(made, lambda _: None), ID, PATIENT) == kept


# Texts as XDS allows them, none of which FHIR has to clean.
words = st.text(st.characters(categories=["L", "N", "S", "P"]), min_size=1, max_size=12)
oids = st.from_regex(r"[012](\.(0|[1-9][0-9]{0,5})){1,6}", fullmatch=True)
unnamed = st.just(())
codes = st.builds(
    Code, words, st.one_of(oids, words.map(lambda each: "scheme " + each)), st.one_of(st.just(""), words), unnamed
)
times = st.datetimes().map(lambda each: str(Dtm.of(each.replace(tzinfo=UTC))))
dtms = st.tuples(times, st.sampled_from([4, 6, 8, 14])).map(lambda each: each[0][: each[1]])
extensions = st.from_regex(r"[A-Z0-9]{1,16}", fullmatch=True)
persons = st.builds(
    lambda id_, family, given, second, prefix, authority: str(
        Xcn(id_, family, given, second if given else "", "", prefix, "", authority if id_ else "")
    ),
    st.one_of(st.just(""), words), words, st.one_of(st.just(""), words), st.one_of(st.just(""), words),
    st.one_of(st.just(""), words), oids,
)  # fmt: skip
institutions = st.builds(
    lambda name, authority, id_: str(Xon(name, authority if id_ else "", id_)),
    words,
    oids,
    st.one_of(st.just(""), words),
)
authors = st.one_of(
    st.builds(
        Author,
        persons,
        st.lists(institutions, max_size=2, unique=True).map(tuple),
        st.lists(words, max_size=2, unique=True).map(tuple),
        st.lists(words, max_size=1).map(tuple),
    ),
    st.builds(Author, st.just(""), institutions.map(lambda each: (each,))),
)
numbers = st.builds(lambda id_, authority: str(Cx(id_, authority)), words, oids)
references = st.builds(
    lambda id_, authority, kind: str(Cxi(id_, authority, kind)),
    words,
    st.one_of(st.just(""), oids, words),
    st.sampled_from(["urn:ihe:iti:xds:2013:accession", "urn:ihe:iti:xds:2013:order", "urn:x:y", "local"]),
)
entries = st.builds(
    DocumentEntry,
    id=st.just(ID),
    unique_id=st.one_of(
        oids, st.builds(lambda oid, more: f"{oid}^{more}", oids, st.from_regex(r"[A-Z0-9]{1,16}", fullmatch=True))
    ),
    patient_id=st.just(PATIENT),
    mime_type=st.sampled_from(["text/plain", "application/dicom", "text/xml; charset=utf-8"]),
    class_code=st.one_of(st.none(), codes),
    type_code=st.one_of(st.none(), codes),
    format_code=st.one_of(st.none(), codes),
    facility_type_code=st.one_of(st.none(), codes),
    practice_setting_code=st.one_of(st.none(), codes),
    confidentiality_codes=st.lists(codes, max_size=2).map(tuple),
    event_codes=st.lists(codes, max_size=2).map(tuple),
    authors=st.lists(authors, max_size=2, unique_by=lambda each: each.person).map(tuple),
    status=st.sampled_from([ENTRY.status, DEPRECATED]),
    creation_time=st.one_of(st.just(""), dtms),
    service_start_time=st.one_of(st.just(""), times.map(lambda each: each[:8])),
    service_stop_time=st.one_of(st.just(""), st.just("99991231")),
    hash=st.one_of(st.just(""), st.binary(min_size=20, max_size=20).map(bytes.hex)),
    size=st.one_of(st.none(), st.integers(0, 2**31 - 1)),
    language_code=st.sampled_from(["", "zh-CN", "en", "nb-NO"]),
    legal_authenticator=st.one_of(st.just(""), persons),
    source_patient_id=st.one_of(st.just(""), numbers),
    reference_ids=st.lists(references, max_size=3, unique=True).map(tuple),
    home=st.one_of(st.just(""), oids.map(lambda each: f"urn:oid:{each}")),
    title=st.one_of(st.just(()), words.map(lambda each: (Localized(each),))),
    comments=st.one_of(st.just(()), words.map(lambda each: (Localized(each),))),
    is_limited=st.booleans(),
)


@settings(max_examples=30, deadline=None)
@given(entries)
def test_any_entry_is_valid_r4_and_comes_back(knowledge: Knowledge, entry: DocumentEntry) -> None:
    made = document_reference(entry, "Patient/3", URL)

    assert errors(knowledge, made) == []
    assert back(made) == entry


@pytest.mark.parametrize(
    ("start", "stop", "told"),
    [
        ("20260301", "202603011015", ("2026-03-01", "2026-03-01")),
        ("2026", "202603", ("2026", "2026")),
        ("202603010930", "202603011015", ("2026-03-01T09:30:00Z", "2026-03-01T10:15:00Z")),
        ("202603010930", "20260301", ("2026-03-01T09:30:00Z", None)),
    ],
)
def test_a_period_never_ends_where_it_cannot_be_told_from_its_start(
    start: str, stop: str, told: tuple[str, str | None]
) -> None:
    made = document_reference(replace(ENTRY, service_start_time=start, service_stop_time=stop), "Patient/3", URL)
    period = made["context"]["period"]
    assert (period["start"], period.get("end")) == told


odd = st.text(max_size=8)
strange = st.builds(
    DocumentEntry,
    id=st.just(ID),
    unique_id=odd,
    patient_id=st.just(PATIENT),
    mime_type=st.one_of(st.just("a/b; x"), odd.map(lambda each: f"a/b;{each}")),
    class_code=st.builds(Code, odd, odd, odd, unnamed),
    type_code=st.builds(
        Code, odd, st.sampled_from(["2.16.840.1.113883.6.1", CONFIDENTIALITY, "http://a b"]), odd, unnamed
    ),
    format_code=st.builds(Code, odd, odd, odd, unnamed),
    confidentiality_codes=st.lists(st.builds(Code, odd, st.just(CONFIDENTIALITY), odd, unnamed), max_size=1).map(tuple),
    authors=st.lists(
        st.builds(Author, odd, st.tuples(odd), st.tuples(odd), st.tuples(odd), st.tuples(odd)), max_size=2
    ).map(tuple),
    creation_time=odd,
    hash=odd,
    size=st.integers(0, 2**40),
    language_code=st.one_of(odd, st.just("xx-ZZ")),
    legal_authenticator=odd,
    source_patient_id=odd,
    source_patient_info=st.lists(
        st.builds(lambda n, text: f"PID-{n}|{text}", st.sampled_from([3, 5, 7, 8, 11, 13]), odd), max_size=3
    ).map(tuple),
    reference_ids=st.lists(st.one_of(odd, odd.map(lambda each: f"{each}^^^^{each}")), max_size=2).map(tuple),
    title=odd.map(lambda each: (Localized(each),)),
)


@settings(max_examples=30, deadline=None)
@given(strange)
def test_whatever_the_registry_takes_is_valid_r4(knowledge: Knowledge, entry: DocumentEntry) -> None:
    assert errors(knowledge, document_reference(entry, "Patient/3", URL)) == []
