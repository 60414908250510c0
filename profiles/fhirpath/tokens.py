"""FHIRPath text to tokens (N1 grammar, lexical elements)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from profiles.fhirpath.errors import FhirPathError

MAX_LENGTH = 20_000
"""Most characters of an expression; the longest of R4's own has about 400."""

_TOKEN = re.compile(
    r"""
    (?P<space> \s+ | //[^\r\n]* | /\*[^*]*\*+(?:[^/*][^*]*\*+)*/ )
  | (?P<moment> @ (?: \d{4}(?:-\d\d(?:-\d\d)?)? (?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)?
                    | T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)? ) )
  | (?P<number> \d+(?:\.\d+)? )
  | (?P<string> '(?:[^'\\]|\\.)*' )
  | (?P<quoted> `(?:[^`\\]|\\.)*` | "(?:[^"\\]|\\.)*" )
  | (?P<name> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<variable> \$(?:this|index|total)\b )
  | (?P<external> %(?: [A-Za-z_][A-Za-z0-9_-]* | `(?:[^`\\]|\\.)*` | '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" ) )
  | (?P<symbol> <=|>=|!=|!~|[-+*/|&=~<>.,()\[\]{}] )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPED = {"r": "\r", "n": "\n", "t": "\t", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    """`moment`, `number`, `string`, `quoted`, `name`, `variable`, `external`, `symbol`, `end`."""
    text: str
    """Without quotes and escapes, `@`, `$` and `%`."""
    place: int


def tokens_of(text: str) -> list[Token]:
    """The tokens, closed by one of kind `end`."""
    if len(text) > MAX_LENGTH:
        raise FhirPathError(f"The expression is longer than {MAX_LENGTH} characters.")
    found = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or text.startswith("/*", place) and match.lastgroup != "space":
            raise FhirPathError(f"The expression cannot be read at character {place + 1}.")
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(Token(kind, _content(kind, match.group()), place))
        place = match.end()
    return [*found, Token("end", "", place)]


def _content(kind: str, text: str) -> str:
    if kind in ("moment", "variable"):
        return text[1:]
    if kind == "external":
        return unescaped(text[2:-1]) if text[1] in "`'\"" else text[1:]
    return unescaped(text[1:-1]) if kind in ("string", "quoted") else text


def unescaped(text: str) -> str:
    """Escapes replaced; a backslash before any other character is dropped."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    escape = match.group(1)
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    return _ESCAPED.get(escape, escape)
