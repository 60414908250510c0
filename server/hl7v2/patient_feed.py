"""ADT messages of an identity source (IHE ITI-8): what PID and MRG say, as FHIR says it.

A01, A04, A05 and A08 register or update; A40 says that MRG-1 is replaced by PID-3. What a source leaves out is not
told; what it marks as deleted ("") is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import hl7

from server.fhir.json_form import Resource
from server.hl7v2.acknowledging import Code, Outcome
from server.hl7v2.messages import Message, Unreadable, part, repetitions
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identifier
from server.mpi.identity_feed import IdentityFeed, birth_date, is_unknown
from server.xds.datatypes import is_oid

REGISTERING, MERGING = frozenset({"A01", "A04", "A05", "A08"}), "A40"
_GENDERS = {"M": "male", "F": "female", "O": "other", "A": "other", "U": "unknown"}
_USES = {"L": "official", "N": "nickname", "M": "maiden", "A": "anonymous"}
_UNPRINTED = re.compile(r"[\x00-\x1f\x7f]+")
_LONGEST, _MOST = 200, 10
_BUSY = frozenset({Kind.BUSY, Kind.UNAVAILABLE, Kind.FAULT})


async def carry_out(feed: IdentityFeed, context: Context, message: Message) -> Outcome:
    """Returns when what the message says is kept, or tells why it is not."""
    head = message.head
    if head.type != "ADT":
        return Outcome(Code.REJECTED, "Only ADT messages are taken here.", "200", "MSH^9")
    if head.event not in REGISTERING and head.event != MERGING:
        return Outcome(Code.REJECTED, "The event is none of A01, A04, A05, A08 and A40.", "201", "MSH^9")
    if not head.version.startswith("2."):
        return Outcome(Code.REJECTED, "The version is none of HL7 version 2.", "203", "MSH^12")
    try:
        for each in groups(message):
            await _one(feed, context, each)
    except Unreadable as wrong:
        return Outcome(Code.ERROR, wrong.text, wrong.code, wrong.where)
    except Problem as problem:
        return refused(problem)
    return Outcome()


def refused(problem: Problem) -> Outcome:
    """Unknown persons and authorities are an error of the content; a busy store is none of the sender's."""
    if problem.kind in _BUSY:
        return Outcome(Code.REJECTED, problem.text, "206", "MSH^1")
    return Outcome(Code.ERROR, problem.text, "204" if is_unknown(problem) else "207", "PID^3")


def groups(message: Message) -> list[tuple[hl7.Segment, hl7.Segment | None]]:
    """Each PID, of a merge with its MRG; all of them are looked at before any is carried out."""
    is_merge = message.head.event == MERGING
    found: list[tuple[hl7.Segment, hl7.Segment | None]] = []
    for each in message.segments:
        if str(each[0]) == "PID":
            found.append((each, None))
        elif is_merge and str(each[0]) == "MRG" and found and found[-1][1] is None:
            found[-1] = found[-1][0], each
    if not found:
        raise Unreadable("The message has no PID segment.", "100", "PID^1")
    for patient, merged in found:
        if not numbers(patient, 3):
            raise Unreadable("PID-3 has no identifier with the OID of its authority.", "101", "PID^3")
        if is_merge and (merged is None or not numbers(merged, 1)):
            raise Unreadable("MRG-1 has no identifier with the OID of its authority.", "101", "MRG^1")
    if not is_merge and len(found) > 1:
        raise Unreadable("The message tells of several patients.", "100", "PID^1")
    return found


async def _one(feed: IdentityFeed, context: Context, group: tuple[hl7.Segment, hl7.Segment | None]) -> None:
    patient, merged = group
    if merged is None:
        await feed.register(context, described(patient), numbers(patient, 3))
    else:
        await feed.merge(context, numbers(patient, 3), numbers(merged, 1), "ADT^A40")


def numbers(segment: hl7.Segment, field: int) -> list[Identifier]:
    """Those whose assigning authority is told by an OID."""
    found = []
    for each in repetitions(segment, field)[: 4 * _MOST]:
        value, oid, kind = part(each, 1), part(each, 4, 2), part(each, 4, 3)
        if value and is_oid(oid) and kind in ("ISO", ""):
            found.append(Identifier(f"urn:oid:{oid}", value))
    return found


def described(patient: hl7.Segment) -> Resource:
    """A Patient without identifiers."""
    telecom = [*_telecom(patient, 13, "home"), *_telecom(patient, 14, "work")]
    told: dict[str, Any] = {
        "name": [each for each in map(_name, repetitions(patient, 5)[:_MOST]) if each],
        "telecom": telecom,
        "gender": _GENDERS.get(_first(patient, 8).upper(), ""),
        "birthDate": birth_date(_first(patient, 7)),
        "address": [each for each in map(_address, repetitions(patient, 11)[:_MOST]) if each],
    }
    return {name: value for name, value in told.items() if value}


def _first(segment: hl7.Segment, field: int) -> str:
    return next((part(each, 1) for each in repetitions(segment, field)), "")


def _name(components: list[list[str]]) -> dict[str, Any]:
    family, given = _text(part(components, 1)), [_text(part(components, 2)), _text(part(components, 3))]
    prefix, suffix = _text(part(components, 5)), _text(part(components, 4))
    made: dict[str, Any] = {
        "use": _USES.get(part(components, 7), ""),
        "family": family,
        "given": [each for each in given if each],
        "prefix": [prefix] if prefix else [],
        "suffix": [suffix] if suffix else [],
    }
    made = {name: value for name, value in made.items() if value}
    return made if "family" in made or "given" in made else {}


def _address(components: list[list[str]]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "line": [each for each in (_text(part(components, 1)), _text(part(components, 2))) if each],
        "city": _text(part(components, 3)),
        "state": _text(part(components, 4)),
        "postalCode": _text(part(components, 5)),
        "country": _text(part(components, 6)),
    }
    return {name: value for name, value in made.items() if value}


def _telecom(patient: hl7.Segment, field: int, use: str) -> Iterator[dict[str, Any]]:
    for each in repetitions(patient, field)[:_MOST]:
        number, mail = _text(part(each, 1)) or _text(part(each, 12)), _text(part(each, 4))
        if number:
            yield {"system": "phone", "value": number, "use": use}
        if "@" in mail:
            yield {"system": "email", "value": mail, "use": use}


def _text(text: str) -> str:
    return _UNPRINTED.sub(" ", text).strip()[:_LONGEST]
