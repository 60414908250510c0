"""Why a question of terminology has no answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class TerminologyError(Exception):
    """`code` is one of issue-type.

    `not-found`: what was asked for is not held (or the code is not in it). `not-supported`: it refers to something
    that is not held or cannot be worked out here. `too-costly`: the answer would be too large. `invalid`: the question
    or the resource makes no sense.
    """

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


def not_found(text: str) -> TerminologyError:
    return TerminologyError("not-found", text)


def not_supported(text: str) -> TerminologyError:
    return TerminologyError("not-supported", text)


def too_costly(text: str) -> TerminologyError:
    return TerminologyError("too-costly", text)


def invalid(text: str) -> TerminologyError:
    return TerminologyError("invalid", text)
