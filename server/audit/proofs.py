"""Proofs that need no journal: that an entry is in a signed checkpoint, that one checkpoint's tree begins another's.

Whoever has a proof and the public key can check it alone (RFC 6962 2.1.1, 2.1.2), and sees nothing of other entries.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from server.audit.chain import parse_head
from server.audit.checkpoint import Checkpoint, SignedCheckpoint, Unsigned, parse
from server.audit.findings import Findings
from server.audit.kept import content, load
from server.audit.merkle import consistency, inclusion, is_consistent, is_included, leaf
from server.audit.reading import parse_id
from storage.encryption.signing import SigningKeys
from storage.journal import Journal

_READ = 1000


class NoProof(ValueError):
    """Why there is none, in plain words."""


class Inclusion(msgspec.Struct, frozen=True):
    """An entry in the tree of a checkpoint."""

    entry: str
    """Its id."""
    head: str
    """Its head in hexadecimal: what the leaf is the hash of, together with the chain's name."""
    content: str
    """SHA-256 of its body as stored, which is also in the head."""
    index: int
    path: tuple[str, ...]
    checkpoint: str
    """The signed checkpoint, a line of JSON."""


class Consistency(msgspec.Struct, frozen=True):
    """The tree of one checkpoint as the beginning of a later one's."""

    path: tuple[str, ...]
    first: str
    second: str


class _Tree(NamedTuple):
    leaves: list[bytes]
    places: list[tuple[str, int]]
    """Chain and number of each leaf."""


async def prove_inclusion(journal: Journal, keys: SigningKeys, entry: str) -> Inclusion:
    """In the first checkpoint that has it; `NoProof` where there is none."""
    chain, number = parse_id(entry)
    tree = _Tree([], [])
    for each in await load(journal, keys, Findings()):
        checkpoint, signed = await content(journal, keys, each)
        await _grow(journal, tree, checkpoint)
        if _holds(checkpoint, chain, number):
            return await _inclusion(journal, tree, entry, signed)
    raise NoProof(f"{entry} is in no checkpoint: there is no such entry, or it is younger than the newest one")


async def _inclusion(journal: Journal, tree: _Tree, entry: str, signed: SignedCheckpoint) -> Inclusion:
    chain, number = parse_id(entry)
    lines = await journal.read(chain, number, 1)
    head = parse_head(lines[0].head) if lines else None
    if head is None or (chain, number) not in tree.places:
        raise NoProof(f"{entry} was signed, and is no longer there")
    index = tree.places.index((chain, number))
    path = tuple(each.hex() for each in inclusion(tree.leaves, index))
    return Inclusion(entry, lines[0].head.hex(), head.digest.hex(), index, path, signed.text.decode())


async def prove_consistency(journal: Journal, keys: SigningKeys, first: int, second: int) -> Consistency:
    """Between the checkpoints of these numbers."""
    kept = await load(journal, keys, Findings())
    found = {each.number: each for each in kept}
    if not first <= second or not {first, second} <= found.keys():
        raise NoProof("give the numbers of two checkpoints, the earlier one first")
    tree = _Tree([], [])
    for each in kept:
        if each.number <= second:
            await _grow(journal, tree, (await content(journal, keys, each))[0])
    older, newer = await content(journal, keys, found[first]), await content(journal, keys, found[second])
    path = tuple(each.hex() for each in consistency(tree.leaves, older[0].size))
    return Consistency(path, older[1].text.decode(), newer[1].text.decode())


def check_inclusion(proof: Inclusion, keys: SigningKeys) -> str:
    """Why the proof does not hold; empty where it does."""
    try:
        checkpoint = parse(proof.checkpoint.encode(), keys)
        head, path = bytes.fromhex(proof.head), [bytes.fromhex(each) for each in proof.path]
    except (Unsigned, ValueError) as error:
        return f"of its checkpoint or form: {error}"
    chain, number = parse_id(proof.entry)
    parsed = parse_head(head)
    if parsed is None or (parsed.sequence, parsed.digest.hex()) != (number, proof.content):
        return "its head is another entry's"
    hashed = leaf(chain, head)
    if not is_included(hashed, proof.index, checkpoint.size, path, bytes.fromhex(checkpoint.root)):
        return "the path does not lead to the signed root"
    return ""


def check_consistency(proof: Consistency, keys: SigningKeys) -> str:
    try:
        first, second = parse(proof.first.encode(), keys), parse(proof.second.encode(), keys)
        path = [bytes.fromhex(each) for each in proof.path]
    except (Unsigned, ValueError) as error:
        return f"of its checkpoints or form: {error}"
    roots = bytes.fromhex(first.root), bytes.fromhex(second.root)
    return "" if is_consistent(first.size, second.size, *roots, path) else "the earlier tree does not begin the later"


def _holds(checkpoint: Checkpoint, chain: str, number: int) -> bool:
    return any(each.chain == chain and each.first <= number < each.first + each.count for each in checkpoint.ranges)


async def _grow(journal: Journal, tree: _Tree, checkpoint: Checkpoint) -> None:
    """Add the leaves of a checkpoint in their order."""
    for each in checkpoint.ranges:
        start, end = each.first, each.first + each.count
        while start < end:
            lines = await journal.read(each.chain, start, min(_READ, end - start), bodies=False)
            for line in lines:
                if line.sequence < end:
                    tree.leaves.append(leaf(each.chain, line.head))
                    tree.places.append((each.chain, line.sequence))
            start = lines[-1].sequence + 1 if lines else end
