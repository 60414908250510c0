"""Copies of checkpoints in places away from the journal: each at least once and in order, however long one is gone."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeAlias

import msgspec

from server.audit.chain import CHECKPOINTS
from server.audit.checkpoint import Newest, SignedCheckpoint, is_of, sound
from storage.encryption.signing import SigningKeys
from storage.journal import Journal, Witness
from storage.ports import Put, Records

Copies: TypeAlias = Callable[[SignedCheckpoint], Awaitable[None]]
"""Takes a checkpoint to a place; when it raises, the same comes again."""

STATE, _ID = "audit-state", "copies"
_READ = 100
_NAME = re.compile(r"\d{7}/checkpoint-(\d{10})-[0-9a-f]{16}\.json")

_log = logging.getLogger("weft.audit")


class Copying:
    """What each place has got is kept among the records."""

    def __init__(self, journal: Journal, keys: SigningKeys, records: Records, places: Mapping[str, Copies]) -> None:
        self._journal = journal
        self._keys = keys
        self._records = records
        self._places = places
        self._next: dict[str, int] | None = None

    async def copy(self, newest: Newest | None) -> None:
        """Bring every place up to the newest checkpoint. What it does not take comes again with the next one."""
        if newest is None or not self._places:
            return
        if self._next is None:
            self._next = await self._kept()
        before = dict(self._next)
        for name, place in self._places.items():
            if self._next.get(name, 0) <= newest.checkpoint.number:
                await self._bring(name, place, newest)
        if self._next != before:
            await self._records.commit([Put(STATE, _ID, msgspec.json.encode(self._next))])

    async def _bring(self, name: str, place: Copies, newest: Newest) -> None:
        assert self._next is not None  # noqa: S101
        try:
            async for each in self._since(self._next.get(name, 0), newest):
                await place(each)
                self._next[name] = each.number + 1
        except Exception as error:  # a place's failure is its own, and no reason to make no checkpoints
            _log.warning("checkpoints of the audit journal cannot be copied to %s: %s", name, error)

    async def _since(self, number: int, newest: Newest) -> AsyncIterator[SignedCheckpoint]:
        """Usually it is only the newest; else they are read back."""
        if number < newest.checkpoint.number:
            for chain in await self._journal.chains():
                if is_of(chain, CHECKPOINTS):
                    async for each in self._read(chain):
                        if number <= each.number < newest.checkpoint.number:
                            yield each
        yield newest.signed

    async def _read(self, chain: str) -> AsyncIterator[SignedCheckpoint]:
        start = 0
        while lines := await self._journal.read(chain, start, _READ):
            for line in lines:
                for checkpoint in sound(line, self._keys):
                    yield SignedCheckpoint(checkpoint.number, line.body or b"")
            start = lines[-1].sequence + 1

    async def _kept(self) -> dict[str, int]:
        for record in await self._records.get(STATE, [_ID]):
            return msgspec.json.decode(record.body, type=dict[str, int])
        return {}


def to_witness(witness: Witness) -> Copies:
    """Each as a file of its own, named for its number and hash: no copy ever takes another's place."""

    async def copy(signed: SignedCheckpoint) -> None:
        await witness.put(witness_name(signed.number, signed.digest), signed.text)

    return copy


def witness_name(number: int, digest: str) -> str:
    return f"{number // 1000:07d}/checkpoint-{number:010d}-{digest[:16]}.json"


def witness_number(name: str) -> int:
    """The number of the checkpoint in a file of that name; -1 for a file of something else."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found is not None else -1
