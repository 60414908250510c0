"""HL7 version 2 messages as octets and as fields: charset, bounds, and the few segments that identity feeds use.

Separators are the recommended ones. The charset is the one MSH-18 names; without it UTF-8, of which ASCII is a part.
Text in an unnamed GB charset is refused: guessing would keep wrong names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import hl7

from server.xds.datatypes import unescape

_START = "MSH|^~\\&|"
_CHARSETS = {
    "": "utf-8", "ASCII": "ascii", "UNICODE UTF-8": "utf-8", "UTF-8": "utf-8", "UTF8": "utf-8",
    "GB 18030-2000": "gb18030", "GB18030": "gb18030", "GB 18030": "gb18030", "GBK": "gb18030", "GB2312": "gb18030",
    "GB 2312": "gb18030", "BIG-5": "big5", **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 7, 9, 15)},
}  # fmt: skip
"""By what stands in MSH-18 (HL7 table 0211, and what is met); GB 18030 holds all of GBK and GB 2312."""
_KEPT = frozenset({"MSH", "EVN", "PID", "MRG"})
_MOST_SEGMENTS, _MOST_PARTS = 1000, 5000
_SEPARATORS = re.compile(r"[|^~&]")


class Unreadable(Exception):
    """What is wrong with a message as such; `code` of HL7 table 0357, `where` its segment and field."""

    def __init__(self, text: str, code: str, where: str = "MSH^1") -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.where = where


@dataclass(frozen=True, slots=True)
class Head:
    """What MSH tells, also of a message that goes no further."""

    application: str = ""
    facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    type: str = ""
    event: str = ""
    control_id: str = ""
    processing: str = ""
    version: str = ""
    charset: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    head: Head
    segments: tuple[hl7.Segment, ...]
    """Those of identity feeds, in order."""


def read_message(octets: bytes) -> Message:
    """A message of one frame; `Unreadable` where it is none, or too much."""
    text = decoded(octets)
    lines = [each for each in re.split(r"[\r\n]+", text.strip("\r\n")) if each]
    if len(lines) > _MOST_SEGMENTS:
        raise Unreadable("The message has too many segments.", "207")
    kept = [each for each in lines if each[:3] in _KEPT and each[3:4] == "|"]
    if not lines or not lines[0].startswith(_START) or any(each.startswith("MSH") for each in kept[1:]):
        raise Unreadable("A message begins with MSH|^~\\&| and has one such segment.", "100")
    if sum(len(_SEPARATORS.findall(each)) for each in kept) > _MOST_PARTS:
        raise Unreadable("The message has too many fields.", "207")
    head = head_of(octets)
    if not head.control_id:
        raise Unreadable("The message has no control id.", "101", "MSH^10")
    return Message(head, tuple(hl7.parse("\r".join(kept))))


def head_of(octets: bytes) -> Head:
    """As far as it can be read; an acknowledgement is made from it in any case."""
    charset = _named_charset(octets)
    line = re.split(rb"[\r\n]", octets.lstrip(b"\r\n")[:4096], maxsplit=1)[0]
    fields = line.decode(_CHARSETS.get(charset, "ascii"), "replace").split("|") if line.startswith(b"MSH|") else []
    told = [unescape(each) for each in (*fields, *[""] * 20)]
    kind, _, event = told[8].partition("^")
    return Head(
        told[2], told[3], told[4], told[5], kind, event.partition("^")[0], told[9], told[10].partition("^")[0],
        told[11].partition("^")[0], charset,
    )  # fmt: skip


def decoded(octets: bytes) -> str:
    charset = _named_charset(octets)
    if charset not in _CHARSETS:
        raise Unreadable("The charset of MSH-18 is not supported.", "103", "MSH^18")
    try:
        return octets.decode(_CHARSETS[charset])
    except UnicodeDecodeError:
        raise Unreadable("The message is not in the charset that MSH-18 names.", "103", "MSH^18") from None


def codec_of(charset: str) -> str:
    return _CHARSETS.get(charset, "utf-8")


def repetitions(segment: hl7.Segment, number: int) -> list[list[list[str]]]:
    """Those of a field: components of subcomponents, unescaped."""
    if len(segment) <= number:
        return []
    return [_components(each) for each in segment[number]]


def part(components: Sequence[Sequence[str]], component: int, subcomponent: int = 1) -> str:
    """Counted from 1, as the standard does; empty where it is not there, or says to delete what was there."""
    if len(components) < component or len(components[component - 1]) < subcomponent:
        return ""
    found = components[component - 1][subcomponent - 1].strip()
    return "" if found == '""' else found


def _components(repetition: str | Sequence[str | Sequence[str]]) -> list[list[str]]:
    """The library gives text where nothing is divided."""
    if isinstance(repetition, str):
        return [[unescape(repetition)]]
    return [[unescape(each)] if isinstance(each, str) else [unescape(str(one)) for one in each] for each in repetition]


def _named_charset(octets: bytes) -> str:
    """What MSH-18 says. A GB text may hold the octet of a separator, so it is looked at as such, too."""
    line = re.split(rb"[\r\n]", octets.lstrip(b"\r\n")[:4096], maxsplit=1)[0]
    said = _eighteenth(line.decode("latin-1"))
    if said not in _CHARSETS or not said:
        other = _eighteenth(line.decode("gb18030", "replace"))
        if _CHARSETS.get(other) == "gb18030":
            return other
    return said


def _eighteenth(line: str) -> str:
    fields = line.split("|")
    return fields[17].partition("~")[0].strip().upper() if len(fields) > 17 else ""
