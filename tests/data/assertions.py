"""SAML assertions and who signs them: made anew in each run, so that none is ever believed elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

SAML, DS = "urn:oasis:names:tc:SAML:2.0:assertion", "http://www.w3.org/2000/09/xmldsig#"
SOAP, WSA = "http://www.w3.org/2003/05/soap-envelope", "http://www.w3.org/2005/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
EXCLUSIVE = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0

NOW = datetime(2026, 11, 22, 9, 20, tzinfo=UTC)
ISSUER, AUDIENCE = "https://idp.example", "https://weft.example"
_XSPA = "urn:oasis:names:tc:xspa:1.0:subject:"
ROLE = "urn:oasis:names:tc:xacml:2.0:subject:role"
PURPOSE, ORGANIZATION = _XSPA + "purposeofuse", _XSPA + "organization-id"
NAME, RESOURCE = _XSPA + "subject-id", "urn:oasis:names:tc:xacml:2.0:resource:resource-id"


@dataclass(frozen=True)
class Signer:
    key: Any
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def sign(self, unsigned: str, **choices: Any) -> etree._Element:
        """The assertion with an enveloped signature behind its Issuer."""
        root = etree.fromstring(unsigned)
        id = choices.pop("reference", root.get("ID"))
        method = SignatureMethod.RSA_SHA256 if isinstance(self.key, rsa.RSAPrivateKey) else SignatureMethod.ECDSA_SHA256
        signer = XMLSigner(
            signature_algorithm=choices.pop("method", method),
            digest_algorithm=choices.pop("digest", DigestAlgorithm.SHA256),
            c14n_algorithm=choices.pop("c14n", EXCLUSIVE),
        )
        found = signer.sign(root, key=self.key, cert=[self.certificate], reference_uri=f"#{id}", id_attribute="ID")
        return etree.fromstring(etree.tostring(found))


def signer(name: str = "idp", *, is_rsa: bool = False) -> Signer:
    """The same for a name in one run; its certificate is good around `NOW` and the real present."""
    return _signer(name, is_rsa)


@cache
def _signer(name: str, is_rsa: bool) -> Signer:
    key: Any = rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
    return Signer(key, certificate_of(key, name))


def certificate_of(key: Any, name: str, days: tuple[int, int] = (-3650, 3650), address: str = "") -> x509.Certificate:
    """`address`: of the host it is for."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start, end = (NOW + timedelta(days=each) for each in days)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), start, end)
    if address:
        here = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        builder = builder.add_extension(here, critical=False)
    return builder.sign(key, hashes.SHA256())


def coded(code: str, system: str = "2.16.840.1.113883.6.96", name: str = "Role") -> str:
    return f'<{name} xmlns="urn:hl7-org:v3" code="{code}" codeSystem="{system}" displayName="x"/>'


def moment(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Unsigned:
    """An assertion as text; each part may be another."""

    id: str = "_a1"
    issuer: str = ISSUER
    subject: str = "dr-a"
    span: tuple[float, float] = (-60, 600)
    conditions: str = f"<saml:AudienceRestriction><saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestriction>"
    confirmation: str = '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>'
    authentication: str = (
        f'<saml:AuthnStatement AuthnInstant="{moment(-90)}"><saml:AuthnContext><saml:AuthnContextClassRef>'
        "urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>"
        "</saml:AuthnStatement>"
    )
    attributes: Sequence[tuple[str, str]] = field(
        default=((NAME, "Dr A"), (ROLE, coded("309343006")), (PURPOSE, coded("TREAT", "2.16.840.1.113883.5.8", "P")))
    )
    extra: str = ""
    """Before its end."""
    version: str = "2.0"
    namequalifier: str = ""

    @property
    def text(self) -> str:
        qualifier = f' NameQualifier="{self.namequalifier}"' if self.namequalifier else ""
        attributes = "".join(
            f'<saml:Attribute Name="{name}"><saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute>'
            for name, value in self.attributes
        )
        return (
            f'<saml:Assertion xmlns:saml="{SAML}" ID="{self.id}" Version="{self.version}"'
            f' IssueInstant="{moment(self.span[0])}"><saml:Issuer>{self.issuer}</saml:Issuer>'
            f'<ds:Signature xmlns:ds="{DS}" Id="placeholder"/>'
            f"<saml:Subject><saml:NameID{qualifier}>{self.subject}</saml:NameID>{self.confirmation}</saml:Subject>"
            f'<saml:Conditions NotBefore="{moment(self.span[0])}" NotOnOrAfter="{moment(self.span[1])}">'
            f"{self.conditions}</saml:Conditions>{self.authentication}"
            f"<saml:AttributeStatement>{attributes}</saml:AttributeStatement>{self.extra}</saml:Assertion>"
        )


def fresh_assertion(audience: str, **changes: Any) -> etree._Element:
    """Good now, for this audience."""
    late = (datetime.now(UTC) - NOW).total_seconds()
    conditions = f"<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>"
    authentication = Unsigned().authentication.replace(moment(-90), moment(late - 40))
    unsigned = Unsigned(conditions=conditions, span=(late - 30, late + 300), authentication=authentication, **changes)
    return signer().sign(unsigned.text)


def envelope(*security: etree._Element | str, message: str = "urn:uuid:1", body: str = "<query/>") -> etree._Element:
    """A SOAP message whose security header holds these."""
    held = "".join(each if isinstance(each, str) else etree.tostring(each).decode() for each in security)
    return etree.fromstring(
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:wsa="{WSA}" xmlns:wsse="{WSSE}"><s:Header>'
        f"<wsa:MessageID>{message}</wsa:MessageID><wsse:Security>{held}</wsse:Security></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    )


def header_of(message: etree._Element) -> etree._Element:
    found = message.find(f"{{{SOAP}}}Header")
    assert found is not None
    return found
