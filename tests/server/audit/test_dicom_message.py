from __future__ import annotations

import base64
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import msgspec
import pytest

from server.audit.dicom_message import messages
from server.audit.event import Entity, Event
from tests.server.audit.recording import AT, NODE
from tests.server.audit.samples import samples

SAMPLES = samples()

# The schema of PS3.15 A.5.1: attributes that must and may be there, and the elements within, in their order.
CODED = ({"csd-code", "codeSystemName", "originalText"}, {"displayName"}, ())
SCHEMA: dict[str, tuple[set[str], set[str], tuple[str, ...]]] = {
    "AuditMessage": (
        set(),
        set(),
        (
            "EventIdentification",
            "ActiveParticipant",
            "AuditSourceIdentification",
            "ParticipantObjectIdentification",
        ),
    ),
    "EventIdentification": (
        {"EventDateTime", "EventOutcomeIndicator"},
        {"EventActionCode"},
        ("EventID", "EventTypeCode", "EventOutcomeDescription"),
    ),
    "EventID": CODED,
    "EventTypeCode": CODED,
    "EventOutcomeDescription": (set(), set(), ()),
    "ActiveParticipant": (
        {"UserID", "UserIsRequestor"},
        {"AlternativeUserID", "UserName", "NetworkAccessPointID", "NetworkAccessPointTypeCode"},
        ("RoleIDCode",),
    ),
    "RoleIDCode": CODED,
    "AuditSourceIdentification": ({"AuditSourceID"}, {"AuditEnterpriseSiteID"}, ("AuditSourceTypeCode",)),
    "AuditSourceTypeCode": ({"csd-code"}, set(), ()),
    "ParticipantObjectIdentification": (
        {"ParticipantObjectID"},
        {"ParticipantObjectTypeCode", "ParticipantObjectTypeCodeRole"},
        (
            "ParticipantObjectIDTypeCode",
            "ParticipantObjectName",
            "ParticipantObjectQuery",
            "ParticipantObjectDetail",
        ),
    ),
    "ParticipantObjectIDTypeCode": CODED,
    "ParticipantObjectName": (set(), set(), ()),
    "ParticipantObjectQuery": (set(), set(), ()),
    "ParticipantObjectDetail": ({"type", "value"}, set(), ()),
}


def check(element: Element) -> None:
    required, optional, within = SCHEMA[element.tag]
    assert required <= set(element.attrib) <= required | optional, element.attrib
    places = [within.index(each.tag) for each in element]
    assert places == sorted(places)
    for each in element:
        check(each)


def roots(name: str) -> list[Element]:
    return [ElementTree.fromstring(each) for event in SAMPLES[name] for each in messages(event, NODE)]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_pattern_follows_the_schema(name: str) -> None:
    for root in roots(name):
        check(root)
        assert root.find("ActiveParticipant") is not None
        for each in root.findall("ParticipantObjectIdentification"):
            assert len(each.findall("ParticipantObjectName")) + len(each.findall("ParticipantObjectQuery")) == 1


def test_a_retrieval_names_study_patient_and_both_ends() -> None:
    [root] = roots("P13")
    event = root.find("EventIdentification")
    assert event is not None
    assert (event.get("EventActionCode"), event.get("EventOutcomeIndicator")) == ("R", "0")
    assert event.get("EventDateTime") == "2026-11-22T09:20:00.123Z"
    code = event.find("EventID")
    assert code is not None
    assert (code.get("csd-code"), code.get("codeSystemName")) == ("110104", "DCM")
    objects = {each.get("ParticipantObjectID") for each in root.findall("ParticipantObjectIdentification")}
    assert objects == {"Patient/3", "1.2.826.0.1.3680043.9.7777.1", "req-1"}
    assert [each.get("UserIsRequestor") for each in root.findall("ActiveParticipant")] == ["false", "false", "true"]


def test_a_search_is_one_message_for_each_patient_with_the_raw_query() -> None:
    found = roots("P06")
    assert len(found) == 2
    query = found[0].findtext(".//ParticipantObjectQuery")
    assert base64.b64decode(query or "") == b"GET /fhir/Observation?code=1"


def test_nothing_from_outside_breaks_the_xml() -> None:
    hostile = '"><x y="\x00\x1f\ud800&<![CDATA['
    event = Event(
        "rest", "read", "R", AT, 4, hostile, hostile, hostile, hostile, hostile, hostile, (hostile,), hostile, hostile,
        hostile, hostile, (Entity("data", hostile, hostile),), hostile,
    )  # fmt: skip
    [message] = messages(event, NODE)
    check(ElementTree.fromstring(message))


def test_who_is_nobody_known_still_has_a_participant() -> None:
    event = msgspec.structs.replace(SAMPLES["P35"][0], peer="")
    check(ElementTree.fromstring(messages(event, NODE)[0]))
