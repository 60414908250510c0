"""Twelve who ask, each in another role or with another grant; and nobody."""

from __future__ import annotations

from typing import Any

from server.access.roles import (
    ADMINISTRATOR,
    AUDITOR,
    NURSE,
    PATIENT,
    PROXY,
    RADIOLOGIST,
    RECORDER,
    REFERRING,
    RESEARCHER,
    SYSTEM,
    TECHNOLOGIST,
)
from server.kernel.context import INTERACTIONS, Actor, Context, Grant

READS = frozenset({"read", "search"})
ALL = (Grant(INTERACTIONS),)
OWN = frozenset({"zzp-self"})
PURPOSES = {"researcher": "HRESCH", "patient": "PATRQT", "proxy": "PATRQT"}
"""What they ask for; everybody else for treatment."""


def _person(name: str, role: str, reference: str, grants: tuple[Grant, ...] = ALL, **others: Any) -> Actor:
    return Actor(name, name, grants, frozenset((role,)), user=name, fhir_user=reference, **others)


NOBODY = Actor("nobody", "no token", ())
ACTORS = (
    _person("radiologist", RADIOLOGIST, "Practitioner/zzs-radiologist"),
    _person("referring", REFERRING, "Practitioner/zzs-doctor"),
    _person("nurse", NURSE, "Practitioner/zzs-nurse"),
    _person("technologist", TECHNOLOGIST, "Practitioner/zzs-technologist"),
    _person("administrator", ADMINISTRATOR, ""),
    _person("auditor", AUDITOR, ""),
    _person("researcher", RESEARCHER, "PractitionerRole/zzs-research"),
    _person("patient", PATIENT, "Patient/zzp-self", (Grant(INTERACTIONS, None, "zzp-self"),), own_patients=OWN),
    _person("proxy", PROXY, "RelatedPerson/zzp-mother", (Grant(INTERACTIONS, None, "zzp-self"),), own_patients=OWN),
    _person("recorder", RECORDER, ""),
    Actor(
        "backend",
        "backend",
        tuple(Grant(INTERACTIONS, None, each) for each in ("zzp-self", "zzr-self")),
        frozenset((SYSTEM,)),
        client="backend",
        fhir_user="Device/zzs-device",
        own_patients=frozenset({"zzp-self", "zzr-self"}),
    ),
    _person(
        "vitals-nurse",
        NURSE,
        "Practitioner/zzs-nurse",
        (Grant(READS, frozenset({"Observation"}), "zzp-self", (("category", "vital-signs"),)),),
    ),
    NOBODY,
)


def named(name: str) -> Actor:
    return next(each for each in ACTORS if each.name == name or each.id == name)


def purpose_of(actor: Actor) -> str:
    return PURPOSES.get(actor.id, "TREAT")


def as_context(actor: Actor) -> Context:
    return Context(actor, "test", purpose_of(actor))
