"""What is known of a person for comparing, read out of a FHIR Patient."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from profiles.china import citizen
from server.mpi.identity import Identifier
from server.mpi.names import Name, names_of

_OF_A_VISIT = frozenset(("VN", "AN", "ACSN", "PLAC", "FILL", "RRI"))
"""Identifier types that name a stay or an order, whoever lies under them."""
_NO_NUMBERS = frozenset({
    "unknown", "unk", "none", "null", "na", "nil", "test", "temp", "anonymous", "anon", "xx", "xxx",
    "无", "未知", "不详", "无名", "无名氏", "急诊", "测试",
})  # fmt: skip
"""Written where somebody has no number yet: whoever shares one shares nothing."""
_FEW = 3
"""A number of one digit repeated is one up to this length (`7`, `111`)."""
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?", re.ASCII)
_MOST = 32


@dataclass(frozen=True, slots=True)
class Traits:
    names: tuple[Name, ...]
    birth_date: str
    """`1970`, `1970-01` or `1970-01-31`; where it is not told, that of the citizen number, else empty."""
    sex: str
    """`male` or `female`; empty for anything else."""
    phones: frozenset[str]
    addresses: tuple[str, ...]
    citizen: str
    """The citizen number in full, of one that holds."""
    numbers: frozenset[Identifier]
    """What issuers call this person, but the citizen number and master numbers."""
    is_holder: bool = True
    """Whether birth date and sex as stated may be those of the citizen number: newborns are given their mother's."""


def traits_of(patient: Mapping[str, Any], authority: str, today: date) -> Traits:
    """`authority`: the system of master numbers."""
    numbers = [*_numbers(patient)][:_MOST]
    holder = _holder(numbers, today)
    stated, gender = patient.get("birthDate"), patient.get("gender")
    birth_date = stated if isinstance(stated, str) and _DATE.fullmatch(stated) else _born(holder)
    sex = gender if gender in ("male", "female") else _sex(holder)
    return Traits(
        names=names_of(patient)[:_MOST],
        birth_date=birth_date,
        sex=sex,
        phones=frozenset(_phones(patient)),
        addresses=tuple(_addresses(patient))[:4],
        citizen=holder.full if holder else "",
        numbers=frozenset(each for each in numbers if each.system not in (citizen.SYSTEM, authority)),
        is_holder=holder is None or (_born(holder).startswith(birth_date) and sex == _sex(holder)),
    )


def _numbers(patient: Mapping[str, Any]) -> Iterator[Identifier]:
    for each in patient.get("identifier", ()):
        system, value = each.get("system"), each.get("value")
        if not (isinstance(system, str) and isinstance(value, str)) or is_placeholder(value):
            continue
        codes = {coding.get("code") for coding in each.get("type", {}).get("coding", ())}
        if each.get("use") not in ("temp", "old") and codes.isdisjoint(_OF_A_VISIT):
            yield Identifier(system, value.strip())


def is_placeholder(number: str) -> bool:
    """Whether it stands for no number at all."""
    said = "".join(each for each in unicodedata.normalize("NFKC", number).casefold() if each.isalnum())
    return not said.strip("0") or said in _NO_NUMBERS or (len(said) > _FEW and len(set(said)) == 1)


def _holder(numbers: Sequence[Identifier], today: date) -> citizen.CitizenNumber | None:
    """Whose citizen number it is; of several different ones none counts."""
    stated = [citizen.parse(each.value, today=today) for each in numbers if each.system == citizen.SYSTEM]
    found = {each.full: each for each in stated if each is not None}
    return next(iter(found.values())) if len(found) == 1 else None


def _born(holder: citizen.CitizenNumber | None) -> str:
    return holder.birth_date.isoformat() if holder else ""


def _sex(holder: citizen.CitizenNumber | None) -> str:
    return ("male" if holder.is_male else "female") if holder else ""


def _phones(patient: Mapping[str, Any]) -> Iterator[str]:
    for each in patient.get("telecom", ()):
        digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", str(each.get("value", ""))))
        if each.get("system") in (None, "phone", "sms") and 7 <= len(digits) <= 15 and len(set(digits)) > 2:
            yield digits.removeprefix("0086").removeprefix("86") if len(digits) > 11 else digits


def _addresses(patient: Mapping[str, Any]) -> Iterator[str]:
    for each in patient.get("address", ()):
        parts = [each.get("state"), each.get("city"), each.get("district"), *_lines(each)]
        said = "".join(part for part in parts if isinstance(part, str)) or each.get("text")
        if isinstance(said, str) and said.strip():
            yield "".join(unicodedata.normalize("NFKC", said).casefold().split())[:200]


def _lines(address: Mapping[str, Any]) -> list[Any]:
    lines = address.get("line", ())
    return lines if isinstance(lines, list) else []
