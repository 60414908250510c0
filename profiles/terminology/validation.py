"""Checks codes against a value set or a code system (FHIR R4 ValueSet/$validate-code, CodeSystem/$validate-code).

A wrong display makes the answer false, as HL7's own servers have it; a code that only groups others is refused unless
the caller says that such codes are welcome; of a concept one good coding is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from profiles.terminology.code_system import CodeSystem, Concept, Resource
from profiles.terminology.errors import invalid, not_supported
from profiles.terminology.extent import Extent, Fragment, Listed, Unknown, Wording
from profiles.terminology.rules import RuledSystem
from profiles.terminology.wording import concept_of, display, is_called, words


@dataclass(frozen=True, slots=True)
class Validation:
    """The answer of `$validate-code`."""

    result: bool
    message: str | None = None
    display: str | None = None
    system: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Leniency:
    """What a caller wants of the check beside membership."""

    allow_abstract: bool = False
    display_language: str | None = None


STRICT = Leniency()


def in_value_set(extent: Extent, codings: Sequence[Resource], leniency: Leniency = STRICT) -> Validation:
    """Whether one of the codings is in the set."""
    return _best(codings, lambda coding: _in_extent(extent, coding, leniency))


def in_code_system(
    system: CodeSystem | RuledSystem, codings: Sequence[Resource], leniency: Leniency = STRICT
) -> Validation:
    """Whether one of the codings is a code of the system."""
    return _best(codings, lambda coding: _in_system(system, coding, leniency))


def _best(codings: Sequence[Resource], check: Callable[[Resource], Validation]) -> Validation:
    if not codings:
        raise invalid("There is no code to validate.")
    found = [check(each) for each in codings]
    good = next((each for each in found if each.result), None)
    if good or len(found) == 1:
        return good or found[0]
    return Validation(False, " ".join(each.message for each in found if each.message))


def _in_extent(extent: Extent, coding: Resource, leniency: Leniency) -> Validation:
    code = coding.get("code")
    if not isinstance(code, str):
        raise invalid("A coding to validate needs a code.")
    system = coding.get("system") or _inferred(extent, code)
    if system is None:
        return Validation(False, f"The code {code} is not in the value set.", code=code)
    part = extent.part(system)
    held = part.holds(code)
    if held is None:
        raise _undecided(extent, system)
    if not held:
        return Validation(False, f"The code {code} of {system} is not in the value set.", system=system, code=code)
    wording = part.codes.get(code) if isinstance(part, Listed | Fragment) else None
    return _judged(system, code, wording, concept_of(extent.systems.get(system), code), coding, leniency)


def _inferred(extent: Extent, code: str) -> str | None:
    """The one system whose code this can be; a code alone may belong to several."""
    answers = {url: part.holds(code) for url, part in extent.parts.items()}
    if None in answers.values():
        raise not_supported("A code without its system cannot be judged here.")
    found = [url for url, held in answers.items() if held]
    if len(found) > 1:
        raise invalid("The code is in the value set from more than one code system: name the system.")
    return found[0] if found else None


def _undecided(extent: Extent, system: str) -> Exception:
    part = extent.part(system)
    if isinstance(part, Unknown):
        return part.reason
    return not_supported(f"Whether the value set holds codes of {system} cannot be decided here.")


def _in_system(system: CodeSystem | RuledSystem, coding: Resource, leniency: Leniency) -> Validation:
    code = coding.get("code")
    if not isinstance(code, str):
        raise invalid("A coding to validate needs a code.")
    stated = coding.get("system", system.url)
    if stated != system.url:
        return Validation(False, f"The coding is of {stated}, not of {system.url}.", system=stated, code=code)
    if isinstance(system, RuledSystem):
        is_code, concept = system.accepts(code), None
    else:
        concept = system.find(code)
        is_code = concept is not None
    if not is_code:
        return Validation(False, f"The code {code} is not known in {system.url}.", system=system.url, code=code)
    return _judged(system.url, code, None, concept, coding, leniency)


def _judged(
    system: str, code: str, wording: Wording | None, concept: Concept | None, coding: Resource, leniency: Leniency
) -> Validation:
    """A code that is there may still be meant for grouping only, or be called something else."""
    name = display(wording, concept, leniency.display_language)
    if concept and concept.is_abstract and not leniency.allow_abstract:
        return Validation(False, f"The code {code} of {system} is abstract.", name, system, code)
    given = coding.get("display")
    known = words(wording, concept)
    if given and known and not is_called(given, known):
        return Validation(False, f"The display of the code {code} of {system} is “{name}”.", name, system, code)
    return Validation(True, None, name, system, code)
