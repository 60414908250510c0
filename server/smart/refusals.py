"""OAuth errors as problems: `Issue.code` is the RFC's code, and the text says no more than the RFC would.

Codes of RFC 6749 4.1.2.1 and 5.2, RFC 6750 3.1, RFC 7591 3.2.2 and OpenID Connect Core 3.1.2.6.
"""

from __future__ import annotations

from server.kernel.problem import Issue, Kind, Problem

_KINDS = {
    "invalid_client": Kind.UNAUTHENTICATED,
    "invalid_token": Kind.UNAUTHENTICATED,
    "access_denied": Kind.FORBIDDEN,
    "insufficient_scope": Kind.FORBIDDEN,
    "temporarily_unavailable": Kind.BUSY,
    "server_error": Kind.FAULT,
}


def refusal(code: str, text: str) -> Problem:
    return Problem(_KINDS.get(code, Kind.INVALID), text, (Issue(text, None, code),))


def code_of(problem: Problem) -> str:
    """The error code to answer with; problems of other parts of the server have the code their kind stands for."""
    for issue in problem.issues:
        if issue.code:
            return issue.code
    match problem.kind:
        case Kind.UNAUTHENTICATED:
            return "invalid_token"
        case Kind.FORBIDDEN:
            return "access_denied"
        case Kind.BUSY | Kind.UNAVAILABLE:
            return "temporarily_unavailable"
        case Kind.FAULT:
            return "server_error"
        case _:
            return "invalid_request"
