"""The codes of audit events: types, subtypes and agent roles, each with its system and display.

(DICOM PS3.16 CID 400 to 403, FHIR R4 audit-event-type and restful-interaction, IHE ITI transaction codes, IHE BALP)
"""

from __future__ import annotations

from typing import NamedTuple

DCM = "http://dicom.nema.org/resources/ontology/DCM"
REST_SYSTEM = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
ITI = "urn:ihe:event-type-code"
AUTHZ = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType"
USER_AGENT = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes"
OURS = "urn:weft:audit-subtype"
"""Our own subtypes, where no published list has one: DICOMweb services, and what only an authorization server does."""

REST = "rest"
APPLICATION_ACTIVITY = "110100"
AUDIT_LOG_USED = "110101"
INSTANCES_ACCESSED = "110103"
INSTANCES_TRANSFERRED = "110104"
STUDY_DELETED = "110105"
EXPORT = "110106"
IMPORT = "110107"
PATIENT_RECORD = "110110"
QUERY = "110112"
SECURITY_ALERT = "110113"
USER_AUTHENTICATION = "110114"

APPLICATION_START, APPLICATION_STOP = "110120", "110121"
LOGIN, LOGOUT = "110122", "110123"
NODE_AUTHENTICATION = "110126"
EMERGENCY_OVERRIDE_STARTED, EMERGENCY_OVERRIDE_STOPPED = "110127", "110138"
RECORDING_STOPPED, RECORDING_STARTED = "110133", "110134"

CONSENT_DECISION, ROLE_DECISION = "AuthZ-Consent", "AuthZ-Role"
REFUSED_INPUT, UNUSUAL_ACCESS = "refused-input", "unusual-access"


class Coding(NamedTuple):
    system: str
    code: str
    display: str


AUTHORIZATION_SERVER = Coding(USER_AGENT, "AuthzOauthService", "OAuth Authorization Server")
OAUTH_AGENT = Coding(USER_AGENT, "UserOauthAgent", "User OAuth Agent participant")
SAML_AGENT = Coding(USER_AGENT, "UserSamlAgent", "User SAML Agent participant")

_DICOM = {
    "110100": "Application Activity",
    "110101": "Audit Log Used",
    "110102": "Begin Transferring DICOM Instances",
    "110103": "DICOM Instances Accessed",
    "110104": "DICOM Instances Transferred",
    "110105": "DICOM Study Deleted",
    "110106": "Export",
    "110107": "Import",
    "110110": "Patient Record",
    "110112": "Query",
    "110113": "Security Alert",
    "110114": "User Authentication",
    "110120": "Application Start",
    "110121": "Application Stop",
    "110122": "Login",
    "110123": "Logout",
    "110126": "Node Authentication",
    "110127": "Emergency Override Started",
    "110129": "Security Configuration",
    "110132": "Use of Restricted Function",
    "110133": "Audit Recording Stopped",
    "110134": "Audit Recording Started",
    "110135": "Object Security Attributes Changed",
    "110136": "Security Roles Changed",
    "110137": "User Security Attributes Changed",
    "110138": "Emergency Override Stopped",
    "110150": "Application",
    "110152": "Destination Role ID",
    "110153": "Source Role ID",
    "110180": "Study Instance UID",
    "110181": "SOP Class UID",
}
_INTERACTIONS = (
    "read", "vread", "update", "patch", "delete", "create", "history", "history-instance", "history-type",
    "history-system", "search", "search-type", "search-system", "batch", "transaction", "operation",
)  # fmt: skip
_TRANSACTIONS = {
    "ITI-8": "Patient Identity Feed",
    "ITI-18": "Registry Stored Query",
    "ITI-38": "Cross Gateway Query",
    "ITI-39": "Cross Gateway Retrieve",
    "ITI-41": "Provide and Register Document Set-b",
    "ITI-42": "Register Document Set-b",
    "ITI-43": "Retrieve Document Set",
    "ITI-44": "Patient Identity Feed HL7 V3",
    "ITI-51": "Multi-Patient Stored Query",
    "ITI-57": "Update Document Set",
    "ITI-61": "Register On-Demand Document Entry",
    "ITI-62": "Remove Metadata",
    "ITI-71": "Get Access Token",
    "ITI-81": "Retrieve ATNA Audit Event",
    "ITI-83": "Patient Identifier Cross-reference for Mobile",
    "ITI-86": "Remove Documents",
    "ITI-102": "Introspect Token",
    "ITI-104": "Patient Identity Feed FHIR",
    "ITI-106": "Generate Metadata",
    "ITI-119": "Patient Demographics Match",
    "RAD-68": "Provide and Register Imaging Document Set - MTOM/XOP",
    "RAD-69": "Retrieve Imaging Document Set",
    "RAD-75": "Cross Gateway Retrieve Imaging Document Set",
}
_OWN = {
    "qido": "QIDO-RS search",
    "wado-rs": "WADO-RS retrieve",
    "wado-uri": "WADO-URI retrieve",
    "wado-metadata": "WADO-RS metadata",
    "stow-rs": "STOW-RS store",
    "delete": "Removal over DICOMweb",
    "authorize": "Authorization of a client",
    "revoke": "Token revocation",
    "refused-input": "Refused input",
    "unusual-access": "Unusual access",
    "archive-log": "Audit log checked",
    "backup": "Backup",
    "restore": "Restore",
}


def _subtypes() -> dict[str, Coding]:
    found = {code: Coding(OURS, code, display) for code, display in _OWN.items()}
    found |= {code: Coding(INTERACTION, code, code) for code in _INTERACTIONS}
    found |= {code: Coding(DCM, code, display) for code, display in _DICOM.items()}
    found |= {code: Coding(ITI, code, display) for code, display in _TRANSACTIONS.items()}
    found[CONSENT_DECISION] = Coding(AUTHZ, CONSENT_DECISION, "Authorization decision by roles and consent")
    found[ROLE_DECISION] = Coding(AUTHZ, ROLE_DECISION, "Authorization decision by roles")
    return found


SUBTYPES = _subtypes()
TYPES = {code: Coding(DCM, code, display) for code, display in _DICOM.items()} | {
    REST: Coding(REST_SYSTEM, REST, "RESTful Operation")
}


def type_of(code: str) -> Coding:
    return TYPES.get(code) or Coding(OURS, code, code)


def subtype_of(code: str) -> Coding:
    """Of a transaction that has no row, its code stands for itself."""
    return SUBTYPES.get(code) or Coding(ITI if code.startswith(("ITI-", "RAD-")) else OURS, code, code)
