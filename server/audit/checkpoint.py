"""A signed checkpoint: one Merkle root over the entries of all chains up to a moment, and the checkpoint before it.

It is one line of JSON that stands alone: with the public key anybody can check it, wherever a copy lies. Each names its
predecessor's hash, so the newest one vouches for all.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

import msgspec

from server.audit.chain import CHECKPOINTS, Kind, Place, parse_head
from server.audit.merkle import Frontier
from storage.encryption.signing import SigningKey, SigningKeys, is_signed
from storage.journal import Journal, Line

_FORMAT = "weft audit checkpoint 1"
_LOOK_BACK = 64


class Range(msgspec.Struct, frozen=True, array_like=True):
    """Entries that follow each other in a chain, as they were added to the tree."""

    chain: str
    first: int
    count: int


class Reached(msgspec.Struct, frozen=True, array_like=True):
    """How far a chain is in the tree: how many entries, and the link of the last in hexadecimal."""

    count: int
    link: str

    @property
    def place(self) -> Place:
        return Place(self.count, bytes.fromhex(self.link))


class Checkpoint(msgspec.Struct, frozen=True):
    number: int
    """From 0."""
    time: int
    """Microseconds since 1970 UTC."""
    size: int
    """Entries in the tree."""
    root: str
    ranges: tuple[Range, ...]
    """What was added since the checkpoint before, in the order of the leaves."""
    chains: Mapping[str, Reached]
    """All chains as far as they are in the tree."""
    subtrees: tuple[str, ...]
    """Roots of the full subtrees, the largest first: what the next checkpoint goes on from."""
    previous: str
    """SHA-256 of the text of the checkpoint before; empty in the first."""
    format: str = _FORMAT

    def frontier(self) -> Frontier:
        return Frontier(self.size, map(bytes.fromhex, self.subtrees))

    def place(self, chain: str) -> Place:
        reached = self.chains.get(chain)
        return reached.place if reached is not None else Place()


class SignedCheckpoint(NamedTuple):
    """A checkpoint as it is kept and copied."""

    number: int
    text: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text).hexdigest()


class _Signed(msgspec.Struct, frozen=True):
    checkpoint: msgspec.Raw
    """The signature is over these very bytes."""
    key: str
    """The raw public key in hexadecimal."""
    signature: str


class Unsigned(ValueError):
    """Not a checkpoint, or not signed by a key at hand; the text says which."""


def sign(checkpoint: Checkpoint, key: SigningKey) -> SignedCheckpoint:
    content = msgspec.json.encode(checkpoint)
    signature = base64.b64encode(key.sign(content)).decode()
    signed = _Signed(msgspec.Raw(content), key.public.hex(), signature)
    return SignedCheckpoint(checkpoint.number, msgspec.json.encode(signed))


def parse(text: bytes, keys: SigningKeys) -> Checkpoint:
    """What was signed, or `Unsigned`."""
    try:
        signed = msgspec.json.decode(text, type=_Signed)
        public, signature = bytes.fromhex(signed.key), base64.b64decode(signed.signature, validate=True)
        checkpoint = msgspec.json.decode(signed.checkpoint, type=Checkpoint)
    except (msgspec.MsgspecError, ValueError, binascii.Error) as error:
        raise Unsigned("it is not in the form of a checkpoint") from error
    key = keys.find(hashlib.sha256(public).digest()[:4])
    if key is None or key.public != public:
        raise Unsigned("it is signed by a key that is not in the key file")
    if checkpoint.format != _FORMAT or not is_signed(public, bytes(signed.checkpoint), signature):
        raise Unsigned("its signature is wrong: it was changed, or made without the key")
    return checkpoint


class Newest(NamedTuple):
    """The newest sound checkpoint, and as it is kept."""

    checkpoint: Checkpoint
    signed: SignedCheckpoint


async def newest(journal: Journal, keys: SigningKeys) -> Newest | None:
    """The sound checkpoint with the greatest number; what was tampered with after it is passed over."""
    found: list[Newest] = []
    for chain in await journal.chains():
        if is_of(chain, CHECKPOINTS):
            found += await _last_sound(journal, chain, keys)
    return max(found, key=lambda each: each.checkpoint.number, default=None)


async def _last_sound(journal: Journal, chain: str, keys: SigningKeys) -> list[Newest]:
    last = await journal.last(chain)
    end = last.sequence + 1 if last is not None else 0
    while end > 0:
        start = max(0, end - _LOOK_BACK)
        for line in reversed(await journal.read(chain, start, end - start)):
            for checkpoint in sound(line, keys):
                return [Newest(checkpoint, SignedCheckpoint(checkpoint.number, line.body or b""))]
        end = start
    return []


async def end_fault(journal: Journal, chain: str, keys: SigningKeys) -> str:
    """What speaks against the last line of a chain of checkpoints."""
    last = await journal.last(chain)
    for line in await journal.read(chain, last.sequence, 1) if last is not None else ():
        head = parse_head(line.head)
        if head is None or (head.kind == Kind.CHECKPOINT and not list(sound(line, keys))):
            return "its last checkpoint was changed, or made without the key"
    return ""


def sound(line: Line, keys: SigningKeys) -> Iterator[Checkpoint]:
    """The checkpoint in a line, if there is one and it is signed."""
    with suppress(Unsigned):
        yield parse(line.body or b"", keys)


def is_of(chain: str, role: str) -> bool:
    """Whether a chain has this role: the first one bears its name, those after it a number as well."""
    return chain == role or chain.startswith(f"{role}-")
