"""Follows one chain from entry to entry and tells where it does not hold."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from server.audit.chain import SEALED, Head, Kind, Place, is_body, is_linked, parse_head
from server.audit.findings import FindingKind, Findings
from server.audit.retention import Dropped
from server.audit.writer import IDLE, Started
from storage.encryption.signing import SigningKeys
from storage.journal import Journal, Line

_READ = 250


class Drops:
    """Bodies that are absent, and those of which an entry says why."""

    def __init__(self) -> None:
        self._absent: dict[str, list[int]] = {}
        self._told: dict[str, list[tuple[int, int]]] = {}

    @property
    def count(self) -> int:
        return sum(map(len, self._absent.values()))

    def miss(self, chain: str, sequence: int) -> None:
        self._absent.setdefault(chain, []).append(sequence)

    def tell(self, body: bytes) -> None:
        told = msgspec.json.decode(body, type=Dropped)
        self._told.setdefault(told.chain, []).extend(told.ranges)

    def elsewhere(self) -> Drops:
        """Collects reasons for these, and no other absent bodies."""
        other = Drops()
        other._told = self._told
        return other

    def untold(self) -> list[tuple[str, int]]:
        found = []
        for chain, numbers in self._absent.items():
            ranges = sorted(self._told.get(chain, ()))
            at = 0
            reached = -1
            for number in numbers:
                while at < len(ranges) and ranges[at][0] <= number:
                    reached = max(reached, ranges[at][1])
                    at += 1
                if number > reached:
                    found.append((chain, number))
        return found


class Following:
    """`place` is where to begin: the link before the first entry is taken as right."""

    def __init__(
        self, journal: Journal, keys: SigningKeys, chain: str, place: Place, findings: Findings, drops: Drops
    ) -> None:
        self.chain = chain
        self.next = place.size
        self.entries = self.events = 0
        self.last: Head | None = None
        self.newest = 0
        """When the youngest entry was written."""
        self._journal = journal
        self._keys = keys
        self.link: bytes | None = place.link
        """The link of the last entry; `None` where that is not to be relied on."""
        self._findings = findings
        self._drops = drops
        self._held: list[Line] = []
        self._at = 0
        self._is_at_end = False

    async def until(self, end: int | None) -> AsyncIterator[Line]:
        """The entries before number `end`, each looked at."""
        while True:
            if self._at == len(self._held):
                await self._read()
                if not self._held:
                    return
            while self._at < len(self._held):
                line = self._held[self._at]
                if end is not None and line.sequence >= end:
                    return
                self._at += 1
                self._look(line)
                yield line

    async def _read(self) -> None:
        start = max(self.next, self._held[-1].sequence + 1) if self._held else self.next
        self._held = await self._journal.read(self.chain, start, _READ)
        self._at = 0

    def _look(self, line: Line) -> None:
        self.entries += 1
        head = parse_head(line.head)
        if not self._is_in_place(line, head):
            return
        if head is None:
            self._add(FindingKind.CHANGED, line, "its head is unreadable")
            self.link = None
        else:
            self._check(line, head)
            self.link = head.link
        self.next = line.sequence + 1

    def _is_in_place(self, line: Line, head: Head | None) -> bool:
        if line.sequence < self.next or (head is not None and head.sequence != line.sequence):
            self._add(FindingKind.MOVED, line, "it does not stand in its place")
            if line.sequence >= self.next:
                self.link, self.next = None, line.sequence + 1
            return False
        if line.sequence > self.next:
            text = "taken out, or unreadable"
            self._findings.add(FindingKind.MISSING, self.chain, self.next, text, line.sequence - 1)
            self.link = None
        return True

    def _check(self, line: Line, head: Head) -> None:
        """After a gap the link is not known to be wrong; the gap is told already."""
        is_right = self.link is None or is_linked(self.chain, self.link, line.head, self._keys)
        if self._keys.find(head.key) is None:
            self._add(FindingKind.UNLINKED, line, "linked by a key that is not in the key file")
        elif not is_right:
            self._add(
                FindingKind.UNLINKED, line, "not linked to what is before it: changed, or written without the key"
            )
        if line.body is None:
            self._drops.miss(self.chain, line.sequence)
        elif not is_body(head, line.body):
            self._add(FindingKind.CHANGED, line, "its content was changed")
        elif is_right and self.link is not None:
            self._heed(line, head, line.body)
        self._listen(line, head)
        self.events += head.kind in SEALED
        self.last, self.newest = head, max(self.newest, head.recorded)

    def _heed(self, line: Line, head: Head, body: bytes) -> None:
        if head.kind == Kind.DROPPED:
            self._drops.tell(body)
        elif head.kind == Kind.STARTED:
            started = msgspec.json.decode(body, type=Started)
            if started.cut_octets:
                text = f"{started.cut_octets} bytes before it were half written and put aside, as after a crash"
                self._add(FindingKind.CRASH, line, text)

    def _listen(self, line: Line, head: Head) -> None:
        """A chain that is written says so at least every five minutes, and says when that ends."""
        before = self.last
        if before is None or before.kind == Kind.STOPPED:
            return
        seconds = (head.recorded - before.recorded) // 1_000_000
        if head.kind == Kind.STARTED:
            text = f"a start without a stop, {seconds} s after the entry before: the process had died"
            self._add(FindingKind.CRASH, line, text)
        elif head.kind != Kind.CHECKPOINT and seconds > 2 * IDLE // 1_000_000:
            self._add(FindingKind.SILENCE, line, f"nothing for {seconds} s before it, though no stop was told")

    def _add(self, kind: FindingKind, line: Line, text: str) -> None:
        self._findings.add(kind, self.chain, line.sequence, text)
