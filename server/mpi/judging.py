"""Rules that need no weights: one number makes one person, unless something said of both cannot be true of one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.mpi.names import Likeness, likeness
from server.mpi.traits import Traits

_CITIZEN = "same citizen number"


class Verdict(StrEnum):
    SAME = "same"
    REVIEW = "review"
    """A number says so and something else denies it: for a person to look at."""
    OPEN = "open"
    """Numbers say nothing."""


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    """What speaks for it, then what against; nothing of the persons themselves."""


def judge(one: Traits, other: Traits) -> Judgement:
    agreeing = agreements(one, other)
    if not agreeing:
        return Judgement(Verdict.OPEN)
    denying = contradictions(one, other)
    if agreeing == (_CITIZEN,) and not (one.is_holder and other.is_holder):
        denying = (*denying, "the citizen number is of somebody born another day, or of the other sex")
    return Judgement(Verdict.REVIEW if denying else Verdict.SAME, (*agreeing, *denying))


def agreements(one: Traits, other: Traits) -> tuple[str, ...]:
    found = []
    if one.citizen and one.citizen == other.citizen:
        found.append(_CITIZEN)
    if not one.numbers.isdisjoint(other.numbers):
        found.append("same number of one issuer")
    return tuple(found)


def contradictions(one: Traits, other: Traits) -> tuple[str, ...]:
    found = []
    if one.citizen and other.citizen and one.citizen != other.citizen:
        found.append("different citizen numbers")
    if one.sex and other.sex and one.sex != other.sex:
        found.append("different sex")
    if not _may_be_one(one.birth_date, other.birth_date):
        found.append("different birth dates")
    if likeness(one.names, other.names) is Likeness.DIFFERENT:
        found.append("different names")
    return tuple(found)


def _may_be_one(one: str, other: str) -> bool:
    """Whether two dates agree as far as both are told."""
    told = min(len(one), len(other))
    return one[:told] == other[:told]
