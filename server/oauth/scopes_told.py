"""Scopes as a person reads them: which rights stand on the approval page, in what words, and what may replace them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

from server.kernel.clock import DAY
from server.oauth.words import WORDS, Say
from server.smart.lifetimes import Lifetimes
from server.smart.scopes import Scope, parse_scope

_OBSERVATION = "http://terminology.hl7.org/CodeSystem/observation-category"
_CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category"
_US_CORE = "http://hl7.org/fhir/us/core/CodeSystem"
_KINDS = {
    "Condition": (
        f"{_CONDITION}|problem-list-item",
        f"{_CONDITION}|encounter-diagnosis",
        f"{_US_CORE}/condition-category|health-concern",
    ),
    "Observation": (
        f"{_OBSERVATION}|vital-signs",
        f"{_OBSERVATION}|laboratory",
        f"{_OBSERVATION}|survey",
        f"{_OBSERVATION}|social-history",
        f"{_US_CORE}/us-core-category|sdoh",
        f"{_OBSERVATION}|exam",
        f"{_OBSERVATION}|imaging",
    ),
}
"""Categories that may be given in place of a whole type."""

_OF_NOBODY = frozenset(
    {
        "Endpoint",
        "HealthcareService",
        "Location",
        "Medication",
        "Organization",
        "Practitioner",
        "PractitionerRole",
        "Questionnaire",
        "Schedule",
        "Slot",
    }
)
"""Types of the hospital's own: to say of which patients they are would mislead."""

_WHOSE = ("patient", "user", "system", "nobody")
_CHANGING = frozenset("cud")
_IDENTITY = ("openid", "fhirUser", "profile")
_LASTING = ("offline_access", "online_access")
_OFFLINE = Lifetimes().offline


@dataclass(frozen=True, slots=True)
class Right:
    """One line that can be unticked; `parts` may be given in its place: scope and words of each."""

    scope: str
    words: str
    detail: str = ""
    parts: tuple[tuple[str, str], ...] = ()
    short: str = ""
    """The words for where it is said already whose records they are."""
    whose: str = ""
    changes: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What an app asks for, in groups."""

    records: tuple[Right, ...]
    others: tuple[Right, ...]
    lasting: tuple[Right, ...]
    contexts: tuple[str, ...]
    """Sentences of what it is told without asking for a right."""

    @property
    def by_whose(self) -> tuple[tuple[str, tuple[Right, ...]], ...]:
        """The records by whose they are, those of one patient first."""
        groups = ((whose, tuple(each for each in self.records if each.whose == whose)) for whose in _WHOSE)
        return tuple((whose, rights) for whose, rights in groups if rights)


def told(scopes: Sequence[str], say: Say) -> Told:
    understood = [scope for text in scopes if (scope := parse_scope(text)) is not None]
    names = [scope.text for scope in understood if not scope.is_resource]
    return Told(
        records=tuple(_right(scope, say) for scope in understood if scope.is_resource),
        others=tuple(_identity(name, say) for name in names if name in _IDENTITY),
        lasting=tuple(_lasting(name, say) for name in names if name in _LASTING),
        contexts=tuple(dict.fromkeys(_context(name, say) for name in names if name.startswith("launch"))),
    )


def summary(scopes: Sequence[str], say: Say) -> tuple[str, ...]:
    """Every right in one sentence each."""
    all_ = told(scopes, say)
    return tuple(
        f"{right.words} ({right.detail})" if right.detail and right in all_.records else right.words
        for right in (*all_.records, *all_.others, *all_.lasting)
    )


def chosen(scopes: Sequence[str], ticked: Collection[str]) -> tuple[str, ...]:
    """What a filled-in form leaves: rights where ticked, parts in place of the whole, and context with them.

    Nothing where of all rights none was ticked, which is a refusal.
    """
    rights: dict[str, tuple[str, ...]] = {}
    for scope in (found for text in scopes if (found := parse_scope(text)) is not None):
        if not _is_context(scope):
            parts = tuple(part for part in _parts(scope) if part in ticked)
            rights[scope.text] = parts or ((scope.text,) if scope.text in ticked else ())
    if rights and not any(rights.values()):
        return ()
    return tuple(kept for text in scopes for kept in rights.get(text, (text,)))


def _right(scope: Scope, say: Say) -> Right:
    what = _what(scope.resource_type, say)
    # To find and to read are one thing to a person; the scope itself stands below for whoever knows better.
    verbs = _listed(list(dict.fromkeys(say(f"letter.{each}") for each in "rscud" if each in scope.letters)), say)
    short = say("scope.short", verbs=verbs, what=what)
    whose = "nobody" if scope.resource_type in _OF_NOBODY else scope.context
    words = short if whose == "nobody" else say("scope.sentence", verbs=verbs, what=what, whose=say(f"whose.{whose}"))
    return Right(
        scope.text,
        _capital(words),
        _conditions(scope, say),
        tuple((part, say(f"category.{part.rsplit('|', 1)[1]}")) for part in _parts(scope)),
        _capital(short),
        whose,
        bool(_CHANGING & set(scope.letters)),
    )


def _listed(words: list[str], say: Say) -> str:
    if len(words) < 2:
        return "".join(words)
    return say("list.last", most=say("list.between").join(words[:-1]), last=words[-1])


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def _what(resource_type: str, say: Say) -> str:
    if resource_type == "*":
        return say("scope.all")
    return say(f"type.{resource_type}") if f"type.{resource_type}" in WORDS else resource_type


def _conditions(scope: Scope, say: Say) -> str:
    if not scope.criteria:
        return ""
    by_name = groupby(sorted(scope.criteria), key=lambda pair: pair[0])
    conditions = [_condition(name, [value for _, value in pairs], say) for name, pairs in by_name]
    return say("scope.where", conditions="; ".join(conditions))


def _condition(name: str, values: Sequence[str], say: Say) -> str:
    value = " + ".join(_value(value, say) for value in values)
    if name == "category":
        return value
    shown = say(f"parameter.{name}") if f"parameter.{name}" in WORDS else name
    return say("scope.condition", name=shown, value=value)


def _value(value: str, say: Say) -> str:
    """Categories by their words, anything else as it was written."""
    codes = [each.rsplit("|", 1)[-1] for each in value.split(",")]
    return say("list.between").join(say(f"category.{code}") if f"category.{code}" in WORDS else code for code in codes)


def _parts(scope: Scope) -> tuple[str, ...]:
    """Always in version 2: version 1 has no words for them."""
    if scope.criteria or not scope.is_resource:
        return ()
    kinds = _KINDS.get(scope.resource_type, ())
    return tuple(f"{scope.context}/{scope.resource_type}.{scope.letters}?category={kind}" for kind in kinds)


def _is_context(scope: Scope) -> bool:
    """It tells of what is open and gives no right."""
    return not scope.is_resource and scope.text.startswith("launch")


def _identity(name: str, say: Say) -> Right:
    if name == "openid":
        return Right(name, say("approve.sign-in"))
    return Right(name, say("approve.identity"), say("approve.identity.about"))


def _lasting(name: str, say: Say) -> Right:
    if name == "offline_access":
        return Right(name, say("approve.offline"), say("approve.offline.about", days=_OFFLINE // DAY))
    return Right(name, say("approve.online"), say("approve.online.about"))


def _context(name: str, say: Say) -> str:
    kind = name.partition("?")[0].partition("/")[2] or "launch"
    key = f"approve.context.{kind}"
    return say(key if key in WORDS else "approve.context.launch")
