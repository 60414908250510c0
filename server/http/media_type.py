"""Media types with parameters, as Content-Type and Accept carry them (RFC 9110 8.3.1, PS3.18 8.7).

Read generously: clients leave the quotes off `type="application/dicom"`, so an unquoted value may hold any character
but a semicolon, and quoted equals unquoted. Names compare without regard to case and come back in lower case.
"""

from __future__ import annotations

import re

from server.kernel.problem import Kind, Problem

LONGEST = 4096

_TYPE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?=;|\Z)")
_PARAMETER = re.compile(r';\s*(?:([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))\s*)?(?=;|\Z)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse_media_type(text: str) -> tuple[str, dict[str, str]]:
    """The type and its parameters, type and names in lower case; of a repeated parameter the first counts."""
    start = _TYPE.match(text) if len(text) <= LONGEST else None
    if start is None:
        raise _malformed()
    parameters: dict[str, str] = {}
    place = start.end()
    while place < len(text):
        found = _PARAMETER.match(text, place)
        if found is None:
            raise _malformed()
        name, quoted, plain = found.groups()
        if name:
            value = plain.strip() if quoted is None else _ESCAPED.sub(r"\1", quoted)
            parameters.setdefault(name.lower(), value)
        place = found.end()
    return start.group(1).lower(), parameters


def quoted(value: str) -> str:
    """The value as a quoted-string (RFC 9110 5.6.4)."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _malformed() -> Problem:
    return Problem(Kind.INVALID, "A media type is not of the form type/subtype; name=value (RFC 9110 8.3.1).")
