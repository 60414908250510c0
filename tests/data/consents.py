"""Consents put together from provisions, in the shape IHE PCF asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

TPO = ("TREAT", "HPAYMT", "HOPERAT")
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_PURPOSE = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_RECIPIENT = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}


def permit(purposes: Sequence[str] | None = None, **others: Any) -> Json:
    return provision("permit", purposes, **others)


def deny(purposes: Sequence[str] | None = None, **others: Any) -> Json:
    return provision("deny", purposes, **others)


def provision(
    kind: str,
    purposes: Sequence[str] | None = None,
    *,
    actors: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    within: tuple[str, str] | None = None,
    data: Sequence[tuple[str, str]] | None = None,
    period: Json | None = None,
    nested: Sequence[Json] | None = None,
) -> Json:
    made: Json = {"type": kind}
    if period is not None:
        made["period"] = period
    if actors is not None:
        made["actor"] = [{"role": _RECIPIENT, "reference": {"reference": each}} for each in actors]
    if labels is not None:
        made["securityLabel"] = [label(each) for each in labels]
    if purposes is not None:
        made["purpose"] = [{"system": _PURPOSE, "code": each} for each in purposes]
    if within is not None:
        made["dataPeriod"] = {"start": within[0], "end": within[1]}
    if data is not None:
        made["data"] = [{"meaning": meaning, "reference": {"reference": name}} for meaning, name in data]
    if nested is not None:
        made["provision"] = list(nested)
    return made


def label(code: str) -> Json:
    """Of one letter a confidentiality, else a sensitivity."""
    return {"system": _CONFIDENTIALITY if len(code) == 1 else _SENSITIVITY, "code": code}


def consent(root: Json | None, patient: str = "Patient/p", **others: Any) -> Json:
    made: Json = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": patient},
        "dateTime": "2026-01-01",
        "performer": [{"reference": patient}],
        "organization": [{"reference": "Organization/here"}],
        "sourceReference": {"reference": "DocumentReference/signed"},
        "policy": [{"uri": "https://policies.example/privacy"}],
    }
    return made | ({} if root is None else {"provision": root}) | others
