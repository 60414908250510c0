"""One chain of entries: each is linked to the one before by a keyed hash over the stored bytes.

A line's head says: version and kind (1 byte each), id of the key (4), number (8), time in microseconds (8), SHA-256 of
the body as stored (32), link (32). The link is HMAC-SHA256 over the chain's name, the link before and all of the
head that precedes it, so nothing can be changed, taken out, moved or put in without the key. A body may be dropped and
its chain still be verified, because only its hash is linked.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from storage.encryption.signing import SigningKey, SigningKeys
from storage.journal import Bodies, Line

VERSION = 1
FIRST = bytes(32)
"""The link before the first."""
LOG, WRITES, CHECKPOINTS = "log", "writes", "checkpoints"
"""Chains are named for what is in them: `log-1`, `log-2`, … what was disclosed or tried, one for each process;
`writes` what was written together with records; `checkpoints` the signed checkpoints over all others."""

_LINKED = struct.Struct(">BB4sQq32s")
_RECORDED, _DIGEST = 14, 22
"""Where in a head these begin."""
_LINK = 32


class Kind(IntEnum):
    EVENT = 1
    """An event."""
    WRITTEN = 2
    """An event of a write, with the id it waited under."""
    STARTED = 3
    HEARTBEAT = 4
    STOPPED = 5
    DROPPED = 6
    """Which bodies were dropped, and why."""
    CHECKPOINT = 7


SEALED = frozenset({Kind.EVENT, Kind.WRITTEN})
"""Kinds with patient data: their bodies are sealed. Verification needs those of all others."""


class Draft(NamedTuple):
    """An entry that has no place yet."""

    kind: Kind
    body: bytes


class Head(NamedTuple):
    version: int
    kind: int
    key: bytes
    sequence: int
    recorded: int
    """Microseconds since 1970 UTC: when it was written to the chain."""
    digest: bytes
    link: bytes


class Place(NamedTuple):
    """How far a chain goes."""

    size: int = 0
    """How many entries."""
    link: bytes = FIRST


def parse_head(head: bytes) -> Head | None:
    """`None` for what is no head of this version."""
    if len(head) != _LINKED.size + _LINK or head[0] != VERSION:
        return None
    return Head._make((*_LINKED.unpack_from(head), head[_LINKED.size :]))


def recorded_of(head: bytes) -> int:
    """When an entry was written, of a head that is known to be one."""
    return int.from_bytes(head[_RECORDED:_DIGEST], "big", signed=True)


def link_of(head: bytes) -> bytes:
    return head[-_LINK:]


def bound(chain: str, sequence: int) -> bytes:
    """What a sealed body is bound to."""
    return b"%s\0%d" % (chain.encode(), sequence)


def extend(
    chain: str, place: Place, drafts: Sequence[Draft], key: SigningKey, bodies: Bodies, now: int
) -> tuple[list[Line], Place]:
    """The lines that continue a chain, and how far it goes with them."""
    name = b"%s\0" % chain.encode()
    pack, key_id, sha256 = _LINKED.pack, key.id, hashlib.sha256
    count, link = place
    lines = []
    for kind, body in drafts:
        if kind in SEALED:
            body = bodies.seal(body, b"%s%d" % (name, count))
        linked = pack(VERSION, kind, key_id, count, now, sha256(body).digest())
        link = key.link(name + link + linked)
        lines.append(Line(count, linked + link, body))
        count += 1
    return lines, Place(count, link)


def is_linked(chain: str, before: bytes, head: bytes, keys: SigningKeys) -> bool:
    """Whether a head follows the link before it, by a key that is at hand."""
    key = keys.find(head[2:6])
    if key is None:
        return False
    linked = b"%s\0%s%s" % (chain.encode(), before, head[: _LINKED.size])
    return hmac.compare_digest(key.link(linked), head[_LINKED.size :])


def is_body(head: Head, body: bytes) -> bool:
    """Whether a stored body is the one that was linked."""
    return hashlib.sha256(body).digest() == head.digest


def place_after(line: Line | None) -> Place:
    """How far a chain goes whose last line this is."""
    head = parse_head(line.head) if line is not None else None
    return Place(head.sequence + 1, head.link) if head is not None else Place()
