"""Narrative (FHIR R4 narrative, 2.4): well-formed XHTML of basic formatting, nothing that acts.

Scanned by hand in one pass, with no entity but XML's own five and no document type, so nothing can expand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from profiles.findings import Severity
from profiles.validator.place import Place
from profiles.validator.run import Run

XHTML = "http://www.w3.org/1999/xhtml"

_ELEMENTS = frozenset((
    "div", "p", "br", "h1", "h2", "h3", "h4", "h5", "h6", "a", "span", "b", "em", "i", "strong", "small", "big",
    "tt", "dfn", "q", "var", "abbr", "acronym", "cite", "blockquote", "hr", "address", "bdo", "kbd", "sub", "sup",
    "ul", "ol", "li", "dl", "dt", "dd", "pre", "table", "caption", "colgroup", "col", "thead", "tr", "tfoot",
    "tbody", "th", "td", "code", "samp", "img", "map", "area",
))  # fmt: skip
_ATTRIBUTES = frozenset((
    "title", "style", "class", "id", "lang", "xml:lang", "dir", "accesskey", "tabindex", "xmlns", "name", "href",
    "hreflang", "rel", "rev", "charset", "type", "shape", "coords", "src", "alt", "longdesc", "height", "width",
    "usemap", "ismap", "cite", "span", "align", "valign", "char", "charoff", "abbr", "axis", "headers", "scope",
    "rowspan", "colspan", "nowrap", "border", "summary", "frame", "rules", "cellspacing", "cellpadding", "start",
    "value", "datetime", "nohref", "idref", "bgcolor", "clear", "compact", "noshade", "size", "xml:space",
))  # fmt: skip
_ATTRIBUTE = r"""\s+([A-Za-z_][\w:.-]*)\s*=\s*("[^"<]*"|'[^'<]*')"""
_TOKEN = re.compile(
    rf"<!--(?:(?!--)[\s\S])*-->|<(/?)([A-Za-z][\w:.-]*)((?:{_ATTRIBUTE.replace('(', '(?:')})*)\s*(/?)>|[^<]+|<"
)
_PAIR = re.compile(_ATTRIBUTE)
_LOOSE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_IGNORED = re.compile(r"[\x00-\x20]+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SCHEMES = frozenset({"http", "https", "ftp", "mailto", "tel", "data", "file", "cid", "nfs", "telnet"})
_REACHING = re.compile(r"expression\(|javascript:|url\(|@import|\\", re.IGNORECASE)
"""What of a style reaches outside of it; a backslash could spell any of them."""
_MARKUP = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(\s[^<>]*)?/?>")
_MAX_DEPTH = 200


def check(item: Any, place: Place, run: Run) -> None:
    """The `div` of a narrative."""
    if type(item) is not str:
        run.error("structure", place, "The narrative is XHTML in a string.")
        return
    fault = _fault(item)
    if fault is None:
        return
    rule, text = fault
    severity = run.options.doubtful if rule == "txt-2" else Severity.ERROR
    run.add(severity, "invariant" if rule else "structure", place, text, rule)


def check_markup(item: str, type_name: str, place: Place, run: Run) -> None:
    """What looks like HTML where none is looked for."""
    refuse = run.options.refuse_markup if type_name == "string" else run.options.refuse_markup_in_markdown
    if refuse and _MARKUP.search(item):
        run.error("invalid", place, "The text holds what looks like an HTML tag.")


def _fault(text: str) -> tuple[str | None, str] | None:
    """The first thing wrong, with its rule."""
    trimmed = text.strip()
    if not trimmed.startswith("<div") or not trimmed.endswith("</div>"):
        return None, "The narrative begins with <div and ends with </div>."
    open_elements: list[str] = []
    has_content = False
    for token in _TOKEN.finditer(trimmed):
        fault = _token_fault(token, open_elements)
        if fault is not None:
            return fault
        closing, name, _, _ = token.groups()
        has_content = has_content or name == "img" or (name is None and token[0][0] != "<" and not token[0].isspace())
        if not open_elements and token.end() != len(trimmed):
            return None, "The narrative has more than one root element."
    if open_elements:
        return None, "An element of the narrative is not closed."
    return None if has_content else ("txt-2", "The narrative has some content: text or an image.")


def _token_fault(token: re.Match[str], open_elements: list[str]) -> tuple[str | None, str] | None:
    closing, name, attributes, is_empty = token.groups()
    if name is None:
        return _text_fault(token[0])
    if closing:
        if not open_elements or open_elements.pop() != name:
            return None, "The narrative is not well-formed: an end tag fits no start tag."
        return None
    if name not in _ELEMENTS:
        return "txt-1", "The narrative holds an element that is not allowed."
    if not is_empty:
        open_elements.append(name)
    if len(open_elements) > _MAX_DEPTH:
        return None, "The narrative is nested too deeply."
    return _attribute_fault(attributes, is_root=len(open_elements) == 1 and token.start() == 0)


def _text_fault(text: str) -> tuple[str | None, str] | None:
    if text == "<" or _LOOSE.search(text):
        return None, "The narrative is not well-formed XHTML, or names an entity that XML does not have."
    return None


def _attribute_fault(text: str, is_root: bool) -> tuple[str | None, str] | None:
    seen = set()
    for name, value in _pairs(text):
        if name in seen:
            return None, "The narrative gives an attribute twice."
        seen.add(name)
        if name not in _ATTRIBUTES or (name == "xmlns" and value != XHTML):
            return "txt-1", "The narrative holds an attribute that is not allowed."
        if name in ("href", "src") and not _is_link(value):
            return "txt-1", "A link of the narrative has a scheme that is not allowed."
        if name == "style" and _REACHING.search(_IGNORED.sub("", unescape(value))):
            return "txt-1", "A style of the narrative refers to something outside."
        if _LOOSE.search(value):
            return None, "The narrative names an entity that XML does not have."
    if is_root and "xmlns" not in seen:
        return None, "The div of the narrative is in the namespace of XHTML."
    return None


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for found in _PAIR.finditer(text):
        yield found[1], found[2][1:-1]


def _is_link(value: str) -> bool:
    """As browsers read it: character references replaced, blanks and control characters left out."""
    meant = _IGNORED.sub("", unescape(value))
    scheme = _SCHEME.match(meant)
    if scheme is None:
        return True
    is_page = scheme[1].lower() == "data" and not meant[5:].lower().startswith("image/")
    return scheme[1].lower() in _SCHEMES and not is_page
