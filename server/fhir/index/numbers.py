"""Decimals as texts that sort as the numbers do, exactly, and the ranges a search number stands for (R4 3.1.1.4.5).

A text is a sign, an exponent of five digits and the significant digits; those of a negative number are turned round
and closed by `~`, which is above every digit. Equal numbers give equal texts: 5 and 5.000 do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache

from storage.query import Any, Between, Equals, Predicate

_ZERO = "1"
_BIAS = 50_000
_TURNED = str.maketrans("0123456789", "9876543210")
_NUMBER = re.compile(r"[-+]?(?:\d+(\.\d+)?|\.\d+)(?:([eE])[-+]?\d{1,4})?", re.ASCII)
_MAX_LENGTH = 100
_MOST_DIGITS = 400
"""Numbers that differ only beyond are not told apart."""
_EXACT = Context(prec=1000, Emin=-99_999, Emax=99_999)
_TENTH = Decimal("0.1")
_HALF = Decimal("0.5")


@lru_cache(maxsize=1 << 14)
def number_text(value: Decimal) -> str:
    """The text of a finite number; numbers beyond 10^49999 all sort at the end."""
    sign, digits, exponent = value.as_tuple()
    significant = "".join(map(str, digits)).lstrip("0")
    if not significant:
        return _ZERO
    power = min(max(len(significant) + int(exponent) + _BIAS, 0), 2 * _BIAS - 1)
    text = f"{power:05d}{significant[:_MOST_DIGITS].rstrip('0')}"
    return f"0{text.translate(_TURNED)}~" if sign else f"2{text}"


def below(text: str) -> str:
    """A text above those of all smaller numbers, and below this one."""
    return f"{text[:-1]}{chr(ord(text[-1]) - 1)}~"


def above(text: str) -> str:
    """A text below those of all greater numbers, and above this one."""
    return f"{text}!"


@dataclass(frozen=True, slots=True)
class Stated:
    """A number as a search states it: [low, high) are the numbers that round to it."""

    value: Decimal
    low: Decimal
    high: Decimal

    def near(self) -> tuple[Decimal, Decimal]:
        """The bounds of `ap`, both included: ten per cent to either side."""
        width = _EXACT.multiply(self.value.copy_abs(), _TENTH)
        return _EXACT.subtract(self.value, width), _EXACT.add(self.value, width)


def stated(text: str) -> Stated | None:
    """A number out of a search value, `None` where it is none.

    The implicit precision is half of the last digit. HL7's example reads `1e2` as [95, 105), one digit finer than the
    rule beside it says: so a number with an exponent and no fraction is taken to one digit more.
    """
    match = _NUMBER.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        return None
    value = Decimal(text)
    exponent = int(value.as_tuple().exponent) - (1 if match[2] and not match[1] else 0)
    half = _EXACT.scaleb(_HALF, exponent)
    return Stated(value, _EXACT.subtract(value, half), _EXACT.add(value, half))


Bounds = tuple[Decimal | None, Decimal | None]


def compared(name: str, prefix: str, number: Stated, lead: str = "", *, is_exact: bool = False) -> Predicate:
    """Texts under `name` after `lead` whose number compares with this one; `is_exact` ignores implicit precision."""
    text = lead + number_text(number.value)
    least, most = (lead, f"{lead}~") if lead else (None, None)
    low, high = lead + number_text(number.low), below(lead + number_text(number.high))
    match prefix:
        case "gt" | "sa":
            return Between(name, above(text), most)
        case "ge":
            return Between(name, text, most)
        case "lt" | "eb":
            return Between(name, least, below(text))
        case "le":
            return Between(name, least, text)
        case "ap":
            nearest, farthest = number.near()
            return Between(name, lead + number_text(nearest), lead + number_text(farthest))
        case "ne" if is_exact:
            return Any((Between(name, least, below(text)), Between(name, above(text), most)))
        case "ne":
            return Any((Between(name, least, below(low)), Between(name, above(high), most)))
        case _:
            return Equals(name, text) if is_exact else Between(name, low, high)
