"""The R4 XML schema, compiled with stand-ins for the two schemas it imports."""

from __future__ import annotations

import lzma
from functools import cache
from pathlib import Path

from lxml import etree

_STAND_INS = {
    "xml.xsd": '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"'
    ' targetNamespace="http://www.w3.org/XML/1998/namespace"/>',
    "fhir-xhtml.xsd": '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"'
    ' targetNamespace="http://www.w3.org/1999/xhtml" elementFormDefault="qualified"><xs:element name="div">'
    '<xs:complexType mixed="true"><xs:sequence><xs:any processContents="skip" minOccurs="0" maxOccurs="unbounded"/>'
    '</xs:sequence><xs:anyAttribute processContents="skip"/></xs:complexType></xs:element></xs:schema>',
}


class _StandIns(etree.Resolver):
    def resolve(self, url: str, _: str, context: object) -> object:
        return self.resolve_string(_STAND_INS[url.rpartition("/")[2]], context)


@cache
def r4_schema(shared: Path) -> etree.XMLSchema:
    parser = etree.XMLParser()
    parser.resolvers.add(_StandIns())
    text = lzma.decompress((shared / "data/fhir/definitions/fhir-single.xsd.xz").read_bytes())
    return etree.XMLSchema(etree.fromstring(text, parser))


def faults(schema: etree.XMLSchema, document: bytes) -> list[str]:
    """What the schema has against a document."""
    schema.validate(etree.fromstring(document))
    return [f"{each.line}: {each.message}" for each in schema.error_log]  # type: ignore[attr-defined]
