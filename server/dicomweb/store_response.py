"""The Store Instances Response Module: what became of each instance sent (PS3.18 10.5.3 and annex I).

A failure or warning is explained where the standard has no words for it: Failed Attributes Sequence (0074,1048) with an
Error Comment (0000,0902) for each thing wrong, in pieces of the 64 characters its VR allows.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from server.archive.stage import StoreOutcome
from server.dicom.levels import in_order
from server.dicomweb.failures import WARNING_DOES_NOT_MATCH_SOP_CLASS, failure_reason
from server.http.multipart import TRUNCATED
from server.kernel.problem import Kind, Problem

_COMMENT_LENGTH = 64
_MOST_COMMENTS = 20

_NONE_STORED = {
    Kind.UNSUPPORTED_MEDIA: 415,
    Kind.TOO_LARGE: 413,
    Kind.FORBIDDEN: 403,
    Kind.UNAVAILABLE: 503,
}
"""The status when nothing was stored, always for the same reason; otherwise 409."""


def status_of(outcomes: Sequence[StoreOutcome]) -> int:
    """200: all stored; 202: some, or some with a warning; 409 or a more exact status: none (PS3.18 10.5.3.1)."""
    failures = [outcome.failure for outcome in outcomes if outcome.failure]
    if len(failures) < len(outcomes):
        return 202 if failures or any(outcome.warnings for outcome in outcomes) else 200
    if all(any(issue.code == TRUNCATED for issue in failure.issues) for failure in failures):
        return 400
    kinds = {failure.kind for failure in failures}
    return _NONE_STORED.get(kinds.pop(), 409) if len(kinds) == 1 else 409


def response_module(base: str, study: str | None, outcomes: Sequence[StoreOutcome]) -> dict[str, Any]:
    """The module as DICOM JSON; `base` is the surface's URL, `study` the study instances were sent to."""
    failed = [_failed(outcome, outcome.failure) for outcome in outcomes if outcome.failure and _is_known(outcome)]
    other = [_other(outcome, outcome.failure) for outcome in outcomes if outcome.failure and not _is_known(outcome)]
    stored = [_referenced(base, outcome) for outcome in outcomes if outcome.failure is None]
    sequences = {"00081198": failed, "00081199": stored, "0008119A": other}
    return in_order(
        {"00081190": _retrieve_url(base, study, outcomes)}
        | {tag: _sequence(items) for tag, items in sequences.items() if items}
    )


def _is_known(outcome: StoreOutcome) -> bool:
    return bool(outcome.sop_instance_uid)


def _retrieve_url(base: str, study: str | None, outcomes: Sequence[StoreOutcome]) -> dict[str, Any]:
    """The study's, where it is one study and something of it is stored; empty otherwise (type 2)."""
    studies = {outcome.study_instance_uid for outcome in outcomes if outcome.failure is None}
    if len(studies) != 1:
        return _element("UR", f"{base}/studies/{study}") if studies and study else {"vr": "UR"}
    return _element("UR", f"{base}/studies/{studies.pop()}")


def _referenced(base: str, outcome: StoreOutcome) -> dict[str, Any]:
    item = _named(outcome)
    item["00081190"] = _element("UR", base + outcome.path)
    if outcome.warnings:
        item["00081196"] = _element("US", WARNING_DOES_NOT_MATCH_SOP_CLASS)
        item["00741048"] = _comments(_located(each.text, each.path) for each in outcome.warnings[:_MOST_COMMENTS])
    return in_order(item)


def _failed(outcome: StoreOutcome, failure: Problem) -> dict[str, Any]:
    return in_order(_named(outcome) | _other(outcome, failure))


def _other(outcome: StoreOutcome, failure: Problem) -> dict[str, Any]:
    return {
        "00081197": _element("US", failure_reason(failure)),
        "00741048": _comments(f"Part {outcome.number}: {text}" for text in _texts(failure)),
    }


def _named(outcome: StoreOutcome) -> dict[str, Any]:
    return {
        "00081150": _element("UI", outcome.sop_class_uid or ""),
        "00081155": _element("UI", outcome.sop_instance_uid or ""),
    }


def _texts(failure: Problem) -> list[str]:
    issues = failure.issues[:_MOST_COMMENTS]
    if not issues:
        return [failure.text]
    return [_located(issue.text, issue.location) for issue in issues]


def _located(text: str, location: str | None) -> str:
    return f"{text} ({location})" if location else text


def _comments(texts: Iterable[str]) -> dict[str, Any]:
    """A text longer than one comment goes on in the next item, so that nothing is lost."""
    lines = (line for text in texts for line in textwrap.wrap(_plain(text), _COMMENT_LENGTH))
    return _sequence([{"00000902": _element("LO", line)} for line in lines])


def _plain(text: str) -> str:
    """Without what LO cannot hold: control characters and the delimiter of values (PS3.5 6.2)."""
    return "".join(character if character.isprintable() and character != "\\" else " " for character in text)


def _sequence(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items}


def _element(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]} if value != "" else {"vr": vr}
