"""ebRIM into metadata values: submissions, single registry objects and stored-query requests (IHE ITI TF-3 4.2).

A value can say that something is missing or malformed, and `server.xds.structure` judges that; what it cannot say (two
patient ids, a size that is no number) is refused here, everything wrong with a message at once.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from lxml import etree

from server.kernel.problem import Kind
from server.xds import vocabulary as v
from server.xds.errors import ErrorCode, refusal, refused
from server.xds.metadata import (
    Association,
    DocumentEntry,
    Folder,
    RegistryObject,
    Slot,
    Submission,
    SubmissionSet,
)
from server.xds.rim import Classified, Tag, classified, elements, parts_of, slot_of, text_of
from server.xds.rim_fields import Fields, Findings, identity

MOST_OBJECTS = 5000
MOST_VALUES = 10_000
"""Of all parameters of a query."""
_MOST_SLOTS = 1000
_MOST_LISTS = 8

_LIST = f"{{{v.RIM}}}RegistryObjectList"
_SUBMIT = f"{{{v.LCM}}}SubmitObjectsRequest"
_ADHOC = f"{{{v.RIM}}}AdhocQuery"
_OPTION = f"{{{v.QUERY}}}ResponseOption"
_NO_OBJECTS = frozenset({Tag.CLASSIFICATION, Tag.REFERENCE})
_WRAPPED = b'<rim:RegistryObjectList xmlns:rim="' + v.RIM.encode() + b'">'


def read_submission(element: etree._Element) -> Submission:
    """A rim:RegistryObjectList, or the lcm:SubmitObjectsRequest that holds one."""
    findings = Findings()
    objects = _objects(_object_list(element), findings)
    if findings.errors:
        raise refusal(findings.errors)
    return Submission(
        tuple(each for each in objects if isinstance(each, SubmissionSet)),
        tuple(each for each in objects if isinstance(each, DocumentEntry)),
        tuple(each for each in objects if isinstance(each, Folder)),
        tuple(each for each in objects if isinstance(each, Association)),
        tuple(findings.unsaved),
    )


def take_submission(element: etree._Element) -> Submission:
    """As `read_submission`; the message then holds no objects, refused or not: to free a long one in one go stops all
    threads."""
    try:
        return read_submission(element)
    finally:
        for each in _object_list(element):
            each.clear()


def read_objects(element: etree._Element) -> tuple[list[RegistryObject], list[str]]:
    """What a rim:RegistryObjectList of an answer holds: whole objects, and the ids of bare references.

    Its author is another registry, which minds the form of what it keeps.
    """
    findings = Findings(is_strict=False)
    objects = _objects(element, findings)
    if findings.errors:
        raise refusal(findings.errors)
    references = [identity(text_of(each.get("id"))) for each in elements(element) if each.tag == Tag.REFERENCE]
    return objects, references


def read_object(body: bytes) -> RegistryObject:
    """One object as `write_object` gives it."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    wrapped = etree.fromstring(b"".join((_WRAPPED, body, b"</rim:RegistryObjectList>")), parser)
    return read_objects(wrapped)[0][0]


@dataclass(frozen=True, slots=True)
class AdhocQuery:
    """A stored query as it was asked, its parameters in order and with their repeats."""

    id: str
    slots: tuple[Slot, ...]
    return_type: str
    home: str = ""


def read_adhoc_query(element: etree._Element) -> AdhocQuery:
    """A query:AdhocQueryRequest."""
    query = element.find(_ADHOC)
    if query is None:
        raise refused(ErrorCode.REGISTRY, "The request holds no rim:AdhocQuery.")
    _check_length(query)
    option = element.find(_OPTION)
    slots = tuple(Slot(*slot_of(child)) for child in elements(query) if child.tag == Tag.SLOT)
    returned = text_of(option.get("returnType")) if option is not None else ""
    return AdhocQuery(identity(text_of(query.get("id"))), slots, returned, text_of(query.get("home")))


def _check_length(query: etree._Element) -> None:
    """Before anything is read: a query is read where other requests wait for it."""
    is_long = len(query) > _MOST_SLOTS or any(len(slot) > _MOST_LISTS for slot in query)
    if is_long or sum(len(holder) for slot in query for holder in slot) > MOST_VALUES:
        raise refused(ErrorCode.REGISTRY, f"A query has at most {_MOST_SLOTS} parameters and {MOST_VALUES} values.")


def _object_list(element: etree._Element) -> etree._Element:
    if element.tag == _SUBMIT:
        found = element.find(_LIST)
        if found is not None:
            return found
    if element.tag != _LIST:
        raise refused(ErrorCode.REGISTRY_METADATA, "The message holds no rim:RegistryObjectList of ebRIM 3.0.")
    return element


def _objects(element: etree._Element, findings: Findings) -> list[RegistryObject]:
    """How many they are is asked before anything is read."""
    if len(element) > MOST_OBJECTS:
        text = f"The message holds more than {MOST_OBJECTS} objects."
        raise refused(ErrorCode.REGISTRY_OUT_OF_RESOURCES, text, kind=Kind.TOO_LARGE)
    beside: dict[str, list[Classified]] = defaultdict(list)
    for child in elements(element):
        if child.tag == Tag.CLASSIFICATION:
            found = classified(child, [])
            beside[text_of(child.get("classifiedObject"))].append(found)
    read = (_object(child, beside, findings) for child in elements(element) if child.tag not in _NO_OBJECTS)
    return [each for each in read if each is not None]


def _object(element: etree._Element, beside: dict[str, list[Classified]], findings: Findings) -> RegistryObject | None:
    fields = Fields(parts_of(element), findings)
    fields.classify(beside.get(fields.parts.id, ()))
    match element.tag:
        case Tag.DOCUMENT:
            found: RegistryObject | None = _document(fields)
        case Tag.PACKAGE:
            found = _package(fields)
        case Tag.ASSOCIATION:
            found = _association(fields)
        case _:
            fields.wrong(f"A registry of documents keeps no {etree.QName(element).localname}.")
            return None
    fields.finish()
    return found


def _document(fields: Fields) -> DocumentEntry:
    parts = fields.parts
    return DocumentEntry(
        id=fields.id,
        unique_id=fields.identifier(v.DOCUMENT_UNIQUE, "uniqueId"),
        patient_id=fields.identifier(v.DOCUMENT_PATIENT, "patientId"),
        mime_type=parts.attribute("mimeType"),
        class_code=fields.code(v.DOCUMENT_CLASS, "classCode"),
        type_code=fields.code(v.DOCUMENT_TYPE, "typeCode"),
        format_code=fields.code(v.DOCUMENT_FORMAT, "formatCode"),
        facility_type_code=fields.code(v.DOCUMENT_FACILITY, "healthcareFacilityTypeCode"),
        practice_setting_code=fields.code(v.DOCUMENT_PRACTICE, "practiceSettingCode"),
        confidentiality_codes=fields.codes(v.DOCUMENT_CONFIDENTIALITY),
        event_codes=fields.codes(v.DOCUMENT_EVENT),
        authors=fields.authors(v.DOCUMENT_AUTHOR),
        object_type=parts.attribute("objectType"),
        status=parts.attribute("status") or v.APPROVED,
        availability=fields.one("documentAvailability"),
        creation_time=fields.one("creationTime"),
        service_start_time=fields.one("serviceStartTime"),
        service_stop_time=fields.one("serviceStopTime"),
        hash=fields.one("hash").lower(),
        size=fields.number("size"),
        language_code=fields.one("languageCode"),
        legal_authenticator=fields.one("legalAuthenticator"),
        source_patient_id=fields.one("sourcePatientId"),
        source_patient_info=fields.many("sourcePatientInfo"),
        reference_ids=fields.many(v.REFERENCE_IDS),
        repository_unique_id=fields.one("repositoryUniqueId"),
        uri=fields.uri(),
        home=parts.attribute("home"),
        title=parts.name,
        comments=parts.description,
        logical_id=identity(parts.attribute("lid")),
        version=parts.version,
        is_limited=fields.is_node(v.DOCUMENT_LIMITED),
        slots=fields.rest(),
    )


def _package(fields: Fields) -> SubmissionSet | Folder | None:
    is_set, is_folder = fields.is_node(v.SUBMISSION_SET), fields.is_node(v.FOLDER)
    if is_set == is_folder:
        fields.wrong("A RegistryPackage is classified as either a SubmissionSet or a Folder.")
        return None
    return _submission_set(fields) if is_set else _folder(fields)


def _submission_set(fields: Fields) -> SubmissionSet:
    parts = fields.parts
    return SubmissionSet(
        id=fields.id,
        unique_id=fields.identifier(v.SUBMISSION_UNIQUE, "uniqueId"),
        patient_id=fields.identifier(v.SUBMISSION_PATIENT, "patientId"),
        source_id=fields.identifier(v.SUBMISSION_SOURCE, "sourceId"),
        submission_time=fields.one("submissionTime"),
        content_type_code=fields.code(v.SUBMISSION_CONTENT, "contentTypeCode"),
        authors=fields.authors(v.SUBMISSION_AUTHOR),
        intended_recipients=fields.many("intendedRecipient"),
        status=parts.attribute("status") or v.APPROVED,
        home=parts.attribute("home"),
        title=parts.name,
        comments=parts.description,
        is_limited=fields.is_node(v.SUBMISSION_LIMITED),
        slots=fields.rest(),
    )


def _folder(fields: Fields) -> Folder:
    parts = fields.parts
    return Folder(
        id=fields.id,
        unique_id=fields.identifier(v.FOLDER_UNIQUE, "uniqueId"),
        patient_id=fields.identifier(v.FOLDER_PATIENT, "patientId"),
        codes=fields.codes(v.FOLDER_CODES),
        last_update_time=fields.one("lastUpdateTime"),
        status=parts.attribute("status") or v.APPROVED,
        home=parts.attribute("home"),
        title=parts.name,
        comments=parts.description,
        logical_id=identity(parts.attribute("lid")),
        version=parts.version,
        is_limited=fields.is_node(v.FOLDER_LIMITED),
        slots=fields.rest(),
    )


def _association(fields: Fields) -> Association:
    parts = fields.parts
    return Association(
        id=fields.id,
        type=parts.attribute("associationType"),
        source=identity(parts.attribute("sourceObject")),
        target=identity(parts.attribute("targetObject")),
        status=parts.attribute("status") or v.APPROVED,
        is_original=fields.membership(),
        previous_version=fields.one("PreviousVersion"),
        documentation=fields.code(v.ASSOCIATION_DOCUMENTATION, "Association documentation"),
        home=parts.attribute("home"),
        slots=fields.rest(),
    )
