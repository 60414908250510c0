"""What is wrong with a security token: senders hear one of two WS-Security fault codes, the audit trail the reason.

(WSS SOAP Message Security 1.1, 12: `wsse:FailedAuthentication`, `wsse:InvalidSecurityToken`)
"""

from __future__ import annotations

from dataclasses import dataclass

from server.kernel.problem import Issue, Kind, Problem

FAILED, INVALID = "wsse:FailedAuthentication", "wsse:InvalidSecurityToken"
_TEXTS = {
    FAILED: "The security token could not be authenticated or authorized.",
    INVALID: "An invalid security token was provided.",
}


@dataclass(eq=False)
class Refusal(Problem):
    reason: str = ""
    """Ours, without anything of the token; for the audit trail only."""


def failed(reason: str) -> Refusal:
    """Whoever it is, they are not let in."""
    return _refusal(FAILED, reason)


def invalid(reason: str) -> Refusal:
    """What was sent is no token as it should be."""
    return _refusal(INVALID, reason)


def _refusal(code: str, reason: str) -> Refusal:
    text = _TEXTS[code]
    return Refusal(Kind.UNAUTHENTICATED, text, (Issue(text, code=code),), reason=reason)
