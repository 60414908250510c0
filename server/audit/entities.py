"""What events are about, by kind: the codes of AuditEvent.entity and of DICOM ParticipantObjectIdentification."""

from __future__ import annotations

from typing import NamedTuple

from server.audit.codes import DCM, Coding

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
_URI = Coding(_RFC_3881, "12", "URI")
_TRANSACTION = Coding(_RFC_3881, "10", "Search Criteria")
PATIENT = EntityKind("1", "1", Coding(_RFC_3881, "2", "Patient Number"), is_resource=True)
QUERY = EntityKind("2", "24", _TRANSACTION)
REPORT = EntityKind("2", "3", _URI, is_resource=True)
KINDS = {
    "data": EntityKind("2", "4", _URI, is_resource=True),
    "consent": EntityKind("2", "4", _URI, is_resource=True),
    "study": EntityKind("2", "3", Coding(DCM, "110180", "Study Instance UID")),
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

_REPORTS = ("DiagnosticReport/", "DocumentReference/", "Composition/", "DocumentManifest/")


def kind_of(kind: str, reference: str) -> EntityKind:
    if kind == "data" and reference.startswith(_REPORTS):
        return REPORT
    return KINDS.get(kind, OTHER)
