"""What is registered of a study: everything its images tell, in the words of the registry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from server.archive.rows import SeriesRow, StudyRow
from server.bridge.manifest_codes import ManifestCodes, confidentiality, modalities
from server.bridge.manifest_document import Whereabouts, is_worth_one, manifest_of
from server.bridge.manifest_entry import Setting, Told, entry_of, utc
from server.bridge.manifest_source import SourceSeries, StudySource
from server.dicom.key_objects import KEY_OBJECT_SELECTION, Reference, dataset_of
from server.dicom.key_objects_checks import check_manifest
from server.dicom.key_objects_writing import build
from server.mpi.identity import Identifier, PatientIdentity
from server.xds.community import Community
from server.xds.metadata import DocumentEntry
from tests.data.small_files import CT_IMAGE
from tests.server.archive.sample_studies import dataset

COMMUNITY = Community("1.9", "1.9.4")
SETTING = Setting(COMMUNITY, ManifestCodes(), "Weft")
PERSON = PatientIdentity(Identifier("urn:oid:1.9.4", "M7"), ("Patient/1",))
WHERE = Whereabouts("1.9.2", "https://pacs.example/dicomweb")


class Hospital(NamedTuple):
    name: str = "第一人民医院"
    code: str = "425801234"
    oid: str = "1.2.156.77"


def study(*series: dict[str, Any], labels: tuple[dict[str, str], ...] = (), **attributes: Any) -> StudySource:
    rows = tuple(
        SourceSeries(
            SeriesRow("1.2.3", f"1.2.3.{number}", dataset(**each), 1, (CT_IMAGE,)),
            (Reference(CT_IMAGE, f"1.2.3.{number}.1"),),
        )
        for number, each in enumerate(series or ({"Modality": "CT"},), 1)
    )
    found = tuple(dict.fromkeys(each.row.modality for each in rows))
    row = StudyRow(
        "1.2.3", "r1", dataset(**{"PatientID": "P1", **attributes}), len(rows), len(rows), found, (CT_IMAGE,)
    )
    resource = {"subject": {"reference": "Patient/1"}, "started": "2026-01-02T08:30:00+08:00"}
    return StudySource(row, rows, resource, labels)


def entry(source: StudySource, hospital: Hospital | None = None, *indexes: str) -> DocumentEntry:
    return entry_of(source, Told(PERSON, hospital, indexes), SETTING)


@pytest.mark.parametrize(
    ("started", "told"),
    [
        ("2026-01-02T08:30:00+08:00", "20260102003000"),
        ("2026-01-02T08:30:00.25Z", "20260102083000"),
        ("2026-01-02", "20260102"),
        ("2026", "2026"),
        ("", ""),
    ],
)
def test_times_are_told_in_utc_and_days_as_days(started: str, told: str) -> None:
    assert utc(started) == told


def test_numbers_carry_the_authority_that_is_told() -> None:
    issuer = [{"UniversalEntityID": "1.2.3.99", "UniversalEntityIDType": "ISO"}]
    told = study(
        AccessionNumber="A1", IssuerOfAccessionNumberSequence=issuer, IssuerOfPatientIDQualifiersSequence=issuer
    )
    found = entry(told, Hospital())
    assert found.source_patient_id == "P1^^^&1.2.3.99&ISO"
    assert found.reference_ids[1] == "A1^^^&1.2.3.99&ISO^urn:ihe:iti:xds:2013:accession"
    untold = study(AccessionNumber="A1")
    assert entry(untold, Hospital()).reference_ids[1] == "A1^^^&1.2.156.77&ISO^urn:ihe:iti:xds:2013:accession"
    assert entry(untold, Hospital()).source_patient_id == "P1^^^&1.2.156.77&ISO"
    assert entry(untold).reference_ids[1] == "A1^^^&1.9.5&ISO^urn:ihe:iti:xds:2013:accession"
    assert entry(untold).source_patient_id == "P1^^^&1.9.7&ISO"
    assert entry(study(PatientID="")).source_patient_id == "1^^^&1.9.7&ISO"
    assert entry(untold).patient_id == "M7^^^&1.9.4&ISO"


def test_the_hospital_is_its_author() -> None:
    assert entry(study(), Hospital()).authors[0].institutions == (
        "第一人民医院^^^^^&2.16.156.10011.1.5&ISO^^^^425801234",
    )
    assert entry(study(InstitutionName="A & B")).authors[0].institutions == ("A \\T\\ B",)
    assert entry(study()).authors[0].institutions == ("Weft",)


def test_every_order_of_a_study_is_named_in_entry_and_document() -> None:
    def asked(number: str, **more: str) -> dict[str, Any]:
        return {"Modality": "CT", "RequestAttributesSequence": [{"AccessionNumber": number, **more}]}

    source = study(
        asked("A1", RequestedProcedureID="RP1"),
        asked("A2", PlacerOrderNumberImagingServiceRequest="PO2"),
        asked("A" * 100),
        AccessionNumber="A1",
    )
    found = entry(source, None, "X^^^&1.9.6&ISO^urn:index")
    assert [each.split("^")[0] for each in found.reference_ids] == ["1.2.3", "A1", "A2", "PO2", "X"]
    manifest = manifest_of(source, WHERE)
    assert [each.accession for each in manifest.requests][:2] == ["A1", "A2"]
    assert manifest_of(study(asked("A1"), AccessionNumber="A1"), WHERE).requests == ()


def test_events_are_what_acquires_and_where() -> None:
    source = study(
        {"Modality": "CT", "BodyPartExamined": "CHEST"}, {"Modality": "PT", "BodyPartExamined": "CHEST"},
        {"Modality": "SR"}, {"Modality": "KO", "BodyPartExamined": "ELSEWHERE"},
    )  # fmt: skip
    assert [each.key for each in entry(source).event_codes] == [
        "CT^^1.2.840.10008.2.16.4", "PT^^1.2.840.10008.2.16.4", "816094009^^2.16.840.1.113883.6.96",
    ]  # fmt: skip
    assert [each.code for each in modalities(["PR", "SR"])] == ["PR", "SR"]


def test_the_strictest_label_is_its_level_and_sensitivities_stand_beside() -> None:
    levels, codes = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "urn:oid:2.16.840.1.113883.5.4"
    labels = [{"system": levels, "code": "N"}, {"system": levels, "code": "R"}, {"system": codes, "code": "HIV"}]
    found = confidentiality(labels, "N")
    assert [each.code for each in found] == ["R", "HIV"]
    assert found[0].scheme == "2.16.840.1.113883.5.25"
    assert [each.code for each in confidentiality(labels[2:], "N")] == ["R", "HIV"]
    assert [each.code for each in confidentiality([], "R")] == ["R"]


def test_a_study_of_any_odd_values_still_makes_a_manifest_without_findings() -> None:
    source = study(
        PatientName="王\x01^建国", StudyDescription="\ufffe<&>\x00", StudyDate="bad", AccessionNumber="A^1&~\\",
        PatientBirthDate="19800230", PatientSex="?", TimezoneOffsetFromUTC="+9999",
    )  # fmt: skip
    assert is_worth_one(source)
    manifest = replace(
        manifest_of(source, WHERE), series_instance_uid="2.25.1", sop_instance_uid="2.25.2",
        content_date="20260102", content_time="101112",
    )  # fmt: skip
    assert check_manifest(dataset_of(build(manifest))) == []
    assert entry(source).reference_ids[1].startswith("A\\S\\1\\T\\\\R\\\\E\\^^^")


def test_key_objects_alone_are_not_worth_a_manifest() -> None:
    rows = study().series[0]
    alone = SourceSeries(rows.row, (Reference(KEY_OBJECT_SELECTION, "1.2.9"),))
    assert not is_worth_one(StudySource(study().row, (alone,), {}, ()))
