"""What every patch format becomes, and how it says no."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from server.fhir.json_form import Resource
from server.kernel.problem import Issue, Kind, Problem

Change: TypeAlias = Callable[[Resource], Resource]
"""Gives a new resource and leaves the old one as it was; what it does not touch is shared between them."""

MAX_OPERATIONS = 1_000


def unreadable(text: str, operation: int | None = None) -> Problem:
    """The patch itself is wrong, whatever it is applied to (400)."""
    return Problem(Kind.INVALID, text, (Issue(text, _place(operation), "invalid"),))


def inapplicable(text: str, operation: int | None = None) -> Problem:
    """The patch does not fit this resource as it is now (422)."""
    return Problem(Kind.UNSUPPORTED, text, (Issue(text, _place(operation), "processing"),))


def _place(operation: int | None) -> str | None:
    return None if operation is None else f"operation[{operation}]"
