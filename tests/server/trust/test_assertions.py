"""Which assertions are believed, and which never (XUA, ITI-40): each refusal by its reason, which no sender hears."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from lxml import etree

from server.kernel.problem import Kind
from server.trust.model import Issuer
from server.trust.refusals import FAILED, INVALID, Refusal
from server.trust.saml import Value
from tests.data.assertions import (
    AUDIENCE,
    DS,
    ISSUER,
    NAME,
    ORGANIZATION,
    PURPOSE,
    RESOURCE,
    ROLE,
    Unsigned,
    coded,
    envelope,
    moment,
    signer,
)
from tests.server.trust.asserted import BEARER, GOOD, SIGNED, authenticated, restricted, saml
from tests.server.trust.conftest import HOME, Gate


def test_what_a_good_assertion_says_is_told(gate: Gate) -> None:
    attributes = (
        (NAME, "Dr A"),
        (ROLE, coded("309343006")),
        (PURPOSE, coded("TREAT", "2.16.840.1.113883.5.8", "PurposeOfUse")),
        (ORGANIZATION, '<id xmlns="urn:hl7-org:v3" root="2.16.156.10011.1.5" extension="H-1"/>'),
        (ORGANIZATION, "urn:oid:2.2.2.1"),
        (RESOURCE, "7^^^&amp;1.2.3.4&amp;ISO"),
        ("urn:ihe:iti:xca:2010:homeCommunityId", "urn:oid:9.9"),
        ("urn:oasis:names:tc:xspa:1.0:subject:npi", "1234567893"),
    )
    found = gate.shown(signer().sign(Unsigned(attributes=attributes, namequalifier="urn:gs1:gln").text))
    assert found.subject == Value("dr-a", "urn:gs1:gln")
    assert (found.name, found.issuer, found.id, found.home) == ("Dr A", ISSUER, "_a1", "urn:oid:9.9")
    assert found.roles == (Value("309343006", "2.16.840.1.113883.6.96"),)
    assert found.purposes == (Value("TREAT", "2.16.840.1.113883.5.8"),)
    assert found.organizations == ("urn:oid:2.16.156.10011.1.5|H-1", "urn:ietf:rfc:3986|urn:oid:2.2.2.1")
    assert (found.resource, found.provider) == ("7^^^&1.2.3.4&ISO", (Value("1234567893"),))
    assert found.not_on_or_after.isoformat() == "2026-11-22T09:30:00+00:00"


def test_values_written_as_escaped_elements_are_read(gate: Gate) -> None:
    """As some national senders do, whose ampersands are escaped twice besides."""
    role = '&lt;Role xmlns="urn:hl7-org:v3" xsi:type="CE" code="LE" codeSystem="urn:oid:2.16.578"/&gt;'
    attributes = ((ROLE, role), (RESOURCE, "7^^^&amp;amp;1.2.3.4&amp;amp;ISO"))
    found = gate.shown(signer().sign(Unsigned(attributes=attributes).text))
    assert found.roles == (Value("LE", "2.16.578"),)
    assert found.resource == "7^^^&1.2.3.4&ISO"


@pytest.mark.parametrize("is_rsa", [False, True])
def test_both_kinds_of_key_are_believed_once_pinned(gate: Gate, is_rsa: bool) -> None:
    other = signer("other", is_rsa=is_rsa)
    gate.believe(certificates=(signer().pem, other.pem))
    assert gate.shown(other.sign(GOOD.text)).subject.value == "dr-a"


AUDIENCES = {
    "own url": AUDIENCE,
    "endpoint": f"{AUDIENCE}/xds/registry",
    "home": HOME,
    "configured": "urn:e-health-suisse:token-audience:all-communities",
}


@pytest.mark.parametrize("name", AUDIENCES)
def test_audiences_that_are_ours(gate: Gate, name: str) -> None:
    gate.believe(audiences=("urn:e-health-suisse:token-audience:all-communities",))
    conditions = (
        "<saml:AudienceRestriction><saml:Audience>urn:other</saml:Audience>"
        f"<saml:Audience>{AUDIENCES[name]}</saml:Audience></saml:AudienceRestriction>"
    )
    assert gate.shown(signer().sign(Unsigned(conditions=conditions).text))


def confirmed(method: str = BEARER, **facts: str) -> str:
    data = "".join(f' {name}="{value}"' for name, value in facts.items())
    return (
        f'<saml:SubjectConfirmation Method="{method}"><saml:SubjectConfirmationData{data}/></saml:SubjectConfirmation>'
    )


# Signed well by the issuer, and still not to be believed; the first nine as the names of the NIST cases have them.
CONTENTS: dict[str, tuple[Unsigned, str]] = {
    "expired": (Unsigned(span=(-4000, -61)), "expired"),
    "notyetvalid": (Unsigned(span=(61, 600)), "not yet valid"),
    "unknownaudience": (Unsigned(conditions=restricted("https://other.example")), "for another audience"),
    "invalidauthnstatement": (Unsigned(authentication=authenticated(at=61)), "a sign-in that has not been"),
    "session over": (Unsigned(authentication=authenticated(until=-61)), "the session has ended"),
    "no sign-in": (Unsigned(authentication=""), "nobody is said to have signed in"),
    "one of two sign-ins is none": (Unsigned(authentication=authenticated() + authenticated(at=99)), "sign-in that"),
    "a prefix of our name": (Unsigned(conditions=restricted(AUDIENCE + ".evil.example")), "for another audience"),
    "no audience": (Unsigned(conditions=""), "for no audience"),
    "one of two restrictions": (Unsigned(conditions=restricted(AUDIENCE, "urn:other")), "for another audience"),
    "for days": (Unsigned(span=(-60, 43_300)), "valid for too long"),
    "no confirmation": (Unsigned(confirmation=""), "no confirmation"),
    "sender vouches": (Unsigned(confirmation=confirmed("urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")), "no conf"),
    "other recipient": (Unsigned(confirmation=confirmed(Recipient="https://other.example/x")), "no confirmation"),
    "confirmation over": (Unsigned(confirmation=confirmed(NotOnOrAfter=moment(-61))), "no confirmation"),
    "confirmation to come": (Unsigned(confirmation=confirmed(NotBefore=moment(61))), "no confirmation"),
    "a key nobody holds": (
        Unsigned(confirmation=confirmed("urn:oasis:names:tc:SAML:2.0:cm:holder-of-key")),
        "no confirmation",
    ),
    "unknown condition": (Unsigned(conditions=restricted(AUDIENCE) + "<saml:Condition/>"), "not understood"),
    "another version": (Unsigned(version="1.1"), "another version"),
    "a moment that is none": (Unsigned(authentication='<saml:AuthnStatement AuthnInstant="now"/>'), "a moment"),
    "two patients": (Unsigned(attributes=((RESOURCE, "1^^^&amp;1.2&amp;ISO"), (RESOURCE, "2"))), "several patients"),
    "a patient in words of its own": (
        Unsigned(attributes=((RESOURCE, '<patient xmlns="urn:x"><number>7</number></patient>'),)),
        "not understood",
    ),
    "one of two purposes unknown": (
        Unsigned(attributes=((PURPOSE, coded("TREAT")), (PURPOSE, '<P xmlns="urn:hl7-org:v3" nullFlavor="UNK"/>'))),
        "not understood",
    ),
    "a moment before all time": (
        Unsigned(authentication=authenticated().replace(moment(-90), "0001-01-01T00:00:00+14:00")),
        "a moment",
    ),
    "unknown issuer": (Unsigned(issuer="https://stranger.example"), "nobody here believes"),
    "too many values": (Unsigned(attributes=((ROLE, "a"),) * 101), "more values"),
    "escaped nonsense": (Unsigned(attributes=((ROLE, "&lt;Role code="),)), "neither text nor an element"),
    "an entity within a value": (
        Unsigned(attributes=((ROLE, '&lt;!DOCTYPE v [&lt;!ENTITY e "x">]>&lt;Role code="&amp;e;"/>'),)),
        "neither text nor an element",
    ),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_signed_and_still_not_believed(gate: Gate, name: str) -> None:
    unsigned, reason = CONTENTS[name]
    assert reason in gate.refuses(envelope(signer().sign(unsigned.text)))


def test_small_differences_between_clocks_are_forgiven(gate: Gate) -> None:
    for number, span in enumerate([(-4000.0, -30.0), (30.0, 600.0)]):
        assert gate.shown(signer().sign(Unsigned(id=f"_c{number}", span=span).text))


def test_a_bearer_is_believed_only_where_nobody_reads_along(gate: Gate) -> None:
    assert gate.refuses(envelope(SIGNED), is_protected=False) == "no confirmation of the subject holds"


def test_a_holder_of_key_shows_the_certificate_of_the_connection(gate: Gate) -> None:
    node = signer("node")
    pem = "".join(node.pem.splitlines()[1:-1])
    named = f"<ds:X509Data><ds:X509Certificate>{pem}</ds:X509Certificate></ds:X509Data>"
    key = f'<ds:KeyInfo xmlns:ds="{DS}">{named}</ds:KeyInfo>'
    confirmation = (
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key">'
        f"<saml:SubjectConfirmationData>{key}</saml:SubjectConfirmationData></saml:SubjectConfirmation>"
    )
    held = signer().sign(Unsigned(confirmation=confirmation).text)
    assert gate.takes(envelope(held, message="urn:uuid:1"), certificate=node.der)
    assert "no confirmation" in gate.refuses(envelope(held, message="urn:uuid:2"))
    assert "no confirmation" in gate.refuses(envelope(held, message="urn:uuid:3"), certificate=signer("thief").der)


def test_an_issuer_that_is_taken_out_is_believed_no_more(gate: Gate) -> None:
    gate.shown(SIGNED)
    gate.believe(certificates=(signer("successor").pem,))
    assert gate.refuses(envelope(SIGNED, message="urn:uuid:2")) == "the signature is not the issuer's"
    gate.runner.run(gate.store.records.commit([gate.store.delete(Issuer, ISSUER)]))
    assert gate.refuses(envelope(SIGNED, message="urn:uuid:3")) == "an issuer that nobody here believes"


def test_senders_hear_one_of_two_codes(gate: Gate) -> None:
    for message, code in ((envelope(signer("x").sign(GOOD.text)), FAILED), (envelope(SIGNED, SIGNED), INVALID)):
        with pytest.raises(Refusal) as caught:
            gate.takes(message)
        assert caught.value.kind is Kind.UNAUTHENTICATED
        assert caught.value.issues[0].code == code


def samples(shared: Path) -> list[Path]:
    folder = shared / "data/xds"
    named = [*(folder / "ch-epr").rglob("*.xml"), *(folder / "nhn").rglob("*.xml"), *(folder / "ipf").glob("saml*.xml")]
    return [each for each in named if b"Assertion" in each.read_bytes()]


def test_no_assertion_of_others_is_believed_even_from_their_issuers(gate: Gate, shared: Path) -> None:
    tried = 0
    for file in samples(shared):
        try:
            root = etree.fromstring(file.read_bytes().partition(b"?>")[2] or file.read_bytes())
        except etree.XMLSyntaxError:
            continue  # shortened for reading
        for assertion in root.iter(saml("Assertion")):
            issuer = (assertion.findtext(saml("Issuer")) or "").strip()
            gate.believe(id=issuer, audiences=("nhn:dokumentdeling-saml",))
            assert gate.refuses(envelope(copy.deepcopy(assertion))), file.name
            tried += 1
    assert tried >= 10


MORE = {
    "secondrole": Unsigned(attributes=((ROLE, coded("309343006")), (ROLE, coded("NUR", "1.2")))),
    "secondpurposeofuse": Unsigned(attributes=((PURPOSE, coded("TREAT")), (PURPOSE, coded("HPAYMT")))),
    "secondauthncontext": Unsigned(authentication=authenticated() + authenticated(-80)),
    "withauthzconsent": Unsigned(
        attributes=(("urn:ihe:iti:bppc:2007:docid", "1.2.3"), ("urn:ihe:iti:xua:2012:acp", "urn:oid:1.2.4"))
    ),
}


@pytest.mark.parametrize("name", MORE)
def test_what_an_assertion_may_say_besides(gate: Gate, name: str) -> None:
    found = gate.shown(signer().sign(MORE[name].text))
    assert len(found.roles) == (2 if name == "secondrole" else len(found.roles))
    assert found.subject.value == "dr-a"
