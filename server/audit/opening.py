"""Puts the parts of the audit trail together over an opened journal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from server.audit.chain import CHECKPOINTS, WRITES
from server.audit.checkpoints import Checkpointer
from server.audit.claims import claim_alone, claim_shared
from server.audit.copying import Copies, Copying, to_witness
from server.audit.reading import Reader
from server.audit.recorder import Recorder
from server.audit.retention import Retention
from server.audit.sealing import PASS, Sealing
from server.audit.upkeep import Upkeep
from server.audit.verify import Verifier
from server.audit.writer import Means, Writer
from server.kernel.clock import Clock
from server.kernel.supervision import Worker
from storage.encryption.signing import SigningKeys, open_signing_keys
from storage.errors import StorageError, StoreUnavailable
from storage.journal import Journal, OpenedJournal, Witness
from storage.ports import Records, Threads

_BEAT = 5.0

_log = logging.getLogger("weft.audit")


@dataclass(frozen=True, slots=True)
class AuditOptions:
    key_file: Path
    refuses: bool = True
    """Whether what cannot be recorded is refused."""
    retention_days: int = 2190
    flushes: bool = True
    """Whether every event reaches the disk before its act is answered."""


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit trail of one process."""

    journal: Journal
    keys: SigningKeys
    recorder: Recorder
    sealing: Sealing
    checkpointer: Checkpointer
    retention: Retention
    verifier: Verifier
    upkeep: Upkeep
    writers: Sequence[Writer] = field(repr=False)

    def workers(self) -> Mapping[str, Worker]:
        """What runs for as long as the server does; of several processes one seals, one makes checkpoints."""
        return {
            "audit-heartbeat": self._beat,
            "audit-sealing": self.sealing.run,
            "audit-checkpoints": self.checkpointer.run,
            "audit-upkeep": self.upkeep.run,
        }

    async def _beat(self) -> None:
        while True:
            try:
                await self.recorder.beat()
            except StoreUnavailable as error:
                _log.warning("the audit journal cannot be written: %s", error)
            await asyncio.sleep(_BEAT)

    async def close(self) -> None:
        """Seal what waits, end the chains, sign that they have ended."""
        try:
            while await self.sealing.seal() == PASS:
                pass
        except StorageError as error:
            _log.warning("events of writes wait for the next start to be sealed: %s", error)
        for writer in self.writers:
            await writer.close()
        await self.checkpointer.close()
        await self.journal.close()


async def open_audit(
    opened: OpenedJournal,
    records: Records,
    clock: Clock,
    threads: Threads,
    options: AuditOptions,
    witness: Witness | None = None,
    copies: Mapping[str, Copies] | None = None,
) -> Audit:
    """Nothing is claimed yet. `ValueError` where the key file is missing though something was signed with it."""
    journal, bodies = opened.journal, opened.bodies
    may_create = not await journal.chains()
    keys = await threads.io(partial(open_signing_keys, options.key_file, may_create=may_create))
    means = Means(bodies, keys, clock)
    log = Writer(partial(claim_shared, journal, keys), means)
    writes = Writer(partial(claim_alone, journal, keys, WRITES), means, is_alone=True)
    signing = Writer(partial(claim_alone, journal, keys, CHECKPOINTS), means, is_alone=True, is_silent=True)
    sealing = Sealing(journal, bodies, records, writes)
    places = dict(copies or {}) | ({"witness": to_witness(witness)} if witness is not None else {})
    recorder = Recorder(log, sealing, Reader(journal, bodies), refuses=options.refuses, flushes=options.flushes)
    retention = Retention(journal, records, log.add, clock, options.retention_days)
    verifier = Verifier(journal, keys, clock, witness)
    return Audit(
        journal=journal,
        keys=keys,
        recorder=recorder,
        sealing=sealing,
        checkpointer=Checkpointer(journal, signing, means, Copying(journal, keys, records, places), (log, writes)),
        retention=retention,
        verifier=verifier,
        upkeep=Upkeep(retention, verifier, recorder, sealing, clock),
        writers=(log, writes),
    )
