"""What is looked for in the text of an XML document before it is parsed: its prolog, its narratives, its long data.

A document type declaration is refused before a parser sees it. Narratives are cut out as they stand in the text, so
that JSON carries the very characters that were sent. Inline data beyond what libxml2 takes as one attribute (10 MB) is
taken out and put back after parsing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping

_LONG = 1 << 20

_PROLOG = re.compile(rb"(?:\s|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_ENCODING = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"']*)[\"']")
_DATA = re.compile(rb'"[A-Za-z0-9+/=\s]{%d,}"' % _LONG)
_MARKUP = re.compile(
    rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>"
    rb"|<(?P<close>/?)(?:[^\s<>/:\"']+:)?div(?=[\s/>])(?:[^>\"'/]|/(?!>)|\"[^\"]*\"|'[^']*')*(?P<empty>/?)>",
    re.DOTALL,
)


def without_mark(text: bytes) -> bytes:
    return text[3:] if text[:3] == b"\xef\xbb\xbf" else text


def has_type_declaration(text: bytes) -> bool:
    """Whether `<!DOCTYPE` stands before the root element, the only place where a document may have one."""
    prolog = _PROLOG.match(text)
    start = prolog.end() if prolog else 0
    return text[start : start + 2] == b"<!"


def is_utf8(text: bytes) -> bool:
    """Whether the XML declaration names UTF-8 or no encoding at all."""
    named = _ENCODING.match(text)
    return named is None or named.group(1).lower() in (b"utf-8", b"us-ascii")


def narratives(text: bytes) -> Iterator[bytes]:
    """The outermost `div` elements of a well-formed document without DTD, in order, as they stand in the text."""
    depth = start = 0
    for found in _MARKUP.finditer(text):
        if found["close"] is None:
            continue
        if found["close"]:
            depth -= 1
        else:
            start = found.start() if depth == 0 else start
            depth += not found["empty"]
        if depth == 0:
            yield text[start : found.end()]


def without_long_data(text: bytes) -> tuple[bytes, Mapping[str, str]]:
    """The text with each very long base64 attribute value replaced by a token, and the values by token."""
    if len(text) < _LONG:
        return text, {}
    taken: dict[str, str] = {}

    def token(found: re.Match[bytes]) -> bytes:
        name = f"weft-{secrets.token_hex(16)}"
        taken[name] = found.group()[1:-1].decode("ascii")
        return b'"%s"' % name.encode()

    return _DATA.sub(token, text), taken
