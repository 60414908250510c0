"""Events as FHIR R4 AuditEvent resources, in the shapes of IHE Basic Audit Log Patterns (BALP 1.1).

The profiles describe what succeeded: a failure keeps the shape and claims no profile.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from server.audit.codes import (
    CONSENT_DECISION,
    REST,
    SECURITY_ALERT,
    USER_AUTHENTICATION,
    Coding,
    subtype_of,
    type_of,
)
from server.audit.entities import BALP_ENTITY, PATIENT, REQUEST_ID, EntityKind, asked_of, details_of, kind_of
from server.audit.event import Entity, Event
from server.audit.parts import CUSTODIAN, TOKEN, Node, Participant, authorization_of, participants_of, sides_of

_PROFILES = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"
_REST_PROFILES = {"C": "Create", "R": "Read", "U": "Update", "D": "Delete"}
_BASIC = ("create", "read", "vread", "update", "patch", "delete")
_SEARCHES = ("search", "search-type", "search-system")
_REQUEST_ID = {"system": BALP_ENTITY, "code": REQUEST_ID.id_type.code}
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_ROLE = "urn:weft:role"
_CONSENT_TYPE = {"system": "http://hl7.org/fhir/resource-types", "code": "Consent", "display": "Consent"}
_SOURCE_TYPE = Coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def audit_events(recorded_id: str, event: Event, node: Node) -> list[dict[str, Any]]:
    """One resource for each patient, the first under the id of the entry in the log."""
    return [
        audit_event(recorded_id if number == 0 else f"{recorded_id}.{number}", event, patient, node)
        for number, patient in enumerate(event.patients)
    ]


def audit_event(resource_id: str, event: Event, patient: str, node: Node) -> dict[str, Any]:
    profile = _profile(event, patient)
    found: dict[str, Any] = {"resourceType": "AuditEvent", "id": resource_id}
    if profile:
        found["meta"] = {"profile": [_PROFILES + profile]}
    found["type"] = _coding(type_of(event.code))
    if event.subtype:
        found["subtype"] = [_coding(subtype_of(event.subtype))]
    found |= {"action": event.action, "recorded": instant_text(event.recorded), "outcome": str(event.outcome)}
    if event.outcome_text:
        found["outcomeDesc"] = event.outcome_text
    if event.purpose:
        found["purposeOfEvent"] = [_purpose(event.purpose)]
    found["agent"] = [_agent(each, event, node) for each in participants_of(event, node)]
    found["source"] = _source(node)
    entities = _entities(event, patient)
    if entities:
        found["entity"] = entities
    return found


def instant_text(micros: int) -> str:
    """`2026-11-22T09:00:00.123Z`."""
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _profile(event: Event, patient: str) -> str:
    if event.outcome:
        return "IHE.BasicAudit.AuthZconsent" if _is_consent_decision(event, patient) else ""
    if event.code == REST and event.subtype in _SEARCHES:
        return f"IHE.BasicAudit.{'Patient' if patient else ''}Query"
    is_basic = event.subtype in _BASIC and event.action in _REST_PROFILES
    if event.code == REST and is_basic and len(event.entities) == 1:
        return f"IHE.BasicAudit.{'Patient' if patient else ''}{_REST_PROFILES[event.action]}"
    if event.code == USER_AUTHENTICATION and event.subtype == "ITI-71":
        return "IHE.IUA.71"
    return "IHE.BasicAudit.AuthZconsent" if _is_consent_decision(event, patient) else ""


def _is_consent_decision(event: Event, patient: str) -> bool:
    """The profile asks for user, patient and consent."""
    is_decision = event.code == SECURITY_ALERT and event.subtype == CONSENT_DECISION
    return is_decision and bool(event.user and patient and event.entities)


def _agent(part: Participant, event: Event, node: Node) -> dict[str, Any]:
    is_bare = sides_of(event).server is CUSTODIAN
    authorization, agent = authorization_of(event.session)
    codings = [_coding(part.role)]
    if part.is_user and event.session and not is_bare:
        codings.append(_coding(agent))
    found: dict[str, Any] = {"type": {"coding": codings}}
    if part.is_user and event.roles:
        found["role"] = [{"coding": [{"system": _ROLE, "code": each}]} for each in sorted(event.roles)]
    found["who"] = _who(part, event, node)
    if part.name:
        found["name"] = part.name
    found["requestor"] = part.is_requestor
    if part.is_requestor and event.session and not is_bare:
        found["policy"] = [authorization]
    if part.address:
        found["network"] = {"address": part.address, "type": part.address_type}
    if part.is_user and event.purpose:
        found["purposeOfUse"] = [_purpose(event.purpose)]
    return found


def _who(part: Participant, event: Event, node: Node) -> dict[str, Any]:
    if part.is_organization:
        return {"type": "Organization", "display": part.id}
    if not part.is_user:
        return {"identifier": {"value": part.id}}
    found: dict[str, Any] = {}
    if event.fhir_user:
        found["reference"] = event.fhir_user
    if event.user:
        found["identifier"] = {"system": node.issuer, "value": event.user}
    return found | {"display": part.name or part.id}


def _source(node: Node) -> dict[str, Any]:
    observer = {"type": "Device", "identifier": {"value": node.url}}
    return {"site": node.site, "observer": observer, "type": [_coding(_SOURCE_TYPE)]}


def _entities(event: Event, patient: str) -> list[dict[str, Any]]:
    found = []
    if patient or event.number(patient):
        found.append({"what": _patient(patient, event.number(patient))} | _kind(PATIENT))
    if event.query:
        kind, id = asked_of(event)
        asked = _kind(kind) | {"description": _description(event.query), "query": _base64(event.query)}
        found.append({"what": {"identifier": {"value": id}}} | asked if id else asked)
    found += [_entity(each) for each in event.entities]
    if event.request and event.action != "D" and event.subtype not in (CONSENT_DECISION, "ITI-71"):
        found.append({"what": {"identifier": {"value": event.request}}, "type": _REQUEST_ID})
    return found


def _entity(entity: Entity) -> dict[str, Any]:
    kind = kind_of(entity.kind, entity.reference)
    if entity.kind == "request":
        return _kind(kind) | {"query": _base64(entity.detail)}
    found = _kind(kind)
    if entity.kind == "consent":
        found = {"type": _CONSENT_TYPE}
    if entity.reference:
        found = {"what": _what(entity, kind.is_resource)} | found
    else:
        found["name"] = entity.kind
    if details := details_of(entity):
        found["detail"] = [{"type": type, "valueString": value} for type, value in details]
    return found


def _patient(reference: str, number: str) -> dict[str, Any]:
    found: dict[str, Any] = {"reference": reference} if reference else {}
    if number:
        value, _, authority = number.partition("^^^")
        oid = authority.strip("&").partition("&")[0]
        found["identifier"] = {"system": f"urn:oid:{oid}", "value": value} if oid else {"value": value}
    return found


def _what(entity: Entity, is_resource: bool) -> dict[str, Any]:
    reference = entity.reference
    if is_resource:
        return {"reference": reference} if "/" in reference else {"type": reference, "display": reference}
    if entity.kind == "study":
        return {"identifier": {"system": "urn:dicom:uid", "value": reference}}
    return {"identifier": {"value": (TOKEN if entity.kind == "token" else "") + reference}}


def _kind(kind: EntityKind) -> dict[str, Any]:
    found = {"type": _coding(kind.type_coding)}
    return found | {"role": _coding(kind.role_coding)} if kind.role_coding else found


def _description(query: str) -> str:
    return " ".join(query.split())[:1000]


def _purpose(code: str) -> dict[str, Any]:
    return {"coding": [{"system": _REASON, "code": code}]}


def _coding(coding: Coding) -> dict[str, Any]:
    return {"system": coding.system, "code": coding.code, "display": coding.display}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
