"""Events read back from all chains, each exactly once, by whoever keeps a position."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from server.audit.chain import CHECKPOINTS, Head, Kind, bound, parse_head
from server.audit.checkpoint import is_of
from server.audit.event import Event
from server.audit.pending import decode, taken_event
from storage.errors import Damaged
from storage.journal import Bodies, Journal, Line

_log = logging.getLogger("weft.audit")


class Recorded(NamedTuple):
    """An event under its name for ever: chain and number in it, which is a valid FHIR id."""

    id: str
    event: Event


class Page(NamedTuple):
    events: list[Recorded]
    position: str
    """Where the next page begins."""
    has_more: bool


class _Found(NamedTuple):
    chain: str
    line: Line
    head: Head


class Reader:
    def __init__(self, journal: Journal, bodies: Bodies) -> None:
        self._journal = journal
        self._bodies = bodies

    async def events(self, after: str, limit: int) -> Page:
        """At most so many entries from a position on; those of each chain in order, all roughly by time.

        What was dropped, or cannot be read, is passed over: to find such is for verification.
        """
        position = _parse_position(after)
        chains = [chain for chain in await self._journal.chains() if not is_of(chain, CHECKPOINTS)]
        each = max(1, -(-limit // max(1, len(chains))))
        found: list[_Found] = []
        has_more = False
        for chain in chains:
            lines = await self._journal.read(chain, position.get(chain, 0), each)
            has_more = has_more or len(lines) == each
            if lines:
                position[chain] = max(line.sequence for line in lines) + 1
            found += _heads(chain, lines)
        found.sort(key=lambda one: one.head.recorded)
        events = [recorded for one in found for recorded in self._opened(one)]
        return Page(events, msgspec.json.encode(position).decode(), has_more)

    async def event(self, recorded_id: str) -> Event | None:
        """The event of this id; `None` where there is none, or its content was dropped."""
        found = await self.line(recorded_id)
        for recorded in self._opened(found) if found is not None else ():
            return recorded.event
        return None

    async def line(self, recorded_id: str) -> _Found | None:
        chain, sequence = parse_id(recorded_id)
        if sequence < 0 or chain not in await self._journal.chains():
            return None
        for found in _heads(chain, await self._journal.read(chain, sequence, 1)):
            return found if found.line.sequence == sequence else None
        return None

    def _opened(self, found: _Found) -> Iterator[Recorded]:
        chain, line, head = found
        if line.body is None or head.kind not in (Kind.EVENT, Kind.WRITTEN):
            return
        try:
            body = self._bodies.open(line.body, bound(chain, line.sequence))
        except Damaged:
            _log.error("audit entry %s-%d cannot be opened: run `weft audit verify`", chain, line.sequence)
            return
        yield Recorded(f"{chain}-{line.sequence}", taken_event(body) if head.kind == Kind.WRITTEN else decode(body))


def parse_id(recorded_id: str) -> tuple[str, int]:
    """Chain and number; the number is -1 where it is no id."""
    chain, _, number = recorded_id.rpartition("-")
    return chain, int(number) if number.isascii() and number.isdecimal() and len(number) < 17 else -1


def _heads(chain: str, lines: list[Line]) -> Iterator[_Found]:
    for line in lines:
        head = parse_head(line.head)
        if head is not None:
            yield _Found(chain, line, head)


def _parse_position(text: str) -> dict[str, int]:
    """`ValueError` for what no page has given."""
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, int])
    except msgspec.MsgspecError:
        raise ValueError("not a position in the audit journal") from None
