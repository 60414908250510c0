"""A consent as it is compiled: what remains of it once everything that does not decide is gone.

`Terms` are equal where two patients agreed to the same: they are judged together. What belongs to one consent alone,
the moments between which it holds, stays outside them.
"""

from __future__ import annotations

import msgspec

RULES, STATE = "consent-rule", "consent-state"
"""Collections: a record for each Consent, linked Patient and PractitionerRole, and one that counts their changes."""
SEQUENCE = "sequence"
"""Key of every rule: the version of the state it was written with, by which processes take up what is new."""
FLAWED = "flawed"
"""Key of a rule that was not understood."""

ALWAYS = (-(1 << 62), 1 << 62)
"""A period open at both sides, in microseconds since 1970."""
Span = tuple[int, int]


class Datum(msgspec.Struct, frozen=True, array_like=True):
    """Data named one by one: `instance`, `related` or `authoredby`, and a local reference."""

    meaning: str
    reference: str


class Provision(msgspec.Struct, frozen=True, array_like=True):
    """Kinds of element are met all, the values of one kind any; `None` is met by everything."""

    permits: bool
    purposes: tuple[str, ...] | None = None
    actors: tuple[str, ...] | None = None
    """References to recipients."""
    roles: tuple[str, ...] | None = None
    """Of the policies known by name, which speak of clinicians."""
    labels: tuple[str, ...] | None = None
    """Codes of confidentiality and sensitivity."""
    within: Span | None = None
    """When the data must be of."""
    data: tuple[Datum, ...] | None = None

    @property
    def is_of_all_data(self) -> bool:
        return self.labels is None and self.within is None and self.data is None


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """What holds now of one consent."""

    root: Provision
    exceptions: tuple[Provision, ...] = ()
    replaces_policy: bool = False
    """Also where it says nothing, the custodian's policy does not speak: the consent names a policy instead."""


class Rule(msgspec.Struct, frozen=True):
    """One Consent that is active, whatever the moment."""

    patient: str
    """`Patient/3`."""
    root: Provision
    start: int = ALWAYS[0]
    end: int = ALWAYS[1]
    exceptions: tuple[tuple[Provision, int, int], ...] = ()
    """Nested provisions, each with the moments between which it holds."""
    custodians: tuple[str, ...] = ()
    replaces_policy: bool = False
    policies: tuple[str, ...] = ()
    """`policy.uri`, for those who are told which policies a decision rests on."""
    flaw: str = ""
    """What was not understood; the rule then forbids everything."""

    def at(self, moment: int) -> Terms | None:
        """What holds at the moment, `None` where the consent does not."""
        if not self.start <= moment < self.end:
            return None
        held = tuple(each for each, start, end in self.exceptions if start <= moment < end)
        return Terms(self.root, held, self.replaces_policy)

    def boundaries(self) -> set[int]:
        """The moments at which `at` may change."""
        found = {self.start, self.end}
        for _, start, end in self.exceptions:
            found |= {start, end}
        return found - set(ALWAYS)


class Linked(msgspec.Struct, frozen=True):
    """Patients that a Patient's `link` names: they are one person."""

    others: tuple[str, ...] = ()


class Employed(msgspec.Struct, frozen=True):
    """Whose a PractitionerRole is: what is authored under it is authored by them."""

    practitioner: str
    """`Practitioner/12`."""


class Written(msgspec.Struct, frozen=True):
    """What a record of `RULES` holds: one of these, or none where a consent speaks no more."""

    rule: Rule | None = None
    linked: Linked | None = None
    employed: Employed | None = None
