"""Which identities a sender may feed: those of the assigning authorities named for it, and no others.

An administrator names them beside a node, an issuer of assertions or a client; whoever has none named feeds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem

UNFED = "unfed-authority"
"""Code of the issue of a message whose identifiers are all of authorities that its sender may not feed."""


def unfed(context: Context, systems: Iterable[str]) -> Problem:
    """The problem of a sender that may feed none of these; told to the audit trail too."""
    context.trail.refuse("identifiers of an authority that the sender may not feed")
    named = ", ".join(sorted({each.removeprefix("urn:oid:") for each in systems}))
    text = (
        f"This sender may not feed identifiers of {named}: an administrator names what it may with `weft node feeds`, "
        "`weft issuer feeds` or `weft client feeds`."
    )
    return Problem(Kind.FORBIDDEN, text, (Issue(text, None, UNFED),))
