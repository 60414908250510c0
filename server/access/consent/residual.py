"""What of a patient's data a token does not open, as rules for others who enforce it (IHE PCF, `ihe_pcf.residual`).

What matches a rule that forbids does not flow, unless it matches one that permits. That is less than our own answers
can say: where a prohibition cuts into a permission, or two prohibitions have different exceptions, the rules here
forbid more. So nobody who goes by them gives away what this server would not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from server.access.consent.judging import OPEN, SHUT, Answer
from server.access.consent.rule import ALWAYS, Provision, Span
from server.access.labels import LEVELS

_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_ALL = Provision(permits=False)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Relied(NamedTuple):
    """What a decision about one patient rests on."""

    consents: tuple[str, ...]
    """`Consent/4`: those in force."""
    policies: tuple[str, ...]
    residual: tuple[dict[str, Any], ...]


def residual_of(answer: Answer, url: Callable[[str], str]) -> list[dict[str, Any]]:
    """`url` makes the absolute URL of `Observation/3`."""
    forbidden, permitted = _rules(answer)
    return [
        *(_told("forbid", each, url) for each in sorted(forbidden, key=repr)),
        *(_told("permit", each, url) for each in sorted(permitted, key=repr)),
    ]


def _rules(answer: Answer) -> tuple[Iterable[Provision], Iterable[Provision]]:
    if answer == OPEN:
        return (), ()
    if answer == SHUT:
        return (_ALL,), ()
    bans = answer.forbidden
    if answer.permitted is None:
        # A permission lifts every prohibition here, so it must be an exception from each.
        return {each.provision for each in bans}, frozenset.intersection(*(each.exceptions for each in bans))
    lifts = [
        each
        for each in answer.permitted
        if all(ban.provision.is_of_all_data and each in ban.exceptions for ban in bans)
    ]
    return (_ALL,), lifts


def _told(kind: str, provision: Provision, url: Callable[[str], str]) -> dict[str, Any]:
    told: dict[str, Any] = {"type": kind}
    if provision.labels is not None:
        told["securityLabel"] = [_coding(each) for each in provision.labels]
    if provision.within is not None:
        told["dataPeriod"] = _period(provision.within)
    if provision.data is not None:
        told["data"] = [
            {"meaning": each.meaning, "reference": {"reference": url(each.reference)}} for each in provision.data
        ]
    return told


def _coding(code: str) -> Mapping[str, str]:
    is_level = len(code) == 1 and code in LEVELS
    return {"system": _CONFIDENTIALITY if is_level else _SENSITIVITY, "code": code}


def _period(span: Span) -> dict[str, str]:
    """FHIR's end is within the period; ours is the moment after."""
    start, end = span
    told = {}
    if start != ALWAYS[0]:
        told["start"] = _moment(start)
    if end != ALWAYS[1]:
        told["end"] = _moment(end - 1)
    return told


def _moment(micros: int) -> str:
    return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
