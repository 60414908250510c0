r"""Search values in their parts (R4 3.1.1.4.0.1): `\,` `\$` `\|` and `\\` stand for the character itself.

A value is split first and unescaped last, part by part, after percent-decoding.
"""

from __future__ import annotations

import re

from server.fhir.index.reading import refused

_SPECIAL = re.compile(r"[\\,$|]")
_ESCAPE = re.compile(r"\\([\\,$|])")
_UNKNOWN_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\(?![\\,$|])")


def split_or(value: str) -> list[str]:
    """The alternatives of a value, still escaped; empty ones are left out."""
    return [each for each in _split(value, ",") if each]


def split_composite(value: str) -> list[str]:
    """The parts of one value of a composite parameter, still escaped."""
    return _split(value, "$")


def split_token(value: str) -> list[str]:
    """What `|` parts, unescaped."""
    return [unescape(each) for each in _split(value, "|")]


def escape(text: str) -> str:
    """The text as a part of a search value, in which every character stands for itself."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def unescape(value: str) -> str:
    return _ESCAPE.sub(r"\1", value) if "\\" in value else value


def check_escapes(parameter: str, value: str) -> None:
    """A `Problem` where a backslash stands before anything but what it can escape."""
    if "\\" in value and _UNKNOWN_ESCAPE.search(value):
        raise refused(parameter, r"a backslash only stands before a comma, '$', '|' or another backslash.")


def _split(value: str, separator: str) -> list[str]:
    if "\\" not in value:
        return value.split(separator)
    found, start, place = [], 0, 0
    while place < len(value):
        if value[place] == separator:
            found.append(value[start:place])
            start = place + 1
        place += 2 if value[place] == "\\" else 1
    return [*found, value[start:]]
