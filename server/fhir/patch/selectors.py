"""The `sel` of XML Patch (RFC 5261, 4.1): the part of XPath that takes time in proportion to the document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

FHIR = "http://hl7.org/fhir"
PREFIXES: Mapping[str, str] = {"f": FHIR, "h": "http://www.w3.org/1999/xhtml"}
"""Prefixes every FHIR server knows; a patch may declare others."""

_NAME = r"(?:[A-Za-z_][\w.-]*:)?(?:[A-Za-z_][\w.-]*|\*)"
_LITERAL = r"(?:'[^'\"\[\]]*'|\"[^'\"\[\]]*\")"
_TEST = rf"(?:\d{{1,6}}|(?:{_NAME}/)*@?{_NAME}\s*=\s*{_LITERAL}|{_NAME}\[@{_NAME}\s*=\s*{_LITERAL}\])"
_PREDICATES = rf"(?:\[\s*{_TEST}\s*\])*"
_LAST = rf"(?:@{_NAME}|(?:text|comment)\(\)(?:\[\d{{1,6}}\])?)"
_SELECTOR = re.compile(rf"/?{_NAME}{_PREDICATES}(?:/{_NAME}{_PREDICATES})*(?:/{_LAST})?", re.ASCII)
_STEP = re.compile(rf"{_LITERAL}|(@?){_NAME}", re.ASCII)
_MAX_LENGTH = 500
_MAX_STEPS = 30


def compiled(text: str, prefixes: Mapping[str, str]) -> etree.XPath:
    """The selector; `ValueError` where it is none, or more than is understood here."""
    if len(text) > _MAX_LENGTH or text.count("/") > _MAX_STEPS or not _SELECTOR.fullmatch(text):
        raise ValueError("not a selector")
    if not all(_is_declared(step.group(), prefixes) for step in _STEP.finditer(text)):
        raise ValueError("an undeclared prefix")
    try:
        return etree.XPath("/" + _STEP.sub(_qualified, text.removeprefix("/")), namespaces=dict(prefixes))
    except etree.XPathError:
        raise ValueError("not a selector") from None


def _is_declared(step: str, prefixes: Mapping[str, str]) -> bool:
    prefix, colon, _ = step.removeprefix("@").partition(":")
    return not colon or step[0] in "'\"" or prefix in prefixes


def _qualified(match: re.Match[str]) -> str:
    """An element without a prefix is one of the patch document's default namespace, which is FHIR's."""
    text = match.group()
    is_element = text[0] not in "'\"@*" and ":" not in text and not text[0].isdigit()
    return f"f:{text}" if is_element and text not in ("text", "comment") else text


def found(selector: etree.XPath, root: etree._Element) -> list[Any]:
    """Elements, comments, and attributes and texts as strings that know their parent."""
    try:
        result = selector(root.getroottree())
    except etree.XPathError:
        return []
    return result if isinstance(result, list) else []
