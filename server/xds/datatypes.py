"""Texts with inner structure, as XDS borrows them from HL7 v2 (IHE ITI TF-3 4.2.3.1.7).

Values keep such texts as they were sent, because queries compare them so; here they are taken apart and put together.
What is not of the type raises `ValueError` with a sentence that says why and quotes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

_OID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}(?: *;[\x20-\x7e]{0,200})?")
"""It goes into headers of HTTP and MIME as it is."""
_DTM = re.compile(r"[0-9]{4}(?:[0-9]{2}){0,5}")

_ESCAPES = {"|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\\": "\\E\\"}
_UNESCAPES = {written: meant for meant, written in _ESCAPES.items()}
_ESCAPED = re.compile(r"\\[FSTRE]\\")
_SPECIAL = re.compile(r"[|^&~\\]")


def is_oid(text: str) -> bool:
    """At most 64 characters, no leading zeros; first arcs above 2 are no OIDs but widely used in authorities."""
    return len(text) <= 64 and _OID.fullmatch(text) is not None


def is_uuid(text: str) -> bool:
    """`urn:uuid:` in lower case, as the registry keeps ids."""
    return _UUID.fullmatch(text) is not None


def uuid_oid(text: str) -> str:
    """The OID that a UUID stands for (X.667), with or without `urn:uuid:`; `ValueError` for what is none."""
    return f"2.25.{UUID(text.removeprefix('urn:uuid:')).int}"


def is_sha1(text: str) -> bool:
    return _SHA1.fullmatch(text) is not None


def is_language(text: str) -> bool:
    """Shaped as RFC 5646 has it."""
    return _LANGUAGE.fullmatch(text) is not None


def is_mime_type(text: str) -> bool:
    return _MIME.fullmatch(text) is not None


def escape(text: str) -> str:
    """For a component of an HL7 v2 text."""
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text)


def unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: _UNESCAPES[found[0]], text) if "\\" in text else text


def _components(text: str, most: int) -> list[str]:
    """Exactly `most` components, still escaped; trailing empty ones may have been left out."""
    if "~" in text or "|" in text:
        raise ValueError("repetition or field separators do not belong in one value")
    parts = text.split("^")
    if any(parts[most:]):
        raise ValueError(f"more than {most} components")
    return [*parts[:most], *[""] * (most - len(parts))]


def _authority(component: str, *, may_be_named: bool = True) -> str:
    """The OID of `&OID&ISO`, or nothing; people and organizations are met with the authority's name before it."""
    if not component:
        return ""
    name, _, rest = component.partition("&")
    oid, _, kind = rest.partition("&")
    if (name and not may_be_named) or kind != "ISO" or not is_oid(oid):
        raise ValueError("an assigning authority is written &OID&ISO")
    return oid


def _join(components: list[str]) -> str:
    return "^".join(components).rstrip("^")


class Cx(NamedTuple):
    """`id^^^&OID&ISO`: a patient's number and who gave it."""

    id: str
    authority: str
    """OID."""

    @classmethod
    def parse(cls, text: str) -> Cx:
        id_, second, third, authority, *others = _components(text, 10)
        if not id_ or not authority:
            raise ValueError("a patient id is written id^^^&OID&ISO")
        if second or third or any(others) or "&" in id_:
            raise ValueError("a patient id has an id and an assigning authority, and nothing else")
        return cls(unescape(id_), _authority(authority, may_be_named=False))

    def __str__(self) -> str:
        return f"{escape(self.id)}^^^&{self.authority}&ISO"


class Cxi(NamedTuple):
    """`id^^^&OID&ISO^type`: an entry of the reference id list."""

    id: str
    authority: str
    """OID, or the name of a namespace; empty where the id is unique by itself."""
    type: str
    """A URN of IHE, or a value agreed upon locally."""
    home: str = ""
    """homeCommunityId of whoever gave it."""

    @classmethod
    def parse(cls, text: str) -> Cxi:
        id_, second, third, authority, type_, home = _components(text, 6)
        if not id_ or not type_:
            raise ValueError("a reference id has an id and, in its fifth component, a type")
        if second or third:
            raise ValueError("the second and third components of a reference id are empty")
        if "&" in authority:
            authority = _authority(authority)
        return cls(unescape(id_), unescape(authority), unescape(type_), _home(home))

    def __str__(self) -> str:
        authority = f"&{self.authority}&ISO" if is_oid(self.authority) else escape(self.authority)
        home = f"&{self.home.removeprefix('urn:oid:')}&ISO" if self.home else ""
        return _join([escape(self.id), "", "", authority, escape(self.type), home])


def _home(component: str) -> str:
    if component.startswith("urn:oid:"):
        return component
    return f"urn:oid:{_authority(component)}" if component else ""


class Xcn(NamedTuple):
    """A person: `id^family^given^second^suffix^prefix^degree^^&OID&ISO`."""

    id: str = ""
    family: str = ""
    given: str = ""
    second: str = ""
    suffix: str = ""
    prefix: str = ""
    degree: str = ""
    authority: str = ""
    """OID of whoever gave the id."""

    @classmethod
    def parse(cls, text: str) -> Xcn:
        parts = _components(text, 23)
        id_, family, given, second, suffix, prefix, degree = (unescape(part) for part in parts[:7])
        if not id_ and not family:
            raise ValueError("a person has a family name or an id")
        return cls(id_, family, given, second, suffix, prefix, degree, _authority(parts[8]))

    def __str__(self) -> str:
        names = [escape(part) for part in self[:7]]
        return _join([*names, "", f"&{self.authority}&ISO" if self.authority else ""])


class Xon(NamedTuple):
    """An organization: `name^^^^^&OID&ISO^^^^id`, or `name^^^^^^^^^OID` where its id is an OID."""

    name: str
    authority: str = ""
    """OID of whoever gave the id."""
    id: str = ""

    @classmethod
    def parse(cls, text: str) -> Xon:
        parts = _components(text, 10)
        if not parts[0]:
            raise ValueError("an organization has a name")
        return cls(unescape(parts[0]), _authority(parts[5]), unescape(parts[9]))

    def __str__(self) -> str:
        authority = f"&{self.authority}&ISO" if self.authority else ""
        return _join([escape(self.name), "", "", "", "", authority, "", "", "", escape(self.id)])


@dataclass(frozen=True, slots=True)
class Dtm:
    """`YYYY[MM[DD[hh[mm[ss]]]]]` in UTC."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Dtm:
        if not _DTM.fullmatch(text):
            raise ValueError("a time is written YYYY[MM[DD[hh[mm[ss]]]]], in UTC")
        try:
            _moment(text)
        except ValueError:
            raise ValueError("a time names a moment that does not exist") from None
        return cls(text)

    @classmethod
    def of(cls, moment: datetime) -> Dtm:
        """To the second."""
        return cls(moment.astimezone(UTC).strftime("%Y%m%d%H%M%S").rjust(14, "0"))

    @property
    def start(self) -> int:
        """The first second it stands for, as a number of 14 digits: what queries compare."""
        return int(_padded(self.text))

    @property
    def moment(self) -> datetime:
        """The same, as a time."""
        return _moment(self.text)

    def __str__(self) -> str:
        return self.text


def _padded(text: str) -> str:
    return text + "00000101000000"[len(text) :]


def _moment(text: str) -> datetime:
    digits = _padded(text)
    month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(4, 14, 2))
    return datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC)
