"""The filters of a value set's include (FHIR R4 4.9.8, filter-operator), over a code system that is held or ruled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from profiles.terminology.code_system import CodeSystem, Resource
from profiles.terminology.errors import invalid, not_supported, too_costly
from profiles.terminology.extent import Codes, Listed, Part, Ruled, Unknown
from profiles.terminology.rules import UCUM, RuledSystem
from profiles.ucum import canonical_unit

_CODE = ("code", "concept")
_LONGEST_PATTERN = 256
_MOST_REPEATS = 4
_MOST_OPTIONS = 8
_MOST_STEPS = 50_000


def filtered(system: CodeSystem, described: Resource) -> Codes:
    """The codes of a held system that pass one filter, in its order; a `TerminologyError` where it makes no sense."""
    name, operator, value = _read(described)
    if name not in system.properties and not (operator == "exists" or name in _mentioned(system)):
        raise invalid(f"The code system {system.url} has no property {name[:64]} to filter by.")
    if operator in _HIERARCHIC:
        chosen = _by_hierarchy(system, name, operator, value)
        return {code: None for code in system.concepts if code in chosen}
    passes = _PLAIN[operator](value)
    return {code: None for code in system.concepts if passes(system.values(code, name))}


def ruled(system: RuledSystem, described: Resource) -> Part:
    """The codes of a grammar's system that pass one filter."""
    name, operator, value = _read(described)
    if name in _CODE and operator in ("=", "in", "is-a", "generalizes"):
        codes = _split(value) if operator == "in" else [value]
        return Listed({code: None for code in codes if system.accepts(code)})
    if name in _CODE and operator == "regex":
        matches = pattern(value)
        return Ruled(system.url, lambda code: matches([code]) and system.accepts(code))
    if system.url == UCUM and name == "canonical" and operator == "=":
        return Ruled(system.url, lambda code: canonical_unit(code) == canonical_unit(value) is not None)
    return unheld(system.url)


def unheld(system: str) -> Part:
    """What a filter on a system that is not held leaves: nobody here can say."""
    return Unknown(not_supported(f"The code system {system} is not held here, so a filter on it has no answer."))


def _read(described: Resource) -> tuple[str, str, str]:
    name, operator, value = described.get("property"), described.get("op"), described.get("value")
    if not (isinstance(name, str) and isinstance(operator, str) and isinstance(value, str)):
        raise invalid("A filter of a value set needs a property, an operator and a value.")
    if operator not in _HIERARCHIC and operator not in _PLAIN:
        raise invalid(f"There is no filter operator {operator[:32]}.")
    return name, operator, value


def _mentioned(system: CodeSystem) -> frozenset[str]:
    """Properties that concepts have although the system does not define them."""
    return frozenset(each["code"] for concept in system.concepts.values() for each in concept.properties)


_HIERARCHIC = frozenset(("is-a", "descendent-of", "is-not-a", "generalizes"))


def _by_hierarchy(system: CodeSystem, name: str, operator: str, value: str) -> frozenset[str]:
    concept = system.find(value) if name in _CODE else None
    if concept is None:
        raise invalid(f"The filter {operator} needs a code of {system.url}.")
    below = frozenset(system.descendants(concept.code))
    match operator:
        case "is-a":
            return below | {concept.code}
        case "descendent-of":
            return below
        case "is-not-a":
            return frozenset(system.concepts) - below - {concept.code}
        case _:
            return frozenset(system.ancestors(concept.code)) | {concept.code}


def _split(value: str) -> list[str]:
    return [each.strip() for each in value.split(",")]


Passes = Callable[[Iterable[str]], bool]


def _equals(value: str) -> Passes:
    return lambda values: value in values


def _one_of(value: str) -> Passes:
    wanted = frozenset(_split(value))
    return lambda values: not wanted.isdisjoint(values)


def _none_of(value: str) -> Passes:
    wanted = frozenset(_split(value))
    return lambda values: wanted.isdisjoint(values)


def _exists(value: str) -> Passes:
    if value not in ("true", "false"):
        raise invalid("The filter exists needs true or false.")
    wanted = value == "true"
    return lambda values: any(True for _ in values) is wanted


def pattern(value: str) -> Passes:
    """A regular expression over whole values, of a kind that cannot run away."""
    repeats = _repeats(value)
    try:
        matches = re.compile(value).fullmatch
    except (re.error, RecursionError, OverflowError):
        raise invalid("The regular expression of a filter cannot be read.") from None

    def passes(values: Iterable[str]) -> bool:
        listed = list(values)
        _refuse(any(len(each) ** repeats > _MOST_STEPS for each in listed))
        return any(matches(each) for each in listed)

    return passes


_PLAIN: dict[str, Callable[[str], Passes]] = {
    "=": _equals,
    "in": _one_of,
    "not-in": _none_of,
    "exists": _exists,
    "regex": pattern,
}

_PATTERN_TOKEN = re.compile(
    r"\\(?P<escaped>.)|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<open>\((?P<kind>\?:|\?)?)|(?P<close>\))"
    r"|(?P<repeat>[*+]|\{[0-9]*,[0-9]*\})|(?P<fixed>\{[0-9]+\})|(?P<option>\?)|(?P<choice>\|)|.",
    re.DOTALL,
)


def _repeats(value: str) -> int:
    """How many repeats a pattern has; it is refused where backtracking could make it dear.

    A user's value set brings the pattern, and Python's engine knows no time limit: no repeat or choice within a
    repeat, few repeats and options, no back references, no conditions.
    """
    _refuse(len(value) > _LONGEST_PATTERN)
    groups, closed, options, repeats = [False], False, 0, 0
    for token in _PATTERN_TOKEN.finditer(value):
        is_choosing = bool(token["repeat"] or token["fixed"] or token["option"] or token["choice"])
        _refuse(token["kind"] == "?" or (token["escaped"] or "").isdigit())
        _refuse(closed and bool(token["repeat"] or token["fixed"]))
        options += bool(token["option"])
        repeats += bool(token["repeat"])
        groups[-1] |= is_choosing
        closed = False
        if token["open"]:
            groups.append(False)
        elif token["close"] and len(groups) > 1:
            closed = groups.pop()
            groups[-1] |= closed
    _refuse(repeats > _MOST_REPEATS or options > _MOST_OPTIONS)
    return repeats


def _refuse(is_dear: bool) -> None:
    if is_dear:
        raise too_costly("The regular expression of a filter could take too long.")
