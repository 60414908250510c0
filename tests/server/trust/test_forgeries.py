"""Assertions that were wrapped, changed, moved or signed by others are refused (XUA, ITI-40)."""

from __future__ import annotations

import copy
import hmac
import random
from base64 import b64encode
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod

from server.trust.refusals import Refusal
from server.trust.signature import signed
from tests.data.assertions import DS, NOW, SAML, Unsigned, envelope, header_of, signer
from tests.server.trust.asserted import FORGED, GOOD, SIGNED, authenticated, ds, fresh, saml, signature_of
from tests.server.trust.conftest import Gate


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


def _said(tag: str, name: str, value: str) -> Callable[[etree._Element], etree._Element]:
    def change(assertion: etree._Element) -> etree._Element:
        next(assertion.iter(ds(tag))).set(name, value)
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
    "reference to the whole document": _said("Reference", "URI", ""),
    "reference elsewhere": _said("Reference", "URI", "#_other"),
    "reference outside": _said("Reference", "URI", "https://attacker.example/x"),
    "xpointer": _said("Reference", "URI", "#xpointer(id('_a1'))"),
    "xslt": _said("Transform", "Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116"),
    "xpath": _said("Transform", "Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
    "base64 transform": _said("Transform", "Algorithm", DS + "base64"),
    "inclusive c14n": _said("Transform", "Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
    "hmac": _said("SignatureMethod", "Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
    "sha-1": _said("SignatureMethod", "Algorithm", DS + "rsa-sha1"),
    "no such method": _said("SignatureMethod", "Algorithm", "urn:none"),
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
