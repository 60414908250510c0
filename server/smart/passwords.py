"""Passwords: argon2id in a small pool of its own, so that sign-in can neither starve images nor be starved by them.

The cost is that of the OWASP cheat sheet's first choice (46 MiB, one pass, one lane). A password is taken exactly as
it was sent: nothing is trimmed, cut or folded (ASVS 5.0, 6.2.8).
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from enum import StrEnum
from secrets import token_bytes

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.smart.guessable import COMMON

SHORTEST, LONGEST = 8, 128

_MOST_WAITING = 64
"""Hashes under way or waiting; beyond, a sign-in is told to come back rather than kept in a queue that only grows."""


@dataclass(frozen=True, slots=True)
class Cost:
    """`memory` in KiB."""

    memory: int = 47_104
    passes: int = 1
    lanes: int = 1


class Weakness(StrEnum):
    """Why a new password is refused."""

    SHORT = "short"
    LONG = "long"
    COMMON = "common"
    NAMED = "named"
    """It is little more than the login or the name."""


@dataclass(frozen=True, slots=True)
class Verdict:
    is_right: bool
    is_outdated: bool = False
    """Right, but hashed at another cost: hash it anew."""


class Passwords:
    """Makes and checks hashes; `offload` is for this alone."""

    def __init__(self, offload: Offload, cost: Cost | None = None) -> None:
        chosen = cost or Cost()
        self._hasher = PasswordHasher(chosen.passes, chosen.memory, chosen.lanes, type=Type.ID)
        self._offload = offload
        self._waiting = 0
        self._nobody = _hash_of_nothing(chosen)

    async def hash(self, password: str) -> str:
        return await self._run(password, None)

    async def verify(self, password: str, known: str) -> Verdict:
        """Costs the same whether there is a hash to compare with or not (`known` empty)."""
        if len(password) > LONGEST:
            password = ""
        outcome = await self._run(password, known or self._nobody)
        is_right = bool(known) and outcome == "right"
        return Verdict(is_right, is_right and self._hasher.check_needs_rehash(known))

    async def _run(self, password: str, known: str | None) -> str:
        if self._waiting >= _MOST_WAITING:
            raise Problem(Kind.BUSY, "Too many people sign in at this moment.", retry_after=2)
        self._waiting += 1
        try:
            return await self._offload.cpu(self._work, password, known)
        finally:
            self._waiting -= 1

    def _work(self, password: str, known: str | None) -> str:
        if known is None:
            return self._hasher.hash(password)
        try:
            return "right" if self._hasher.verify(known, password) else ""
        except (VerificationError, InvalidHashError):
            return ""


def weakness(password: str, *names: str) -> Weakness | None:
    """Why this cannot be the new password of someone with these names; length counts characters."""
    if len(password) < SHORTEST:
        return Weakness.SHORT
    if len(password) > LONGEST:
        return Weakness.LONG
    folded = password.casefold()
    if folded in COMMON or len(set(folded)) < 3:
        return Weakness.COMMON
    bare = re.sub(r"[\W\d_]+", "", folded)
    parts = {part for name in names for part in (name.casefold(), re.sub(r"[\W\d_]+", "", name.casefold())) if part}
    return Weakness.NAMED if folded in parts or (bare and bare in parts) else None


def _hash_of_nothing(cost: Cost) -> str:
    """As costly to compare with as any other, but of no password: drawn by lot, not computed, which takes 80 ms."""
    salt, digest = (b64encode(token_bytes(length)).decode().rstrip("=") for length in (16, 32))
    return f"$argon2id$v=19$m={cost.memory},t={cost.passes},p={cost.lanes}${salt}${digest}"
