"""Metadata values as ebRIM, the way queries answer them (IHE ITI TF-3 4.2, ebRIM 3.0 schema).

An object is written once, when it is registered, and kept as these bytes; so the prefix `rim:` is declared by whoever
puts objects together, and the ids of classifications follow from the object's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from uuid import NAMESPACE_URL, UUID, uuid5

from server.xds import vocabulary as v
from server.xds.metadata import (
    Association,
    Author,
    Code,
    DocumentEntry,
    Folder,
    Localized,
    RegistryObject,
    Slot,
    SubmissionSet,
    Text,
)

_LONGEST = 256
"""Characters of a value."""

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKUP = re.compile('[&<>"\t\n\r]')
_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def escape(text: str) -> str:
    """For the content of an element and for an attribute alike; what XML cannot hold becomes U+FFFD."""
    if _NO_XML.search(text):
        text = _NO_XML.sub("\ufffd", text)
    return _MARKUP.sub(lambda found: _REFERENCES[found[0]], text) if _MARKUP.search(text) else text


def write_object(found: RegistryObject) -> bytes:
    """Valid against the schema where the object keeps the standard's rules."""
    match found:
        case DocumentEntry():
            text = _document(found)
        case SubmissionSet():
            text = _submission_set(found)
        case Folder():
            text = _folder(found)
        case Association():
            text = _association(found)
    return text.encode()


def write_reference(id_: str, home: str = "") -> bytes:
    """An rim:ObjectRef."""
    return f"<rim:ObjectRef{_attributes(id=id_, home=home)}/>".encode()


class _Parts:
    """Writes the classifications and identifiers of one object, numbering them."""

    def __init__(self, id_: str) -> None:
        self._owner = id_
        self._base = uuid5(NAMESPACE_URL, id_).int
        self._count = 0

    def _new_id(self) -> str:
        self._count += 1
        return f"urn:uuid:{UUID(int=self._base ^ self._count)}"

    def _classification(self, inside: str, **attributes: str) -> str:
        own = _attributes(id=self._new_id(), objectType=v.CLASSIFICATION, classifiedObject=self._owner, **attributes)
        return f"<rim:Classification{own}>{inside}</rim:Classification>"

    def code(self, scheme: str, code: Code | None) -> str:
        if code is None:
            return ""
        name = _text("Name", code.names) if code.names else _name(code.display) if code.display else ""
        inside = _one("codingScheme", code.scheme) + name
        return self._classification(inside, classificationScheme=scheme, nodeRepresentation=code.code)

    def codes(self, scheme: str, codes: Iterable[Code]) -> str:
        return "".join([self.code(scheme, each) for each in codes])

    def authors(self, scheme: str, authors: Iterable[Author]) -> str:
        return "".join([self._author(scheme, each) for each in authors])

    def _author(self, scheme: str, author: Author) -> str:
        inside = (
            _one("authorPerson", author.person),
            _many("authorInstitution", author.institutions),
            _many("authorRole", author.roles),
            _many("authorSpecialty", author.specialties),
            _many("authorTelecommunication", author.telecommunications),
        )
        return self._classification("".join(inside), classificationScheme=scheme, nodeRepresentation="")

    def node(self, node: str, is_one: bool = True) -> str:
        return self._classification("", classificationNode=node) if is_one else ""

    def identifier(self, scheme: str, name: str, value: str) -> str:
        if not value:
            return ""
        own = _attributes(
            id=self._new_id(),
            objectType=v.EXTERNAL_IDENTIFIER,
            registryObject=self._owner,
            identificationScheme=scheme,
            value=value,
        )
        return f"<rim:ExternalIdentifier{own}>{_name(name)}</rim:ExternalIdentifier>"


def _document(entry: DocumentEntry) -> str:
    parts = _Parts(entry.id)
    return _element(
        "ExtrinsicObject",
        _attributes(id=entry.id, objectType=entry.object_type, status=entry.status)
        + _given(mimeType=entry.mime_type, lid=entry.logical_id, home=entry.home),
        _one("creationTime", entry.creation_time),
        _one("hash", entry.hash),
        _one("languageCode", entry.language_code),
        _one("legalAuthenticator", entry.legal_authenticator),
        _one("repositoryUniqueId", entry.repository_unique_id),
        _one("serviceStartTime", entry.service_start_time),
        _one("serviceStopTime", entry.service_stop_time),
        _one("size", "" if entry.size is None else str(entry.size)),
        _one("sourcePatientId", entry.source_patient_id),
        _many("sourcePatientInfo", entry.source_patient_info),
        _many("URI", _pieces(entry.uri)),
        _one("documentAvailability", entry.availability),
        _many(v.REFERENCE_IDS, entry.reference_ids),
        _slots(entry.slots),
        _words(entry.title, entry.comments, entry.version),
        parts.authors(v.DOCUMENT_AUTHOR, entry.authors),
        parts.code(v.DOCUMENT_CLASS, entry.class_code),
        parts.codes(v.DOCUMENT_CONFIDENTIALITY, entry.confidentiality_codes),
        parts.codes(v.DOCUMENT_EVENT, entry.event_codes),
        parts.code(v.DOCUMENT_FORMAT, entry.format_code),
        parts.code(v.DOCUMENT_FACILITY, entry.facility_type_code),
        parts.code(v.DOCUMENT_PRACTICE, entry.practice_setting_code),
        parts.code(v.DOCUMENT_TYPE, entry.type_code),
        parts.node(v.DOCUMENT_LIMITED, entry.is_limited),
        parts.identifier(v.DOCUMENT_PATIENT, "XDSDocumentEntry.patientId", entry.patient_id),
        parts.identifier(v.DOCUMENT_UNIQUE, "XDSDocumentEntry.uniqueId", entry.unique_id),
    )


def _submission_set(entry: SubmissionSet) -> str:
    parts = _Parts(entry.id)
    return _element(
        "RegistryPackage",
        _attributes(id=entry.id, objectType=v.REGISTRY_PACKAGE, status=entry.status) + _given(home=entry.home),
        _one("submissionTime", entry.submission_time),
        _many("intendedRecipient", entry.intended_recipients),
        _slots(entry.slots),
        _words(entry.title, entry.comments),
        parts.node(v.SUBMISSION_SET),
        parts.authors(v.SUBMISSION_AUTHOR, entry.authors),
        parts.code(v.SUBMISSION_CONTENT, entry.content_type_code),
        parts.node(v.SUBMISSION_LIMITED, entry.is_limited),
        parts.identifier(v.SUBMISSION_UNIQUE, "XDSSubmissionSet.uniqueId", entry.unique_id),
        parts.identifier(v.SUBMISSION_SOURCE, "XDSSubmissionSet.sourceId", entry.source_id),
        parts.identifier(v.SUBMISSION_PATIENT, "XDSSubmissionSet.patientId", entry.patient_id),
    )


def _folder(entry: Folder) -> str:
    parts = _Parts(entry.id)
    return _element(
        "RegistryPackage",
        _attributes(id=entry.id, objectType=v.REGISTRY_PACKAGE, status=entry.status)
        + _given(lid=entry.logical_id, home=entry.home),
        _one("lastUpdateTime", entry.last_update_time),
        _slots(entry.slots),
        _words(entry.title, entry.comments, entry.version),
        parts.node(v.FOLDER),
        parts.codes(v.FOLDER_CODES, entry.codes),
        parts.node(v.FOLDER_LIMITED, entry.is_limited),
        parts.identifier(v.FOLDER_PATIENT, "XDSFolder.patientId", entry.patient_id),
        parts.identifier(v.FOLDER_UNIQUE, "XDSFolder.uniqueId", entry.unique_id),
    )


def _association(entry: Association) -> str:
    membership = "" if entry.is_original is None else "Original" if entry.is_original else "Reference"
    return _element(
        "Association",
        _attributes(
            id=entry.id,
            objectType=v.ASSOCIATION,
            status=entry.status,
            associationType=entry.type,
            sourceObject=entry.source,
            targetObject=entry.target,
        )
        + _given(home=entry.home),
        _one("SubmissionSetStatus", membership),
        _one("PreviousVersion", entry.previous_version),
        _slots(entry.slots),
        _Parts(entry.id).code(v.ASSOCIATION_DOCUMENTATION, entry.documentation),
    )


def _element(name: str, attributes: str, *inside: str) -> str:
    return f"<rim:{name}{attributes}>{''.join(inside)}</rim:{name}>"


def _attributes(**values: str) -> str:
    return "".join([f' {name}="{escape(value)}"' for name, value in values.items()])


def _given(**values: str) -> str:
    return "".join([f' {name}="{escape(value)}"' for name, value in values.items() if value])


def _one(name: str, value: str) -> str:
    return _slot(name, (value,)) if value else ""


def _many(name: str, values: Sequence[str]) -> str:
    return _slot(name, values) if values else ""


def _pieces(uri: str) -> Sequence[str]:
    """Numbered where it is longer than a value may be (TF-3 4.2.3.2.27)."""
    if len(uri) <= _LONGEST:
        return (uri,) if uri else ()
    step = _LONGEST - 4
    return [f"{number}|{uri[start : start + step]}" for number, start in enumerate(range(0, len(uri), step), 1)]


def _slots(slots: Iterable[Slot]) -> str:
    return "".join([_slot(each.name, each.values) for each in slots])


def _slot(name: str, values: Sequence[str]) -> str:
    inside = "".join([f"<rim:Value>{escape(value)}</rim:Value>" for value in values])
    return f'<rim:Slot name="{escape(name)}"><rim:ValueList>{inside}</rim:ValueList></rim:Slot>'


def _words(title: Text, comments: Text, version: str = "") -> str:
    return "".join(
        (
            _text("Name", title),
            _text("Description", comments),
            f"<rim:VersionInfo{_attributes(versionName=version)}/>" if version else "",
        )
    )


def _name(text: str) -> str:
    return _text("Name", (Localized(text),))


def _text(name: str, text: Text) -> str:
    if not text:
        return ""
    strings = [
        f"<rim:LocalizedString{_given(**{'xml:lang': each.language})}{_attributes(value=each.text)}/>" for each in text
    ]
    return f"<rim:{name}>{''.join(strings)}</rim:{name}>"
