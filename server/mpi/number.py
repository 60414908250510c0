"""Master numbers: drawn at random, read aloud and typed without mistakes.

Twelve characters of an alphabet without 0, 1, I and O; the last one checks the others (Luhn's rule modulo 32). Nothing
of the person is in a number, so it may stand in logs, URLs and audit events.
"""

from __future__ import annotations

import secrets

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
LENGTH = 12


def new_number() -> str:
    drawn = "".join(ALPHABET[each % len(ALPHABET)] for each in secrets.token_bytes(LENGTH - 1))
    return drawn + check_character(drawn)


def check_character(first: str) -> str:
    """What follows these characters of the alphabet."""
    total = 0
    for place, each in enumerate(reversed(first)):
        value = ALPHABET.index(each) * (2 if place % 2 == 0 else 1)
        total += value // 32 + value % 32
    return ALPHABET[-total % 32]


def is_number(text: str) -> bool:
    """Whether it could be one that was drawn here; an authority may also have given numbers of other forms."""
    return len(text) == LENGTH and set(text) <= set(ALPHABET) and check_character(text[:-1]) == text[-1]
