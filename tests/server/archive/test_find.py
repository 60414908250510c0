"""Finding: what comes back for a query, in which order, with which attributes."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

import pytest

from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess
from server.archive import find
from server.archive.find import Finder, Found
from server.dicom import stored_json
from server.dicom.levels import Level
from server.dicom.query import parse
from server.kernel.context import LOCAL_ACTOR, Actor, Context
from server.kernel.problem import Kind, Problem
from storage.ports import Put
from tests.server.archive.in_memory import InMemoryBlobs, InMemoryRecords
from tests.server.archive.sample_studies import Sample, first

CONTEXT = Context(LOCAL_ACTOR, "test")

STUDY_UID, SERIES_UID, SOP_UID = "0020000D", "0020000E", "00080018"


class Archive:
    """A finder over a sample, asked with the text of a query."""

    def __init__(self, sample: Sample) -> None:
        self.records, self.blobs = InMemoryRecords(), InMemoryBlobs()
        sample.store(self.records)
        self.finder = Finder(self.records, self.blobs, ImagingAccess(AccessPoint()))

    def find(self, level: Level, text: str = "", context: Context = CONTEXT, **path: str) -> Found:
        query = parse(level, parse_qsl(text, keep_blank_values=True))
        return asyncio.run(self.finder.find(context, query, **path))

    def rows(self, level: Level, text: str = "", **path: str) -> list[dict[str, Any]]:
        found = self.find(level, text, **path)
        return [stored_json.decode(stored_json.with_base(row, "http://host/dicomweb")) for row in found.rows]

    def uids(self, level: Level, text: str = "", **path: str) -> list[str]:
        tag = {Level.STUDY: STUDY_UID, Level.SERIES: SERIES_UID, Level.INSTANCE: SOP_UID}[level]
        return [first(row, tag) for row in self.rows(level, text, **path)]

    def studies(self, text: str = "") -> list[str]:
        return self.uids(Level.STUDY, text)


@pytest.fixture
def archive() -> Archive:
    sample = Sample()
    wang = {"PatientName": "Wang^XiaoDong=王^小东", "PatientID": "P1", "PatientSex": "M"}
    sample.add(study="1.1", StudyDate="20240105", StudyTime="101500", StudyDescription="Chest CT", **wang,
               SeriesNumber=2, InstanceNumber=2, Rows=512, EthnicGroup="Han", StudyID="S1",
               RequestAttributesSequence=[
                   {"ScheduledProcedureStepID": "SPS1", "RequestedProcedureID": "RP1"},
                   {"ScheduledProcedureStepID": "SPS2", "RequestedProcedureID": "RP2"}])  # fmt: skip
    sample.add(study="1.1", StudyDate="20240105", **wang, SeriesNumber=2, InstanceNumber=1, Rows=512)
    sample.add(study="1.1", series="1.1.9", Modality="SR", SeriesNumber=1, **wang)
    sample.add(study="1.2", StudyDate="20240106", StudyTime="0900", PatientName="Müller^Jörg", PatientID="P2",
               Modality="MR", SeriesDescription="T1 axial", BodyPartExamined="HEAD", SliceThickness=2.5)  # fmt: skip
    sample.add(study="1.3", StudyDate="", PatientName="Smith^John", PatientID="P3", Modality="MR")
    return Archive(sample)


def test_studies_come_newest_first_and_those_without_a_date_last(archive: Archive) -> None:
    assert archive.studies() == ["1.2", "1.1", "1.3"]


def test_series_and_instances_of_a_study_come_by_number(archive: Archive) -> None:
    assert archive.uids(Level.SERIES, study="1.1") == ["1.1.9", "1.1.1"]
    assert archive.uids(Level.INSTANCE, study="1.1", series="1.1.1") == ["1.1.1.2", "1.1.1.1"]


def test_a_default_study_row_holds_every_required_attribute_even_if_empty(archive: Archive) -> None:
    (row,) = archive.rows(Level.STUDY, "PatientID=P3")
    assert row["00080020"] == {"vr": "DA"}
    assert row["00080050"] == {"vr": "SH"}
    assert row["00080061"] == {"vr": "CS", "Value": ["MR"]}
    assert row["00081190"]["Value"] == ["http://host/dicomweb/studies/1.3"]
    assert row["00201206"]["Value"] == [1]
    assert list(row) == sorted(row)


def test_a_default_series_row_within_a_study_names_the_study_and_nothing_else_of_it(archive: Archive) -> None:
    row = archive.rows(Level.SERIES, study="1.2")[0]
    assert first(row, STUDY_UID) == "1.2"
    assert row["00201209"]["Value"] == [1]
    assert row["00180015"]["Value"] == ["HEAD"]
    assert "00100020" not in row


def test_series_across_studies_carry_the_attributes_of_their_study(archive: Archive) -> None:
    (row,) = archive.rows(Level.SERIES, "Modality=SR")
    assert first(row, "00100020") == "P1"
    assert first(row, "00081190") == "http://host/dicomweb/studies/1.1/series/1.1.9"
    assert list(row) == sorted(row)


def test_instances_across_studies_carry_those_of_study_and_series(archive: Archive) -> None:
    row = archive.rows(Level.INSTANCE, "PatientID=P2")[0]
    assert (first(row, "00100020"), first(row, "00080060"), first(row, "0008103E")) == ("P2", "MR", "T1 axial")


def test_instances_of_a_study_carry_those_of_their_series_only(archive: Archive) -> None:
    row = archive.rows(Level.INSTANCE, study="1.2")[0]
    assert first(row, "00080060") == "MR"
    assert "00100020" not in row


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PatientID=P1", ["1.1"]),
        ("00100020=P1", ["1.1"]),
        ("PatientID=", ["1.2", "1.1", "1.3"]),
        ("PatientID=*", ["1.2", "1.1", "1.3"]),
        ("PatientID=p1", []),
        ("PatientID=P?", ["1.2", "1.1", "1.3"]),
        ("PatientName=wang*", ["1.1"]),
        ("PatientName=WANG^XIAODONG", ["1.1"]),
        ("PatientName=*王*", ["1.1"]),
        ("PatientName=王^小东", ["1.1"]),
        ("PatientName=Wang*=王*", ["1.1"]),
        ("PatientName=Wang*=李*", []),
        ("PatientName=muller*", ["1.2"]),
        ("PatientName=wang", []),
        ("PatientName=xiaod&fuzzymatching=true", ["1.1"]),
        ("PatientName=john+smi&fuzzymatching=true", ["1.3"]),
        ("StudyDate=20240105", ["1.1"]),
        ("StudyDate=20240105-20240106", ["1.2", "1.1"]),
        ("StudyDate=20240106-", ["1.2"]),
        ("StudyDate=-20240105", ["1.1"]),
        ("StudyDate=20240105-20240106&StudyTime=1100-0900", ["1.2"]),
        ("StudyDate=20240105-20240106&StudyTime=1000-0859", ["1.1"]),
        ("StudyTime=0900", ["1.2"]),
        ("StudyTime=1000-1030", ["1.1"]),
        ("StudyTime=101500.000", ["1.1"]),
        ("ModalitiesInStudy=SR", ["1.1"]),
        ("ModalitiesInStudy=MR", ["1.2", "1.3"]),
        ("ModalitiesInStudy=CT,MR", ["1.2", "1.1", "1.3"]),
        ("ModalitiesInStudy=CT%5CSR&multiplevaluematching=true", ["1.1"]),
        ("ModalitiesInStudy=CT%5CMR&multiplevaluematching=true", []),
        ("StudyInstanceUID=1.1,1.3", ["1.1", "1.3"]),
        ("StudyInstanceUID=1.1%5C1.3", ["1.1", "1.3"]),
        ("StudyInstanceUID=1.1&StudyInstanceUID=1.2", ["1.2", "1.1"]),
        ("StudyDescription=*CT", ["1.1"]),
        ("EthnicGroup=Han", ["1.1"]),
        ("NumberOfStudyRelatedInstances=3", ["1.1"]),
        ("InstanceAvailability=ONLINE&PatientID=P1", ["1.1"]),
        ("InstanceAvailability=OFFLINE", []),
        ('PatientSex=""&emptyvaluematching=true', ["1.2", "1.3"]),
        ('StudyDate=""&emptyvaluematching=true', ["1.3"]),
        ('EthnicGroup=""&emptyvaluematching=true', ["1.2", "1.3"]),
        ('PatientSex=""', []),
        ("limit=1", ["1.2"]),
        ("limit=1&offset=1", ["1.1"]),
        ("offset=7", []),
        ("limit=0", []),
    ],
)
def test_matching_studies(archive: Archive, text: str, expected: list[str]) -> None:
    assert archive.studies(text) == expected


@pytest.mark.parametrize(
    ("level", "text", "path", "expected"),
    [
        (Level.SERIES, "PatientID=P1&Modality=CT", {}, ["1.1.1"]),
        (Level.SERIES, "PatientName=smith*", {}, ["1.3.1"]),
        (Level.SERIES, "SeriesNumber=2", {}, ["1.1.1"]),
        (Level.SERIES, "SeriesNumber=2.5", {}, []),
        (Level.SERIES, "EthnicGroup=Han", {}, ["1.1.9", "1.1.1"]),
        (Level.SERIES, "RequestAttributesSequence.ScheduledProcedureStepID=SPS2", {}, ["1.1.1"]),
        (Level.SERIES, "00400275.00400009=SPS1&00400275.00401001=RP1", {}, ["1.1.1"]),
        (Level.SERIES, "00400275.00400009=SPS1&00400275.00401001=RP2", {}, []),
        (Level.SERIES, "PatientID=P2", {"study": "1.1"}, []),
        (Level.INSTANCE, "PatientID=P1&Modality=SR", {}, ["1.1.9.3"]),
        (Level.INSTANCE, "Modality=SR", {"study": "1.1"}, ["1.1.9.3"]),
        (Level.INSTANCE, "InstanceNumber=1", {}, ["1.1.1.2"]),
        (Level.INSTANCE, "Rows=512", {}, ["1.1.1.1", "1.1.1.2"]),
        (Level.INSTANCE, "SliceThickness=2.50", {}, ["1.2.1.4"]),
        (Level.INSTANCE, "SOPInstanceUID=1.1.9.3", {"study": "1.1", "series": "1.1.9"}, ["1.1.9.3"]),
        (Level.INSTANCE, "", {"study": "1.2", "series": "1.1.9"}, []),
    ],
)
def test_matching_below(archive: Archive, level: Level, text: str, path: dict[str, str], expected: list[str]) -> None:
    assert sorted(archive.uids(level, text, **path)) == sorted(expected)


def test_a_match_key_and_an_included_attribute_are_returned(archive: Archive) -> None:
    (row,) = archive.rows(Level.STUDY, "EthnicGroup=Han&includefield=PatientComments,00080062")
    assert row["00102160"] == {"vr": "SH", "Value": ["Han"]}
    assert row["00104000"] == {"vr": "LT"}
    assert row["00080062"]["vr"] == "UI"


def test_only_matching_items_of_a_sequence_are_returned(archive: Archive) -> None:
    (row,) = archive.rows(Level.SERIES, "RequestAttributesSequence.RequestedProcedureID=RP2", study="1.1")
    assert [first(item, "00400009") for item in row["00400275"]["Value"]] == ["SPS2"]


def test_includefield_all_gives_what_is_stored_of_the_level(archive: Archive) -> None:
    study = archive.rows(Level.STUDY, "PatientID=P1&includefield=all")[0]
    assert first(study, "00102160") == "Han"
    assert study["00080050"] == {"vr": "SH"}
    instance = archive.rows(Level.INSTANCE, "SOPInstanceUID=1.2.1.4&includefield=all", study="1.2", series="1.2.1")[0]
    assert first(instance, "00180050") == "2.5"
    assert first(instance, "00083002") == "1.2.840.10008.1.2.1"


def test_an_attribute_below_the_level_is_neither_matched_nor_returned(archive: Archive) -> None:
    found = archive.find(Level.STUDY, "Rows=512&includefield=Modality&limit=1")
    assert len(found.rows) == 1
    assert "Rows" in found.warnings[0]
    assert "00080060" not in stored_json.decode(found.rows[0])


def test_what_remains_beyond_the_page_is_counted(archive: Archive) -> None:
    found = archive.find(Level.STUDY, "limit=1&offset=1")
    assert (found.remaining, found.is_exact) == (1, True)
    assert archive.find(Level.STUDY, "limit=3").remaining == 0


def test_a_count_ends_at_its_bound(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "MOST_COUNTED", 1)
    found = archive.find(Level.STUDY, "limit=1")
    assert (found.remaining, found.is_exact) == (1, False)


def test_a_query_that_would_read_too_much_is_refused(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "MOST_READ", 2)
    with pytest.raises(Problem) as caught:
        archive.find(Level.STUDY, "EthnicGroup=Han")
    assert caught.value.kind is Kind.TOO_LARGE


def test_a_query_that_would_follow_too_many_studies_is_refused(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "MOST_ABOVE", 2)
    with pytest.raises(Problem) as caught:
        archive.find(Level.SERIES, "PatientID=P*")
    assert caught.value.kind is Kind.TOO_LARGE


def test_who_holds_no_grant_may_not_search(archive: Archive) -> None:
    nobody = Context(Actor("x", "x", ()), "test")
    with pytest.raises(Problem) as raised:
        archive.find(Level.STUDY, context=nobody)
    assert raised.value.kind is Kind.FORBIDDEN
    with pytest.raises(Problem):
        asyncio.run(archive.finder.state(nobody, "1.1"))


def test_metadata_too_long_for_a_record_is_read_from_its_blob(archive: Archive) -> None:
    async def move() -> None:
        (record,) = await archive.records.get("metadata", ["1.2.1.4"])
        (ref,) = await archive.blobs.put_all([record.body])
        await archive.records.commit([Put("metadata", "1.2.1.4", b'>["%s",%d]' % (ref.name.encode(), ref.size))])

    asyncio.run(move())
    assert archive.uids(Level.INSTANCE, "SliceThickness=2.5") == ["1.2.1.4"]


def test_the_state_of_a_study_changes_with_its_revision(archive: Archive) -> None:
    async def states() -> list[object]:
        before = await archive.finder.state(CONTEXT, "1.1")
        sample = Sample()
        sample.add(study="1.1")
        await sample.put_all(archive.records, revision="r2")
        return [before, await archive.finder.state(CONTEXT, "1.1"), await archive.finder.state(CONTEXT, "9.9")]

    before, after, absent = asyncio.run(states())
    assert before != after
    assert absent is None
