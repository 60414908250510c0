"""Which assertions are believed, and which never (XUA, ITI-40): each refusal by its reason, which no sender hears."""

from __future__ import annotations

import asyncio
import copy
import hmac
import random
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod

from server.kernel.problem import Kind, Problem
from server.trust.assertions import Asserted
from server.trust.conditions import Presented
from server.trust.model import Issuer
from server.trust.refusals import FAILED, INVALID, Refusal
from server.trust.saml import Value
from server.trust.signature import signed
from storage.sqlite.records import SqliteRecords
from tests.data.assertions import (
    AUDIENCE,
    DS,
    ISSUER,
    NAME,
    NOW,
    ORGANIZATION,
    PURPOSE,
    RESOURCE,
    ROLE,
    SAML,
    Signer,
    Unsigned,
    certificate_of,
    coded,
    envelope,
    header_of,
    moment,
    signer,
)
from tests.server.trust.conftest import HOME, Gate

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


def restricted(*audiences: str) -> str:
    return "".join(
        f"<saml:AudienceRestriction><saml:Audience>{each}</saml:Audience></saml:AudienceRestriction>"
        for each in audiences
    )


def confirmed(method: str = BEARER, **facts: str) -> str:
    data = "".join(f' {name}="{value}"' for name, value in facts.items())
    return (
        f'<saml:SubjectConfirmation Method="{method}"><saml:SubjectConfirmationData{data}/></saml:SubjectConfirmation>'
    )


def authenticated(at: float = -90, until: float | None = None) -> str:
    session = f' SessionNotOnOrAfter="{moment(until)}"' if until is not None else ""
    return (
        f'<saml:AuthnStatement AuthnInstant="{moment(at)}"{session}><saml:AuthnContext><saml:AuthnContextClassRef>'
        "urn:x</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
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


def _object(assertion: etree._Element) -> etree._Element:
    """The signed original within an Object of the signature that a forged assertion carries."""
    forged, signature = etree.fromstring(FORGED), signature_of(assertion)
    signature_of(forged).getparent().replace(signature_of(forged), signature)  # type: ignore[union-attr]
    held = etree.SubElement(signature, ds("Object"))
    held.append(assertion)
    return forged


def _sibling(assertion: etree._Element) -> etree._Element:
    """The signature moved to a forged assertion with the original's ID; the original stands in its Advice."""
    forged = etree.fromstring(Unsigned(subject="mallory").text)
    forged.replace(signature_of(forged), copy.deepcopy(signature_of(assertion)))
    advice = etree.SubElement(forged, saml("Advice"))
    advice.append(assertion)
    return forged


def _forged_within(assertion: etree._Element) -> etree._Element:
    advice = etree.SubElement(assertion, saml("Advice"))
    advice.append(etree.fromstring(FORGED))
    return assertion


def _changed(path: str, text: str) -> Callable[[etree._Element], etree._Element]:
    def change(assertion: etree._Element) -> etree._Element:
        found = assertion.find(path)
        assert found is not None
        found.text = text
        return assertion

    return change


def _transform(algorithm: str) -> Callable[[etree._Element], etree._Element]:
    def change(assertion: etree._Element) -> etree._Element:
        next(assertion.iter(ds("Transform"))).set("Algorithm", algorithm)
        return assertion

    return change


def _reference(uri: str) -> Callable[[etree._Element], etree._Element]:
    def change(assertion: etree._Element) -> etree._Element:
        next(assertion.iter(ds("Reference"))).set("URI", uri)
        return assertion

    return change


def _two_signatures(assertion: etree._Element) -> etree._Element:
    assertion.append(copy.deepcopy(signature_of(assertion)))
    return assertion


def _deeper_signature(assertion: etree._Element) -> etree._Element:
    subject = assertion.find(saml("Subject"))
    assert subject is not None
    subject.append(signature_of(assertion))
    return assertion


def _two_references(assertion: etree._Element) -> etree._Element:
    reference = next(assertion.iter(ds("Reference")))
    reference.addnext(copy.deepcopy(reference))
    return assertion


def _method(algorithm: str) -> Callable[[etree._Element], etree._Element]:
    def change(assertion: etree._Element) -> etree._Element:
        next(assertion.iter(ds("SignatureMethod"))).set("Algorithm", algorithm)
        return assertion

    return change


def _unsigned(assertion: etree._Element) -> etree._Element:
    assertion.remove(signature_of(assertion))
    return assertion


def _second_subject(assertion: etree._Element) -> etree._Element:
    assertion.insert(1, etree.fromstring(f'<s:Subject xmlns:s="{SAML}"><s:NameID>mallory</s:NameID></s:Subject>'))
    return assertion


def _instruction(assertion: etree._Element) -> etree._Element:
    assertion.append(etree.ProcessingInstruction("x", "y"))
    return assertion


FORGERIES: dict[str, Callable[[etree._Element], etree._Element]] = {
    "wrapped in an object": _object,
    "original beside the forged": _sibling,
    "forged within the original": _forged_within,
    "another name": _changed(f"{saml('Subject')}/{saml('NameID')}", "mallory"),
    "another issuer": _changed(saml("Issuer"), "https://stranger.example"),
    "another digest": _changed(f".//{ds('DigestValue')}", "AAAA"),
    "no signature value": _changed(f".//{ds('SignatureValue')}", ""),
    "not base64": _changed(f".//{ds('SignatureValue')}", "é"),
    "unsigned": _unsigned,
    "two signatures": _two_signatures,
    "a signature in another place": _deeper_signature,
    "two references": _two_references,
    "reference to the whole document": _reference(""),
    "reference elsewhere": _reference("#_other"),
    "reference outside": _reference("https://attacker.example/x"),
    "xpointer": _reference("#xpointer(id('_a1'))"),
    "xslt": _transform("http://www.w3.org/TR/1999/REC-xslt-19991116"),
    "xpath": _transform("http://www.w3.org/TR/1999/REC-xpath-19991116"),
    "base64 transform": _transform(DS + "base64"),
    "inclusive c14n": _transform("http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
    "hmac": _method("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
    "sha-1": _method(DS + "rsa-sha1"),
    "no such method": _method("urn:none"),
    "second subject": _second_subject,
    "an instruction": _instruction,
    "nothing but a name": lambda assertion: etree.Element(saml("Assertion")),
    "encrypted": lambda assertion: etree.Element(saml("EncryptedAssertion")),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries_are_refused(gate: Gate, name: str) -> None:
    gate.takes(envelope(SIGNED, message="urn:uuid:before"))  # what was verified before must not vouch for this
    forged = FORGERIES[name](fresh())
    assert gate.refuses(envelope(copy.deepcopy(forged)))
    with pytest.raises(Refusal):  # and not only because there are two
        signed(etree.tostring(forged), (signer().pem,), NOW)


def test_what_is_signed_is_read_and_not_what_comments_make_of_it(gate: Gate) -> None:
    """`admin<!---->.evil`: a reader of the first text node would see another subject."""
    whole = signer().sign(Unsigned(subject="admin.evil").text)
    split = etree.tostring(whole).decode().replace("admin.evil", "admin<!-- -->.evil")
    assert gate.shown(etree.fromstring(split)).subject.value == "admin.evil"


def test_the_key_an_attacker_brings_along_is_not_used(gate: Gate) -> None:
    assert gate.refuses(envelope(signer("mallory").sign(GOOD.text))) == "the signature is not the issuer's"


def test_an_issuer_speaks_in_its_own_name_only(gate: Gate) -> None:
    gate.believe(id="https://second.example", certificates=(signer("second").pem,))
    assert gate.refuses(envelope(signer("second").sign(GOOD.text))) == "the signature is not the issuer's"


def test_weak_digests_and_signatures_are_refused_though_the_key_is_right(gate: Gate) -> None:
    idp = signer("rsa", is_rsa=True)
    gate.believe(certificates=(idp.pem,))
    inclusive = CanonicalizationMethod.CANONICAL_XML_1_0
    for choices in ({"digest": DigestAlgorithm.SHA224}, {"method": SignatureMethod.RSA_SHA224}, {"c14n": inclusive}):
        assert gate.refuses(envelope(idp.sign(GOOD.text, **choices)))
    assert gate.shown(idp.sign(GOOD.text, method=SignatureMethod.SHA256_RSA_MGF1))


def _resigned(assertion: etree._Element, algorithm: str, made: Callable[[bytes], bytes]) -> etree._Element:
    """With a good signature of this algorithm."""
    info = next(assertion.iter(ds("SignedInfo")))
    next(info.iter(ds("SignatureMethod"))).set("Algorithm", algorithm)
    octets = etree.tostring(info, method="c14n", exclusive=True)
    next(assertion.iter(ds("SignatureValue"))).text = b64encode(made(octets)).decode()
    return assertion


def test_a_good_signature_by_sha_1_is_none(gate: Gate) -> None:
    idp = signer("rsa", is_rsa=True)
    gate.believe(certificates=(idp.pem,))

    def by(digest: hashes.HashAlgorithm) -> Callable[[bytes], bytes]:
        return lambda octets: bytes(idp.key.sign(octets, padding.PKCS1v15(), digest))

    more = "http://www.w3.org/2001/04/xmldsig-more#"
    assert gate.refuses(envelope(_resigned(idp.sign(GOOD.text), DS + "rsa-sha1", by(hashes.SHA1()))))
    assert gate.shown(_resigned(idp.sign(GOOD.text), more + "rsa-sha512", by(hashes.SHA512())))


def test_the_pinned_certificate_is_no_secret_of_an_hmac(gate: Gate) -> None:
    hmac_name = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
    for secret in (signer().pem.encode(), signer().der):
        forged = _resigned(fresh(), hmac_name, lambda octets, key=secret: hmac.digest(key, octets, "sha256"))  # type: ignore[misc]
        assert gate.refuses(envelope(forged))


def test_a_certificate_whose_time_is_over_vouches_no_more(gate: Gate) -> None:
    gate.clock.move(3651 * 86400)
    late = Unsigned(span=(3651 * 86400 - 60, 3651 * 86400 + 60), authentication=authenticated(3651 * 86400 - 60))
    assert gate.refuses(envelope(signer().sign(late.text))) == "the signature is not the issuer's"


def _moved(assertion: etree._Element) -> etree._Element:
    """Out of the security header."""
    message = envelope("", message="urn:uuid:2")
    header_of(message).append(assertion)
    return message


def _nested(assertion: etree._Element) -> etree._Element:
    message = envelope("<wsse:Inner/>", message="urn:uuid:2")
    next(message.iter("{*}Inner")).append(assertion)
    return message


def _with_body(assertion: etree._Element) -> etree._Element:
    return envelope(assertion, message="urn:uuid:2", body='<query ID="_a1"/>')


def _lower_case_id(assertion: etree._Element) -> etree._Element:
    return envelope(assertion, message="urn:uuid:2", body='<query xmlns:u="urn:u" u:Id="_a1"/>')


PLACES: dict[str, Callable[[etree._Element], etree._Element]] = {
    "outside of wsse:Security": _moved,
    "deeper within it": _nested,
    "its ID in the body as well": _with_body,
    "its ID as another attribute": _lower_case_id,
    "two good ones": lambda assertion: envelope(assertion, signer().sign(Unsigned(id="_a2").text)),
    "twice the same": lambda assertion: envelope(assertion, assertion),
    "a forged one first": lambda assertion: envelope(FORGED, assertion),
    "a forged one last": lambda assertion: envelope(assertion, FORGED),
    "no ID": lambda assertion: envelope(Unsigned(id="").text),
    "with one of SAML 1.1": lambda assertion: envelope(
        assertion, '<a:Assertion xmlns:a="urn:oasis:names:tc:SAML:1.0:assertion"/>'
    ),
    "a name and a password beside it": lambda assertion: envelope(assertion, "<wsse:UsernameToken/>"),
    "endless": lambda assertion: envelope(Unsigned(subject="x" * 200_000).text),
}


@pytest.mark.parametrize("name", PLACES)
def test_an_assertion_has_one_place_and_is_alone(gate: Gate, name: str) -> None:
    gate.shown(SIGNED)
    assert gate.refuses(PLACES[name](fresh()))


def test_a_message_counts_once_and_a_session_goes_on(gate: Gate) -> None:
    assert gate.takes(envelope(SIGNED, message="urn:uuid:1"))
    assert gate.takes(envelope(SIGNED, message="urn:uuid:2"))
    assert gate.refuses(envelope(SIGNED, message="urn:uuid:2")) == "replayed"
    gate.assertions = gate.opened()
    assert gate.refuses(envelope(SIGNED, message="urn:uuid:1")) == "replayed"


def test_messages_without_an_id_count_as_one(gate: Gate) -> None:
    assert gate.takes(envelope(SIGNED, message=""))
    assert gate.refuses(envelope(SIGNED, message="")) == "replayed"


def test_one_time_use_is_one_time(gate: Gate) -> None:
    once = signer().sign(Unsigned(conditions=restricted(AUDIENCE) + "<saml:OneTimeUse/>").text)
    assert gate.takes(envelope(once, message="urn:uuid:1"))
    assert gate.refuses(envelope(once, message="urn:uuid:2")) == "replayed"


def test_what_was_used_is_forgotten_once_it_could_not_come_again(gate: Gate) -> None:
    gate.shown(SIGNED)
    sweep = gate.store.sweep
    assert gate.runner.run(sweep(int((NOW.timestamp() + 600) * 1_000_000))) == 0
    assert gate.runner.run(sweep(int((NOW.timestamp() + 719) * 1_000_000))) == 0
    assert gate.runner.run(sweep(int((NOW.timestamp() + 722) * 1_000_000))) == 1


def test_marks_of_messages_do_not_make_the_records_look_old(gate: Gate, tmp_path: Path) -> None:
    marks = SqliteRecords(tmp_path / "marks.sqlite", gate.offload, is_flushed=False)
    gate.store = replace(gate.store, marks=marks)
    gate.assertions = gate.opened()
    before = gate.runner.run(gate.store.records.revision())
    gate.shown(SIGNED)
    assert gate.runner.run(gate.store.records.revision()) == before
    gate.assertions = gate.opened()
    assert gate.refuses(envelope(SIGNED)) == "replayed"
    gate.runner.run(marks.close())


def test_sessions_without_an_end_and_the_last_moment_there_is(gate: Gate) -> None:
    session = authenticated().replace("AuthnInstant", 'SessionNotOnOrAfter="9999-12-31T23:59:59Z" AuthnInstant')
    assert gate.shown(signer().sign(Unsigned(authentication=session).text))


def test_forgeries_by_the_hundred_do_not_keep_out_those_who_are_known(gate: Gate) -> None:
    gate.shown(SIGNED)
    forged = [signer("mallory").sign(Unsigned(id=f"_f{number}").text) for number in range(80)]

    async def flood() -> tuple[list[BaseException | object], Asserted]:
        sent = [
            asyncio.ensure_future(gate.assertions.verify(header_of(envelope(each)), Presented(str(n), None, True)))
            for n, each in enumerate(forged)
        ]
        known = header_of(envelope(SIGNED, message="urn:uuid:2"))
        asserted, _ = await gate.assertions.verify(known, Presented("urn:uuid:2", None, True))
        return list(await asyncio.gather(*sent, return_exceptions=True)), asserted

    found, asserted = gate.runner.run(flood())
    kinds = {each.kind for each in found if isinstance(each, Problem)}
    assert len(found) == 80
    assert kinds == {Kind.UNAUTHENTICATED, Kind.BUSY}
    assert asserted.subject.value == "dr-a"


def test_what_was_verified_is_verified_again_once_the_certificate_is_over(gate: Gate) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    ending = Signer(key, certificate_of(key, "ending", (-1, 1)))
    gate.clock.moment = NOW + timedelta(days=1) - timedelta(seconds=30)
    gate.believe(certificates=(ending.pem,))
    late = 86_400
    signed = ending.sign(Unsigned(span=(late - 300, late + 300), authentication=authenticated(at=late - 300)).text)
    assert gate.takes(envelope(signed, message="1"))
    gate.clock.moment = NOW + timedelta(days=1, seconds=30)
    assert gate.refuses(envelope(signed, message="2")) == "the signature is not the issuer's"


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


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_changed_on_the_way_it_is_refused_or_says_the_same(gate: Gate, seed: int) -> None:
    """Spaces and comments around what is signed may change; nothing that is read may."""
    chance, told = random.Random(seed), gate.shown(SIGNED)
    octets = etree.tostring(SIGNED)
    pieces = [b"<!--x-->", b" ", b"&#32;", b"<a/>", b"_", b"x", b"", b"<saml:Issuer>m</saml:Issuer>", b"dr-b", b"?>"]
    tried = 0
    while tried < 60:
        start = chance.randrange(len(octets))
        changed = octets[:start] + chance.choice(pieces) + octets[start + chance.randrange(3) :]
        try:
            assertion = etree.fromstring(changed)
        except etree.XMLSyntaxError:
            continue
        tried += 1
        try:
            assert gate.takes(envelope(assertion, message=str(tried))) == told
        except Refusal:
            continue
