"""A request as an event keeps it: method, path and query as they came, without anything that opens a door."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote_plus

from server.audit.acts import About, Pattern
from server.http.surface import Call
from server.kernel.problem import Problem

_SECRET = frozenset(
    {
        "access_token", "refresh_token", "id_token", "token", "client_secret", "client_assertion", "assertion",
        "code_verifier", "password", "otp", "pin", "authorization", "launch",
    }
)  # fmt: skip
_SUSPECT = re.compile(r"token|secret|assertion|verifier|password|otp|pin|authorization|launch|%|\+", re.IGNORECASE)
_LEFT_OUT = "(left out)"
_LONGEST = 8 << 10
_LONGEST_KEPT = 512
_LONGEST_NAME = 200
_MOST_NAMED = 20
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)


def raw_request(call: Call) -> str:
    """`GET /Observation?patient=3`; a query sent as a form stands behind the one of the URL."""
    scope, posted = call.scope, call.context.trail.query
    query = scope.get("query_string", b"")
    tell = _kept if len(query) + len(posted) + len(scope["path"]) <= _LONGEST_KEPT else _told
    return tell(scope["method"], scope["path"], query, posted)


def _told(method: str, path: str, query: bytes, posted: str) -> str:
    asked = (query[:_LONGEST].decode("latin-1"), posted[:_LONGEST])
    told = without_secrets("&".join([each for each in asked if each]))
    start = f"{method} {path[: _LONGEST // 2]}"
    return _storable(f"{start}?{told}" if told else start)


_kept = lru_cache(maxsize=512)(_told)
"""Screens ask the same again and again."""


def _storable(text: str) -> str:
    """Without halves of characters, which no store takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def without_secrets(query: str) -> str:
    """Tokens do not belong in a query, but somebody will send one there."""
    if not _SUSPECT.search(query):
        return query
    return "&".join([_clean(each) for each in re.split("[&;]", query)])


def _clean(pair: str) -> str:
    name = pair.partition("=")[0]
    return f"{name}={_LEFT_OUT}" if unquote_plus(unquote_plus(name)).strip().lower() in _SECRET else pair


def study_of(call: Call) -> str:
    """The Study Instance UID that the request names."""
    named = call.path.get("study")
    if named is not None:
        return named
    return next((value for name, value in _pairs(call) if name.lower() == "studyuid"), "")


def subject_of(call: Call, pattern: Pattern) -> str:
    """What the request names, for where services noted nothing."""
    return _storable(_named(call, pattern))


def _named(call: Call, pattern: Pattern) -> str:
    path = call.path
    if pattern.about is About.STUDY:
        study = study_of(call)
        return f"urn:oid:{study}"[:_LONGEST_NAME] if study else ""
    if "job" in path:
        return path["job"][:_LONGEST_NAME]
    resource_type, resource_id = path.get("type", ""), path.get("id", "")
    return f"{resource_type}/{resource_id}"[:_LONGEST_NAME] if resource_id else resource_type[:_LONGEST_NAME]


def patients_named(call: Call) -> tuple[str, ...]:
    """Whose data is asked for, as far as the request itself tells; what was found may tell more."""
    named = call.path
    if named.get("type") == "Patient" and "id" in named:
        return _references([named["id"]])
    found: list[str] = []
    if call.scope.get("query_string") and "type" in named:
        own = ("_id",) if named["type"] == "Patient" else ("patient", "subject", "patient:Patient", "subject:Patient")
        for name, value in _pairs(call):
            if name in own:
                found += value.split(",")
    return _references(found)


def _pairs(call: Call) -> list[tuple[str, str]]:
    """None of a query that cannot be read: the request was refused for that."""
    try:
        return call.query
    except Problem:
        return []


def _references(texts: Iterable[str]) -> tuple[str, ...]:
    ids = [each.removeprefix("Patient/") for each in texts]
    return tuple([f"Patient/{each}" for each in ids[:_MOST_NAMED] if _ID.fullmatch(each)])
