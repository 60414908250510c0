"""Checkpoints: when they are due, what they sign, and that each reaches every place it is to be copied to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from server.audit.chain import Draft, Kind
from server.audit.checkpoint import SignedCheckpoint, Unsigned, newest, parse
from server.audit.opening import Audit
from server.audit.proofs import (
    NoProof,
    check_consistency,
    check_inclusion,
    prove_consistency,
    prove_inclusion,
)
from storage.encryption.signing import open_signing_keys, renew_signing_key
from storage.errors import StoreUnavailable
from storage.filesystem.journal import FolderJournal
from storage.journal import Line
from storage.ports import Threads
from tests.server.audit.trails import Desk, event, fill, told


class Place:
    """Where copies go; away now and then."""

    def __init__(self) -> None:
        self.is_away = False
        self.got: list[int] = []

    async def __call__(self, checkpoint: SignedCheckpoint) -> None:
        if self.is_away:
            raise StoreUnavailable("nobody answers")
        self.got.append(checkpoint.number)


class Noting(FolderJournal):
    """Notes which chains are read."""

    def __init__(self, root: Path, threads: Threads) -> None:
        super().__init__(root, threads)
        self.asked: list[str] = []

    async def read(self, chain: str, start: int, limit: int, *, bodies: bool = True) -> list[Line]:
        self.asked.append(chain)
        return await super().read(chain, start, limit, bodies=bodies)


def changed(text: bytes, **values: object) -> bytes:
    signed = msgspec.json.decode(text)
    return msgspec.json.encode({**signed, "checkpoint": {**signed["checkpoint"], **values}})


def test_a_checkpoint_is_due_after_a_minute(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await audit.recorder.record([event(1)])
        assert await audit.checkpointer.look() is None
        desk.time.move(seconds=59)
        assert await audit.checkpointer.look() is None
        desk.time.move(seconds=2)
        made = await audit.checkpointer.look()
        assert made is not None
        checkpoint = parse(made.text, audit.keys)
        assert (checkpoint.number, checkpoint.size, checkpoint.previous) == (0, 2, "")
        desk.time.move(seconds=200)
        assert await audit.checkpointer.look() is None
        await audit.close()

    desk.run(work())


def test_a_checkpoint_is_due_after_a_thousand_entries(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await audit.recorder.record([event(each) for each in range(1500)])
        assert await audit.checkpointer.look() is None, "a moment is left until all is surely on the disk"
        desk.time.move(seconds=1)
        made = await audit.checkpointer.look()
        assert made is not None
        assert parse(made.text, audit.keys).size == 1501
        await audit.close()

    desk.run(work())


def test_what_this_process_wrote_is_not_read_back(desk: Desk) -> None:
    async def work() -> None:
        journal = Noting(desk.folder / "journal", desk.threads)
        audit = await desk.open(journal)
        await audit.recorder.record([event(each) for each in range(1200)])
        desk.time.move(seconds=1)
        journal.asked.clear()
        made = await audit.checkpointer.make()
        assert made is not None
        checkpoint = parse(made.text, audit.keys)
        assert (checkpoint.size, [each.count for each in checkpoint.ranges]) == (1201, [1201])
        assert audit.writers[0].chain not in journal.asked
        assert (await audit.verifier.verify()).is_sound
        await audit.close()

    desk.run(work())


def test_each_checkpoint_names_the_one_before_across_processes(desk: Desk) -> None:
    async def work() -> None:
        for _ in range(2):
            audit = await desk.open()
            await fill(audit, desk.time, batches=2)
            await audit.close()
        found = await newest(audit.journal, audit.keys)
        assert found is not None
        assert found.checkpoint.number == 5
        report = await audit.verifier.verify()
        assert report.findings == ()
        assert report.checkpoints == 6

    desk.run(work())


def test_one_process_makes_the_checkpoints_of_all(desk: Desk) -> None:
    async def work() -> None:
        one, other = await desk.open(), await desk.open()
        await one.recorder.record([event(1)])
        await other.recorder.record([event(2)])
        desk.time.move(seconds=61)
        made = await one.checkpointer.look()
        assert made is not None
        assert set(parse(made.text, one.keys).chains) == {"log-1", "log-2"}
        assert await other.checkpointer.make() is None
        assert await other.checkpointer.newest() == made
        await one.close()
        await other.close()
        report = await other.verifier.verify()
        assert report.findings == ()
        assert report.unsigned == 0

    desk.run(work())


def test_a_checkpoint_is_nothing_without_its_signature(desk: Desk) -> None:
    async def work() -> tuple[Audit, bytes]:
        audit = await desk.open()
        await fill(audit, desk.time, batches=1)
        made = await audit.checkpointer.newest()
        assert made is not None
        await audit.close()
        return audit, made.text

    audit, text = desk.run(work())
    foreign = open_signing_keys(desk.folder / "other.key", may_create=True)
    assert parse(text, audit.keys).size == 11
    for wrong in (b"", b"{}", b"[1]", text[:-9], changed(text, size=12), changed(text, format="other"), b"\xff" * 50):
        with pytest.raises(Unsigned):
            parse(wrong, audit.keys)
    with pytest.raises(Unsigned, match="not in the key file"):
        parse(text, foreign)


def test_every_place_gets_every_checkpoint_however_long_it_is_away(desk: Desk) -> None:
    async def work() -> None:
        near, far = Place(), Place()
        place = replace(desk, copies={"near": near, "far": far})
        audit = await place.open()
        far.is_away = True
        await fill(audit, desk.time, batches=3)
        assert (near.got, far.got) == ([0, 1, 2], [])
        await audit.close()
        far.is_away = False
        audit = await place.open()
        await fill(audit, desk.time, batches=1)
        assert far.got == list(range(5))
        assert near.got == far.got
        await audit.close()
        assert (await audit.verifier.verify()).witnessed == len(near.got) == len(far.got)

    desk.run(work())


def test_keys_may_be_renewed(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await fill(audit, desk.time, batches=1)
        await audit.close()
        renew_signing_key(desk.folder / "audit.key")
        audit = await desk.open()
        await fill(audit, desk.time, batches=1)
        await audit.close()
        assert (await audit.verifier.verify()).findings == ()

    desk.run(work())


def test_a_journal_whose_key_is_gone_is_not_begun_anew(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await fill(audit, desk.time, batches=1)
        await audit.close()
        (desk.folder / "audit.key").unlink()
        with pytest.raises(ValueError, match="is missing"):
            await desk.open()

    desk.run(work())


def test_an_entry_is_proved_to_be_in_a_checkpoint(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await fill(audit, desk.time, batches=3, size=7)
        await audit.recorder.record([event(99)])
        for number in range(22):
            proof = await prove_inclusion(audit.journal, audit.keys, f"log-1-{number}")
            assert check_inclusion(proof, audit.keys) == ""
            assert check_inclusion(msgspec.structs.replace(proof, entry="log-1-50"), audit.keys)
            assert check_inclusion(msgspec.structs.replace(proof, entry=f"log-2-{number}"), audit.keys)
            assert check_inclusion(msgspec.structs.replace(proof, index=proof.index + 1), audit.keys)
            assert check_inclusion(msgspec.structs.replace(proof, path=("00" * 32, *proof.path[1:])), audit.keys)
            assert check_inclusion(msgspec.structs.replace(proof, head="zz"), audit.keys)
        for unknown in ("log-1-22", "log-9-1", "nothing", ""):
            with pytest.raises(NoProof):
                await prove_inclusion(audit.journal, audit.keys, unknown)
        await audit.close()

    desk.run(work())


def test_one_checkpoint_is_proved_to_begin_another(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await fill(audit, desk.time, batches=4, size=5)
        for first, second in ((0, 3), (1, 2), (0, 1), (2, 2)):
            proof = await prove_consistency(audit.journal, audit.keys, first, second)
            assert check_consistency(proof, audit.keys) == ""
        proof = await prove_consistency(audit.journal, audit.keys, 0, 3)
        other = await prove_consistency(audit.journal, audit.keys, 1, 3)
        assert check_consistency(msgspec.structs.replace(proof, first=other.first), audit.keys)
        assert check_consistency(msgspec.structs.replace(proof, path=other.path), audit.keys)
        for wrong in ((3, 0), (0, 9), (-1, 2)):
            with pytest.raises(NoProof):
                await prove_consistency(audit.journal, audit.keys, *wrong)
        await audit.close()

    desk.run(work())


def test_a_range_ends_where_it_is_asked_to(desk: Desk) -> None:
    async def work() -> tuple[int, int, int]:
        audit = await desk.open()
        await fill(audit, desk.time, batches=3)
        middle = desk.time.now()
        desk.time.move(minutes=1)
        await fill(audit, desk.time, batches=2)
        verify = audit.verifier.verify
        before, after, everything = await verify(until=middle), await verify(since=middle), await verify()
        await audit.close()
        assert told(before) == told(after) == []
        return before.events, after.events, everything.events

    before, after, everything = desk.run(work())
    assert (before, after, everything) == (40, 20, 50)


def test_the_writer_writes_nothing_for_nothing(desk: Desk) -> None:
    async def work(drafts: Sequence[Draft]) -> int:
        audit = await desk.open()
        await audit.writers[0].add(drafts)
        await audit.writers[0].add([])
        await audit.close()
        return len(await audit.journal.read("log-1", 0, 9))

    assert desk.run(work([Draft(Kind.HEARTBEAT, b"")])) == 3
