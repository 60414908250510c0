"""The citizen identification number (GB 11643): 6 digits of region, 8 of birth date, 3 of sequence, one to check.

Residence permits of people from Hong Kong, Macau and Taiwan (regions 81 to 83) and the permanent residence card of
foreigners (first digit 9) have the same form and the same check. The number of 15 digits given out until 1999 lacks the
century and the check; both forms are the same number, so comparing goes through `full`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

SYSTEM = "urn:oid:2.16.156.10011.1.3"
"""Identifier.system of the number."""

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECKS = "10X98765432"
"""The check character by the weighted sum modulo 11."""

_PROVINCES = frozenset(
    (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83)
)
_FULL = re.compile(r"[1-9]\d{16}[\dX]", re.ASCII)
_SHORT = re.compile(r"[1-8]\d{14}", re.ASCII)


class Holder(StrEnum):
    """Whom a number was given to."""

    CITIZEN = "citizen"
    RESIDENT = "resident of Hong Kong, Macau or Taiwan"
    FOREIGNER = "foreign permanent resident"


@dataclass(frozen=True, slots=True)
class CitizenNumber:
    """A number that holds: its full form and what it says of its holder."""

    full: str
    holder: Holder
    birth_date: date
    is_male: bool


def check_character(first_17: str) -> str:
    """The last character of the number that begins with these 17 digits."""
    return CHECKS[sum(weight * int(digit) for weight, digit in zip(WEIGHTS, first_17, strict=True)) % 11]


def normalised(text: str) -> str:
    """Half width, no blanks, the X in upper case: how a number is stored."""
    return "".join(unicodedata.normalize("NFKC", text).split()).upper()


def parse(text: str, *, today: date) -> CitizenNumber | None:
    """The number in either form; `None` for what is none. A date of birth after `today` is none."""
    number = normalised(text)
    if _SHORT.fullmatch(number):
        number = number[:6] + "19" + number[6:]
        number += check_character(number)
    if not _FULL.fullmatch(number) or check_character(number[:17]) != number[17]:
        return None
    if number[0] != "9" and int(number[:2]) not in _PROVINCES:
        return None
    birth_date = _date(number[6:14])
    if birth_date is None or not date(1900, 1, 1) <= birth_date <= today:
        return None
    return CitizenNumber(number, _holder(number), birth_date, int(number[16]) % 2 == 1)


def _holder(number: str) -> Holder:
    if number[0] == "9":
        return Holder.FOREIGNER
    return Holder.RESIDENT if number[:2] in ("81", "82", "83") else Holder.CITIZEN


def _date(digits: str) -> date | None:
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
