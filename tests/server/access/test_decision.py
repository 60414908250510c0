"""Access: default is to refuse, and one object is judged as a search would."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

import pytest

from server.access.decision import AccessPoint, Extent
from server.access.facets import CONTEXT, LEVEL, PATIENT, SHARED
from server.access.roles import (
    ADMINISTRATOR,
    AUDITOR,
    NURSE,
    PROXY,
    RADIOLOGIST,
    RECORDER,
    REFERRING,
    RESEARCHER,
    SYSTEM,
)
from server.access.roles import PATIENT as PATIENT_ROLE
from server.kernel.context import INTERACTIONS, LOCAL_ACTOR, SERVER, Actor, Context, Grant
from storage.query import EVERYTHING, NOTHING, All, Between, Equals, Exists, Key, Not, OneOf, Predicate, matches

ALL = (Grant(INTERACTIONS),)
WITHOUT_V = Not(Between(LEVEL, 5, None))


class Denied:
    """Of patient 9 nothing is shown; explicitly permitted is patient 1."""

    async def predicate(
        self, context: Context, resource_type: str, interaction: str, *, explicit: bool = False
    ) -> Predicate:
        return Equals(PATIENT, "Patient/1") if explicit else Not(Equals(PATIENT, "Patient/9"))

    async def state(self, context: Context) -> Hashable:
        return 1

    async def redacted_patients(self, context: Context) -> frozenset[str] | None:
        return frozenset({"Patient/9"})

    async def extent(self, context: Context) -> Extent:
        return Extent()


class Referred:
    async def patients_of(self, practitioner: str) -> frozenset[str]:
        return frozenset({"1", "2"}) if practitioner == "Practitioner/r" else frozenset()


def actor(*roles: str, grants: tuple[Grant, ...] = ALL, own: frozenset[str] = frozenset()) -> Actor:
    return Actor("a", "a", grants, frozenset(roles), fhir_user="Practitioner/r", own_patients=own)


def asked(access: AccessPoint, who: Actor, interaction: str, resource_type: str, purpose: str = "TREAT") -> Predicate:
    return asyncio.run(access.constrain(Context(who, "test", purpose), interaction, resource_type))


@pytest.mark.parametrize(
    ("who", "interaction", "resource_type", "found"),
    [
        (LOCAL_ACTOR, "delete", "ImagingStudy", EVERYTHING),
        (actor(SERVER, grants=(Grant(frozenset({"search"})),)), "search", "Patient", EVERYTHING),
        (actor(SERVER, grants=(Grant(frozenset({"search"})),)), "read", "Patient", NOTHING),
        (actor(), "read", "Patient", NOTHING),
        (actor("gardener"), "read", "Patient", NOTHING),
        (actor(NURSE, grants=()), "read", "Patient", NOTHING),
        (actor(NURSE), "read", "Observation", WITHOUT_V),
        (actor(NURSE), "create", "Observation", EVERYTHING),
        (actor(NURSE), "delete", "Observation", NOTHING),
        (actor(NURSE), "read", "Practitioner", EVERYTHING),
        (actor(NURSE), "read", "ValueSet", EVERYTHING),
        (actor(NURSE), "update", "Practitioner", NOTHING),
        (actor(NURSE), "read", "AuditEvent", NOTHING),
        (actor(NURSE), "read", "Subscription", NOTHING),
        (actor(ADMINISTRATOR), "read", "Patient", NOTHING),
        (actor(ADMINISTRATOR), "search", "Observation", NOTHING),
        (actor(ADMINISTRATOR), "read", "Binary", NOTHING),
        (actor(ADMINISTRATOR), "update", "Practitioner", EVERYTHING),
        (actor(AUDITOR), "search", "AuditEvent", EVERYTHING),
        (actor(AUDITOR), "read", "Patient", NOTHING),
        (actor(AUDITOR), "delete", "AuditEvent", NOTHING),
        (actor(RECORDER), "create", "Consent", EVERYTHING),
        (actor(RECORDER), "search", "Patient", EVERYTHING),
        (actor(RECORDER), "search", "RelatedPerson", NOTHING),
        (actor(RECORDER), "search", "Observation", NOTHING),
        (actor(RESEARCHER), "search", "Observation", NOTHING),
        (actor(SYSTEM), "search", "Observation", EVERYTHING),
        (actor(SYSTEM), "search", "AuditEvent", NOTHING),
        (actor(SYSTEM, own=frozenset({"1"})), "search", "Observation", Equals(PATIENT, "Patient/1")),
        (actor(SYSTEM, own=frozenset({"1"})), "search", "Group", NOTHING),
        (actor(PATIENT_ROLE), "read", "Observation", NOTHING),
        (actor(PATIENT_ROLE, own=frozenset({"1"})), "read", "Observation", Equals(PATIENT, "Patient/1")),
        (actor(PATIENT_ROLE, own=frozenset({"1"})), "read", "Organization", EVERYTHING),
        (actor(PROXY, own=frozenset({"1", "2"})), "search", "Patient",
         All((OneOf(PATIENT, ("Patient/1", "Patient/2")), WITHOUT_V))),
        (actor(REFERRING), "read", "Observation", All((OneOf(PATIENT, ("Patient/1", "Patient/2")), WITHOUT_V))),
    ],
)  # fmt: skip
def test_what_a_role_sees(who: Actor, interaction: str, resource_type: str, found: Predicate) -> None:
    assert asked(AccessPoint(relations=Referred()), who, interaction, resource_type) == found


@pytest.mark.parametrize("purpose", ["HRESCH", "CLINTRCH"])
def test_a_researcher_sees_what_a_consent_permits_and_nothing_else(purpose: str) -> None:
    who = actor(RESEARCHER)
    assert asked(AccessPoint(), who, "search", "Observation", purpose) == NOTHING
    found = asked(AccessPoint(Denied()), who, "search", "Observation", purpose)
    assert found == All((WITHOUT_V, Equals(PATIENT, "Patient/1")))
    assert asked(AccessPoint(Denied()), who, "create", "Observation", purpose) == NOTHING


def test_an_emergency_lifts_the_ceiling_and_the_relation_for_who_may_declare_one() -> None:
    access = AccessPoint(relations=Referred())
    assert asked(access, actor(NURSE), "read", "Observation", "BTG") == EVERYTHING
    assert asked(access, actor(REFERRING), "read", "Observation", "BTG") == EVERYTHING
    assert asked(access, actor(SYSTEM), "read", "Observation", "BTG") == NOTHING
    assert asked(access, actor(PATIENT_ROLE, own=frozenset({"1"})), "read", "Observation", "BTG") == NOTHING


def test_consent_limits_what_is_shown_and_not_what_is_kept() -> None:
    access, context = AccessPoint(Denied()), Context(actor(RADIOLOGIST), "test")

    async def ask() -> list[Predicate]:
        ways = (access.constrain, access.rights, access.outcome)
        return [await way(context, "update", "Observation") for way in ways] + [
            await access.constrain(context, "create", "Observation")
        ]

    full, rights, outcome, create = asyncio.run(ask())
    assert full == All((WITHOUT_V, Not(Equals(PATIENT, "Patient/9"))))
    assert (rights, outcome, create) == (WITHOUT_V, EVERYTHING, EVERYTHING)


def test_redaction_is_the_consents_matter_and_never_the_servers() -> None:
    access = AccessPoint(Denied())
    for who, patients in ((actor(NURSE), {"Patient/9"}), (LOCAL_ACTOR, set[str]())):
        assert asyncio.run(access.redacted_patients(Context(who, "test"))) == patients


def patient_scope(patient: str, *interactions: str, types: frozenset[str] | None = None) -> Grant:
    return Grant(frozenset(interactions), types, patient)


def test_a_patient_scope_is_the_compartment_and_what_tells_of_nobody() -> None:
    who = actor(RADIOLOGIST, grants=(patient_scope("1", *INTERACTIONS),))
    access = AccessPoint()
    own = Equals(PATIENT, "Patient/1")
    assert asked(access, who, "search", "Device") == All((own, WITHOUT_V))
    assert asked(access, who, "search", "Location") == EVERYTHING
    assert asked(access, who, "read", "Binary") == All((Exists(CONTEXT), WITHOUT_V))
    for resource_type in ("Group", "Bundle", "Parameters", "Task"):
        assert asked(access, who, "read", resource_type) == NOTHING
    assert asked(access, who, "search", "Binary") == NOTHING
    assert asked(access, who, "create", "Observation") == All((own, Not(Exists(SHARED))))
    assert asked(access, who, "create", "Patient") == All((own, Not(Exists(SHARED))))


def test_rights_of_two_grants_are_not_mixed() -> None:
    grants = (patient_scope("1", "read"), patient_scope("2", "search"))
    who = actor(SYSTEM, grants=grants)
    assert asked(AccessPoint(), who, "read", "Observation") == Equals(PATIENT, "Patient/1")
    assert asked(AccessPoint(), who, "search", "Observation") == Equals(PATIENT, "Patient/2")


def test_a_patient_outside_ones_own_is_nobodys_by_any_grant() -> None:
    who = actor(PATIENT_ROLE, grants=(patient_scope("2", "read"),), own=frozenset({"1"}))
    found = asked(AccessPoint(), who, "read", "Observation")
    assert not matches(found, {PATIENT: frozenset({"Patient/1"})})
    assert not matches(found, {PATIENT: frozenset({"Patient/2"})})


@pytest.mark.parametrize(
    ("who", "resource_type", "limits"),
    [
        (actor(NURSE), "Observation", None),
        (LOCAL_ACTOR, "Observation", None),
        (actor(NURSE, grants=(patient_scope("1", "search"),)), "Observation", {"1"}),
        (actor(NURSE, grants=(patient_scope("1", "search"),)), "Location", None),
        (actor(NURSE, grants=(patient_scope("1", "search"), Grant(frozenset({"search"})))), "Observation", None),
        (actor(REFERRING), "Observation", {"1", "2"}),
        (actor(REFERRING, grants=(patient_scope("2", "search"),)), "Observation", {"2"}),
        (actor(REFERRING, NURSE), "Observation", None),
        (actor(SYSTEM), "Observation", None),
        (actor(SYSTEM, own=frozenset({"4"})), "Observation", {"4"}),
        (actor(PATIENT_ROLE), "Observation", frozenset()),
    ],
)
def test_whom_an_actor_may_ask_about(who: Actor, resource_type: str, limits: set[str] | None) -> None:
    access = AccessPoint(relations=Referred())
    assert asyncio.run(access.limits(Context(who, "test"), "search", resource_type)) == limits


def test_one_object_is_judged_as_a_search_would() -> None:
    async def ask() -> None:
        access, context = AccessPoint(), Context(actor(NURSE), "test")
        for level, allowed in ((4, True), (5, False)):
            keys: dict[str, frozenset[Key]] = {LEVEL: frozenset((level,))}
            decision = await access.decide(context, "read", "Observation", keys)
            assert decision.allowed is allowed
            assert decision.reason
        refused = await access.decide(context, "read", "AuditEvent", {})
        assert not refused.allowed
        assert refused.reason != decision.reason

    asyncio.run(ask())


def test_what_was_found_is_kept_until_what_it_rests_on_changes() -> None:
    class Changing(Denied):
        now = 0

        async def state(self, context: Context) -> Hashable:
            return self.now

        async def predicate(
            self, context: Context, resource_type: str, interaction: str, *, explicit: bool = False
        ) -> Predicate:
            return Not(Equals(PATIENT, f"Patient/{self.now}"))

    consents = Changing()
    access, who = AccessPoint(consents), actor(SYSTEM)
    first = asked(access, who, "read", "Observation")
    assert asked(access, who, "read", "Observation") is first
    before = asyncio.run(access.state(Context(who, "test")))
    consents.now = 1
    assert asked(access, who, "read", "Observation") == Not(Equals(PATIENT, "Patient/1"))
    assert asyncio.run(access.state(Context(who, "test"))) != before
