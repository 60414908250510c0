from __future__ import annotations

from datetime import date, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.packages.canonical import BASE
from server.bridge.body_sites import body_site
from server.bridge.moments import DEFAULT_ZONE, Moment, moment, zone
from server.bridge.patient import patient
from server.bridge.person_name import human_names
from server.bridge.texts import concepts
from server.dicom.plain_text import clean
from tests.server.archive.sample_studies import dataset

SITE = zone(DEFAULT_ZONE)
TODAY = date(2026, 11, 22)
IDE, ABC = (
    [{"url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation", "valueCode": code}]
    for code in ("IDE", "ABC")
)


def began(**attributes: Any) -> Moment | None:
    return moment(dataset(**attributes), "00080020", "00080030", SITE)


@pytest.mark.parametrize(
    ("day", "time", "offset", "text"),
    [
        ("20261120", "101530", None, "2026-11-20T10:15:30+08:00"),
        ("20261120", "1015", None, "2026-11-20T10:15:00+08:00"),
        ("20261120", "101530.25", "+0900", "2026-11-20T10:15:30.25+09:00"),
        ("20261120", "101530", "-0330", "2026-11-20T10:15:30-03:30"),
        ("20261120", "", "+0900", "2026-11-20"),
        ("20261120", "235960", None, "2026-11-20T23:59:59+08:00"),
    ],
)
def test_a_moment_has_the_offset_stated_or_the_sites(day: str, time: str, offset: str | None, text: str) -> None:
    found = began(StudyDate=day, StudyTime=time, TimezoneOffsetFromUTC=offset or "")
    assert found is not None
    assert found.text == text
    assert found.is_stated == (offset is not None and not found.is_day)


def test_an_old_time_has_the_offset_of_its_day() -> None:
    found = moment(dataset(StudyDate="19880701", StudyTime="1200"), "00080020", "00080030", SITE)
    assert found is not None
    assert found.text == "1988-07-01T12:00:00+09:00"


def test_no_date_is_no_moment() -> None:
    assert began(StudyDate="20261340", StudyTime="10") is None
    assert began(StudyTime="10") is None


def test_an_unknown_zone_is_chinas() -> None:
    assert zone("Nowhere/At all").utcoffset(None) == timedelta(hours=8)
    assert isinstance(zone("Nowhere/At all"), timezone)


def test_names_in_three_scripts() -> None:
    both = human_names({"Alphabetic": "Ouyang^Xiaoming", "Ideographic": "欧阳^晓明"})
    assert both == [
        {"extension": IDE, "text": "欧阳晓明", "family": "欧阳", "given": ["晓明"], "use": "official"},
        {"extension": ABC, "text": "Ouyang Xiaoming", "family": "Ouyang", "given": ["Xiaoming"]},
    ]
    assert [each["text"] for each in human_names("Yamada^Tarou=山田^太郎=やまだ^たろう")] == [
        "山田太郎", "Yamada Tarou", "やまだ たろう",
    ]  # fmt: skip


def test_a_western_name_has_no_representation() -> None:
    assert human_names("Adams^John Robert^Quincy^Rev.^B.A.") == [
        {
            "text": "Rev. John Robert Quincy Adams B.A.",
            "family": "Adams",
            "given": ["John Robert", "Quincy"],
            "prefix": ["Rev."],
            "suffix": ["B.A."],
        }
    ]


def test_characters_in_the_alphabetic_group_are_characters() -> None:
    assert human_names({"Alphabetic": "诸葛亮"}) == [
        {"extension": IDE, "text": "诸葛亮", "family": "诸葛", "given": ["亮"], "use": "official"}
    ]


def test_no_name_is_no_name() -> None:
    assert human_names(None) == human_names("^^") == human_names({"Alphabetic": " "}) == []


def test_a_patient_from_a_study() -> None:
    made = patient(
        dataset(
            PatientID="P1",
            IssuerOfPatientID="Ward 7",
            PatientName="Wang^Jianguo",
            PatientSex="M",
            PatientBirthDate="19491001",
            OtherPatientIDsSequence=[
                {
                    "PatientID": "110105491231002",
                    "IssuerOfPatientIDQualifiersSequence": [
                        {"UniversalEntityID": "2.16.156.10011.1.3", "UniversalEntityIDType": "ISO"}
                    ],
                }
            ],
        ),
        TODAY,
    )
    assert made["identifier"] == [
        {
            "use": "usual",
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
            "system": f"{BASE}/sid/patient-id/WARD%207",
            "value": "P1",
            "assigner": {"display": "Ward 7"},
        },
        {"system": "urn:oid:2.16.156.10011.1.3", "value": "11010519491231002X"},
    ]
    assert (made["gender"], made["birthDate"]) == ("male", "1949-10-01")


def test_another_number_without_an_issuer_is_none_of_the_site() -> None:
    others = [{"PatientID": "A1"}, {"PatientID": "A2", "IssuerOfPatientID": "X"}]
    made = patient(dataset(PatientID="P1", OtherPatientIDsSequence=others), TODAY)
    assert made["identifier"][1:] == [{"value": "A1"}, {"system": f"{BASE}/sid/patient-id/X", "value": "A2"}]


def test_an_issuer_with_an_oid_is_that_oid() -> None:
    qualifiers = [{"UniversalEntityID": "1.2.3.4", "UniversalEntityIDType": "ISO"}]
    made = patient(
        dataset(PatientID="P1", IssuerOfPatientID="X", IssuerOfPatientIDQualifiersSequence=qualifiers), TODAY
    )
    assert made["identifier"][0]["system"] == "urn:oid:1.2.3.4"


def test_a_wrong_citizen_number_is_left_out() -> None:
    item = {
        "PatientID": "110000199001010019",
        "IssuerOfPatientIDQualifiersSequence": [
            {"UniversalEntityID": "2.16.156.10011.1.3", "UniversalEntityIDType": "ISO"}
        ],
    }
    assert "identifier" not in patient(dataset(OtherPatientIDsSequence=[item]), TODAY)


def test_codes_have_the_systems_of_fhir() -> None:
    items = [
        {"CodeValue": "77477000", "CodingSchemeDesignator": "SCT", "CodeMeaning": "CT"},
        {"CodeValue": "CTC", "CodingSchemeDesignator": "99LOCAL", "CodingSchemeUID": "1.2.9"},
        {"CodeMeaning": ""},
    ]
    assert concepts(dataset(ProcedureCodeSequence=items), "00081032") == [
        {"coding": [{"system": "http://snomed.info/sct", "code": "77477000", "display": "CT"}]},
        {"coding": [{"system": "urn:oid:1.2.9", "code": "CTC"}]},
    ]


def test_body_parts() -> None:
    assert body_site("CHEST") == {"system": "http://snomed.info/sct", "code": "816094009", "display": "Chest"}
    assert body_site("Left pinky") == {"display": "Left pinky"}
    assert body_site("") is None


@given(st.text())
def test_clean_text_is_fit_for_fhir(text: str) -> None:
    found = clean(text)
    assert found == found.strip()
    assert all(ord(letter) >= 32 for letter in found)


@given(st.one_of(st.text(), st.dictionaries(st.sampled_from(["Alphabetic", "Ideographic", "Phonetic"]), st.text())))
def test_any_name_gives_names_with_text(value: Any) -> None:
    assert all(each["text"] for each in human_names(value))
