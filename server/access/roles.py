"""What each role may do, as one table: role, class of resource types, interactions, whose, and up to which label.

Letters are those of SMART scopes: create, read (also versions), update, delete, search (also histories of many). What
is not in the table may not be done. A user with several roles may do what any of them may, each under its own limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from server.access.classes import Class, class_of
from server.access.labels import LEVELS
from server.kernel.context import SERVER

RADIOLOGIST, REFERRING, NURSE, TECHNOLOGIST = "radiologist", "referring-physician", "nurse", "technologist"
ADMINISTRATOR, AUDITOR, RESEARCHER = "administrator", "auditor", "researcher"
PATIENT, PROXY, RECORDER, SYSTEM = "patient", "proxy", "recorder", "system"

ROLES = (
    RADIOLOGIST, REFERRING, NURSE, TECHNOLOGIST, ADMINISTRATOR, AUDITOR, RESEARCHER, PATIENT, PROXY, RECORDER, SYSTEM,
    SERVER,
)  # fmt: skip
USER_ROLES = frozenset(ROLES) - {SYSTEM, SERVER}
"""Those a person may have."""
SEE_PATIENTS = frozenset((RADIOLOGIST, REFERRING, NURSE, TECHNOLOGIST, RESEARCHER, PROXY, PATIENT, RECORDER))
"""Whoever has one of these sees data of patients."""
MAY_BREAK_GLASS = frozenset((RADIOLOGIST, REFERRING, NURSE))
EMERGENCY = "BTG"
RESEARCH = frozenset({
    "HRESCH", "BIORCH", "CLINTRCH", "CLINTRCHNPC", "CLINTRCHPC", "PRECLINTRCH", "DSRCH", "POARCH", "TRANSRCH",
})  # fmt: skip
"""Purposes of research (HL7 v3 ActReason)."""


class Reach(StrEnum):
    """Whose resources a rule is about."""

    ALL = "all"
    OWN = "own"
    """`Actor.own_patients`; of a client by itself all, where none are named."""
    REFERRED = "referred"
    """Those the actor referred, treats as general practitioner, or asked something for."""


_LETTERS = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What one role may do with one class of types."""

    interactions: frozenset[str]
    reach: Reach = Reach.ALL
    ceiling: int = LEVELS.index("V")
    """The highest label the role sees; in an emergency there is none."""
    heeds_consent: bool = True
    is_explicit: bool = False
    """Only where a consent permits it; without one there is no right."""


def _rule(
    letters: str, reach: Reach = Reach.ALL, ceiling: str = "R", *, consent: bool = True, explicit: bool = False
) -> Rule:
    return Rule(frozenset(_LETTERS[each] for each in letters), reach, LEVELS.index(ceiling), consent, explicit)


def _public(letters: str = "rs") -> dict[Class | str, Rule]:
    """What concerns no patient."""
    rule = _rule(letters, ceiling="V", consent=False)
    return {Class.DIRECTORY: rule, Class.DEFINITION: rule}


def _care(clinical: str, identity: str, reach: Reach = Reach.ALL, ceiling: str = "R") -> dict[Class | str, Rule]:
    return {
        Class.CLINICAL: _rule(clinical, reach, ceiling),
        Class.IDENTITY: _rule(identity, reach, ceiling),
        Class.CONTAINER: _rule(clinical, reach, ceiling),
        Class.CONSENT: _rule("rs", reach, ceiling),
        Class.PROVENANCE: _rule("crs", reach, ceiling),
        **_public(),
    }


POLICY: Mapping[str, Mapping[Class | str, Rule]] = {
    RADIOLOGIST: _care("cruds", "crus"),
    REFERRING: _care("crus", "rs", Reach.REFERRED),
    NURSE: _care("crus", "crus"),
    TECHNOLOGIST: _care("crus", "crus") | {"ImagingStudy": _rule("cruds")},
    ADMINISTRATOR: {**_public("cruds"), Class.SUBSCRIPTION: _rule("cruds")},
    AUDITOR: {**_public(), Class.AUDIT: _rule("rs", ceiling="V", consent=False)},
    RESEARCHER: {
        Class.CLINICAL: _rule("rs", explicit=True),
        Class.IDENTITY: _rule("rs", explicit=True),
        Class.CONTAINER: _rule("rs", explicit=True),
        **_public(),
    },
    PATIENT: _care("crs", "rs", Reach.OWN, "V") | {Class.PROVENANCE: _rule("rs", Reach.OWN, "V")},
    PROXY: _care("crs", "rs", Reach.OWN) | {Class.PROVENANCE: _rule("rs", Reach.OWN)},
    RECORDER: {
        Class.CONSENT: _rule("cruds", ceiling="V", consent=False),
        "Patient": _rule("rs", ceiling="V", consent=False),
        **_public(),
    },
    SYSTEM: {
        **dict.fromkeys(
            (Class.CLINICAL, Class.IDENTITY, Class.CONTAINER, Class.CONSENT, Class.PROVENANCE, Class.SUBSCRIPTION),
            _rule("cruds", Reach.OWN, "V"),
        ),
        # Other systems' events come in (ITI-20); nobody changes or removes one.
        Class.AUDIT: _rule("c", ceiling="V", consent=False),
        **_public("cruds"),
    },
}


def rule_of(role: str, resource_type: str) -> Rule | None:
    """The rule of a role for a type: its own, or that of its class; `None` where the role has none."""
    rules = POLICY.get(role, {})
    return rules.get(resource_type) or rules.get(class_of(resource_type))


def may(role: str, interaction: str, resource_type: str, purpose: str) -> Rule | None:
    """The rule under which a role may do something for a purpose."""
    rule = rule_of(role, resource_type)
    if rule is None or interaction not in rule.interactions:
        return None
    return None if rule.is_explicit and purpose not in RESEARCH else rule
