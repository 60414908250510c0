"""Whatever the roles, grants, consents and labels: one decision in both its forms, and no term widens another."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.access.decision import AccessPoint, Extent
from server.access.facets import CONTEXT, LEVEL, PATIENT, SHARED
from server.access.roles import ROLES
from server.kernel.context import SERVER, Actor, Context, Grant
from server.kernel.offload import Offload
from storage.ports import Put
from storage.query import NOTHING, All, Equals, Key, Not, OneOf, Predicate, matches
from storage.sqlite.records import SqliteRecords

INTERACTIONS = ("read", "search", "create", "update", "delete")
TYPES = ("Patient", "Observation", "Binary", "Group", "Practitioner", "AuditEvent", "Consent", "ValueSet", "Device")
PATIENTS = ("1", "2", "3")
_numbers = count()

Keys = Mapping[str, frozenset[Key]]


class Status:
    """Granular scopes by one key."""

    def compile(self, resource_type: str, criteria: tuple[tuple[str, str], ...]) -> Predicate:
        return All(tuple(Equals(name, value) for name, value in criteria))

    def state(self) -> Hashable:
        return 0


class Denials:
    def __init__(self, denied: frozenset[str]) -> None:
        self.denied = tuple(sorted(f"Patient/{each}" for each in denied))

    async def predicate(
        self, context: Context, resource_type: str, interaction: str, *, explicit: bool = False
    ) -> Predicate:
        allowed = Not(OneOf(PATIENT, self.denied))
        return All((OneOf(PATIENT, ("Patient/1", "Patient/2")), allowed)) if explicit else allowed

    async def state(self, context: Context) -> Hashable:
        return self.denied

    async def redacted_patients(self, context: Context) -> frozenset[str] | None:
        return frozenset()

    async def extent(self, context: Context) -> Extent:
        return Extent()


class Related:
    async def patients_of(self, practitioner: str) -> frozenset[str]:
        return frozenset({"2"})


@st.composite
def grants(draw: st.DrawFn) -> Grant:
    return Grant(
        draw(st.frozensets(st.sampled_from(INTERACTIONS), min_size=1)),
        draw(st.none() | st.frozensets(st.sampled_from(TYPES), min_size=1, max_size=4)),
        draw(st.none() | st.sampled_from(PATIENTS)),
        draw(st.sampled_from([(), (("status", "final"),), (("status", "final"), ("category", "lab"))])),
    )


@st.composite
def objects(draw: st.DrawFn) -> Keys:
    patients = draw(st.frozensets(st.sampled_from(PATIENTS), max_size=2))
    keys: dict[str, frozenset[Key]] = {PATIENT: frozenset(f"Patient/{each}" for each in patients)}
    if len(patients) > 1:
        keys[SHARED] = frozenset((1,))
    if (level := draw(st.none() | st.integers(0, 5))) is not None:
        keys[LEVEL] = frozenset((level,))
    if draw(st.booleans()):
        keys[CONTEXT] = frozenset(("Patient/1",))
    keys["status"] = frozenset((draw(st.sampled_from(["final", "draft"])),))
    keys["category"] = frozenset((draw(st.sampled_from(["lab", "survey"])),))
    return {name: values for name, values in keys.items() if values}


several_grants = st.lists(grants(), max_size=3).map(tuple)
several_roles = st.frozensets(st.sampled_from(sorted(set(ROLES) - {SERVER})), max_size=3)
own = st.frozensets(st.sampled_from(PATIENTS), max_size=2)
denied = st.frozensets(st.sampled_from(PATIENTS), max_size=2)
purposes = st.sampled_from(["TREAT", "HRESCH", "BTG"])
asked = st.tuples(st.sampled_from(INTERACTIONS), st.sampled_from(TYPES))


def actor(granted: tuple[Grant, ...], roles: frozenset[str], own_patients: frozenset[str]) -> Actor:
    return Actor("a", "a", granted, roles, fhir_user="Practitioner/r", own_patients=own_patients)


def access_point(denied_patients: frozenset[str] = frozenset()) -> AccessPoint:
    access = AccessPoint(Denials(denied_patients), Related())
    access.criteria = Status()
    return access


def seen(access: AccessPoint, who: Actor, purpose: str, question: tuple[str, str], kept: list[Keys]) -> list[Keys]:
    predicate = asyncio.run(access.constrain(Context(who, "test", purpose), *question))
    return [each for each in kept if matches(predicate, each)]


def is_within(some: list[Keys], others: list[Keys]) -> bool:
    return all(each in others for each in some)


kept_objects = st.lists(objects(), max_size=6)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, SqliteRecords]]:
    offload = Offload(io_threads=1, cpu_threads=1)
    with asyncio.Runner() as runner:
        records = SqliteRecords(tmp_path_factory.mktemp("access") / "records.sqlite", offload)
        yield runner, records
        runner.run(records.close())
    offload.close()


@settings(max_examples=40)
@given(several_grants, several_roles, own, denied, purposes, asked, st.lists(objects(), max_size=6, min_size=1))
def test_one_object_is_judged_as_a_store_would(
    archive: tuple[asyncio.Runner, SqliteRecords],
    granted: tuple[Grant, ...],
    roles: frozenset[str],
    own_patients: frozenset[str],
    hidden: frozenset[str],
    purpose: str,
    question: tuple[str, str],
    kept: list[Keys],
) -> None:
    runner, records = archive
    place = f"c{next(_numbers)}"

    async def check() -> None:
        access, context = access_point(hidden), Context(actor(granted, roles, own_patients), "test", purpose)
        puts = [Put(place, str(n), b"-", {"_id": frozenset((str(n),)), **keys}) for n, keys in enumerate(kept)]
        await records.commit(puts)
        found = await records.find(place, await access.constrain(context, *question), limit=99)
        allowed = [(await access.decide(context, *question, keys)).allowed for keys in kept]
        assert {each.id for each in found.records} == {str(n) for n, yes in enumerate(allowed) if yes}

    runner.run(check())


@given(several_grants, grants(), several_roles, own, denied, purposes, asked, kept_objects)
def test_more_grants_never_see_less(
    granted: tuple[Grant, ...],
    another: Grant,
    roles: frozenset[str],
    own_patients: frozenset[str],
    hidden: frozenset[str],
    purpose: str,
    question: tuple[str, str],
    kept: list[Keys],
) -> None:
    access, who = access_point(hidden), actor(granted, roles, own_patients)
    more = replace(who, grants=(*granted, another))
    assert is_within(seen(access, who, purpose, question, kept), seen(access, more, purpose, question, kept))


@given(several_grants, several_roles, st.sampled_from(ROLES[:-1]), own, denied, purposes, asked, kept_objects)
def test_more_roles_never_see_less_and_no_more_than_each_by_itself(
    granted: tuple[Grant, ...],
    roles: frozenset[str],
    another: str,
    own_patients: frozenset[str],
    hidden: frozenset[str],
    purpose: str,
    question: tuple[str, str],
    kept: list[Keys],
) -> None:
    access, who = access_point(hidden), actor(granted, roles, own_patients)
    both, alone = replace(who, roles=roles | {another}), replace(who, roles=frozenset({another}))
    before = seen(access, who, purpose, question, kept)
    together = seen(access, both, purpose, question, kept)
    assert is_within(before, together)
    assert is_within(together, before + seen(access, alone, purpose, question, kept))


@given(several_grants, several_roles, own, denied, st.sampled_from(PATIENTS), purposes, asked, kept_objects)
def test_no_term_widens_another(
    granted: tuple[Grant, ...],
    roles: frozenset[str],
    own_patients: frozenset[str],
    hidden: frozenset[str],
    another: str,
    purpose: str,
    question: tuple[str, str],
    kept: list[Keys],
) -> None:
    """More is forbidden, or a scope is narrowed to a patient or by criteria: never is more seen."""
    who = actor(granted, roles, own_patients)
    now = seen(access_point(hidden), who, purpose, question, kept)
    assert is_within(seen(access_point(hidden | {another}), who, purpose, question, kept), now)
    for narrowed in (
        tuple(replace(each, patient=each.patient or another) for each in granted),
        tuple(replace(each, criteria=(*each.criteria, ("status", "final"))) for each in granted),
        granted[1:],
    ):
        assert is_within(seen(access_point(hidden), replace(who, grants=narrowed), purpose, question, kept), now)


@given(several_grants, several_roles, own, purposes, asked)
def test_without_a_role_or_a_grant_there_is_nothing(
    granted: tuple[Grant, ...],
    roles: frozenset[str],
    own_patients: frozenset[str],
    purpose: str,
    question: tuple[str, str],
) -> None:
    for who in (actor((), roles, own_patients), actor(granted, frozenset(), own_patients)):
        assert asyncio.run(access_point().constrain(Context(who, "test", purpose), *question)) == NOTHING
