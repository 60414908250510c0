"""Events of the authorization server: sign-in, tokens, break-glass, and changes of users, clients and keys.

They take facts, never requests, so that no password, code, verifier, assertion, secret or token can come into them
(DICOM PS3.15 A.5.3 User Authentication and Security Alert; IHE IUA ITI-71, ITI-102). `at` is in microseconds.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum

from server.audit.codes import (
    APPLICATION_ACTIVITY,
    CONSENT_DECISION,
    EMERGENCY_OVERRIDE_STARTED,
    LOGIN,
    LOGOUT,
    NODE_AUTHENTICATION,
    SECURITY_ALERT,
    USER_AUTHENTICATION,
)
from server.audit.event import Entity, Event
from server.audit.who import Who

_LONGEST = 500


class Changed(StrEnum):
    """What an administrator, or the user, changed; the value is the DICOM code of the alert."""

    USER = "110137"
    """Password, second factor, lock, activation."""
    ROLES = "110136"
    CONFIGURATION = "110129"
    """Client apps, keys, settings, policy."""
    LABELS = "110135"
    """Security labels of an object."""


def signed_in(at: int, who: Who, methods: Sequence[str]) -> Event:
    """`methods`: RFC 8176 `amr`."""
    return _made(at, who, USER_AUTHENTICATION, LOGIN, (Entity("methods", " ".join(methods)),))


def sign_in_failed(at: int, who: Who, reason: str, *, locks: bool = False) -> Event:
    """`who` names the user where there is one, else `unknown(...)`; `reason` is ours: `password`, `second factor`, …

    `locks`: this failure, or an earlier one, closes the account for a while.
    """
    return _made(at, who, USER_AUTHENTICATION, LOGIN, outcome=8 if locks else 4, text=reason)


def unknown(login: str, key: bytes, peer: str = "", request: str = "") -> Who:
    """Someone who claims a login nobody has. What was typed may be a password, so only its keyed hash is kept."""
    digest = hmac.new(key, login.casefold().encode("utf-8", "replace"), hashlib.sha256).hexdigest()
    return Who(name=f"unknown {digest[:16]}", peer=peer, request=request)


def signed_out(at: int, who: Who, cause: str = "asked", *, ended_by: str = "") -> Event:
    """`cause`: `asked`, `inactivity`, `time-out`, `administrator`; `ended_by`: user id of who ended it for another."""
    entities = (Entity("user", ended_by, "ended the session"),) if ended_by else ()
    return _made(at, who, USER_AUTHENTICATION, LOGOUT, entities, text=cause)


def approved(at: int, who: Who, scopes: Sequence[str], patient: str = "") -> Event:
    """A user let a client act for them: `who.session` is the approval; `patient` like `Patient/3`."""
    return _made(at, who, USER_AUTHENTICATION, "authorize", (Entity("scopes", " ".join(scopes)),), patient=patient)


def approval_refused(at: int, who: Who, error: str, patient: str = "") -> Event:
    """`error`: an RFC 6749 code such as `access_denied` or `invalid_scope`."""
    return _made(at, who, USER_AUTHENTICATION, "authorize", outcome=4, text=error, patient=patient)


def token_issued(
    at: int, who: Who, grant_type: str, scopes: Sequence[str], expires: int, patient: str = "", token: str = ""
) -> Event:
    """`token`: an id of ours for it that opens nothing (the approval's, where there is no other)."""
    request = Entity("request", "", f"grant_type={grant_type}")
    answer = Entity("token", token or who.session, f"scope={' '.join(scopes)} expires={expires // 1_000_000}")
    return _made(at, who, USER_AUTHENTICATION, "ITI-71", (request, answer), patient=patient)


def token_refused(at: int, who: Who, grant_type: str, error: str, *, is_replay: bool = False) -> Event:
    """`error`: the RFC code answered. A replay of a code or a refresh token ends its family, and counts as serious."""
    text = f"{error}: replayed, approval ended" if is_replay else error
    request = Entity("request", "", f"grant_type={grant_type}")
    return _made(at, who, USER_AUTHENTICATION, "ITI-71", (request,), outcome=8 if is_replay else 4, text=text)


def token_introspected(at: int, who: Who, token: str) -> Event:
    """`who` is the client that asks; `token` the id of the approval the token belongs to, empty for an unknown one."""
    return _made(at, who, USER_AUTHENTICATION, "ITI-102", (Entity("token", token),))


def token_revoked(at: int, who: Who, approval: str, cause: str = "asked") -> Event:
    return _made(at, who, USER_AUTHENTICATION, "revoke", (Entity("token", approval),), text=cause)


def changed(
    at: int, who: Who, kind: Changed, action: str, subject: str, detail: str = "", *, before: str = "", after: str = ""
) -> Event:
    """`action` C, U or D; `subject` like `User/5` or `Client/app`; `before` and `after`: SHA-256 of what was there."""
    hashes = " ".join(f"{name}={value[:64]}" for name, value in (("before", before), ("after", after)) if value)
    told = "; ".join(each for each in (detail, hashes) if each)
    return _made(at, who, SECURITY_ALERT, kind.value, (Entity("user", subject, told),), action=action)


def break_glass_started(at: int, who: Who, reason: str, patient: str = "") -> Event:
    return _made(at, who, SECURITY_ALERT, EMERGENCY_OVERRIDE_STARTED, (_reason(reason),), patient=patient)


def break_glass_refused(at: int, who: Who, reason: str, patient: str = "") -> Event:
    """An attempt by somebody to whom the patient's consent does not leave it."""
    text = "not permitted by consent"
    entities = (_reason(reason),)
    return _made(at, who, SECURITY_ALERT, EMERGENCY_OVERRIDE_STARTED, entities, outcome=4, text=text, patient=patient)


def consent_not_understood(at: int, consent: str, patient: str, flaw: str) -> Event:
    """`flaw` names an element, never what is in it. The consent forbids everything until somebody mends it."""
    who, entities = Who(name="server", roles=("server",)), (Entity("consent", consent),)
    text = f"not understood, so it forbids everything: {flaw}"
    return _made(at, who, SECURITY_ALERT, CONSENT_DECISION, entities, outcome=8, text=text, patient=patient)


def consents_not_judged(at: int, who: Who, error: str) -> Event:
    """`who` asked when it was noticed; `error` is the name of a class of errors."""
    return _made(at, who, SECURITY_ALERT, CONSENT_DECISION, outcome=12, text=f"consents could not be judged: {error}")


def node_refused(at: int, peer: str, reason: str, subject: str = "") -> Event:
    """A TLS or node authentication failure; `subject` of its certificate where it showed one."""
    entities = (Entity("node", subject),) if subject else ()
    return _made(at, Who(peer=peer), SECURITY_ALERT, NODE_AUTHENTICATION, entities, outcome=4, text=reason)


def server_event(at: int, subtype: str, version: str, configuration: str) -> Event:
    """Start and stop of the server or of audit itself: the subtypes `110120`, `110121`, `110133` and `110134`.

    `configuration` is a hash of the settings.
    """
    code = SECURITY_ALERT if subtype in ("110133", "110134") else APPLICATION_ACTIVITY
    entity = Entity("configuration", configuration, f"version {version}")
    return _made(at, Who(name="server", roles=("server",)), code, subtype, (entity,))


def _reason(text: str) -> Entity:
    return Entity("reason", "", " ".join(text.split())[:_LONGEST])


def _made(
    at: int,
    who: Who,
    code: str,
    subtype: str,
    entities: tuple[Entity, ...] = (),
    *,
    action: str = "E",
    outcome: int = 0,
    text: str = "",
    patient: str = "",
) -> Event:
    return Event(
        code,
        subtype,
        action,
        at,
        outcome,
        text[:_LONGEST],
        who.request,
        who.purpose,
        who.user,
        who.name,
        who.fhir_user,
        who.roles,
        who.client,
        who.session,
        who.peer,
        patient,
        entities,
    )
