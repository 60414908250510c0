"""Who took part in an event and what it was about, as both the FHIR and the DICOM writer need it (IHE BALP, ATNA).

An event with several patients is read as one for each; these parts are those of one patient.
"""

from __future__ import annotations

from typing import NamedTuple

from server.audit.codes import (
    APPLICATION_ACTIVITY,
    AUTHORIZATION_SERVER,
    CONSENT_DECISION,
    DCM,
    LOGIN,
    LOGOUT,
    OAUTH_AGENT,
    PATIENT_RECORD,
    ROLE_DECISION,
    SAML_AGENT,
    SECURITY_ALERT,
    USER_AUTHENTICATION,
    Coding,
)
from server.audit.event import Event

_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
APPLICATION = Coding(DCM, "110150", "Application")
DESTINATION = Coding(DCM, "110152", "Destination Role ID")
SOURCE = Coding(DCM, "110153", "Source Role ID")
CUSTODIAN = Coding("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian", "Custodian")
RECIPIENT = Coding(_PARTICIPATION, "IRCP", "information recipient")
AUTHOR = Coding(_PARTICIPATION, "AUT", "author (originator)")
ORGANIZATION = Coding("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV", "healthcare provider")
AUTHORIZER = Coding(
    "http://terminology.hl7.org/CodeSystem/extra-security-role-type", "authserver", "authorization server"
)
IP_ADDRESS, URI = "2", "5"
TOKEN = "urn:ietf:params:oauth:jti:"  # noqa: S105
"""Stands before the id of an authorization: opaque tokens have no public id of their own."""
SAML = "saml:"
"""Begins the session of whoever an assertion speaks for; its ID follows."""
_ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion#"


class Node(NamedTuple):
    """This server, as events name it."""

    url: str
    """Where clients reach it."""
    issuer: str
    """Of its users' identifiers."""
    site: str
    """The organization whose log this is."""
    host: str
    """The machine, for the header of syslog."""


class Participant(NamedTuple):
    """One agent."""

    role: Coding
    id: str
    name: str = ""
    is_requestor: bool = False
    address: str = ""
    address_type: str = ""
    is_user: bool = False
    is_organization: bool = False


class Sides(NamedTuple):
    """The roles of client, server and user."""

    client: Coding
    server: Coding
    user: Coding


_READ = Sides(DESTINATION, SOURCE, RECIPIENT)
_SENT = Sides(SOURCE, DESTINATION, AUTHOR)
_ASKED = Sides(SOURCE, DESTINATION, RECIPIENT)
_REMOVED = Sides(APPLICATION, CUSTODIAN, AUTHOR)
_DECIDED = Sides(APPLICATION, AUTHORIZER, RECIPIENT)
_GIVEN = Sides(APPLICATION, AUTHORIZATION_SERVER, RECIPIENT)
_BY_ACTION = {"R": _READ, "C": _SENT, "U": _SENT, "D": _REMOVED, "E": _ASKED}


def sides_of(event: Event) -> Sides:
    if event.code == SECURITY_ALERT:
        return _DECIDED
    if event.code == USER_AUTHENTICATION:
        return _GIVEN
    if event.code == PATIENT_RECORD:
        return _SENT
    return _BY_ACTION[event.action]


def participants_of(event: Event, node: Node) -> list[Participant]:
    """Client, server and user; whoever started it is the requestor."""
    sides = sides_of(event)
    has_user = bool(event.user or event.user_name) and event.code != APPLICATION_ACTIVITY
    found: list[Participant] = []
    if event.client or not has_user or event.subtype not in (LOGIN, LOGOUT):
        client = event.client or ("browser" if has_user else "unknown")
        found.append(Participant(sides.client, client, "", not has_user, event.peer, IP_ADDRESS))
    found.append(Participant(sides.server, node.url, "", False, node.url, URI))
    if has_user:
        found.append(Participant(sides.user, event.user or event.user_name, event.user_name, True, is_user=True))
    if event.subtype in (CONSENT_DECISION, ROLE_DECISION):
        found.append(Participant(ORGANIZATION, node.site, is_organization=True))
    return found


def authorization_of(session: str) -> tuple[str, Coding]:
    """By what somebody may act, as a URI, and the part they then take."""
    if session.startswith(SAML):
        return _ASSERTION + session.removeprefix(SAML), SAML_AGENT
    return TOKEN + session, OAUTH_AGENT
