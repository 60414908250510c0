from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from profiles.china import citizen
from server.commands.demo import sample_folders
from server.dicom import part10
from server.dicom.dicom_json import text_of
from server.fhir.json_form import decode, encode
from server.fhir.operations.parameters import OperationParameters
from server.ward import imaging, people
from server.ward.load import Ward, charted, first_day_of, organization, versions_of
from storage.query import EVERYTHING
from tests.profiles.packages.checking import validator
from tests.server.bridge.clinical import CONTEXT, Clinical, run

LAST_DAY = date(2026, 11, 21)
FIRST = first_day_of(LAST_DAY)


def test_the_same_day_gives_the_same_ward() -> None:
    assert [encode(each) for each in charted(FIRST)] == [encode(each) for each in charted(FIRST)]
    samples = sample_folders()[0]
    assert list(imaging.files(samples, FIRST)) == list(imaging.files(samples, FIRST))


def test_each_resource_of_the_ward_is_valid_and_conforms() -> None:
    reports = [each for version in versions_of(FIRST) for each in version]
    everything = [imaging.radiologist(), *people.resources(), *charted(FIRST), *reports, organization()]
    found = [each for resource in everything for each in validator().validate(decode(encode(resource)))]
    assert [each for each in found if each.is_error] == []


def test_ids_are_given_once() -> None:
    ids = [(each["resourceType"], each["id"]) for each in (*people.resources(), *charted(FIRST))]
    assert len(ids) == len(set(ids))


def test_twelve_people_who_are_nobody() -> None:
    numbers = [citizen.parse(each.citizen_number, today=LAST_DAY) for each in people.PEOPLE]
    assert len(numbers) == 12
    for person, number in zip(people.PEOPLE, numbers, strict=True):
        assert number is not None
        assert number.full.startswith("110000")
        assert (number.birth_date, number.is_male) == (person.birth_date, person.is_male)


def test_a_vital_sign_every_few_hours_for_a_week() -> None:
    for person in people.PEOPLE:
        times = sorted(
            datetime.fromisoformat(each["effectiveDateTime"])
            for each in charted(FIRST)
            if each["id"].startswith(f"{person.id}-temperature")
        )
        assert times[-1] - times[0] > timedelta(days=6)
        assert max(later - earlier for earlier, later in zip(times, times[1:], strict=False)) < timedelta(hours=13)


def test_images_belong_to_the_patients() -> None:
    instances = [part10.scan(each) for each in imaging.files(sample_folders()[0], FIRST)]
    assert {text_of(each.dataset, "00100020") for each in instances} == {p.hospital_number for p in people.PEOPLE}
    assert {text_of(each.dataset, "00100021") for each in instances} == {people.ISSUER}
    assert len({each.sop_instance_uid for each in instances}) == len(instances)
    assert all(each.frames is not None for each in instances)


@pytest.mark.slow
def test_the_ward_is_brought_in_once_and_hangs_together(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        ward = Ward(
            clinical.repository, clinical.transactions, clinical.store, clinical.worker, sample_folders()[0]
        )  # fmt: skip
        assert await ward.load(CONTEXT, LAST_DAY)
        assert not await ward.load(CONTEXT, LAST_DAY)
        assert await clinical.records.count("fhir-Patient", EVERYTHING, at_most=100) == 12
        assert await clinical.records.count("fhir-ImagingStudy", EVERYTHING, at_most=100) == len(imaging.EXAMINATIONS)
        for report in await clinical.find("DiagnosticReport", critical="true"):
            study = await clinical.get(report["imagingStudy"][0]["reference"])
            assert study["subject"] == report["subject"]
            assert study["started"] == report["effectiveDateTime"]
        amended = "DiagnosticReport/ward-03-report-e0320830"
        assert await clinical.version(amended) == 3
        assert (await clinical.get(amended))["status"] == "amended"
        clinical.clock.moment = datetime(2026, 11, 21, 18, tzinfo=UTC)
        found = await clinical.timeline.timeline(CONTEXT, "ward-03", OperationParameters())
        assert [each.study.when.recorded["valueDateTime"][:16] for each in found.aligned] == [
            "2026-11-15T11:05",
            "2026-11-17T08:30",
        ]
        assert len(found.events) > 250
        assert all(len(each.nearest) > 12 for each in found.aligned)

    run(tmp_path, body)


@pytest.mark.slow
def test_a_ward_broken_off_is_brought_in_on_top_of_itself(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        ward = Ward(
            clinical.repository, clinical.transactions, clinical.store, clinical.worker, sample_folders()[0]
        )  # fmt: skip
        assert await ward.load(CONTEXT, LAST_DAY)
        await clinical.repository.delete(CONTEXT, "Organization", organization()["id"])
        assert await ward.load(CONTEXT, LAST_DAY)
        assert (await clinical.get("DiagnosticReport/ward-03-report-e0320830"))["status"] == "amended"

    run(tmp_path, body)
