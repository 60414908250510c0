"""What a user's decision comes to: the approval that is kept, from what was asked, ticked and picked.

Nothing is granted beyond what was asked, and nothing that its context does not bear: without a patient no `patient/`
scope, without an encounter no `launch/encounter` (SMART App Launch 2.2, scopes and launch context).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.access.roles import EMERGENCY, MAY_BREAK_GLASS
from server.kernel.clock import SECOND
from server.kernel.ids import new_token
from server.smart.break_glass import reason_of
from server.smart.model import Approval, Client, Launch, Session, User
from server.smart.refusals import refusal
from server.smart.requests import NO_MAX_AGE, PendingRequest
from server.smart.scopes import Scope, is_subset, parse_scopes
from server.smart.standing import limits

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_CONTEXTS = {"patient": "patient", "encounter": "encounter", "imagingstudy": "imaging_study"}


class Chosen(NamedTuple):
    """Logical ids that the user picked."""

    patient: str = ""
    encounter: str = ""
    imaging_study: str = ""


NOTHING_CHOSEN = Chosen()


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided, and what."""

    pending: PendingRequest
    client: Client
    user: User
    session: Session
    launch: Launch | None
    scopes: Sequence[str]
    chosen: Chosen
    purpose: str
    break_glass: str


def needs_sign_in(pending: PendingRequest, session: Session | None, now: int) -> bool:
    """Whether the app demands a fresher sign-in than there is."""
    if session is None:
        return True
    if "login" in pending.prompts and session.started < pending.created:
        return True
    return pending.max_age != NO_MAX_AGE and now - session.started > pending.max_age * SECOND


def needs_patient(scopes: Sequence[str], launch: Launch | None) -> bool:
    wants = any(each.context == "patient" or _launch_of(each) == "patient" for each in parse_scopes(" ".join(scopes)))
    return wants and not (launch is not None and launch.patient)


def wants_patient(scopes: Sequence[str]) -> bool:
    """Whether a patient becomes part of what is approved."""
    return _needs(parse_scopes(" ".join(scopes)), "patient")


def approval_of(decision: Decision, now: int, expires: int) -> Approval:
    """`invalid_request` or `invalid_scope` where the pages gave what cannot be."""
    pending, user, session, launch = decision.pending, decision.user, decision.session, decision.launch
    asked = parse_scopes(" ".join(pending.scopes))
    kept = parse_scopes(" ".join(decision.scopes))
    if not is_subset(kept, asked):
        raise refusal("invalid_scope", "More was approved than had been asked for.")
    context = _context(decision)
    granted = tuple(each for each in kept if _is_borne(each, context))
    _check_patient(granted, context, decision)
    purpose, reason = _purpose(decision)
    texts = tuple(each.text for each in granted)
    return Approval(
        new_token(16),
        decision.client.id,
        texts,
        user.id,
        session.id,
        patient=context.patient if _needs(granted, "patient") else "",
        encounter=context.encounter if _needs(granted, "encounter") else "",
        intent=launch.intent if launch else "",
        fhir_context=_fhir_context(granted, context, launch),
        need_patient_banner=launch.need_patient_banner if launch else None,
        purpose=purpose,
        break_glass=reason,
        nonce=pending.nonce,
        auth_time=session.started,
        methods=session.methods,
        has_id_token="openid" in texts,
        created=now,
        expires=expires,
    )


def _context(decision: Decision) -> Chosen:
    """The launch's where it says; else what was picked."""
    launch, chosen = decision.launch, decision.chosen
    if any(each and not _ID.fullmatch(each) for each in chosen):
        raise refusal("invalid_request", "What was picked is no logical id.")
    if launch is None:
        return chosen
    if launch.patient:
        return Chosen(launch.patient, launch.encounter, launch.imaging_study)
    return Chosen(chosen.patient, launch.encounter or chosen.encounter, launch.imaging_study or chosen.imaging_study)


def _launch_of(scope: Scope) -> str:
    """`patient` of `launch/patient`, whatever its role."""
    return scope.text.partition("?")[0].removeprefix("launch/") if scope.text.startswith("launch/") else ""


def _needs(granted: Sequence[Scope], kind: str) -> bool:
    return any(
        each.text == "launch" or _launch_of(each) == kind or (kind == "patient" and each.context == "patient")
        for each in granted
    )


def _is_borne(scope: Scope, context: Chosen) -> bool:
    kind = _launch_of(scope)
    if kind and kind != "patient":
        return kind in _CONTEXTS and bool(getattr(context, _CONTEXTS[kind]))
    return True


def _check_patient(granted: Sequence[Scope], context: Chosen, decision: Decision) -> None:
    wanted = any(each.context == "patient" or _launch_of(each) == "patient" for each in granted)
    if wanted and not context.patient:
        raise refusal("invalid_request", "No patient was picked.")
    allowed = limits(decision.user, decision.client)
    if context.patient and _needs(granted, "patient") and allowed is not None and context.patient not in allowed:
        raise refusal("access_denied", "This patient is not among those that may be picked.")


def _purpose(decision: Decision) -> tuple[str, str]:
    """The purpose and, in an emergency, its reason."""
    purpose = decision.purpose or decision.pending.purpose
    if (purpose == EMERGENCY) != bool(decision.break_glass):
        raise refusal("invalid_request", "Emergency access and its reason go together.")
    if purpose != EMERGENCY:
        return purpose, ""
    if MAY_BREAK_GLASS.isdisjoint(decision.user.roles):
        raise refusal("access_denied", "Emergency access is not for this role.")
    return purpose, reason_of(decision.break_glass)


def _fhir_context(granted: Sequence[Scope], context: Chosen, launch: Launch | None) -> tuple[dict[str, Any], ...]:
    """What else is open: an imaging study and what the launch named."""
    named = launch.fhir_context if launch else ()
    if not context.imaging_study or not _needs(granted, "imagingstudy"):
        return named
    study = {"reference": f"ImagingStudy/{context.imaging_study}"}
    return named if study in named else (study, *named)
