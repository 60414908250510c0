"""A good assertion, a forged one, and the parts that tests change in them."""

from __future__ import annotations

import copy

from lxml import etree

from tests.data.assertions import DS, SAML, Unsigned, moment, signer

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
GOOD = Unsigned()
SIGNED = signer().sign(GOOD.text)
FORGED = Unsigned(id="_evil", subject="mallory").text


def fresh() -> etree._Element:
    return copy.deepcopy(SIGNED)


def ds(name: str) -> str:
    return f"{{{DS}}}{name}"


def saml(name: str) -> str:
    return f"{{{SAML}}}{name}"


def signature_of(assertion: etree._Element) -> etree._Element:
    found = assertion.find(ds("Signature"))
    assert found is not None
    return found


def restricted(*audiences: str) -> str:
    return "".join(
        f"<saml:AudienceRestriction><saml:Audience>{each}</saml:Audience></saml:AudienceRestriction>"
        for each in audiences
    )


def authenticated(at: float = -90, until: float | None = None) -> str:
    session = f' SessionNotOnOrAfter="{moment(until)}"' if until is not None else ""
    return (
        f'<saml:AuthnStatement AuthnInstant="{moment(at)}"{session}><saml:AuthnContext><saml:AuthnContextClassRef>'
        "urn:x</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
    )
