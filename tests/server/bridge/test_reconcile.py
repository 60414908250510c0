from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from server.bridge.imaging_study import resource_id
from server.bridge.patient import SOURCE
from server.bridge.reconcile import endpoint
from server.dicom.patient_number import local_system
from server.kernel.problem import Kind, Problem
from tests.server.bridge.clinical import CONTEXT, SITE, WADO, Clinical, run
from tests.server.bridge.images import image

STUDY = f"ImagingStudy/{resource_id('1.2.3')}"


def hospital(number: str = "P1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "known",
        "identifier": [{"system": local_system(""), "value": number}],
        "name": [{"text": "王建国"}],
    } | more


def test_a_stored_study_becomes_patient_study_and_endpoint(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.send(
            image(
                1,
                StudyDate="20261120",
                StudyTime="101500",
                AccessionNumber="A7",
                StudyDescription="胸部CT",
                BodyPartExamined="CHEST",
                SeriesNumber=2,
                ReferringPhysicianName="Qian^Feng=钱^锋",
                PatientBirthDate="19491001",
                PatientSex="M",
                ProcedureCodeSequence=[{"CodeValue": "1", "CodingSchemeDesignator": "LN", "CodeMeaning": "CT"}],
            ),
            image(2),
            image(1, series="1.2.3.2", Modality="SR", SeriesNumber=1),
        )
        study = await clinical.get(STUDY)
        assert study["identifier"] == [
            {"use": "official", "system": "urn:dicom:uid", "value": "urn:oid:1.2.3"},
            {
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]},
                "value": "A7",
            },
        ]
        assert (study["numberOfSeries"], study["numberOfInstances"]) == (2, 3)
        assert [each["code"] for each in study["modality"]] == ["CT", "SR"]
        assert (study["started"], study["description"]) == ("2026-11-20T10:15:00+08:00", "胸部CT")
        assert study["referrer"] == {"display": "钱锋"}
        assert study["procedureCode"] == [{"coding": [{"system": "http://loinc.org", "code": "1", "display": "CT"}]}]
        sr, ct = study["series"]
        assert (sr["number"], ct["number"], ct["bodySite"]["code"]) == (1, 2, "816094009")
        assert [each["number"] for each in ct["instance"]] == [1, 2]
        assert ct["instance"][0]["sopClass"]["code"] == "urn:oid:1.2.840.10008.5.1.4.1.1.2"
        patient = await clinical.get(study["subject"]["reference"])
        assert [each["text"] for each in patient["name"]] == ["王建国", "Wang Jianguo"]
        assert (patient["gender"], patient["birthDate"], patient["meta"]["source"]) == ("male", "1949-10-01", SOURCE)
        endpoint = await clinical.get(study["endpoint"][0]["reference"])
        assert (endpoint["address"], endpoint["connectionType"]["code"]) == (WADO, "dicom-wado-rs")

    run(tmp_path, body)


def test_unchanged_is_unwritten(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.send(image(1))
        await clinical.send(image(1))
        await clinical.reconciler.reconcile("1.2.3")
        assert await clinical.reconciler.reconcile_all() == 1
        assert await clinical.version(STUDY) == 1
        subject = (await clinical.get(STUDY))["subject"]["reference"]
        assert await clinical.version(subject) == await clinical.version("Endpoint/dicomweb") == 1

    run(tmp_path, body)


def test_a_patient_is_matched_by_number_and_issuer(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(hospital())
        await clinical.send(image(1), image(1, study="1.2.4"), image(1, study="1.2.5", IssuerOfPatientID="Elsewhere"))
        first, second, third = [
            (await clinical.get(f"ImagingStudy/{resource_id(uid)}"))["subject"]["reference"]
            for uid in ("1.2.3", "1.2.4", "1.2.5")
        ]
        assert first == second == "Patient/known" != third
        assert await clinical.version("Patient/known") == 1

    run(tmp_path, body)


def test_a_number_with_signs_of_the_search_syntax_is_matched_too(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(hospital("P,1|$2"))
        await clinical.send(image(1, PatientID="P,1|$2"))
        assert (await clinical.get(STUDY))["subject"] == {"reference": "Patient/known"}

    run(tmp_path, body)


def test_of_two_patients_with_one_number_none_is_chosen(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(hospital(), hospital() | {"id": "twin"})
        await clinical.send(image(1))
        assert (await clinical.get(STUDY))["subject"] == {
            "type": "Patient",
            "identifier": {"system": local_system(""), "value": "P1"},
        }

    run(tmp_path, body)


def test_a_study_without_a_number_has_a_patient_of_its_own(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.send(image(1, PatientID=""), image(1, study="1.2.4", PatientID=""))
        await clinical.send(image(2, PatientID=""))
        subjects = {
            (await clinical.get(f"ImagingStudy/{resource_id(u)}"))["subject"]["reference"] for u in ("1.2.3", "1.2.4")
        }
        assert len(subjects) == 2
        assert [await clinical.version(each) for each in subjects] == [1, 1]

    run(tmp_path, body)


def test_a_patient_the_bridge_made_learns_what_it_lacked(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.send(image(1, PatientName=""))
        await clinical.send(image(1, study="1.2.4", PatientSex="M"))
        subject = (await clinical.get(STUDY))["subject"]["reference"]
        patient = await clinical.get(subject)
        assert (patient["gender"], patient["name"][0]["text"]) == ("male", "王建国")

    run(tmp_path, body)


def test_what_people_edit_stays_theirs_and_counts_stay_the_archives(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(hospital("P9") | {"id": "other"})
        await clinical.send(image(1, StudyDescription="Chest", AccessionNumber="A1"))
        study = await clinical.get(STUDY)
        performer = [{"actor": {"display": "Dr Li"}}]
        edited = study | {
            "description": "Chest, corrected",
            "subject": {"reference": "Patient/other"},
            "note": [{"text": "urgent"}],
            "numberOfInstances": 7,
            "identifier": [*study["identifier"], {"system": "urn:oid:1.9", "value": "X"}],
            "series": [study["series"][0] | {"performer": performer}],
        }
        await clinical.put(edited)
        await clinical.send(image(2, StudyDate="20261120"))
        after = await clinical.get(STUDY)
        assert after["description"] == "Chest, corrected"
        assert after["subject"] == {"reference": "Patient/other"}
        assert after["note"] == [{"text": "urgent"}]
        assert after["started"] == "2026-11-20"
        assert after["numberOfInstances"] == 2
        assert after["identifier"] == edited["identifier"]
        assert after["series"][0]["performer"] == performer
        assert len(after["series"][0]["instance"]) == 2

    run(tmp_path, body)


def test_what_people_removed_stays_away(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.send(image(1, StudyDescription="Wang, chest"))
        study = await clinical.get(STUDY)
        await clinical.put({name: value for name, value in study.items() if name != "description"})
        await clinical.send(image(2, StudyDescription="Wang, chest"))
        after = await clinical.get(STUDY)
        assert after["numberOfInstances"] == 2
        assert "description" not in after

    run(tmp_path, body)


def test_what_nobody_edited_follows_the_archive(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.send(image(1, StudyDescription="", StudyDate="20261120"))
        await clinical.send(image(2, StudyDescription="Chest"))
        after = await clinical.get(STUDY)
        assert (after["description"], after["started"]) == ("Chest", "2026-11-20")

    run(tmp_path, body)


def test_deletion_follows(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.send(image(1), image(2))
        subject = (await clinical.get(STUDY))["subject"]["reference"]
        await clinical.remover.remove(CONTEXT, "1.2.3", "1.2.3.1", "1.2.3.1.2")
        await clinical.worker.drain()
        assert (await clinical.get(STUDY))["numberOfInstances"] == 1
        await clinical.remover.remove(CONTEXT, "1.2.3")
        await clinical.worker.drain()
        with pytest.raises(Problem) as caught:
            await clinical.get(STUDY)
        assert caught.value.kind is Kind.GONE
        assert await clinical.get(subject)
        await clinical.send(image(1))
        assert (await clinical.get(STUDY))["numberOfInstances"] == 1

    run(tmp_path, body)


def test_a_resource_somebody_else_made_for_the_study_is_used(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(
            hospital(),
            {
                "resourceType": "ImagingStudy",
                "id": "theirs",
                "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}],
                "status": "registered",
                "subject": {"reference": "Patient/known"},
                "description": "ordered",
            },
        )
        await clinical.send(image(1, StudyDescription="done", StudyDate="20261120"))
        study = await clinical.get("ImagingStudy/theirs")
        assert (study["status"], study["numberOfInstances"], study["description"]) == ("available", 1, "ordered")
        assert study["started"] == "2026-11-20"
        await clinical.remover.remove(CONTEXT, "1.2.3")
        await clinical.worker.drain()
        assert await clinical.get("ImagingStudy/theirs")

    run(tmp_path, body)


def test_a_resource_that_gives_the_study_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        claim = {
            "resourceType": "ImagingStudy",
            "id": "claim",
            "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}],
            "status": "registered",
            "subject": {"reference": "Patient/other"},
        }
        await clinical.put(hospital(), {"resourceType": "Patient", "id": "other"}, claim)
        await clinical.send(image(1))
        assert (await clinical.get("ImagingStudy/claim"))["status"] == "registered"
        assert (await clinical.get(STUDY))["subject"] == {"reference": "Patient/known"}

    run(tmp_path, body)


@pytest.mark.parametrize("requires_token", [True, False])
def test_the_endpoint_says_once_whether_it_takes_a_token(requires_token: bool) -> None:
    url = "http://fhir.org/argonaut/smart-imaging/StructureDefinition/requires-access-token"
    made = endpoint(WADO, requires_token=requires_token)
    assert made["extension"] == [{"url": url, "valueBoolean": requires_token}]


def test_a_study_that_names_no_modality_has_one_all_the_same(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.send(image(1, Modality=None))
        assert [each["code"] for each in (await clinical.get(STUDY))["modality"]] == ["OT"]

    run(tmp_path, body)


def test_several_at_once_make_one_of_each(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        files = [image(1, study=f"1.2.{number}") for number in range(10)]
        await clinical.send(*files)
        await asyncio.gather(*(clinical.reconciler.reconcile(f"1.2.{number}") for number in range(10) for _ in "ab"))
        assert len(await clinical.find("Patient", identifier="P1")) == 1
        assert len(await clinical.find("ImagingStudy", identifier="urn:dicom:uid|")) == 10

    run(tmp_path, body)


def test_site_of_the_tests_is_shanghai() -> None:
    assert str(SITE) == "Asia/Shanghai"
