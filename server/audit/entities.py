"""What events are about, by kind: the codes of AuditEvent.entity and of DICOM ParticipantObjectIdentification."""

from __future__ import annotations

import re
from typing import NamedTuple

from server.audit.codes import DCM, Coding, subtype_of
from server.audit.codes import QUERY as ASKED
from server.audit.event import Entity, Event

ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_TYPES = {"1": "Person", "2": "System Object", "3": "Organization", "4": "Other"}
_ROLES = {
    "1": "Patient",
    "3": "Report",
    "4": "Domain Resource",
    "11": "Security User Entity",
    "13": "Security Resource",
    "20": "Job",
    "24": "Query",
}


class EntityKind(NamedTuple):
    """A row: entity type, object role, and the code of what its id is."""

    type: str
    role: str
    id_type: Coding
    is_resource: bool = False
    """Whether its reference is one of FHIR."""

    @property
    def type_coding(self) -> Coding:
        return Coding(ENTITY_TYPE, self.type, _TYPES[self.type])

    @property
    def role_coding(self) -> Coding | None:
        return Coding(OBJECT_ROLE, self.role, _ROLES[self.role]) if self.role else None


_RFC_3881 = "RFC-3881"
_METADATA = "IHE XDS Metadata"
_SUBMISSION_SET = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
_URI = Coding(_RFC_3881, "12", "URI")
_TRANSACTION = Coding(_RFC_3881, "10", "Search Criteria")
PATIENT = EntityKind("1", "1", Coding(_RFC_3881, "2", "Patient Number"), is_resource=True)
QUERY = EntityKind("2", "24", _TRANSACTION)
REPORT = EntityKind("2", "3", _URI, is_resource=True)
KINDS = {
    "data": EntityKind("2", "4", _URI, is_resource=True),
    "consent": EntityKind("2", "4", _URI, is_resource=True),
    "study": EntityKind("2", "3", Coding(DCM, "110180", "Study Instance UID")),
    "document": EntityKind("2", "3", Coding(_RFC_3881, "9", "Report Number")),
    "submission": EntityKind("2", "20", Coding(_METADATA, _SUBMISSION_SET, "submission set classificationNode")),
    "object": EntityKind("2", "20", Coding(_METADATA, "urn:ihe:iti:2017:ObjectRef", "registry object reference")),
    "job": EntityKind("2", "20", _URI),
    "request": QUERY,
    "token": EntityKind("2", "13", _URI),
    "user": EntityKind("2", "11", Coding(_RFC_3881, "11", "User Identifier")),
    "node": EntityKind("4", "", _URI),
    "configuration": EntityKind("4", "13", _URI),
}
BALP_ENTITY = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
REQUEST_ID = EntityKind("4", "", Coding(BALP_ENTITY, "XrequestId", "X-Request-Id"))
OTHER = EntityKind("4", "", _URI)
"""Facts that are no object: a reason, methods of sign-in, scopes, how many requests were folded."""

_STORED_QUERY = re.compile(r"AdhocQuery\s[^>]*?\bid=[\"']([^\"'<>]{1,100})[\"']")
_REPORTS = ("DiagnosticReport/", "DocumentReference/", "Composition/", "DocumentManifest/")


def asked_of(event: Event) -> tuple[EntityKind, str]:
    """How its query is told, and the id of a stored one: IHE has transaction and id told."""
    if event.code != ASKED or not event.subtype.startswith("ITI-"):
        return QUERY, ""
    named = _STORED_QUERY.search(event.query)
    return QUERY._replace(id_type=subtype_of(event.subtype)), named[1] if named else ""


def details_of(entity: Entity) -> list[tuple[str, str]]:
    """Type and value of each detail. Of documents the lines are `type=value` (`document_detail`)."""
    if entity.kind != "document":
        return [(entity.kind, entity.detail)] if entity.detail else []
    lines = (line.partition("=") for line in entity.detail.splitlines())
    return [(name, value) for name, _, value in lines if value]


def document_detail(repository: str, home: str = "") -> str:
    """What an event tells of a document beside its uniqueId; `home` is the homeCommunityId."""
    return (
        f"Repository Unique Id={repository}\nihe:homeCommunityID={home}"
        if home
        else f"Repository Unique Id={repository}"
    )


def kind_of(kind: str, reference: str) -> EntityKind:
    if kind == "data" and reference.startswith(_REPORTS):
        return REPORT
    return KINDS.get(kind, OTHER)
