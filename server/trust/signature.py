"""The signature of an assertion, as narrow as XUA needs it (XML Signature 1.1; ITI TF-2 3.40).

signxml does the cryptography; here stands what it may be led by. The key is one that an administrator pinned, never one
from KeyInfo. There is one reference, to the ID of the very element that is read, transformed by nothing but taking the
signature out and exclusive canonicalization; an Object, where wrapped content is hidden, is refused. What is returned
was parsed from the octets that were digested, so comments, moved copies and second assertions are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from server.trust.refusals import failed, invalid

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
DS = "http://www.w3.org/2000/09/xmldsig#"
ASSERTION = f"{{{SAML}}}Assertion"

_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_ENVELOPED = DS + "enveloped-signature"
_DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_METHODS = frozenset({
    SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512,
    SignatureMethod.SHA256_RSA_MGF1, SignatureMethod.SHA384_RSA_MGF1, SignatureMethod.SHA512_RSA_MGF1,
    SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384, SignatureMethod.ECDSA_SHA512,
})  # fmt: skip


def parsed(octets: bytes) -> etree._Element:
    """A small document by itself; `etree.XMLSyntaxError` or a `Refusal` where it is none that may be read."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    root = etree.fromstring(octets, parser)
    if root.getroottree().docinfo.internalDTD is not None:
        raise invalid("a document type within the assertion")
    return root


def signed(octets: bytes, certificates: Iterable[str], moment: datetime) -> etree._Element:
    """The assertion that one of these certificates (PEM) has signed; a `Refusal` where none has."""
    assertion = parsed(octets)
    _check_shape(assertion)
    for each in certificates:
        result = _verified(assertion, each, moment)
        if result is not None:
            return _read(result, assertion.get("ID", ""))
    raise failed("the signature is not the issuer's")


def _verified(assertion: etree._Element, certificate: str, moment: datetime) -> VerifyResult | None:
    expected = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        verification_time=moment,
    )
    try:
        found = XMLVerifier().verify(assertion, x509_cert=certificate, id_attribute="ID", expect_config=expected)
    except (SignXMLException, UnsupportedAlgorithm, etree.LxmlError, ValueError, TypeError, KeyError):
        return None
    return found if isinstance(found, VerifyResult) else None


def _read(result: VerifyResult, id: str) -> etree._Element:
    root = result.signed_xml
    if root is None or root.tag != ASSERTION or root.get("ID") != id or root.find(f".//{{{DS}}}Signature") is not None:
        raise invalid("what is signed is not the assertion")
    return root


def _check_shape(assertion: etree._Element) -> None:
    if assertion.tag != ASSERTION or not assertion.get("ID"):
        raise invalid("no assertion with an ID")
    signatures = list(assertion.iter(f"{{{DS}}}Signature"))
    if not signatures:
        raise failed("unsigned")
    if len(signatures) > 1 or signatures[0].getparent() is not assertion:
        raise invalid("signatures in other places than the assertion's own")
    if any(True for _ in assertion.iter(etree.Entity, etree.ProcessingInstruction)):
        raise invalid("entities or instructions within the assertion")
    _check_signature(signatures[0], assertion.get("ID", ""))


def _check_signature(signature: etree._Element, id: str) -> None:
    parts = [each.tag for each in signature if isinstance(each.tag, str)]
    if not {f"{{{DS}}}{name}" for name in ("SignedInfo", "SignatureValue", "KeyInfo")}.issuperset(parts):
        raise invalid("a signature with an object")
    info = signature.findall(f"{{{DS}}}SignedInfo")
    references = [each for one in info for each in one.findall(f"{{{DS}}}Reference")]
    if len(info) != 1 or len(references) != 1 or references[0].get("URI") != f"#{id}":
        raise invalid("a signature of something else than the assertion")
    method = info[0].find(f"{{{DS}}}CanonicalizationMethod")
    transforms = [each.get("Algorithm") for each in references[0].iter(f"{{{DS}}}Transform")]
    if method is None or method.get("Algorithm") != _EXCLUSIVE:
        raise invalid("a canonicalization that is not exclusive")
    if not transforms or len(transforms) > 2 or not {_ENVELOPED, _EXCLUSIVE}.issuperset(transforms):
        raise invalid("transforms that an assertion does not need")
