"""How a check ends: it passes by returning, fails or is skipped by raising."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Optional in the standard, or an extension, and not offered by this server."""


class Failed(Exception):
    """The server's answer is not what the clause demands; the text says what was seen."""


class Skipped(Exception):
    """The server does not offer what the check is about, and need not."""


def expect(claim: bool, text: str) -> None:
    """The claim holds, or the check fails with this text."""
    if not claim:
        raise Failed(text)
