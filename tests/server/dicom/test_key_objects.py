"""Manifests as files: what is written is read again, what others write is understood, and nothing makes the reader
fall over."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.dicom import key_objects as ko
from server.dicom.key_objects import ImagingRequest, Manifest, Reference, ReferencedSeries, Title
from server.dicom.key_objects_checks import Finding, check_manifest
from server.dicom.key_objects_writing import MOST_REFERENCES, build
from server.dicom.storage_classes import value_type
from server.dicom.writer import to_part10
from server.kernel.problem import Kind, Problem
from tests.data.small_files import CT_IMAGE, instance_file
from tests.server.archive.sample_studies import dataset

ECG, PDF, SEG = "1.2.840.10008.5.1.4.1.1.9.1.1", "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.66.4"

uids = st.lists(st.integers(0, 10**12), min_size=2, max_size=5).map(lambda arcs: "1.2." + ".".join(map(str, arcs)))
texts = st.text("王建国 ÄöA1-", min_size=1, max_size=12).map(str.strip).filter(bool)
classes = st.sampled_from([CT_IMAGE, ECG, PDF, SEG, "1.3.6.1.4.1.9999.1"])
requests = st.builds(
    ImagingRequest, texts, st.sampled_from(["", "1.2.3.4"]), st.sampled_from(["", "RP1"]), st.sampled_from(["", "PO1"])
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    study = draw(uids)
    series = st.builds(
        ReferencedSeries,
        st.just(study),
        uids,
        st.lists(st.builds(Reference, classes, uids), min_size=1, max_size=4, unique=True).map(tuple),
        st.sampled_from(["1.2.156.1.2", ""]),
        st.just("https://pacs.example/dicomweb"),
        st.sampled_from(["", "WEFT"]),
    )
    return Manifest(
        study_instance_uid=study,
        series_instance_uid=draw(uids),
        sop_instance_uid=draw(uids),
        content_date="20261122",
        content_time="101112",
        series=tuple(draw(st.lists(series, max_size=3))),
        requests=tuple(draw(st.lists(requests, max_size=2))),
        attributes=dataset(PatientName=draw(texts), StudyDescription=draw(texts), PatientID=draw(texts)),
    )


@given(manifests())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_again(manifest: Manifest) -> None:
    data = build(manifest)
    assert build(manifest) == data
    assert ko.read(data) == manifest


def sample(count: int = 3) -> Manifest:
    instances = (Reference(CT_IMAGE, f"1.2.3.1.{number}") for number in range(count))
    series = ReferencedSeries("1.2.3", "1.2.3.1", tuple(instances), "1.9.2", "https://pacs.example/dicomweb", "WEFT")
    others = ReferencedSeries(
        "1.2.3", "1.2.3.2", (Reference(ECG, "1.2.3.2.1"), Reference(PDF, "1.2.3.2.2")), "1.9.2", "x"
    )
    attributes = dataset(
        PatientName="Wang^Jianguo=王^建国=", PatientID="P1", AccessionNumber="A1", StudyDate="20260102"
    )
    return Manifest("1.2.3", "2.25.1", "2.25.2", "20261122", "101112", (series, others), attributes=attributes)


def test_another_library_reads_what_template_2010_asks_for() -> None:
    made = pydicom.dcmread(io.BytesIO(build(sample())))
    assert made.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert made.SpecificCharacterSet == "ISO_IR 192"
    assert str(made.PatientName) == "Wang^Jianguo=王^建国"
    assert (made.Modality, made.ValueType, made.ContinuityOfContent) == ("KO", "CONTAINER", "SEPARATE")
    assert made.ConceptNameCodeSequence[0].CodeValue == "113030"
    assert made.ContentTemplateSequence[0].TemplateIdentifier == "2010"
    assert [each.ValueType for each in made.ContentSequence] == ["IMAGE"] * 3 + ["WAVEFORM", "COMPOSITE"]
    assert all(each.RelationshipType == "CONTAINS" for each in made.ContentSequence)
    (study,) = made.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == "1.2.3"
    assert [each.SeriesInstanceUID for each in study.ReferencedSeriesSequence] == ["1.2.3.1", "1.2.3.2"]
    assert study.ReferencedSeriesSequence[0].RetrieveLocationUID == "1.9.2"
    assert study.ReferencedSeriesSequence[0].RetrieveURL == "https://pacs.example/dicomweb"
    assert [each.tag for each in made] == sorted(each.tag for each in made)


def test_our_own_has_no_finding_and_broken_ones_have() -> None:
    def findings(manifest: Manifest) -> list[Finding]:
        return check_manifest(ko.dataset_of(build(manifest)))

    good = sample()
    assert findings(good) == []
    rejected = replace(good, title=Title("113001", "DCM", "Rejected for Quality Reasons"))
    assert findings(rejected)[0] == ("its title says that images are rejected (113001, DCM)", True)
    assert findings(replace(good, series=()))[0][1]
    assert findings(replace(good, title=None))[0] == ("it has no title", True)
    assert findings(replace(good, title=Title("X", "99Y")))[0][1] is False
    nowhere = tuple(replace(each, location="", url="", ae_title="") for each in good.series)
    assert any(
        "where it is to be had" in text for text, is_error in findings(replace(good, series=nowhere)) if is_error
    )
    foreign = tuple(replace(each, study_instance_uid="1.2.4") for each in good.series)
    assert ("its evidence is of another study than its own", True) in findings(replace(good, series=foreign))


def samples(shared: Path) -> Iterator[Path]:
    folder = shared / "data" / "xds"
    yield from sorted(folder.glob("kos/*/kos*.dcm"))
    yield folder / "mado" / "MADO_KOS_A.dcm"


def test_manifests_of_other_makers_are_read_and_usable(shared: Path) -> None:
    count = 0
    for path in samples(shared):
        data = path.read_bytes()
        manifest = ko.read(data)
        made = pydicom.dcmread(io.BytesIO(data))
        named = [
            (str(series.SeriesInstanceUID), str(each.ReferencedSOPInstanceUID))
            for study in made.CurrentRequestedProcedureEvidenceSequence
            for series in study.ReferencedSeriesSequence
            for each in series.ReferencedSOPSequence
        ]
        found = [(each.series_instance_uid, one.sop_instance_uid) for each in manifest.series for one in each.instances]
        assert found == named
        assert manifest.locations
        assert not [each for each in check_manifest(ko.dataset_of(data)) if each.is_error], path
        assert ko.read(build(manifest)) == manifest
        count += 1
    assert count >= 23


def test_kinds_of_objects() -> None:
    assert [value_type(each) for each in (CT_IMAGE, SEG, ECG, PDF, "1.2.3")] == [
        "IMAGE", "IMAGE", "WAVEFORM", "COMPOSITE", "COMPOSITE",
    ]  # fmt: skip


def test_what_is_no_manifest_is_refused() -> None:
    with pytest.raises(Problem, match="no Key Object Selection"):
        ko.read(instance_file())
    with pytest.raises(Problem) as refused:
        ko.read(bytes(ko.LONGEST + 1))
    assert refused.value.kind is Kind.TOO_LARGE
    too_many = ReferencedSeries("1.2.3", "1.2.3.1", (Reference(CT_IMAGE, "1.2"),) * (MOST_REFERENCES + 1))
    with pytest.raises(Problem) as refused:
        build(replace(sample(), series=(too_many,)))
    assert refused.value.kind is Kind.TOO_LARGE


@given(st.integers(0, 1200), st.binary(min_size=1, max_size=8), st.booleans())
@settings(max_examples=150, deadline=None)
def test_damaged_files_are_refused_or_read_but_never_a_fault(place: int, other: bytes, is_cut: bool) -> None:
    data = build(sample())
    place %= len(data)
    damaged = data[:place] if is_cut else data[:place] + other + data[place + len(other) :]
    with suppress(Problem):
        check_manifest(ko.dataset_of(damaged))
        ko.read(damaged)


def test_attributes_of_odd_shape_are_read_as_nothing() -> None:
    odd = dataset(
        SOPClassUID=ko.KEY_OBJECT_SELECTION, SOPInstanceUID="1.2.9",
        StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4",
        ConceptNameCodeSequence=[{}], ContentSequence=[{}, {"ValueType": "IMAGE"}],
        CurrentRequestedProcedureEvidenceSequence=[{}, {"ReferencedSeriesSequence": [{}]}],
    )  # fmt: skip
    data = to_part10(odd, lambda uri: b"")
    manifest = ko.read(data)
    assert [each.instances for each in manifest.series] == [()]
    assert any(each.is_error for each in check_manifest(ko.dataset_of(data)))
