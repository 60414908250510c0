"""The checkpoints a journal keeps, looked through in their order. In years there are many, so of each only the frame is
held in memory and its content read again when it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from server.audit.chain import CHECKPOINTS, Kind, Place, parse_head, place_after
from server.audit.checkpoint import Checkpoint, SignedCheckpoint, Unsigned, is_of, parse
from server.audit.copying import witness_name
from server.audit.findings import FindingKind, Findings
from server.audit.following import Drops, Following
from storage.encryption.signing import SigningKeys
from storage.journal import Journal, Line


class Kept(NamedTuple):
    """A sound checkpoint and where it stands."""

    number: int
    time: int
    digest: str
    previous: str
    chain: str
    sequence: int

    @property
    def name(self) -> str:
        """Of its copy at a witness."""
        return witness_name(self.number, self.digest)


async def load(journal: Journal, keys: SigningKeys, findings: Findings, since: int | None = None) -> list[Kept]:
    """All sound ones, by their numbers; what is wrong with the others is told. `since`: from the last before a time."""
    kept: list[Kept] = []
    for chain in await journal.chains():
        if is_of(chain, CHECKPOINTS):
            place = Place() if since is None else await _before(journal, chain, since)
            async for line in Following(journal, keys, chain, place, findings, Drops()).until(None):
                kept += _sound(chain, line, keys, findings)
    kept.sort()
    for before, each in zip([None, *kept], kept, strict=False):
        if before is not None or since is None:
            _judge(before, each, findings)
    return kept


async def content(journal: Journal, keys: SigningKeys, kept: Kept) -> tuple[Checkpoint, SignedCheckpoint]:
    """`Unsigned` where it was changed since it was looked at."""
    for line in await journal.read(kept.chain, kept.sequence, 1):
        signed = SignedCheckpoint(kept.number, line.body or b"")
        return parse(signed.text, keys), signed
    raise Unsigned("it is gone")


def _sound(chain: str, line: Line, keys: SigningKeys, findings: Findings) -> Sequence[Kept]:
    head = parse_head(line.head)
    if head is None or head.kind != Kind.CHECKPOINT:
        return ()
    try:
        found = parse(line.body or b"", keys)
    except Unsigned as error:
        findings.add(FindingKind.UNSIGNED, chain, line.sequence, f"of this checkpoint, {error}")
        return ()
    digest = SignedCheckpoint(found.number, line.body or b"").digest
    return (Kept(found.number, found.time, digest, found.previous, chain, line.sequence),)


def _judge(before: Kept | None, each: Kept, findings: Findings) -> None:
    number, digest = (before.number, before.digest) if before is not None else (-1, "")
    if each.number != number + 1:
        text = f"checkpoint {each.number} does not follow checkpoint {number}"
        findings.add(FindingKind.MISSING, CHECKPOINTS, max(0, number + 1), text)
    elif each.previous != digest:
        text = "it names another checkpoint before it than the one that is there"
        findings.add(FindingKind.UNSIGNED, CHECKPOINTS, each.number, text)


async def _before(journal: Journal, chain: str, since: int) -> Place:
    """Where the last checkpoint before a time begins, found by halving."""
    last = await journal.last(chain)
    low, high = 0, last.sequence if last is not None else 0
    while low < high:
        middle = (low + high + 1) // 2
        lines = await journal.read(chain, middle, 1, bodies=False)
        head = parse_head(lines[0].head) if lines else None
        if head is not None and head.recorded <= since:
            low = middle
        else:
            high = middle - 1
    lines = await journal.read(chain, low - 1, 1, bodies=False) if low else []
    return place_after(lines[0] if lines else None)
