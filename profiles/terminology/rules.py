"""Code systems whose codes follow a grammar rather than a list: media types, languages, units, countries and others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from profiles.ucum import is_valid

UCUM = "http://unitsofmeasure.org"
MEDIA_TYPES = "urn:ietf:bcp:13"
LANGUAGES = "urn:ietf:bcp:47"

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+"  # noqa: S105  (RFC 9110's token)
_PARAMETER = rf'[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"[^"\\]*(?:\\.[^"\\]*)*")'
_LANGUAGE = (
    r"(?:[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(?:-[0-9A-WY-Za-wy-z](?:-[A-Za-z0-9]{2,8})+)*"
    r"(?:-[Xx](?:-[A-Za-z0-9]{1,8})+)?|[XxIi](?:-[A-Za-z0-9]{1,8})+"
)


@dataclass(frozen=True, slots=True)
class RuledSystem:
    """A code system known by its grammar."""

    url: str
    name: str
    accepts: Callable[[str], bool]
    is_case_sensitive: bool = True


def _pattern(text: str) -> Callable[[str], bool]:
    matches = re.compile(text).fullmatch
    return lambda code: len(code) <= _LONGEST and matches(code) is not None


_LONGEST = 1024

_SYSTEMS = (
    RuledSystem(UCUM, "UCUM", is_valid),
    RuledSystem(MEDIA_TYPES, "BCP13", _pattern(rf"{_TOKEN}/{_TOKEN}(?:{_PARAMETER})*"), is_case_sensitive=False),
    RuledSystem(LANGUAGES, "BCP47", _pattern(_LANGUAGE), is_case_sensitive=False),
    RuledSystem("urn:ietf:rfc:3986", "URI", _pattern(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")),
    RuledSystem("urn:iso:std:iso:3166", "ISO3166Part1", _pattern(r"[A-Z]{2}|[A-Z]{3}|[0-9]{3}")),
    RuledSystem("urn:iso:std:iso:4217", "ISO4217", _pattern("[A-Z]{3}")),
    RuledSystem("urn:iso:std:iso:3166:-2", "ISO3166Part2", _pattern(r"[A-Z]{2}-[A-Z0-9]{1,3}")),
    RuledSystem("http://unstats.un.org/unsd/methods/m49/m49.htm", "M49", _pattern(r"[0-9]{3}")),
    RuledSystem(
        "https://www.iana.org/time-zones",
        "IANATimezones",
        _pattern(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,3}"),
    ),
)

RULED: Mapping[str, RuledSystem] = {each.url: each for each in _SYSTEMS}
