"""Code sets as they are handed around: the codes.xml of IHE's test tools, and FHIR ValueSets that list their codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from lxml import etree

from server.kernel.problem import Kind, Problem
from server.xds.fhir_codes import scheme_of
from server.xds.metadata import Code

MIME_TYPE = "mimeType"
ATTRIBUTES = (
    "classCode",
    "typeCode",
    "formatCode",
    "healthcareFacilityTypeCode",
    "practiceSettingCode",
    "confidentialityCode",
    "eventCodeList",
    "contentTypeCode",
    "codeList",
    "documentation",
    MIME_TYPE,
)
"""As `server.xds.code_sets` has them: `codeList` is a folder's, `documentation` an association's."""

_NAMED = {"folderCodeList": "codeList", "associationDocumentation": "documentation"}
_DEEPEST = 20


def text_of(attribute: str, code: str, scheme: str) -> str:
    """A code as the sets hold it; a media type has no scheme."""
    return code if attribute == MIME_TYPE else Code(code, scheme).key


def read_codes(data: bytes) -> dict[str, set[str]]:
    """By attribute; those of other profiles are passed over."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise _unread("it is not well-formed XML") from error
    found: dict[str, set[str]] = {}
    for group in root.iter("CodeType"):
        attribute = _NAMED.get(group.get("name", ""), group.get("name", ""))
        if attribute in ATTRIBUTES:
            found.setdefault(attribute, set()).update(_codes(attribute, group))
    if not any(found.values()):
        raise _unread("it has no CodeType of an attribute of XDS")
    return found


def read_value_set(attribute: str, data: bytes) -> set[str]:
    """Its expansion where it has one, else what it is composed of."""
    try:
        held = orjson.loads(data)
        if held["resourceType"] != "ValueSet":
            raise _unread("it is no ValueSet")
        contained = held.get("expansion", {}).get("contains")
        listed = _expanded(contained) if contained else _composed(held["compose"])
        found = {text_of(attribute, each["code"], scheme_of(system)) for system, each in listed}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unread("it is no ValueSet that lists its codes one by one") from error
    if not found:
        raise _unread("it lists no codes")
    return found


def _codes(attribute: str, group: etree._Element) -> Iterator[str]:
    for each in group.iter("Code"):
        code, scheme = each.get("code", "").strip(), each.get("codingScheme", "").strip()
        if not code or not (scheme or attribute == MIME_TYPE):
            raise _unread(f"a Code of {attribute} has no code, or no codingScheme")
        yield text_of(attribute, code, scheme)


def _expanded(contained: list[Any], depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if depth > _DEEPEST:
        raise ValueError("an expansion that deep")
    for each in contained:
        if "code" in each and not each.get("abstract"):
            yield each["system"], each
        yield from _expanded(each.get("contains", []), depth + 1)


def _composed(compose: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Whatever is not a list of codes would need a terminology server to say what it means."""
    if compose.get("exclude"):
        raise ValueError("codes taken out again")
    for include in compose["include"]:
        if "filter" in include or "valueSet" in include:
            raise ValueError("codes by a rule")
        for each in include["concept"]:
            yield include["system"], each


def _unread(why: str) -> Problem:
    return Problem(Kind.INVALID, f"The file cannot be used: {why}.")
