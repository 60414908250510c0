"""Verifies the audit trail: every link and content, every checkpoint against the entries it signed, and the witness.

A range of time is widened to the checkpoints around it, because a signed one is a sound place to begin and to end.
What no check inside the journal can find is an end that was cut off together with all checkpoints over it: that is
what the witness is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from server.audit.chain import CHECKPOINTS, Kind, Place, parse_head
from server.audit.checkpoint import Checkpoint, SignedCheckpoint, Unsigned, is_of, parse
from server.audit.copying import witness_name, witness_number
from server.audit.findings import FindingKind, Findings, Report
from server.audit.following import Drops, Following
from server.audit.kept import Kept, content, load
from server.audit.merkle import Frontier, leaf
from server.audit.writer import IDLE
from server.kernel.clock import Clock, micros
from storage.encryption.signing import SigningKeys
from storage.errors import NotFound
from storage.journal import Journal, Witness

_LAG = 2_000_000
_COVERED_WITHIN = 600_000_000
"""Microseconds after which an entry must be in a checkpoint, while the journal goes on."""


class Verifier:
    def __init__(self, journal: Journal, keys: SigningKeys, clock: Clock, witness: Witness | None) -> None:
        self._journal = journal
        self._keys = keys
        self._clock = clock
        self._witness = witness

    async def verify(self, since: datetime | None = None, until: datetime | None = None) -> Report:
        """Everything, or what was recorded in that time."""
        run = _Run(self._journal, self._keys)
        # Asked first: what is signed meanwhile must not seem to be missing here.
        copies = await self._witness.names() if self._witness is not None else []
        kept = await load(self._journal, self._keys, run.findings, _micros(since) if since is not None else None)
        first = _last_before(kept, since)
        end = _first_after(kept, until)
        await run.follow(kept[first - 1] if first else None, kept[first:end])
        if end == len(kept):
            await run.finish(micros(self._clock))
        await run.reasons()
        witnessed = -1
        if self._witness is not None:
            # Of a range, those before its first checkpoint were not looked for here.
            begin = kept[0].number if since is not None and kept else 0
            names = {name: number for name in copies if (number := witness_number(name)) >= begin}
            witnessed = await _compare(self._witness, names, self._keys, kept, run.findings)
        return run.report(len(kept[first:end]), witnessed)


class _Run:
    """One verification."""

    def __init__(self, journal: Journal, keys: SigningKeys) -> None:
        self.findings = Findings()
        self._drops = Drops()
        self._journal = journal
        self._keys = keys
        self._chains: dict[str, Following] = {}
        self._base = Checkpoint(-1, 0, 0, "", (), {}, (), "")
        self._unsigned = 0

    async def follow(self, before: Kept | None, wanted: Sequence[Kept]) -> None:
        """The entries that the wanted checkpoints signed; the one before them is relied on."""
        if before is not None:
            self._base, _ = await content(self._journal, self._keys, before)
        newest = self._base
        frontier = newest.frontier()
        for each in wanted:
            checkpoint, _ = await content(self._journal, self._keys, each)
            await self._grow(frontier, checkpoint)
            is_next = checkpoint.number == newest.number + 1
            if is_next and (frontier.size, frontier.root().hex()) != (checkpoint.size, checkpoint.root):
                text = "the entries it signed are not those that are there"
                self.findings.add(FindingKind.UNSIGNED, CHECKPOINTS, checkpoint.number, text)
            # What was signed is right, so that the next one is judged for itself.
            frontier, newest = checkpoint.frontier(), checkpoint
        self._short(newest)

    async def _grow(self, frontier: Frontier, checkpoint: Checkpoint) -> None:
        for chain, first, count in ((each.chain, each.first, each.count) for each in checkpoint.ranges):
            following = self._following(chain)
            async for _ in following.until(first):
                continue
            async for line in following.until(first + count):
                frontier.add(leaf(chain, line.head))

    def _following(self, chain: str) -> Following:
        found = self._chains.get(chain)
        if found is None:
            place = self._base.place(chain)
            found = Following(self._journal, self._keys, chain, place, self.findings, self._drops)
            self._chains[chain] = found
        return found

    def _short(self, newest: Checkpoint) -> None:
        """Chains that end before what was signed of them."""
        for chain, reached in newest.chains.items():
            begun = self._following(chain).next
            if begun < reached.count:
                text = f"its end is cut off: checkpoint {newest.number} signed {reached.count} entries of it"
                self.findings.add(FindingKind.CUT, chain, begun, text, reached.count - 1)

    async def finish(self, now: int) -> None:
        """What no checkpoint covers yet; and how the chains end."""
        uncovered: dict[str, tuple[int, int]] = {}
        for chain in await self._journal.chains():
            if is_of(chain, CHECKPOINTS):
                continue
            following = self._following(chain)
            async for line in following.until(None):
                head = parse_head(line.head)
                self._unsigned += 1
                if chain not in uncovered and head is not None:
                    uncovered[chain] = line.sequence, head.recorded
            self._ended(following, now)
        youngest = max((each.newest for each in self._chains.values()), default=0)
        for chain, (sequence, recorded) in uncovered.items():
            if youngest - recorded > _COVERED_WITHIN:
                text = "from here on no checkpoint covers it, though it is time: checkpoints are missing"
                self.findings.add(FindingKind.UNSIGNED, chain, sequence, text)

    def _ended(self, following: Following, now: int) -> None:
        last = following.last
        if last is not None and last.kind != Kind.STOPPED and now - last.recorded > 2 * IDLE:
            text = "it ends here without a stop: the process died, or what followed was cut off"
            self.findings.add(FindingKind.CRASH, following.chain, last.sequence, text)

    async def reasons(self) -> None:
        """Of every absent content some entry, then or later, says why; what was not read yet is searched for it."""
        if self._drops.untold():
            for chain in await self._journal.chains():
                if not is_of(chain, CHECKPOINTS):
                    await self._search(chain)
        for chain, sequence in self._drops.untold():
            text = "its content was taken away, and no entry says why"
            self.findings.add(FindingKind.ABSENT, chain, sequence, text)

    async def _search(self, chain: str) -> None:
        """Only for reasons: whatever else is found there belongs to another range."""
        begun = self._following(chain)
        place = Place(begun.next)
        rest = Following(self._journal, self._keys, chain, place, Findings(), self._drops.elsewhere())
        rest.link = begun.link
        async for _ in rest.until(None):
            continue

    def report(self, checkpoints: int, witnessed: int) -> Report:
        chains = self._chains.values()
        return Report(
            entries=sum(each.entries for each in chains),
            events=sum(each.events for each in chains),
            dropped=self._drops.count - len(self._drops.untold()),
            checkpoints=checkpoints,
            unsigned=self._unsigned,
            witnessed=witnessed,
            findings=self.findings.all(),
        )


def _last_before(kept: Sequence[Kept], since: datetime | None) -> int:
    """How many checkpoints lie before a time."""
    if since is None:
        return 0
    return sum(each.time <= _micros(since) for each in kept)


def _first_after(kept: Sequence[Kept], until: datetime | None) -> int:
    """Up to which checkpoint to go so that a time is covered."""
    if until is None:
        return len(kept)
    later = (index for index, each in enumerate(kept) if each.time >= _micros(until) + _LAG)
    return next(later, len(kept) - 1) + 1


def _micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


async def _compare(
    witness: Witness, names: Mapping[str, int], keys: SigningKeys, kept: Sequence[Kept], findings: Findings
) -> int:
    """The witness's copies bear the hash in their names, so the names tell; the newest one is read as well."""
    ours = {each.name for each in kept}
    newest = kept[-1].number if kept else -1
    for name, number in sorted(names.items()):
        if number > newest:
            findings.add(FindingKind.CUT, CHECKPOINTS, number, "the witness has it, and here it is gone")
        elif name not in ours:
            findings.add(FindingKind.WITNESS, CHECKPOINTS, number, "the witness has another one of this number")
    for each in kept:
        if each.name not in names:
            findings.add(FindingKind.UNCOPIED, CHECKPOINTS, each.number, "the witness has no copy of it")
    await _read_newest(witness, keys, names, findings)
    return len(names)


async def _read_newest(witness: Witness, keys: SigningKeys, names: Mapping[str, int], findings: Findings) -> None:
    name = max(names, key=lambda each: names[each], default=None)
    if name is None:
        return
    try:
        text = await witness.get(name)
        checkpoint = parse(text, keys)
    except (Unsigned, NotFound) as error:
        findings.add(FindingKind.WITNESS, CHECKPOINTS, names[name], f"of the witness's copy, {error}")
        return
    if witness_name(checkpoint.number, SignedCheckpoint(checkpoint.number, text).digest) != name:
        findings.add(FindingKind.WITNESS, CHECKPOINTS, names[name], "the witness's copy is not what its name says")
