"""Whom this server believes, as administrators told it: issuers of assertions, and nodes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from server.access.consent.purposes import TREATMENT

ISSUER, NODE, USED = "trust-issuer", "trust-node", "trust-used"
"""Collections."""


class Issuer(msgspec.Struct, frozen=True):
    """Who signs assertions. Nothing of an assertion gives a right by itself: codes mean here what is written here."""

    id: str
    """As it stands in `saml:Issuer`."""
    certificates: tuple[str, ...]
    """PEM: one, or two while a new one takes over."""
    audiences: tuple[str, ...] = ()
    """By which its assertions may mean us, beside our own names."""
    roles: Mapping[str, tuple[str, ...]] = {}
    """Names of `server.access.roles` by code, or by `system|code` where codes of several systems are alike."""
    purposes: Mapping[str, str] = {}
    """HL7 v3 ActReason by code or `system|code`, where it states purposes in codes of its own."""
    purpose: str = TREATMENT
    """Of assertions that state none."""
    organization: str = ""
    """`Organization/5` or `system|value`: for whom those ask whose assertions name no organization."""
    speaks_for: tuple[str, ...] = ()
    """The only organizations its assertions may name; none listed: it may name any."""
    people: str = ""
    """System of the identifiers by which it names people, where it does not say: of a Practitioner's `identifier`."""
    feeds: tuple[str, ...] = ()
    """Authorities whose identities those may feed for whom it asserts."""
    since: int = 0


class Node(msgspec.Struct, frozen=True):
    """Another system, known by its certificate."""

    id: str
    """Its name among administrators and in the audit trail."""
    thumbprint: str = ""
    """SHA-256 of its certificate, hexadecimal; or"""
    subject: str = ""
    """the name in it (RFC 4514), whoever of our authorities issued it."""
    roles: tuple[str, ...] = ()
    organization: str = ""
    purpose: str = TREATMENT
    fhir_user: str = ""
    """`Device/4`: what consents may name it by."""
    is_by_proxy: bool = False
    """Whether a trusted proxy may tell of its certificate (RFC 9440), and not the TLS connection alone."""
    feeds: tuple[str, ...] = ()
    """Authorities whose identities it may feed."""
    since: int = 0
