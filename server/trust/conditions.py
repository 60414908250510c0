"""When, for whom and in whose hands an assertion is good (SAML 2.0 Core 2.4 and 2.5, ITI TF-2 3.40.4.1.2)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.trust.model import Issuer
from server.trust.refusals import failed
from server.trust.saml import BEARER, HOLDER_OF_KEY, Assertion, Confirmation

SKEW = timedelta(seconds=60)
LONGEST = timedelta(hours=12)
"""An assertion that is good for longer is refused: it is meant for a session."""


@dataclass(frozen=True, slots=True)
class Presented:
    """How an assertion reached us."""

    message: str = ""
    """wsa:MessageID."""
    certificate: bytes | None = None
    """DER of the client's, where TLS asked for one."""
    is_protected: bool = False
    """Whether nobody on the way could have read it: over TLS, or within this machine."""


@dataclass(frozen=True, slots=True)
class Own:
    """By what assertions may mean this server."""

    url: str
    home: str
    """homeCommunityId."""

    def is_meant(self, text: str) -> bool:
        return text == self.home or self.is_address(text)

    def is_address(self, text: str) -> bool:
        """Of this server, or of something below it."""
        return text.rstrip("/") == self.url or text.startswith(self.url + "/")


def check(assertion: Assertion, issuer: Issuer, presented: Presented, own: Own, now: datetime) -> None:
    """A `Refusal` unless it is good now, here, and for who shows it."""
    _check_time(assertion, now)
    _check_audience(assertion, issuer, own)
    if not any(_is_confirmed(each, presented, own, now) for each in assertion.confirmations):
        raise failed("no confirmation of the subject holds")
    _check_authentication(assertion, now)


def _check_time(assertion: Assertion, now: datetime) -> None:
    if _is_ahead(assertion.start, now) or _is_ahead(assertion.issued, now):
        raise failed("not yet valid")
    if _is_over(assertion.end, now):
        raise failed("expired")
    if assertion.end - min(assertion.start, assertion.issued) > LONGEST:
        raise failed("valid for too long")


def _check_audience(assertion: Assertion, issuer: Issuer, own: Own) -> None:
    if not assertion.audiences:
        raise failed("for no audience")
    for restriction in assertion.audiences:
        if not any(each in issuer.audiences or own.is_meant(each) for each in restriction):
            raise failed("for another audience")


def _is_confirmed(confirmation: Confirmation, presented: Presented, own: Own, now: datetime) -> bool:
    if confirmation.start is not None and _is_ahead(confirmation.start, now):
        return False
    if confirmation.end is not None and _is_over(confirmation.end, now):
        return False
    if confirmation.recipient is not None and not own.is_address(confirmation.recipient):
        return False
    if confirmation.method == HOLDER_OF_KEY and presented.certificate is not None:
        return base64.b64encode(presented.certificate).decode() in confirmation.certificates
    return confirmation.method == BEARER and presented.is_protected


def _check_authentication(assertion: Assertion, now: datetime) -> None:
    """Somebody signed in, and that session goes on."""
    if not assertion.authentications:
        raise failed("nobody is said to have signed in")
    for each in assertion.authentications:
        if _is_ahead(each.at, now) or not each.context:
            raise failed("a sign-in that has not been")
        if each.session_end is not None and _is_over(each.session_end, now):
            raise failed("the session has ended")


def _is_ahead(moment: datetime, now: datetime) -> bool:
    """The allowance is added to our own time: others may name the last moment there is."""
    return moment > now + SKEW


def _is_over(moment: datetime, now: datetime) -> bool:
    return moment <= now - SKEW
