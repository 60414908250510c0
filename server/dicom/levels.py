"""Which attributes belong to which level of the query model, and what QIDO-RS returns at each (PS3.18 10.6.3.3).

Study level here means the Patient, Patient Study, General Study and Clinical Trial Subject and Study modules; series
level the General Series, Clinical Trial Series, Frame of Reference and General Equipment modules (PS3.3 C.7.1 to
C.7.5). Whatever they do not name is instance level. The institution is kept at both upper levels, since people search
studies by it; the time zone belongs to every level.

A default row holds more than the standard asks: the few descriptions every viewer includes anyway, always present, so
that their requests too are answered with the bytes made at ingest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from server.dicom import index_keys
from server.dicom.dictionary import tag_of
from storage.query import Key


class Level(StrEnum):
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


UPPER: Mapping[Level, tuple[Level, ...]] = {
    Level.STUDY: (),
    Level.SERIES: (Level.STUDY,),
    Level.INSTANCE: (Level.STUDY, Level.SERIES),
}
"""The levels above each, the topmost first."""


def _tags(keywords: str) -> frozenset[str]:
    return frozenset(tag for keyword in keywords.split() if (tag := tag_of(keyword)))


_EVERYWHERE = _tags("TimezoneOffsetFromUTC")
_INSTITUTION = _tags("InstitutionName InstitutionAddress")

_STUDY_TAGS = _tags(
    """
    StudyInstanceUID StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence ReferringPhysicianName
    ReferringPhysicianIdentificationSequence ConsultingPhysicianName ConsultingPhysicianIdentificationSequence
    StudyDescription ProcedureCodeSequence PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence
    NameOfPhysiciansReadingStudy PhysiciansReadingStudyIdentificationSequence AdmittingDiagnosesDescription
    AdmittingDiagnosesCodeSequence ReferencedStudySequence ReferencedPatientSequence StudyID StudyStatusID
    StudyPriorityID RequestingPhysician RequestingService RequestingServiceCodeSequence
    RequestedProcedureDescription RequestedProcedureCodeSequence ReasonForVisit ReasonForVisitCodeSequence
    StudyComments AdmissionID IssuerOfAdmissionIDSequence ServiceEpisodeID ServiceEpisodeDescription
    IssuerOfServiceEpisodeIDSequence PatientState ReasonForPerformedProcedureCodeSequence
    ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName IssuerOfClinicalTrialProtocolID
    OtherClinicalTrialProtocolIDsSequence ClinicalTrialSiteID ClinicalTrialSiteName ClinicalTrialSubjectID
    ClinicalTrialSubjectReadingID ClinicalTrialTimePointID ClinicalTrialTimePointDescription
    LongitudinalTemporalOffsetFromEvent LongitudinalTemporalEventType IssuerOfClinicalTrialTimePointID
    PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence
    ClinicalTrialProtocolEthicsCommitteeName ClinicalTrialProtocolEthicsCommitteeApprovalNumber
    ConsentForClinicalTrialUseSequence DistributionType ConsentForDistributionFlag
    """
)
_SERIES_TAGS = _tags(
    """
    Modality SeriesInstanceUID SeriesNumber Laterality SeriesDate SeriesTime PerformingPhysicianName
    PerformingPhysicianIdentificationSequence OperatorsName OperatorIdentificationSequence SeriesDescription
    SeriesDescriptionCodeSequence ReferencedPerformedProcedureStepSequence RelatedSeriesSequence
    BodyPartExamined ProtocolName PatientPosition PresentationIntentType RequestAttributesSequence
    PerformedProcedureStepStartDate PerformedProcedureStepStartTime PerformedProcedureStepEndDate
    PerformedProcedureStepEndTime PerformedProcedureStepID PerformedProcedureStepDescription
    PerformedProtocolCodeSequence CommentsOnThePerformedProcedureStep ClinicalTrialCoordinatingCenterName
    ClinicalTrialSeriesID ClinicalTrialSeriesDescription FrameOfReferenceUID PositionReferenceIndicator
    Manufacturer StationName InstitutionalDepartmentName InstitutionalDepartmentTypeCodeSequence
    ManufacturerModelName DeviceSerialNumber DeviceUID GeneratorID GantryID UniqueDeviceIdentifier UDISequence
    ManufacturerDeviceClassUID SoftwareVersions
    """
)

_PATIENT_GROUP = "0010"
_UPPER_TAGS = _STUDY_TAGS | _SERIES_TAGS
STUDY_TAGS = _STUDY_TAGS | _INSTITUTION | _EVERYWHERE
SERIES_TAGS = _SERIES_TAGS | _INSTITUTION | _EVERYWHERE

_COMPUTED_STUDY = _tags(
    """
    InstanceAvailability ModalitiesInStudy SOPClassesInStudy RetrieveURL NumberOfStudyRelatedSeries
    NumberOfStudyRelatedInstances
    """
)
_COMPUTED_SERIES = _tags("StudyInstanceUID RetrieveURL NumberOfSeriesRelatedInstances")
_COMPUTED_INSTANCE = _tags("InstanceAvailability RetrieveURL AvailableTransferSyntaxUID")
_COMPUTED = {Level.STUDY: _COMPUTED_STUDY, Level.SERIES: _COMPUTED_SERIES, Level.INSTANCE: _COMPUTED_INSTANCE}

ALWAYS: Mapping[Level, Mapping[str, str]] = {
    Level.STUDY: {
        "00080020": "DA",
        "00080030": "TM",
        "00080050": "SH",
        "00080056": "CS",
        "00080061": "CS",
        "00080090": "PN",
        "00081030": "LO",
        "00081190": "UR",
        "00100010": "PN",
        "00100020": "LO",
        "00100030": "DA",
        "00100040": "CS",
        "0020000D": "UI",
        "00200010": "SH",
        "00201206": "IS",
        "00201208": "IS",
    },
    Level.SERIES: {
        "00080021": "DA",
        "00080031": "TM",
        "00080060": "CS",
        "0008103E": "LO",
        "00081190": "UR",
        "0020000D": "UI",
        "0020000E": "UI",
        "00200011": "IS",
        "00201209": "IS",
    },
    Level.INSTANCE: {
        "00080016": "UI",
        "00080018": "UI",
        "00080056": "CS",
        "00081190": "UR",
        "00083002": "UI",
        "0020000D": "UI",
        "0020000E": "UI",
        "00200013": "IS",
    },
}
"""Returned whatever is asked, with its VR; empty where it is unknown."""

WHERE_KNOWN: Mapping[Level, frozenset[str]] = {
    Level.STUDY: frozenset({"00080201"}),
    Level.SERIES: frozenset({"00080201", "00180015", "00400244", "00400245", "00400275"}),
    Level.INSTANCE: frozenset({"00080201", "00280008", "00280010", "00280011", "00280100"}),
}
"""Returned by default where the row has it."""


def is_study_tag(tag: str) -> bool:
    """Group 0010 is the patient's."""
    return tag[:4] == _PATIENT_GROUP or tag in STUDY_TAGS


def levels_of(tag: str) -> tuple[Level, ...]:
    """The levels whose rows may carry the attribute, the topmost first."""
    found = []
    if is_study_tag(tag) or tag in _COMPUTED_STUDY:
        found.append(Level.STUDY)
    if tag in SERIES_TAGS or tag in _COMPUTED_SERIES - {"0020000D"}:
        found.append(Level.SERIES)
    if tag in _COMPUTED_INSTANCE or tag in _EVERYWHERE or not found:
        found.append(Level.INSTANCE)
    return tuple(found)


def attributes_of(level: Level, dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a data set that belongs to the level: Patient and Study, Series, or all the rest."""
    patient = [tag for tag in dataset if tag[:4] == _PATIENT_GROUP]
    match level:
        case Level.STUDY:
            return _speaking_for_many(dataset, [*patient, *STUDY_TAGS.intersection(dataset)])
        case Level.SERIES:
            return _speaking_for_many(dataset, SERIES_TAGS.intersection(dataset))
        case Level.INSTANCE:
            rest = dict(dataset)
            for tag in (*patient, *_UPPER_TAGS.intersection(dataset)):
                del rest[tag]
            return rest


def in_order(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Tags ascending, as PS3.18 F.2.2 demands."""
    return dict(sorted(attributes.items()))


def computed_study(
    *, url: str, modalities: Sequence[str], sop_classes: Sequence[str], series: int, instances: int
) -> dict[str, Any]:
    """Attributes of a study that no instance carries: Modalities in Study, counts, Retrieve URL (PS3.4 C.3.4)."""
    return {
        "00080056": {"vr": "CS", "Value": ["ONLINE"]},
        "00080061": _several("CS", modalities),
        "00080062": _several("UI", sop_classes),
        "00081190": {"vr": "UR", "Value": [url]},
        "00201206": {"vr": "IS", "Value": [series]},
        "00201208": {"vr": "IS", "Value": [instances]},
    }


def computed_series(*, url: str, study: str, instances: int) -> dict[str, Any]:
    return {
        "00081190": {"vr": "UR", "Value": [url]},
        "0020000D": {"vr": "UI", "Value": [study]},
        "00201209": {"vr": "IS", "Value": [instances]},
    }


def computed_instance(*, url: str, study: str, series: str, transfer_syntax: str) -> dict[str, Any]:
    return {
        "00080056": {"vr": "CS", "Value": ["ONLINE"]},
        "00081190": {"vr": "UR", "Value": [url]},
        "00083002": {"vr": "UI", "Value": [transfer_syntax]},
        "0020000D": {"vr": "UI", "Value": [study]},
        "0020000E": {"vr": "UI", "Value": [series]},
    }


def without_computed(level: Level, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What `attributes_of` gave before the computed attributes of the level were added."""
    computed = _COMPUTED[level]
    return {tag: value for tag, value in attributes.items() if tag not in computed}


def default_row(level: Level, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What is returned when no includefield is given; a required attribute that is unknown comes empty."""
    row = {tag: attributes.get(tag) or {"vr": vr} for tag, vr in ALWAYS[level].items()}
    row.update({tag: attributes[tag] for tag in WHERE_KNOWN[level] if tag in attributes})
    return in_order(row)


def keys_of(level: Level, attributes: Mapping[str, Any]) -> dict[str, frozenset[Key]]:
    """The index keys of a row; `query.compile_query` compiles to predicates over these same names."""
    match level:
        case Level.STUDY:
            return index_keys.study_keys(attributes)
        case Level.SERIES:
            return index_keys.series_keys(attributes)
        case Level.INSTANCE:
            return index_keys.instance_keys(attributes)


def _speaking_for_many(dataset: Mapping[str, Any], tags: Iterable[str]) -> dict[str, Any]:
    """A row of many instances cannot point into one of their files, so values that lie there are left out."""
    return {tag: dataset[tag] for tag in tags if not _has_bulk(dataset[tag])}


def _has_bulk(attribute: Mapping[str, Any]) -> bool:
    """Whether a value, at any depth, was left in the file."""
    if attribute.get("vr") != "SQ":
        return "BulkDataURI" in attribute
    return any(_has_bulk(inner) for item in attribute.get("Value", ()) if item for inner in item.values())


def _several(vr: str, values: Sequence[str]) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}
