"""The policies known by name, and what a custodian chose of them (IHE PCF: implicit policies).

One of them speaks where no consent in force does; a consent may also name one instead of saying anything itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from server.access.consent.purposes import BREAK_GLASS, TREATMENT, covers
from server.access.consent.rule import Provision

CLINICIANS = ("radiologist", "referring-physician", "nurse", "technologist")
_AT = "profiles.ihe.net/ITI/PCF/Policy-"


class Policy(StrEnum):
    ALL_NORMAL = "all-normal"
    """Every use the actor has rights for."""
    BASIC_NORMAL = "basic-normal"
    """Clinicians, for treatment."""
    BREAK_GLASS_ONLY = "break-glass-only"
    DENY = "deny"

    @property
    def provision(self) -> Provision:
        """The policy as a provision that stands alone."""
        match self:
            case Policy.ALL_NORMAL:
                return Provision(permits=True)
            case Policy.BASIC_NORMAL:
                return Provision(permits=True, purposes=(TREATMENT,), roles=CLINICIANS)
            case Policy.BREAK_GLASS_ONLY:
                return Provision(permits=True, purposes=(BREAK_GLASS,))
            case Policy.DENY:
                return Provision(permits=False)


def policy_named(uri: str) -> Policy | None:
    """The policy a `policy.uri` names, `None` where it is one of a site's own texts."""
    scheme, _, rest = uri.partition("://")
    name = rest.removeprefix(_AT)
    return Policy(name) if scheme in ("http", "https") and name != rest and name in set(Policy) else None


def permits(policy: Policy, purpose: str, roles: Collection[str]) -> bool:
    """Whether the policy lets an actor with these roles see anything, and so everything, for this purpose."""
    if policy is Policy.ALL_NORMAL:
        return True
    provision = policy.provision
    is_of_role = provision.roles is None or not frozenset(provision.roles).isdisjoint(roles)
    return provision.permits and covers(provision.purposes, purpose) and is_of_role


@dataclass(frozen=True, slots=True)
class Site:
    """What a custodian chose."""

    policy: Policy = Policy.ALL_NORMAL
    is_whole: bool = False
    """A consent in force speaks of every purpose: what it does not permit is forbidden. Else the policy stays for
    purposes that no consent permits anything for."""
    custodians: frozenset[str] = frozenset()
    """References that mean us in `Consent.organization`; none: every consent counts."""
    unlabelled_is_restricted: bool = False
    emergency_roles: frozenset[str] = frozenset()
    """Who may go on with the purpose BTG while consents cannot be judged."""
