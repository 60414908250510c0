"""One subscription being served: it follows the versions of its type and sends those that match.

It is told of what its owner may see (`server.fhir.subscriptions.owner`), as that is when it is told.

Its place in the feed is its own, so a slow or dead endpoint holds up nobody else; writers never hear of it at all.
The place is kept after what was sent, so a crash may send something twice and never loses anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from server.fhir.collaborators import Indexer, Searcher
from server.fhir.feed import Feed
from server.fhir.json_form import reread
from server.fhir.reading import Reading
from server.fhir.stored import Stored, micros_of
from server.fhir.subscriptions.owner import Owners, Standing, owner_of
from server.fhir.subscriptions.sending import Sender, Undelivered, notification
from server.fhir.subscriptions.subscribed import Subscribed
from server.kernel.clock import Clock
from server.kernel.context import Context
from server.kernel.offload import Offload
from storage.ports import Put, Records
from storage.query import EVERYTHING, Predicate, matches

PLACES = "fhir-subscription-place"
_KEEP_PLACE = 5_000_000
"""Microseconds between two keepings of a place that moved."""


class Place(msgspec.Struct, frozen=True):
    """How far a subscription has been served, and which version of it."""

    version: int
    at: int


@dataclass(frozen=True, slots=True)
class Pace:
    """`poll`: seconds between two looks for something new; `delays`: seconds before each further try."""

    poll: float = 1.0
    delays: tuple[float, ...] = (1, 5, 30, 120, 300)


@dataclass(frozen=True, slots=True)
class Desk:
    """What every follower works with."""

    records: Records
    clock: Clock
    offload: Offload
    searcher: Searcher
    indexer: Indexer
    sender: Sender
    pace: Pace
    reading: Reading
    owners: Owners = Standing()

    def now(self) -> int:
        return micros_of(self.clock.now())


class GivenUp(Exception):
    """The endpoint failed too often, or its owner may no longer be told; the text goes into Subscription.error."""


class Ended(Exception):
    """The end of the subscription has come."""


class Follower:
    def __init__(self, desk: Desk, subscription_id: str, subscribed: Subscribed, place: Place) -> None:
        self._desk = desk
        self._id = subscription_id
        self._subscribed = subscribed
        self._place = place
        self._kept = 0

    async def run(self) -> None:
        """Until cancelled; raises `GivenUp` or `Ended`."""
        feed = Feed(self._desk.records, self._desk.clock, self._subscribed.type, self._place.at)
        while True:
            if self._subscribed.end is not None and self._desk.now() >= self._subscribed.end:
                raise Ended
            versions = await feed.next()
            for each in await self._matching(versions):
                await self._deliver(each)
            await self._keep(feed.place)
            if not versions:
                await asyncio.sleep(self._desk.pace.poll)

    async def _matching(self, versions: Sequence[Stored]) -> list[Stored]:
        """Criteria are compiled for each look anew: chains in them lead to other resources as time goes by."""
        present = [each for each in versions if not each.is_deleted]
        owner = await owner_of(self._desk.records, self._id) if present else None
        if owner is None:
            return []
        if not await self._desk.owners.stands(owner.actor):
            raise GivenUp("Given up: who asked for this may no longer be told; ask anew.")
        seen = await self._seen(owner, present)
        if not seen or not self._subscribed.pairs:
            return seen
        predicate = await self._desk.searcher.predicate(owner, self._subscribed.type, self._subscribed.pairs)
        return await self._desk.offload.cpu(_matching, seen, predicate, self._desk.indexer)

    async def _seen(self, owner: Context, versions: Sequence[Stored]) -> list[Stored]:
        """What the owner could read now: nobody is told of more."""
        right = await self._desk.reading.right(owner, "search", self._subscribed.type)
        seen = await self._desk.reading.seen(right, versions)
        return list(await self._desk.reading.redaction.shown(owner, seen))

    async def _deliver(self, stored: Stored) -> None:
        sent = await notification(self._subscribed.channel, stored, self._desk.offload)
        for delay in (*self._desk.pace.delays, None):
            try:
                await self._desk.sender.send(sent)
            except Undelivered as error:
                if delay is None:
                    raise GivenUp(f"Given up after {len(self._desk.pace.delays) + 1} tries: {error}.") from None
                await asyncio.sleep(delay)
            else:
                return

    async def _keep(self, at: int) -> None:
        now = self._desk.now()
        if at > self._place.at and now - self._kept >= _KEEP_PLACE:
            self._place, self._kept = Place(self._place.version, at), now
            await keep_place(self._desk.records, self._id, self._place)


async def keep_place(records: Records, subscription_id: str, place: Place) -> None:
    await records.commit([Put(PLACES, subscription_id, msgspec.json.encode(place))])


def _matching(versions: Sequence[Stored], predicate: Predicate, indexer: Indexer) -> list[Stored]:
    if predicate == EVERYTHING:
        return list(versions)
    return [each for each in versions if matches(predicate, indexer.keys(reread(each.body), each.last_updated))]
