"""Which chain a process writes: the first that is free and sound. One that was tampered with is left as it is found."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from server.audit.chain import CHECKPOINTS, LOG, Place, is_linked, parse_head, place_after
from server.audit.checkpoint import end_fault, is_of, newest
from storage.encryption.signing import SigningKeys
from storage.journal import Appender, Journal

_MOST_CHAINS = 10_000

_log = logging.getLogger("weft.audit")


@dataclass(frozen=True, slots=True)
class Claim:
    """The chain claimed; and the claim on the role, where only one process at a time may have it."""

    appender: Appender
    place: Place
    role: Appender | None

    async def renew(self) -> None:
        await self.appender.renew()
        if self.role is not None:
            await self.role.renew()

    async def release(self) -> None:
        try:
            await self.appender.release()
        finally:
            if self.role is not None:
                await self.role.release()


async def claim_shared(journal: Journal, keys: SigningKeys) -> Claim:
    """A log chain of this process's own."""
    for chain in _names(LOG):
        appender = await journal.claim(chain)
        if appender is not None:
            claim = await _sound(journal, keys, appender, None)
            if claim is not None:
                return claim
    raise RuntimeError("the audit journal has no free chain")


async def claim_alone(journal: Journal, keys: SigningKeys, role: str) -> Claim | None:
    """The chain of a role that one process at a time has; `None` while another has it."""
    first = await journal.claim(role)
    if first is None:
        return None
    try:
        for chain in (role, *_names(role)):
            appender = first if chain == role else await journal.claim(chain)
            claim = await _sound(journal, keys, appender, first) if appender is not None else None
            if claim is not None:
                return claim
    except BaseException:
        await first.release()
        raise
    raise RuntimeError("the audit journal has no sound chain")


def _names(role: str) -> Iterator[str]:
    return (f"{role}-{number}" for number in range(1, _MOST_CHAINS))


async def _sound(journal: Journal, keys: SigningKeys, appender: Appender, role: Appender | None) -> Claim | None:
    """A claim on the chain, unless it cannot be gone on with; then it is released, if it is not the role's own."""
    try:
        fault = appender.damage or await _fault(journal, keys, appender)
    except BaseException:
        if role is not appender:
            await appender.release()
        raise
    if not fault:
        return Claim(appender, place_after(appender.last), None if role is appender else role)
    _log.error("audit chain %s is left as it is and not gone on with: %s", appender.chain, fault)
    if role is not appender:
        await appender.release()
    return None


async def _fault(journal: Journal, keys: SigningKeys, appender: Appender) -> str:
    """What speaks against the end of a chain, as far as its last entries and the newest checkpoint tell."""
    chain, place = appender.chain, place_after(appender.last)
    if is_of(chain, CHECKPOINTS):
        return await end_fault(journal, chain, keys)
    latest = await newest(journal, keys)
    signed = latest.checkpoint.place(chain) if latest is not None else Place()
    if signed.size > place.size or (signed.size == place.size and signed.link != place.link):
        return f"its end is not the one that was signed: {signed.size} entries"
    return await _link_fault(journal, keys, chain, place)


async def _link_fault(journal: Journal, keys: SigningKeys, chain: str, place: Place) -> str:
    lines = await journal.read(chain, max(0, place.size - 2), 2, bodies=False)
    heads = [parse_head(line.head) for line in lines]
    before = heads[-2].link if len(heads) == 2 and heads[-2] is not None else Place().link
    if lines and not is_linked(chain, before, lines[-1].head, keys):
        return "its last entry is not linked to the one before it"
    return ""
