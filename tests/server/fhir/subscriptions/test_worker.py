"""The worker over a real store: what is sent, to whom, how often, and what a subscription says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.fhir.json_form import Resource
from server.fhir.lease import LASTS, LEASES, Lease
from server.fhir.subscriptions.follower import PLACES, Desk, Pace
from server.fhir.subscriptions.owner import Owners, Standing
from server.fhir.subscriptions.sending import Notification, Undelivered
from server.fhir.subscriptions.worker import SubscriptionWorker
from server.kernel.offload import Offload
from storage.query import EVERYTHING
from storage.sqlite.records import SqliteRecords
from tests.server.fhir.small import CONTEXT, Small, SmallIndexer, content, patient

FAST = Pace(poll=0.002, delays=(0, 0))


@dataclass
class Outbox:
    """Takes notifications; `dead` endpoints take none."""

    sent: list[Notification] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    tries: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def send(self, notification: Notification) -> None:
        self.tries += 1
        if any(notification.url.startswith(each) for each in self.dead):
            raise Undelivered("the endpoint answered 500")
        async with self._changed:
            self.sent.append(notification)
            self._changed.notify_all()

    async def holds(self, number: int) -> list[Notification]:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.sent) >= number)
        return self.sent


@dataclass
class House:
    small: Small
    outbox: Outbox
    worker: SubscriptionWorker

    async def put(self, resource: Resource) -> None:
        await self.small.repository.update(CONTEXT, resource["resourceType"], resource["id"], resource)

    async def subscription(self, name: str = "s") -> Resource:
        return content(await self.small.repository.read(CONTEXT, "Subscription", name))

    async def is_served(self, name: str) -> None:
        async with asyncio.timeout(10):
            while True:
                if await self.small.records.get(PLACES, [name]):
                    return
                await asyncio.sleep(0)

    async def becomes(self, status: str, name: str = "s") -> Resource:
        async with asyncio.timeout(10):
            while True:
                found = await self.subscription(name)
                if found["status"] == status:
                    return found
                await asyncio.sleep(0)


@asynccontextmanager
async def house(folder: Path, owners: Owners | None = None) -> AsyncIterator[House]:
    threads = Offload()
    records = SqliteRecords(folder / "records.sqlite", threads)
    small = Small(records, threads)
    outbox = Outbox()
    try:
        yield House(small, outbox, worker(small, outbox, owners))
    finally:
        await records.close()
        threads.close()


def worker(small: Small, outbox: Outbox, owners: Owners | None = None) -> SubscriptionWorker:
    reading, known = small.repository.reading, owners or Standing()
    desk = Desk(small.records, small.clock, small.offload, small.searcher, SmallIndexer(), outbox, FAST, reading, known)
    return SubscriptionWorker(desk, small.repository)


@asynccontextmanager
async def working(each: SubscriptionWorker) -> AsyncIterator[None]:
    task = asyncio.create_task(each.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def subscription(criteria: str = "Patient?family=wang", **more: Any) -> Resource:
    channel = {"type": "rest-hook", "endpoint": "http://ward.example/told", "payload": "application/fhir+json"}
    return {
        "resourceType": "Subscription", "id": "s", "status": "requested", "reason": "x", "criteria": criteria,
        "channel": channel | more.pop("channel", {}),
    } | more  # fmt: skip


@pytest.mark.anyio
async def test_what_matches_after_the_subscription_is_sent_and_nothing_else(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.put(patient("Wang", id="before"))
        await here.put(subscription(channel={"header": ["X-Ward: 7"]}))
        async with working(here.worker):
            active = await here.becomes("active")
            await here.put(patient("Li", id="a"))
            await here.put(patient("Wang", id="a"))
            await here.small.repository.delete(CONTEXT, "Patient", "a")
            await here.put(patient("Wang", id="b"))
            await here.put(patient("Li", id="b"))
            await here.put(patient("Wang", id="c"))
            sent = await here.outbox.holds(3)
        assert [each.url.rpartition("/told/")[2] for each in sent] == ["Patient/a", "Patient/b", "Patient/c"]
        assert {each.method for each in sent} == {"PUT"}
        assert ("X-Ward", "7") in sent[0].headers
        assert b'"versionId":"2"' in sent[0].body
        assert active["meta"]["versionId"] == "2"


@pytest.mark.anyio
async def test_without_payload_an_empty_post_is_sent(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.put(subscription("Patient", channel={"payload": None}))
        async with working(here.worker):
            await here.becomes("active")
            await here.put(patient(id="a"))
            [sent] = await here.outbox.holds(1)
        assert (sent.method, sent.url, sent.body) == ("POST", "http://ward.example/told", b"")


@pytest.mark.anyio
async def test_payload_may_be_xml(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.put(subscription("Patient?", channel={"payload": "application/fhir+xml"}))
        async with working(here.worker):
            await here.becomes("active")
            await here.put(patient(id="a"))
            [sent] = await here.outbox.holds(1)
        assert sent.body.startswith(b"<")
        assert b'<family value="Wang"/>' in sent.body


@pytest.mark.anyio
async def test_a_dead_endpoint_is_given_up_and_holds_up_nobody(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        here.outbox.dead.add("http://dead.example")
        await here.put(subscription())
        await here.put(subscription(id="d", channel={"endpoint": "http://dead.example/x"}))
        async with working(here.worker):
            await here.becomes("active")
            await here.becomes("active", "d")
            for number in range(5):
                await here.put(patient("Wang", id=f"p{number}"))
            assert len(await here.outbox.holds(5)) == 5
            failed = await here.becomes("error", "d")
        assert failed["error"] == "Given up after 3 tries: the endpoint answered 500."
        assert (await here.subscription())["status"] == "active"
        assert here.outbox.tries == 5 + 3


@pytest.mark.anyio
async def test_a_subscription_goes_on_where_it_was_after_a_stop(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.put(subscription())
        async with working(here.worker):
            await here.becomes("active")
            await here.put(patient("Wang", id="a"))
            await here.outbox.holds(1)
        await here.put(patient("Wang", id="b"))
        assert await here.small.records.count(LEASES, EVERYTHING, at_most=9) == 0
        async with working(worker(here.small, here.outbox)):
            while "http://ward.example/told/Patient/b" not in [each.url for each in here.outbox.sent]:
                await here.outbox.holds(len(here.outbox.sent) + 1)
        assert (await here.subscription())["meta"]["versionId"] == "2"


@pytest.mark.anyio
async def test_off_and_deleted_subscriptions_are_served_no_more(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.put(subscription())
        await here.put(subscription(id="other"))
        async with working(here.worker):
            await here.becomes("active")
            await here.becomes("active", "other")
            await here.put((await here.subscription()) | {"status": "off"})
            await here.small.repository.delete(CONTEXT, "Subscription", "other")
            await here.worker.look()
            await here.put(patient("Wang", id="a"))
            await here.put(subscription(id="last", criteria="Patient?family=li"))
            await here.becomes("active", "last")
            await here.put(patient("Li", id="b"))
            sent = await here.outbox.holds(1)
        assert [each.url for each in sent] == ["http://ward.example/told/Patient/b"]


@pytest.mark.anyio
async def test_an_end_that_has_come_turns_it_off(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.put(subscription(end=(here.small.clock.moment + timedelta(seconds=20)).isoformat()))
        async with working(here.worker):
            await here.becomes("off")


@pytest.mark.parametrize(
    ("faulty", "said"),
    [
        (subscription("Patient?nonsense=1"), "not known"),
        (subscription("Ward?x=1"), "no query"),
        (subscription(channel={"type": "sms"}), "rest-hook"),
        (subscription(channel={"endpoint": "ftp://x"}), "endpoint"),
        (subscription(channel={"endpoint": "http://user@x/"}), "endpoint"),
        (subscription(channel={"payload": "text/plain"}), "payload"),
        (subscription(channel={"header": ["Host: elsewhere"]}), "header"),
        (subscription(channel={"header": ["X: a\r\nY: b"]}), "header"),
    ],
)
@pytest.mark.anyio
async def test_what_cannot_be_served_says_why(tmp_path: Path, faulty: Resource, said: str) -> None:
    async with house(tmp_path) as here:
        await here.put(faulty)
        async with working(here.worker):
            assert said in (await here.becomes("error"))["error"]


@pytest.mark.anyio
async def test_an_active_one_from_a_client_is_served_as_if_requested(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.put(subscription(status="active"))
        async with working(here.worker):
            await here.is_served("s")
            await here.put(patient("Wang", id="a"))
            await here.outbox.holds(1)
            await here.put((await here.subscription()) | {"criteria": "Patient?family=li"})
            await here.worker.look()
            await here.put(patient("Li", id="b"))
            sent = await here.outbox.holds(2)
        assert {each.url.rpartition("/")[2] for each in sent} == {"a", "b"}


@pytest.mark.anyio
async def test_of_two_workers_one_serves(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.put(subscription())
        async with working(here.worker), working(worker(here.small, here.outbox)):
            await here.becomes("active")
            for number in range(3):
                await here.put(patient("Wang", id=f"p{number}"))
            await here.outbox.holds(3)
        assert len(here.outbox.sent) == 3


@dataclass
class StillClock:
    moment: datetime

    def now(self) -> datetime:
        return self.moment


@pytest.mark.anyio
async def test_a_lease_lapses_when_it_is_not_renewed(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        clock = StillClock(here.small.clock.moment)

        def lease(holder: str) -> Lease:
            return Lease(here.small.records, clock, "x", holder)

        assert await lease("a").hold()
        assert not await lease("b").hold()
        assert await lease("a").hold()
        clock.moment += timedelta(microseconds=LASTS + 1)
        assert await lease("b").hold()
        assert not await lease("a").hold()
        await lease("a").release()
        assert not await lease("a").hold()
        await lease("b").release()
        assert await lease("a").hold()
