"""Serves the subscriptions of an archive: one worker among all processes, one follower for each subscription.

A subscription asks by `requested`; the worker makes it `active`, or `error` with the reason. One that a client sends as
`active` is treated alike, since only the worker knows whether it is. When its `end` has come it is `off`.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import msgspec

from server.fhir.json_form import Resource, reread
from server.fhir.lease import Lease
from server.fhir.repository import Repository
from server.fhir.stored import Stored, collection, from_record
from server.fhir.subscriptions.follower import PLACES, Desk, Ended, Follower, GivenUp, Place, keep_place
from server.fhir.subscriptions.subscribed import LIVE, SYSTEM, Subscribed, parse
from server.kernel.ids import new_token
from server.kernel.problem import Problem
from server.kernel.supervision import ended
from storage.errors import StorageError
from storage.ports import Cursor
from storage.query import EVERYTHING

_PAGE = 500
_log = logging.getLogger("weft.fhir.subscriptions")


class SubscriptionWorker:
    """To be run as one supervised task for as long as the server lives; cancelled to stop."""

    def __init__(self, desk: Desk, repository: Repository) -> None:
        self._desk = desk
        self._repository = repository
        self._lease = Lease(desk.records, desk.clock, "subscriptions", new_token())
        self._followers: dict[str, tuple[int, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        try:
            while True:
                try:
                    if await self._lease.hold():
                        await self.look()
                    else:
                        await self._stop_all()
                except StorageError as error:
                    _log.warning("subscriptions wait for the store: %s", error)
                await asyncio.sleep(self._desk.pace.poll)
        finally:
            await self._stop_all()
            with suppress(StorageError):
                await self._lease.release()

    async def look(self) -> None:
        """Bring the followers to what the subscriptions now ask for."""
        live = {each.id: each for each in await self._subscriptions()}
        for subscription_id, (version, task) in list(self._followers.items()):
            stored = live.get(subscription_id)
            if task.done() or stored is None or stored.version != version:
                await self._stop(subscription_id)
        for subscription_id, stored in live.items():
            if subscription_id not in self._followers:
                await self._start(stored)

    async def _subscriptions(self) -> list[Stored]:
        found: list[Stored] = []
        cursor: Cursor | None = None
        while True:
            page = await self._desk.records.find(collection("Subscription"), EVERYTHING, after=cursor, limit=_PAGE)
            found += [from_record("Subscription", record) for record in page.records]
            cursor = page.next
            if cursor is None:
                return found

    async def _start(self, stored: Stored) -> None:
        resource = reread(stored.body)
        if resource.get("status") not in LIVE:
            return
        try:
            subscribed = parse(resource)
            if subscribed.pairs:
                await self._desk.searcher.predicate(SYSTEM, subscribed.type, subscribed.pairs)
            place = await self._place(stored, resource)
        except Problem as problem:
            await self._say(stored.id, "error", problem.text)
            return
        if place is not None:
            task = asyncio.create_task(self._follow(stored.id, subscribed, place))
            self._followers[stored.id] = place.version, task

    async def _place(self, stored: Stored, resource: Resource) -> Place | None:
        """Where to serve it from, kept before anything is sent; `None` when the subscription changed meanwhile."""
        known = [
            msgspec.json.decode(each.body, type=Place) for each in await self._desk.records.get(PLACES, [stored.id])
        ]
        if resource["status"] == "active" and known:
            if known[0].version == stored.version:
                return known[0]
            place = Place(stored.version, known[0].at)
        else:
            now = self._desk.now()
            active = await self._say(stored.id, "active", None, stored.etag)
            if active is None:
                return None
            place = Place(active.version, now)
        await keep_place(self._desk.records, stored.id, place)
        return place

    async def _follow(self, subscription_id: str, subscribed: Subscribed, place: Place) -> None:
        """A follower until its end; faults of ours end it too, and the next look begins it anew."""
        try:
            await Follower(self._desk, subscription_id, subscribed, place).run()
        except GivenUp as error:
            await self._say(subscription_id, "error", str(error))
        except Ended:
            await self._say(subscription_id, "off", None)
        except (StorageError, Problem) as error:
            _log.warning("a subscription waits: %s", error)
        except Exception:
            _log.exception("a subscription failed")

    async def _say(
        self, subscription_id: str, status: str, error: str | None, if_match: str | None = None
    ) -> Stored | None:
        def change(resource: Resource) -> Resource:
            kept = {name: value for name, value in resource.items() if name != "error"}
            return kept | {"status": status} | ({"error": error} if error else {})

        try:
            written = await self._repository.patch(SYSTEM, "Subscription", subscription_id, change, if_match)
        except Problem as problem:
            _log.warning("a subscription changed meanwhile: %s", problem.kind)
            return None
        return written.stored

    async def _stop(self, subscription_id: str) -> None:
        # It may be gone already: another look, or the end, came while this one waited.
        if (following := self._followers.pop(subscription_id, None)) is not None:
            await ended([following[1]])

    async def _stop_all(self) -> None:
        tasks = [task for _, task in self._followers.values()]
        self._followers.clear()
        await ended(tasks)
