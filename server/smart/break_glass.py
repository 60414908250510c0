"""Emergency access: what counts as a reason.

It is a purpose of use (BTG) that the user states, not a way round: the audit trail tells of it at once, and it ends
within the hour. Which roles may claim it is in `server.access.roles`.
"""

from __future__ import annotations

from server.kernel.problem import Issue, Kind, Problem

SHORTEST, LONGEST = 10, 500


def reason_of(text: str) -> str:
    """The reason as it is kept; `INVALID` where nothing is said."""
    told = " ".join(text.split())
    if not SHORTEST <= len(told) <= LONGEST:
        wrong = f"The reason must have {SHORTEST} to {LONGEST} characters."
        raise Problem(Kind.INVALID, wrong, (Issue(wrong, None, "invalid_request"),))
    return told
