"""The envelope of SOAP 1.2: bytes into elements, without document type, entities or anything outside (Part 1, 5).

Namespaces and prefixes stay as they were sent, so that signatures in the header can be verified.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from lxml import etree

from server.kernel.problem import Kind, Problem
from server.soap.faults import VERSION_MISMATCH, fault_of
from server.soap.names import BODY, ENVELOPE, HEADER, SOAP_11

_DECLARED = re.compile(rb"\A\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")
_CHARSETS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8", "iso-8859-1": "iso-8859-1",
    "gb18030": "gb18030", "gbk": "gb18030", "gb2312": "gb18030",
}  # fmt: skip
"""Their multi-byte characters contain no angle bracket, so bytes could be scanned before they were decoded."""
_MOST_MARKS = 2_000_000
"""Elements and attributes, which cost many times their length in memory; a document entry has some hundred."""
_DECLARATION = len(codecs.BOM_UTF8) + 1
"""Behind the beginning of an XML declaration."""
_EARLIER_EBRIM = ":xsd:2."


@dataclass(slots=True)
class Envelope:
    header: etree._Element | None
    body: etree._Element
    """The child of soap:Body."""

    @property
    def root(self) -> etree._Element:
        return next(iter(self.body.iterancestors(ENVELOPE)))


def parse(data: bytes, charset: str = "") -> Envelope:
    """`charset` as the transport told it."""
    data = _utf8(data, charset)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise Problem(Kind.INVALID, "A SOAP message may not have a document type declaration (SOAP 1.2 Part 1, 5).")
    if data.count(b"<") - data.count(b"</") + data.count(b"=") > _MOST_MARKS:
        raise Problem(Kind.TOO_LARGE, f"The envelope has more than {_MOST_MARKS} elements and attributes.")
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise Problem(Kind.INVALID, f"The envelope is not well-formed XML (line {line}, column {column}).") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Problem(Kind.INVALID, "A SOAP message may not have a document type declaration.")
    return _envelope(root, has_marks=b"<!--" in data or data.find(b"<?", _DECLARATION) >= 0)


def _utf8(data: bytes, charset: str) -> bytes:
    declared = _DECLARED.match(data.removeprefix(codecs.BOM_UTF8)[:200])
    name = charset or (declared.group(1).decode("ascii") if declared else "utf-8")
    found = _CHARSETS.get(name.strip().lower())
    if found is None:
        raise Problem(Kind.UNSUPPORTED_MEDIA, "A SOAP message must be encoded in UTF-8.")
    if found == "utf-8":
        return data
    try:
        return data.decode(found).encode("utf-8")
    except UnicodeError:
        raise Problem(Kind.INVALID, f"The envelope is not encoded in {found}, as it says.") from None


def _envelope(root: etree._Element, *, has_marks: bool) -> Envelope:
    if root.tag != ENVELOPE:
        raise _mismatch(root)
    parts = [child for child in root if isinstance(child.tag, str)]
    header = parts.pop(0) if parts and parts[0].tag == HEADER else None
    if len(parts) != 1 or parts[0].tag != BODY:
        raise Problem(Kind.INVALID, "A SOAP envelope has one Body, and before it at most one Header.")
    body = parts[0]
    if has_marks:
        # Text that a comment splits would be read only to there.
        etree.strip_tags(body, etree.Comment, etree.PI)
    if len(body) != 1:
        raise Problem(Kind.INVALID, "The Body of this message must hold exactly one element.")
    _check_ebrim(body[0])
    return Envelope(header, body[0])


def _mismatch(root: etree._Element) -> Problem:
    name = etree.QName(root)
    if name.localname != "Envelope":
        return Problem(Kind.INVALID, "The message is not a SOAP envelope.")
    is_old = name.namespace == SOAP_11
    text = "SOAP 1.2 is spoken here, not SOAP 1.1." if is_old else "SOAP 1.2 is spoken here, no other version."
    return fault_of(Problem(Kind.INVALID, text), code=VERSION_MISMATCH, is_soap_11=is_old)


def _check_ebrim(body: etree._Element) -> None:
    for each in (body, *body.iterchildren("*")):
        if _EARLIER_EBRIM in (etree.QName(each).namespace or ""):
            text = "The message is written in ebRIM 2.1 (XDS.a); only ebRIM 3.0 (XDS.b) is understood here."
            raise Problem(Kind.UNSUPPORTED, text)
