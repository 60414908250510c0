"""A Subscription tells no more than its owner may see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from server.access.roles import SYSTEM
from server.fhir.subscriptions.owner import OWNERS, owner_of
from server.kernel.context import INTERACTIONS, LOCAL_ACTOR, Actor, Context, Grant
from storage.ports import Delete
from tests.server.fhir.small import CONTEXT, patient
from tests.server.fhir.subscriptions.test_worker import house, subscription, working

GROUPS_ONLY = Grant(INTERACTIONS, frozenset({"Group", "Subscription"}))


@pytest.mark.anyio
async def test_nobody_is_told_of_what_the_owner_may_not_see(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        backend = Context(Actor("backend", "b", (GROUPS_ONLY,), frozenset({SYSTEM})), "r")
        hidden = subscription(id="hidden", channel={"endpoint": "http://hidden.example/x"})
        await here.small.repository.update(backend, "Subscription", "hidden", hidden)
        await here.put(subscription())
        await here.put(subscription(id="ownerless", channel={"endpoint": "http://ownerless.example/x"}))
        await here.small.records.commit([Delete(OWNERS, "ownerless")])
        async with working(here.worker):
            for name in ("s", "hidden", "ownerless"):
                await here.becomes("active", name)
            for number in range(3):
                await here.put(patient("Wang", id=f"p{number}"))
            sent = await here.outbox.holds(3)
        assert {each.url.rpartition("/")[0] for each in sent} == {"http://ward.example/told/Patient"}


@pytest.mark.anyio
async def test_the_owner_is_who_stored_it_last_and_not_the_worker(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        records, repository = here.small.records, here.small.repository
        await here.put(subscription())
        async with working(here.worker):
            await here.becomes("active")
        owner = await owner_of(records, "s")
        assert owner is not None
        assert (owner.actor, owner.purpose) == (LOCAL_ACTOR, "TREAT")
        other = Context(Actor("backend", "b", (Grant(INTERACTIONS),), frozenset({SYSTEM})), "r", "HPAYMT")
        await repository.update(other, "Subscription", "s", subscription(reason="another"))
        owner = await owner_of(records, "s")
        assert owner is not None
        assert (owner.actor, owner.purpose) == (other.actor, "HPAYMT")
        await repository.delete(CONTEXT, "Subscription", "s")
        assert await owner_of(records, "s") is None


@dataclass
class Known:
    is_good: bool = True

    async def stands(self, actor: Actor) -> bool:
        return self.is_good


@pytest.mark.anyio
async def test_an_owner_who_may_act_no_more_is_told_no_more(tmp_path: Path) -> None:
    known = Known()
    async with house(tmp_path, known) as here:
        await here.put(subscription())
        async with working(here.worker):
            await here.becomes("active")
            await here.put(patient("Wang", id="before"))
            await here.outbox.holds(1)
            known.is_good = False
            await here.put(patient("Wang", id="after"))
            failed = await here.becomes("error")
            known.is_good = True
            await here.put(patient("Wang", id="later"))
        assert failed["error"] == "Given up: who asked for this may no longer be told; ask anew."
        assert [each.url.rpartition("/")[2] for each in here.outbox.sent] == ["before"]
