"""How likely two records are one person: weights of evidence added up (Fellegi and Sunter), never a decision.

Each trait adds log2 of how much more often it comes out so for one person than for two. The sum, against the odds that
any two of a region's million patients are one, is a probability. The rates were set by hand, from what is known of
Chinese names and of typing errors, and a test holds them to floors of precision and recall.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA, Levenshtein

from server.mpi.judging import Verdict, judge
from server.mpi.names import Likeness, Name, likeness
from server.mpi.traits import Traits

_PRIOR = -20.0
"""log2 of one in a million."""
_CERTAIN, _PROBABLE, _POSSIBLE = 0.995, 0.8, 0.2
_CERTAIN_AGREEMENTS = 4
"""Traits that must agree where no number does."""

_SHARES = {
    "wang": 0.075, "li": 0.077, "zhang": 0.07, "liu": 0.055, "chen": 0.048, "yang": 0.032, "huang": 0.024,
    "zhao": 0.021, "wu": 0.024, "zhou": 0.021, "xu": 0.027, "sun": 0.016, "ma": 0.013, "zhu": 0.014, "hu": 0.013,
    "guo": 0.012, "he": 0.014, "lin": 0.011, "gao": 0.01, "luo": 0.009,
}  # fmt: skip
"""How many people bear a family name that is spelt so."""
_RARE = 0.004
_GIVEN = {1: 1 / 150, 2: 1 / 1500}
"""How often two given names of so many characters or syllables are alike."""
_LONGEST_SYLLABLE = 6


class Grade(StrEnum):
    """As the FHIR extension match-grade has it."""

    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    NOT = "certainly-not"


@dataclass(frozen=True, slots=True)
class Evidence:
    weight: float
    reason: str
    """Nothing of the persons themselves."""
    agrees: bool


@dataclass(frozen=True, slots=True)
class Score:
    value: float
    """0 to 1."""
    grade: Grade
    reasons: tuple[str, ...]
    is_contradictory: bool = False
    """A number says that they are one, and something else denies it."""


def score(one: Traits, other: Traits) -> Score:
    """That of two records, whichever is named first."""
    verdict = judge(one, other).verdict
    found = [*_evidence(one, other)]
    total = _PRIOR + sum(each.weight for each in found)
    value = round(1 / (1 + 2.0 ** -max(-60.0, min(60.0, total))), 4)
    return Score(value, _grade(value, verdict, found), tuple(each.reason for each in found), verdict is Verdict.REVIEW)


def _grade(value: float, verdict: Verdict, found: list[Evidence]) -> Grade:
    """Certain is what numbers say and nothing denies, or what everything says."""
    agreeing, denying = sum(each.agrees for each in found), any(each.weight < -2 for each in found)
    if value >= _CERTAIN and not denying and (verdict is Verdict.SAME or agreeing >= _CERTAIN_AGREEMENTS):
        return Grade.CERTAIN
    if value >= _PROBABLE and verdict is not Verdict.REVIEW:
        return Grade.PROBABLE
    return Grade.POSSIBLE if value >= _POSSIBLE or verdict is Verdict.REVIEW else Grade.NOT


def _evidence(one: Traits, other: Traits) -> Iterator[Evidence]:
    for compared in (_numbers, _citizen, _names, _birth_dates, _sexes, _phones, _addresses):
        found = compared(one, other)
        if found is not None:
            yield found


def _numbers(one: Traits, other: Traits) -> Evidence | None:
    if not one.numbers.isdisjoint(other.numbers):
        return Evidence(22, "same number of one issuer", agrees=True)
    issuers = {each.system for each in one.numbers} & {each.system for each in other.numbers}
    return Evidence(-1.5, "different numbers of one issuer", agrees=False) if issuers else None


def _citizen(one: Traits, other: Traits) -> Evidence | None:
    if not (one.citizen and other.citizen):
        return None
    if one.citizen == other.citizen:
        return Evidence(26, "same citizen number", agrees=True)
    if OSA.distance(one.citizen[:17], other.citizen[:17], score_cutoff=2) <= 2:
        return Evidence(-1, "citizen numbers nearly alike", agrees=False)
    return Evidence(-14, "different citizen numbers", agrees=False)


def _names(one: Traits, other: Traits) -> Evidence | None:
    """Names that many people bear say less."""
    match likeness(one.names, other.names):
        case None:
            return None
        case Likeness.SAME:
            by_sound = not any(each.written for each in one.names)
            return Evidence(math.log2(0.85 / _chance(one, other, by_sound=by_sound)), "same name", agrees=True)
        case Likeness.HOMOPHONE:
            chance = _chance(one, other, by_sound=True)
            return Evidence(math.log2(0.15 / chance), "names said alike", agrees=False)
        case Likeness.INITIALS:
            return Evidence(4.5, "same initials", agrees=False)
        case Likeness.SIMILAR:
            return Evidence(5, "names nearly alike", agrees=False)
        case Likeness.DIFFERENT:
            return Evidence(-6, "different names", agrees=False)


def _chance(one: Traits, other: Traits, *, by_sound: bool) -> float:
    """How likely two people bear this name, by the record that tells more of it."""
    return min(_share(each.names[0]) for each in (one, other)) * (4 if by_sound else 1)


def _share(name: Name) -> float:
    form = name.forms[0]
    # Letters may begin with the given name; then the other part is looked up too, and the more common one counts.
    family = max(_SHARES.get(form.family, _RARE), 0.0 if name.written else _SHARES.get(form.given, 0.0))
    return family * _GIVEN[2 if len(form.initials) > 1 or len(form.given) > _LONGEST_SYLLABLE else 1]


def _birth_dates(one: Traits, other: Traits) -> Evidence | None:
    ours, theirs = one.birth_date, other.birth_date
    if not (ours and theirs):
        return None
    told = min(len(ours), len(theirs))
    if ours[:told] == theirs[:told]:
        return Evidence({4: 5.5, 7: 9, 10: 14}[told], "same birth date", agrees=told == 10)
    if told < 10:
        return Evidence(-4, "different birth dates", agrees=False)
    if ours == swapped(theirs):
        return Evidence(7, "birth dates with day and month swapped", agrees=False)
    if OSA.distance(ours, theirs, score_cutoff=1) <= 1:
        return Evidence(6, "birth dates differ in one place", agrees=False)
    if ours[:4] == theirs[:4]:
        return Evidence(-1.5, "same year of birth", agrees=False)
    return Evidence(-8, "different birth dates", agrees=False)


def swapped(born: str) -> str:
    """A full date with day and month exchanged; empty where that is no date."""
    if len(born) != 10 or int(born[8:]) > 12:
        return ""
    return f"{born[:4]}-{born[8:]}-{born[5:7]}"


def _sexes(one: Traits, other: Traits) -> Evidence | None:
    if not (one.sex and other.sex):
        return None
    return (
        Evidence(0.9, "same sex", agrees=True) if one.sex == other.sex else Evidence(-5, "different sex", agrees=False)
    )


def _phones(one: Traits, other: Traits) -> Evidence | None:
    """Families share a telephone, and numbers change."""
    if not (one.phones and other.phones):
        return None
    if not one.phones.isdisjoint(other.phones):
        return Evidence(10, "same telephone number", agrees=True)
    near = any(
        Levenshtein.distance(ours, theirs, score_cutoff=1) <= 1 for ours in one.phones for theirs in other.phones
    )
    if near:
        return Evidence(6, "telephone numbers nearly alike", agrees=False)
    return Evidence(-1, "different telephone numbers", agrees=False)


def _addresses(one: Traits, other: Traits) -> Evidence | None:
    if not (one.addresses and other.addresses):
        return None
    alike = max(fuzz.ratio(ours, theirs) for ours in one.addresses for theirs in other.addresses)
    if alike >= 92:
        return Evidence(6, "same address", agrees=True)
    return (
        Evidence(2, "addresses alike", agrees=False)
        if alike >= 75
        else Evidence(-0.5, "different addresses", agrees=False)
    )
