"""The actor a good assertion makes: rights by the issuer's mapping and nothing else, its purpose, for whom it asks.

Codes of roles and purposes mean what an administrator wrote beside the issuer. A role that is not mapped gives no
right; a purpose that neither is mapped nor belongs to HL7 ActReason refuses the assertion, because a policy that lets
any purpose pass must not let one pass that nobody has understood. Of several purposes the first that is no emergency
counts. An assertion for one patient (resource-id) reaches the records of that patient only, by whatever id it asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from server.access.consent.purposes import BREAK_GLASS, is_known
from server.access.roles import MAY_BREAK_GLASS, PATIENT, PROXY, SYSTEM, USER_ROLES
from server.audit.parts import SAML
from server.kernel.context import INTERACTIONS, Actor, Grant
from server.trust.assertions import Asserted
from server.trust.model import Issuer, Node
from server.trust.refusals import failed
from server.trust.saml import Value

ASSIGNABLE = USER_ROLES | {SYSTEM}
"""Roles that may be given to those who come from elsewhere."""

_NOBODY = "!"
"""No logical id: a patient of whom nothing is here."""
_XSPA = {
    "TREATMENT": "TREAT",
    "EMERGENCY": "ETREAT",
    "PAYMENT": "HPAYMT",
    "OPERATIONS": "HOPERAT",
    "RESEARCH": "HRESCH",
    "PUBLICHEALTH": "PUBHLTH",
    "MARKETING": "HMARKT",
    "REQUEST": "PATRQT",
    "SYSADMIN": "HSYSADMIN",
}
"""Purposes in the words of XSPA 1.0, which many senders keep to."""


class Directory(Protocol):
    """Who and whom others mean by their identifiers."""

    async def practitioner(self, identifiers: Sequence[str]) -> str:
        """`Practitioner/12` that carries one of these (`system|value`); empty where none does, or several do."""
        ...

    async def patients(self, number: str) -> tuple[str, ...]:
        """`Patient/3`: all that are the person with this number (a CX), the leading one first."""
        ...


class Speaking(NamedTuple):
    """Whom a message is to be carried out for."""

    actor: Actor
    purpose: str
    patients: tuple[str, ...]
    """`Patient/3` of the one person it is for, where it is for one."""

    @property
    def may_break_glass(self) -> bool:
        return self.purpose != BREAK_GLASS or not MAY_BREAK_GLASS.isdisjoint(self.actor.roles)


async def speaking(asserted: Asserted, issuer: Issuer, directory: Directory, node: Node | None = None) -> Speaking:
    """`node` is the system the message came from, where it is known: it asks as well."""
    if issuer.speaks_for and not set(asserted.organizations).issubset(issuer.speaks_for):
        raise failed("an organization its issuer does not speak for")
    roles = roles_of(asserted.roles, issuer)
    purpose = purpose_of(asserted.purposes, issuer)
    people = _people(asserted, issuer)
    patients = await directory.patients(asserted.resource) if asserted.resource else ()
    own = frozenset(each.removeprefix("Patient/") for each in patients)
    is_own = not roles.isdisjoint((PATIENT, PROXY))
    fhir_user = patients[0] if PATIENT in roles and patients else await directory.practitioner(people) if people else ""
    user = f"{asserted.alias}<{asserted.subject.value}@{asserted.issuer}>"
    return Speaking(
        Actor(
            id=f"xua|{user}|{asserted.resource}",
            name=asserted.name,
            grants=_grants(asserted, own),
            roles=roles,
            user=user,
            client=node.id if node is not None else issuer.id,
            fhir_user=fhir_user,
            own_patients=own if is_own else frozenset(),
            session=SAML + asserted.id,
            break_glass=f"asserted by {issuer.id}" if purpose == BREAK_GLASS else "",
            organizations=_organizations(asserted, issuer, node).union(people),
            feeds=frozenset(issuer.feeds),
        ),
        purpose,
        patients,
    )


def roles_of(told: Sequence[Value], issuer: Issuer) -> frozenset[str]:
    found: set[str] = set()
    for each in told:
        found.update(issuer.roles.get(f"{each.system}|{each.value}") or issuer.roles.get(each.value, ()))
    return ASSIGNABLE.intersection(found)


def purpose_of(told: Sequence[Value], issuer: Issuer) -> str:
    """A `Refusal` where one is told and not understood."""
    if not told:
        return issuer.purpose
    found = [_purpose(each, issuer) for each in told]
    return next((each for each in found if each != BREAK_GLASS), BREAK_GLASS)


def _purpose(told: Value, issuer: Issuer) -> str:
    mapped = issuer.purposes.get(f"{told.system}|{told.value}") or issuer.purposes.get(told.value)
    if mapped is not None:
        return mapped
    purpose = _XSPA.get(told.value, told.value)
    if not is_known(purpose):
        raise failed("a purpose of use that is not understood")
    return purpose


def _grants(asserted: Asserted, own: frozenset[str]) -> tuple[Grant, ...]:
    if not asserted.resource:
        return (Grant(INTERACTIONS),)
    return tuple(Grant(INTERACTIONS, patient=each) for each in sorted(own) or (_NOBODY,))


def _people(asserted: Asserted, issuer: Issuer) -> tuple[str, ...]:
    """Identifiers of the subject; a name without a system counts where the issuer's is known."""
    told = [*asserted.provider, asserted.subject]
    placed = (each if each.system else each._replace(system=issuer.people) for each in told)
    return tuple(dict.fromkeys(each.token for each in placed if each.system))


def _organizations(asserted: Asserted, issuer: Issuer, node: Node | None) -> frozenset[str]:
    """All who receive what is answered: the subject's own, and the node that passes it on."""
    told = asserted.organizations or ((issuer.organization,) if issuer.organization else ())
    passing = (node.organization,) if node is not None and node.organization else ()
    return frozenset((*told, *passing))
