"""Who a bearer token stands for, and that nothing kept outlives what it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.kernel.clock import HOUR, micros
from server.kernel.problem import Kind, Problem
from server.smart.bearer import Bearer
from server.smart.digest import digest
from server.smart.model import Approval, Client, Token, User
from server.smart.stores import SmartStore
from tests.server.smart.keeping import Kept, keeping


async def opened(kept: Kept, **approval: Any) -> None:
    now = micros(kept.clock)
    given = {"user": "u", "patient": "p1", "expires": now + 2 * HOUR, **approval}
    scopes = ("patient/Observation.rs?category=vital-signs", "user/Patient.read", "openid")
    store = kept.store
    await store.commit(
        store.put(User("u", "u", "Dr Li", ("radiologist",), "Practitioner/12")),
        store.put(Client("c", "App", "none", ())),
        store.put(Approval("a", "c", scopes, **given)),
        store.put(Token(digest("access"), "a", "access", scopes, now, now + HOUR)),
        store.put(Token(digest("refresh"), "a", "refresh", scopes, now, now + 2 * HOUR)),
    )


async def refused(bearer: Bearer, token: str) -> bool:
    try:
        await bearer.authenticate(token)
    except Problem as problem:
        return problem.kind is Kind.UNAUTHENTICATED and problem.issues[0].code == "invalid_token"
    return False


def test_a_token_stands_for_its_user_client_patient_and_purpose(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        await opened(kept, purpose="ETREAT")
        access = await Bearer(kept.store, kept.clock).authenticate("access")
        actor = access.actor
        assert (actor.id, actor.name, actor.user, actor.client) == ("u|c|p1", "Dr Li", "u", "c")
        assert (actor.roles, actor.fhir_user, actor.session) == ({"radiologist"}, "Practitioner/12", "a")
        assert access.purpose == "ETREAT"
        vitals, patients = actor.grants
        assert (vitals.patient, vitals.criteria) == ("p1", (("category", "vital-signs"),))
        assert (patients.patient, patients.interactions) == (None, {"read", "search"})

    keeping(tmp_path, work)


def test_a_patient_reaches_their_own_and_a_proxy_theirs(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        await opened(kept, patient="p2")
        await kept.store.save(User("u", "u", "Wang", ("patient",), "Patient/p1", own_patients=("p1",)))
        actor = (await Bearer(kept.store, kept.clock).authenticate("access")).actor
        assert actor.own_patients == {"p1"}
        assert [grant.resource_types for grant in actor.grants] == [{"Patient"}]

    keeping(tmp_path, work)


@pytest.mark.parametrize("token", ["", "refresh", "other", "x" * 5000, "密", "acc ess"])
def test_s01_no_other_text_opens_anything(tmp_path: Path, token: str) -> None:
    async def work(kept: Kept) -> None:
        await opened(kept)
        assert await refused(Bearer(kept.store, kept.clock), token)

    keeping(tmp_path, work)


def test_s02_what_is_kept_ends_with_its_time_and_with_any_change(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        await opened(kept)
        bearer, store = Bearer(kept.store, kept.clock), kept.store
        first = await bearer.authenticate("access")
        assert await bearer.authenticate("access") is first
        await store.save(User("u", "u", "Dr Li", ("nurse",)))
        assert (await bearer.authenticate("access")).actor.roles == {"nurse"}
        await store.save(User("u", "u", "Dr Li", ("nurse",), is_active=False))
        assert await refused(bearer, "access")
        await store.save(User("u", "u", "Dr Li", ("nurse",)))
        await bearer.authenticate("access")
        await store.revoke("a")
        assert await refused(bearer, "access")
        await opened(kept)
        await bearer.authenticate("access")
        kept.clock.move(hours=1)
        assert await refused(bearer, "access")

    keeping(tmp_path, work)


def test_i06_where_records_cannot_tell_their_revision_a_change_counts_within_a_second(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        await opened(kept)
        mute = SmartStore(Mute(kept.store.records))  # type: ignore[arg-type]
        bearer = Bearer(mute, kept.clock)
        first = await bearer.authenticate("access")
        await kept.store.revoke("a")
        kept.clock.move(seconds=0.4)
        assert await bearer.authenticate("access") is first
        kept.clock.move(seconds=0.2)
        assert await refused(bearer, "access")

    keeping(tmp_path, work)


class Mute:
    """Records of a store in which telling the revision would cost a search."""

    def __init__(self, real: Any) -> None:
        self.real = real

    async def revision(self) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.mark.parametrize("roles", [("nurse",), ("system", "radiologist")])
def test_a_service_limited_to_some_patients_reaches_no_others_in_any_role(
    tmp_path: Path, roles: tuple[str, ...]
) -> None:
    async def work(kept: Kept) -> None:
        await opened(kept, user="", patient="")
        now, scopes = micros(kept.clock), ("system/Observation.rs",)
        await kept.store.save(Client("c", "Service", "private_key_jwt", scopes, patients=("p1", "p3"), roles=roles))
        await kept.store.save(Token(digest("access"), "a", "access", scopes, now, now + HOUR))
        actor = (await Bearer(kept.store, kept.clock).authenticate("access")).actor
        assert {grant.patient for grant in actor.grants} == {"p1", "p3"}

    keeping(tmp_path, work)


def test_nothing_is_kept_for_longer_where_the_clock_goes_back(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        await opened(kept)
        bearer = Bearer(SmartStore(Mute(kept.store.records)), kept.clock)
        await bearer.authenticate("access")
        await kept.store.revoke("a")
        kept.clock.move(minutes=-30)
        assert await refused(bearer, "access")

    keeping(tmp_path, work)
