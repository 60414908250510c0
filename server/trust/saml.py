"""A signed assertion read into values (SAML 2.0 Core 2; attributes of IHE XUA, XSPA 1.0 and their common variants).

Values are coded (HL7 v3 CE), identified (II) or plain text; some senders write the v3 element as escaped text. Names of
attributes are compared without regard to case, because profiles have spelt them both ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from lxml import etree

from server.trust.refusals import invalid
from server.trust.signature import DS, SAML, parsed

NAME = ("urn:oasis:names:tc:xspa:1.0:subject:subject-id", "urn:oasis:names:tc:xacml:1.0:subject:subject-id")
ORGANIZATION = (
    "urn:oasis:names:tc:xspa:1.0:subject:organization-id",
    "urn:oasis:names:tc:xspa:1.0:subject:child-organization",
)
ROLE = (
    "urn:oasis:names:tc:xacml:2.0:subject:role",
    "urn:oasis:names:tc:xspa:1.0:subject:role",
    "urn:oasis:names:tc:xspa:2.0:subject:role",
)
PURPOSE = ("urn:oasis:names:tc:xspa:1.0:subject:purposeofuse", "urn:oasis:names:tc:xspa:2.0:subject:purposeofuse")
RESOURCE = ("urn:oasis:names:tc:xacml:2.0:resource:resource-id", "urn:oasis:names:tc:xacml:1.0:resource:resource-id")
HOME = ("urn:ihe:iti:xca:2010:homecommunityid",)
PROVIDER = ("urn:ihe:iti:xua:2017:subject:provider-identifier",)
NPI = ("urn:oasis:names:tc:xspa:1.0:subject:npi", "urn:oasis:names:tc:xspa:2.0:subject:npi")

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
HOLDER_OF_KEY = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})?")
_OID = "urn:oid:"
_MOST_VALUES = 100
_LONGEST_VALUE = 4096
_CONDITIONS = frozenset(f"{{{SAML}}}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction"))


class Value(NamedTuple):
    """Of an attribute."""

    value: str
    system: str = ""
    """OID or URI, without `urn:oid:`."""

    @property
    def token(self) -> str:
        """`system|value` as FHIR identifies it; a URI by itself is a value of RFC 3986."""
        if self.system:
            return f"{_uri(self.system)}|{self.value}"
        return f"urn:ietf:rfc:3986|{self.value}" if self.value.startswith("urn:") else f"|{self.value}"


UNREADABLE = Value("\0")
"""Stands for an element that says something here unknown: what limits an assertion must not be passed over."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    method: str
    recipient: str | None
    start: datetime | None
    end: datetime | None
    certificates: tuple[str, ...]
    """Of the holder: base64 without white space."""


class Authentication(NamedTuple):
    at: datetime
    session_end: datetime | None
    context: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an issuer has signed."""

    id: str
    issuer: str
    issued: datetime
    start: datetime
    end: datetime
    subject: Value
    """NameID, with its NameQualifier."""
    alias: str
    """SPProvidedID."""
    audiences: tuple[frozenset[str], ...]
    """Of each restriction; all restrict."""
    is_for_one_use: bool
    confirmations: tuple[Confirmation, ...]
    authentications: tuple[Authentication, ...]
    attributes: Mapping[str, tuple[Value, ...]]
    """By name in lower case."""

    def values(self, names: tuple[str, ...]) -> tuple[Value, ...]:
        """Those of the attributes with these names, each once."""
        return tuple(each for each in self._stated(names) if each != UNREADABLE)

    def is_readable(self, names: tuple[str, ...]) -> bool:
        """Whether all that these attributes say was understood; one that says nothing was."""
        return UNREADABLE not in self._stated(names)

    def _stated(self, names: tuple[str, ...]) -> dict[Value, None]:
        return dict.fromkeys(value for name in names for value in self.attributes.get(name, ()))


def read(root: etree._Element) -> Assertion:
    """A `Refusal` where it lacks what XUA has in every assertion."""
    conditions = _only(root, "Conditions")
    unknown = [each for each in conditions if isinstance(each.tag, str) and each.tag not in _CONDITIONS]
    if root.get("Version") != "2.0" or unknown:
        raise invalid("another version, or a condition that is not understood")
    subject = _only(root, "Subject")
    name = _only(subject, "NameID")
    return Assertion(
        id=root.get("ID", ""),
        issuer=_text(_only(root, "Issuer")),
        issued=_required(root.get("IssueInstant")),
        start=_required(conditions.get("NotBefore")),
        end=_required(conditions.get("NotOnOrAfter")),
        subject=Value(_text(name), name.get("NameQualifier", "").strip()),
        alias=name.get("SPProvidedID", ""),
        audiences=tuple(
            frozenset(_text(each) for each in _all(one, "Audience")) for one in _all(conditions, "AudienceRestriction")
        ),
        is_for_one_use=bool(_all(conditions, "OneTimeUse")),
        confirmations=tuple(_confirmation(each) for each in _all(subject, "SubjectConfirmation")),
        authentications=tuple(_authentication(each) for each in _all(root, "AuthnStatement")),
        attributes=_attributes(root),
    )


def issuer_named(assertion: etree._Element) -> str:
    """Whom an assertion that nobody has verified yet claims to be from."""
    return _text(_only(assertion, "Issuer"))


def _confirmation(element: etree._Element) -> Confirmation:
    data = element.find(f"{{{SAML}}}SubjectConfirmationData")
    found = data if data is not None else element
    certificates = ["".join((each.text or "").split()) for each in found.iter(f"{{{DS}}}X509Certificate")]
    return Confirmation(
        element.get("Method", ""),
        found.get("Recipient"),
        _moment(found.get("NotBefore")),
        _moment(found.get("NotOnOrAfter")),
        tuple(certificates),
    )


def _authentication(element: etree._Element) -> Authentication:
    context = element.find(f"{{{SAML}}}AuthnContext/{{{SAML}}}AuthnContextClassRef")
    return Authentication(
        _required(element.get("AuthnInstant")),
        _moment(element.get("SessionNotOnOrAfter")),
        _text(context) if context is not None else "",
    )


def _attributes(root: etree._Element) -> dict[str, tuple[Value, ...]]:
    found: dict[str, list[Value]] = {}
    for statement in _all(root, "AttributeStatement"):
        for attribute in _all(statement, "Attribute"):
            values = found.setdefault(attribute.get("Name", "").strip().lower(), [])
            for each in _all(attribute, "AttributeValue"):
                values.extend(_values(each))
            if len(values) > _MOST_VALUES:
                raise invalid("more values of one attribute than anybody needs")
    return {name: tuple(values) for name, values in found.items()}


def _values(element: etree._Element) -> Iterator[Value]:
    children = [each for each in element if isinstance(each.tag, str)]
    text = (element.text or "").strip()
    if not children and text.startswith("<") and len(text) <= _LONGEST_VALUE:
        children = [_escaped(text)]
    if not children and text:
        yield Value(text[:_LONGEST_VALUE])
    for each in children:
        if code := each.get("code"):
            yield Value(code.strip(), _bare(each.get("codeSystem", "")))
        elif each.get("root") is not None or each.get("extension") is not None:
            yield _instance(_bare(each.get("root", "")), each.get("extension", "").strip())
        else:
            yield UNREADABLE


def _instance(root: str, extension: str) -> Value:
    return Value(extension, root) if extension else Value(_OID + root)


def _escaped(text: str) -> etree._Element:
    """A v3 element whose `xsi` may be declared nowhere."""
    bound = f'<v xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{text}</v>'
    try:
        return next(parsed(bound.encode()).iterchildren())
    except (etree.XMLSyntaxError, StopIteration):
        raise invalid("an attribute that is neither text nor an element") from None


def _all(parent: etree._Element, name: str) -> list[etree._Element]:
    return parent.findall(f"{{{SAML}}}{name}")


def _only(parent: etree._Element, name: str) -> etree._Element:
    found = _all(parent, name)
    if len(found) != 1:
        raise invalid(f"{name}: one and no more")
    return found[0]


def _text(element: etree._Element) -> str:
    found = (element.text or "").strip()
    if not found or len(element):
        raise invalid("an element that should hold text and nothing else")
    return found


def _required(text: str | None) -> datetime:
    found = _moment(text)
    if found is None:
        raise invalid("a moment is missing")
    return found


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    if not _MOMENT.fullmatch(text):
        raise invalid("a moment that is none")
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid("a moment that is none") from None


def _bare(system: str) -> str:
    return system.strip().removeprefix(_OID)


def _uri(system: str) -> str:
    return _OID + system if system[:1].isdigit() else system
