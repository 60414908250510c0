"""Logical ids, and the conditions that name versions: If-Match and If-None-Match (FHIR R4 3.1.0.5, RFC 9110 13.1)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from server.kernel.problem import Issue, Kind, Problem

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_ETAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_RANDOM_BITS = (1 << 62) - 1


def is_id(text: object) -> bool:
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def check_id(text: object, location: str | None = None) -> None:
    if not is_id(text):
        reason = "An id has 1 to 64 letters, digits, hyphens and full stops."
        raise Problem(Kind.INVALID, reason, (Issue(reason, location, "value"),))


def new_id(micros: int) -> str:
    """A UUID of version 7 (RFC 9562 5.7): later ids sort after earlier ones, so an index grows at its end."""
    random = int.from_bytes(os.urandom(10))
    number = (micros // 1000) << 80 | 7 << 76 | (random >> 68) << 64 | 2 << 62 | random & _RANDOM_BITS
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(frozen=True, slots=True)
class ETags:
    """The versions a condition names; `None` is `*`, any version there is."""

    versions: frozenset[str] | None

    def name(self, version: int) -> bool:
        return self.versions is None or str(version) in self.versions


def parse_etags(text: str) -> ETags:
    """A list of entity tags, weak or strong; a `Problem` (invalid) for anything else."""
    if text.strip() == "*":
        return ETags(None)
    tags = [_ETAG.fullmatch(each.strip()) for each in text.split(",")]
    if not all(tags):
        raise Problem(Kind.INVALID, 'A condition names versions as entity tags: W/"1".')
    return ETags(frozenset(tag[1] for tag in tags if tag))


def check_conditions(version: int | None, if_match: str | None, if_none_match: str | None) -> None:
    """Raises `PRECONDITION` unless both hold of the current version; `None` where there is none."""
    if if_match is not None:
        named = parse_etags(if_match)
        if version is None or not named.name(version):
            raise _failed("The resource has not the version that If-Match demands.")
    if if_none_match is not None:
        named = parse_etags(if_none_match)
        if version is not None and named.name(version):
            raise _failed("The resource has a version that If-None-Match excludes.")


def _failed(text: str) -> Problem:
    return Problem(Kind.PRECONDITION, text, (Issue(text, None, "conflict"),))
