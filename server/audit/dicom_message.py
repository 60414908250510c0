"""Events as DICOM audit messages (PS3.15 A.5.1), the body of the IHE ATNA feed ITI-20 over syslog.

Values that came from outside are attribute values or base64, as the schema has it, and characters that XML cannot hold
are left out.
"""

from __future__ import annotations

import base64
import re
from xml.etree.ElementTree import Element, SubElement, tostring

from server.audit.balp import instant_text
from server.audit.codes import DCM, ITI, Coding, subtype_of, type_of
from server.audit.entities import PATIENT, REQUEST_ID, EntityKind, asked_of, details_of, kind_of
from server.audit.event import Entity, Event
from server.audit.parts import TOKEN, Node, Participant, authorization_of, participants_of

_UNHOLDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAMES = {DCM: "DCM", ITI: "IHE Transactions"}
_APPLICATION_SERVER = "4"


def messages(event: Event, node: Node) -> list[bytes]:
    """One UTF-8 document for each patient."""
    return [message(event, patient, node) for patient in event.patients]


def message(event: Event, patient: str, node: Node) -> bytes:
    root = Element("AuditMessage")
    _identification(root, event)
    for part in participants_of(event, node):
        _participant(root, part, event)
    source = _element(root, "AuditSourceIdentification", AuditEnterpriseSiteID=node.site, AuditSourceID=node.url)
    _element(source, "AuditSourceTypeCode", csd_code=_APPLICATION_SERVER)
    if patient or event.number(patient):
        _name(_object(root, PATIENT, event.number(patient) or patient), patient or event.number(patient))
    if event.query:
        kind, id = asked_of(event)
        asked = _object(root, kind, id or "query")
        SubElement(asked, "ParticipantObjectQuery").text = _base64(event.query)
    for each in event.entities:
        _entity(root, each)
    if event.request:
        _name(_object(root, REQUEST_ID, event.request), event.request)
    return bytes(tostring(root, encoding="utf-8"))


def _identification(root: Element, event: Event) -> None:
    found = _element(
        root,
        "EventIdentification",
        EventActionCode=event.action,
        EventDateTime=instant_text(event.recorded),
        EventOutcomeIndicator=str(event.outcome),
    )
    _code(found, "EventID", type_of(event.code))
    if event.subtype:
        _code(found, "EventTypeCode", subtype_of(event.subtype))
    if event.outcome_text:
        SubElement(found, "EventOutcomeDescription").text = _held(event.outcome_text)


def _participant(root: Element, part: Participant, event: Event) -> None:
    facts = {"UserID": part.id}
    authorization, agent = authorization_of(event.session)
    if part.is_user and event.fhir_user:
        facts["AlternativeUserID"] = event.fhir_user
    elif part.is_requestor and event.session:
        facts["AlternativeUserID"] = authorization
    if part.name:
        facts["UserName"] = part.name
    facts["UserIsRequestor"] = "true" if part.is_requestor else "false"
    if part.address:
        facts |= {"NetworkAccessPointID": part.address, "NetworkAccessPointTypeCode": part.address_type}
    found = _element(root, "ActiveParticipant", **facts)
    _code(found, "RoleIDCode", part.role)
    if part.is_user and event.session:
        _code(found, "RoleIDCode", agent)
    for each in sorted(event.roles) if part.is_user else ():
        _code(found, "RoleIDCode", Coding("urn:weft:role", each, each))
    if part.is_user and event.purpose:
        _code(found, "RoleIDCode", Coding("2.16.840.1.113883.5.8", event.purpose, "purpose of use"))


def _entity(root: Element, entity: Entity) -> None:
    kind = kind_of(entity.kind, entity.reference)
    if entity.kind == "request":
        SubElement(_object(root, kind, "request"), "ParticipantObjectQuery").text = _base64(entity.detail)
        return
    reference = entity.reference.removeprefix("urn:oid:") if entity.kind == "study" else entity.reference
    if entity.kind == "token":
        reference = TOKEN + reference
    found = _object(root, kind, reference or entity.kind)
    _name(found, reference or entity.kind)
    for type, value in details_of(entity):
        _detail(found, type, value)


def _object(root: Element, kind: EntityKind, id: str) -> Element:
    facts = {"ParticipantObjectID": id, "ParticipantObjectTypeCode": kind.type}
    if kind.role:
        facts["ParticipantObjectTypeCodeRole"] = kind.role
    found = _element(root, "ParticipantObjectIdentification", **facts)
    _code(found, "ParticipantObjectIDTypeCode", kind.id_type)
    return found


def _name(found: Element, name: str) -> None:
    SubElement(found, "ParticipantObjectName").text = _held(name)


def _detail(found: Element, type: str, value: str) -> None:
    _element(found, "ParticipantObjectDetail", type=type, value=_base64(value))


def _code(parent: Element, tag: str, coding: Coding) -> None:
    system = _NAMES.get(coding.system, coding.system)
    _element(parent, tag, csd_code=coding.code, codeSystemName=system, originalText=coding.display)


def _element(parent: Element, tag: str, **facts: str) -> Element:
    return SubElement(parent, tag, {name.replace("csd_", "csd-"): _held(value) for name, value in facts.items()})


def _held(text: str) -> str:
    return _UNHOLDABLE.sub("", text)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
