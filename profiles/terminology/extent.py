"""What a value set holds, as far as it can be known here: three-valued sets of codes, by code system.

`True`: the code is in the set; `False`: it is not; `None`: that depends on content which is not held (a filter on
SNOMED CT). Union, intersection and difference follow Kleene's logic, so what is known of a set survives the parts of
it that are not, and a set made of lists alone stays a list, which is what membership of a hot binding tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from profiles.terminology.code_system import CodeSystem, Resource
from profiles.terminology.errors import TerminologyError, not_supported, too_costly


@dataclass(frozen=True, slots=True)
class Wording:
    """How a value set itself words a code."""

    display: str | None
    designations: tuple[Resource, ...]


Codes: TypeAlias = Mapping[str, Wording | None]
"""In order; `None` where the value set leaves the words to the code system."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Exactly these codes."""

    codes: Codes

    def holds(self, code: str) -> bool:
        return code in self.codes


@dataclass(frozen=True, slots=True)
class Fragment:
    """These codes, and maybe others: the code system is held in part only."""

    codes: Codes

    def holds(self, code: str) -> bool | None:
        return True if code in self.codes else None


@dataclass(frozen=True, slots=True)
class Everything:
    """All codes of a system that is not held: any code of it is believed."""

    system: str

    def holds(self, code: str) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Ruled:
    """The codes that a grammar accepts."""

    system: str
    rule: Callable[[str], bool]

    def holds(self, code: str) -> bool:
        return self.rule(code)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Cannot be known here."""

    reason: TerminologyError

    def holds(self, code: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Either:
    parts: tuple[Part, Part]

    def holds(self, code: str) -> bool | None:
        return either(part.holds(code) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Both:
    parts: tuple[Part, Part]

    def holds(self, code: str) -> bool | None:
        return _both(self.parts[0].holds(code), self.parts[1].holds(code))


@dataclass(frozen=True, slots=True)
class But:
    part: Part
    without: Part

    def holds(self, code: str) -> bool | None:
        return _both(self.part.holds(code), _not(self.without.holds(code)))


Part: TypeAlias = Listed | Fragment | Everything | Ruled | Unknown | Either | Both | But

NOTHING = Listed({})


@dataclass(frozen=True, slots=True)
class Extent:
    """What a value set holds of each code system; `rest` is what it holds of every other."""

    parts: Mapping[str, Part]
    rest: Part = NOTHING
    systems: Mapping[str, CodeSystem] = field(default_factory=dict)
    """The held code systems that were used."""

    def part(self, system: str) -> Part:
        return self.parts.get(system, self.rest)

    def holds(self, system: str | None, code: str) -> bool | None:
        """Without a system: whether any system's code is meant, as an element of type `code` has none."""
        if system is not None:
            return self.parts.get(system, self.rest).holds(code)
        return either(part.holds(code) for part in (*self.parts.values(), self.rest))

    @property
    def is_known(self) -> bool:
        return self.rest == NOTHING and all(isinstance(part, Listed) for part in self.parts.values())


EMPTY = Extent({})


def either(answers: Iterable[bool | None]) -> bool | None:
    found: bool | None = False
    for each in answers:
        if each:
            return True
        found = None if each is None else found
    return found


def _both(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def united(one: Part, other: Part) -> Part:
    match one, other:
        case Listed(codes), _ if not codes:
            return other
        case _, Listed(codes) if not codes:
            return one
        case Listed(codes), Listed(others):
            return Listed(_worded(codes, others))
        case Listed(codes) | Fragment(codes), Listed(others) | Fragment(others):
            return Fragment(_worded(codes, others))
        case _:
            return one if one == other else Either((one, other))


def met(one: Part, other: Part) -> Part:
    """What both hold; a list when one of them is a list and the other knows about each of its codes."""
    match one, other:
        case Listed(codes), Listed(others):
            return Listed({code: codes[code] or others[code] for code in codes if code in others})
        case (Listed(codes), judge) | (judge, Listed(codes)):
            answers = {code: judge.holds(code) for code in codes}
            if None not in answers.values():
                return Listed({code: codes[code] for code in codes if answers[code]})
        case (Everything(), part) | (part, Everything()):
            return part
    return Both((one, other))


def without(one: Part, other: Part) -> Part:
    match one, other:
        case _, Listed(codes) if not codes:
            return one
        case Listed(codes), _:
            answers = {code: other.holds(code) for code in codes}
            if None not in answers.values():
                return Listed({code: codes[code] for code in codes if not answers[code]})
        case _, Everything():
            return NOTHING
    return But(one, other)


def combined(one: Extent, other: Extent, operation: Callable[[Part, Part], Part]) -> Extent:
    """One of the three operations above, system by system."""
    names = dict.fromkeys((*one.parts, *other.parts))
    parts = {name: operation(one.part(name), other.part(name)) for name in names}
    rest = operation(one.rest, other.rest)
    kept = {name: part for name, part in parts.items() if part != rest}
    return Extent(kept, rest, {**one.systems, **other.systems})


def codes_listed(part: Part) -> Codes:
    """The codes of a part one by one; the reason is raised where they cannot be listed."""
    match part:
        case Listed(codes) | Fragment(codes):
            return codes
        case But(one, other):
            codes = codes_listed(one)
            answers = {code: other.holds(code) for code in codes}
            if None in answers.values():
                codes_listed(other)
            return {code: codes[code] for code in codes if answers[code] is False}
        case Either(parts):
            return _worded(*map(codes_listed, parts))
        case Both(parts):
            return _listed_by_one(parts, part)
        case Unknown(reason):
            raise TerminologyError(reason.code, reason.text)
        case Ruled(system):
            raise too_costly(f"The codes of {system} follow a grammar and cannot be listed.")
        case Everything(system):
            raise not_supported(f"The code system {system} is not held here, so its codes cannot be listed.")


def _listed_by_one(parts: tuple[Part, Part], both: Both) -> Codes:
    """What two parts share, as soon as one of them can be listed and the other judges its codes."""
    try:
        codes = codes_listed(parts[0])
    except TerminologyError:
        codes = codes_listed(parts[1])
    answers = {code: both.holds(code) for code in codes}
    if None in answers.values():
        raise not_supported("A part of the value set cannot be decided here.")
    return {code: codes[code] for code in codes if answers[code]}


def _worded(codes: Codes, others: Codes) -> Codes:
    """Both, where whoever has words for a code wins."""
    return {**codes, **{code: codes.get(code) or wording for code, wording in others.items()}}
