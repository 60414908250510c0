"""When manifests are dealt with: after a moment of quiet, before waiting too long, by one process at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from server.bridge.manifest_announcing import OUTBOX
from server.bridge.manifest_together import ManifestsTogether
from server.bridge.manifest_worker import LEASE, LONGEST_PAUSE, LONGEST_WAIT, QUIET, ManifestWorker
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identifier, PatientIdentity
from server.xds.errors import RegistryError
from server.xds.metadata import Submission
from storage.ports import Bytes, Put
from storage.query import EVERYTHING
from storage.sqlite.records import SqliteRecords
from tests.contract.manifest_world import ManifestWorld
from tests.data.small_files import instance_file

STUDY = "1.2.3"


def run(folder: Path, body: Callable[[ManifestWorld], Coroutine[Any, Any, None]]) -> None:
    async def all_of_it() -> None:
        offload = Offload()
        world = ManifestWorld(SqliteRecords(folder / "weft.sqlite", offload), folder, offload)
        try:
            await world.prepare()
            await world.store(instance_file())
            await body(world)
        finally:
            await world.records.close()
            offload.close()

    asyncio.run(all_of_it())


async def published(world: ManifestWorld) -> int:
    return len(await world.entries(STUDY))


async def waiting(world: ManifestWorld) -> int:
    return await world.records.count(OUTBOX, EVERYTHING, at_most=10)


def test_a_study_is_left_until_it_is_quiet(tmp_path: Path) -> None:
    async def body(world: ManifestWorld) -> None:
        await world.publisher.look()
        assert await published(world) == 0
        world.clock.moment += QUIET
        await world.publisher.look()
        assert (await published(world), await waiting(world)) == (1, 0)

    run(tmp_path, body)


def test_a_study_that_never_rests_is_published_in_the_end(tmp_path: Path) -> None:
    async def body(world: ManifestWorld) -> None:
        began = world.clock.moment
        while world.clock.moment < began + LONGEST_WAIT + QUIET:
            await world.records.commit([Put(OUTBOX, STUDY, b"-")])
            await world.publisher.look()
            world.clock.moment += QUIET / 2
        assert await published(world) == 1

    run(tmp_path, body)


def test_a_lease_keeps_others_away_until_it_ends(tmp_path: Path) -> None:
    async def body(world: ManifestWorld) -> None:
        lease = f"{(world.clock.moment + LEASE).timestamp():.3f}".encode()
        await world.records.commit([Put(OUTBOX, STUDY, lease)])
        await world.publisher.look()
        world.clock.moment += LEASE / 2
        await world.publisher.look()
        assert await world.publisher.drain() == 0
        assert (await published(world), await waiting(world)) == (0, 1)
        world.clock.moment += LEASE
        await world.publisher.look()
        assert (await published(world), await waiting(world)) == (1, 0)

    run(tmp_path, body)


def test_what_is_announced_meanwhile_is_not_lost(tmp_path: Path) -> None:
    async def body(world: ManifestWorld) -> None:
        manifests = replace(world.manifests, repository=_Growing(world))
        await ManifestWorker(world.records, manifests, world.clock).drain()
        (entry,) = await world.entries(STUDY)
        assert (await world.manifest(entry)).count == 2
        assert await waiting(world) == 0

    run(tmp_path, body)


@pytest.mark.parametrize("failure", [Problem(Kind.BUSY, "not now"), RuntimeError("ours")])
def test_a_failure_is_tried_again_after_pauses_that_grow(tmp_path: Path, failure: Exception) -> None:
    async def body(world: ManifestWorld) -> None:
        failing = _Failing(failure)
        worker = ManifestWorker(world.records, replace(world.manifests, repository=failing), world.clock)
        for _ in range(3600):
            world.clock.moment += QUIET
            await worker.look()
        if isinstance(failure, Problem):
            assert 8 <= failing.count <= 20
            await ManifestWorker(world.records, world.manifests, world.clock).look()
            world.clock.moment += 2 * LONGEST_PAUSE
            await world.publisher.look()
            world.clock.moment += QUIET
            await world.publisher.look()
            assert (await published(world), await waiting(world)) == (1, 0)
        else:
            assert (failing.count, await waiting(world)) == (5, 0)

    run(tmp_path, body)


def test_studies_that_wait_for_another_try_hold_up_no_other(tmp_path: Path) -> None:
    async def body(world: ManifestWorld) -> None:
        lease = f"{(world.clock.moment + LEASE).timestamp():.3f}".encode()
        await world.records.commit([Put(OUTBOX, f"1.2.2.{n}", lease) for n in range(501)])
        await world.publisher.look()
        world.clock.moment += QUIET
        await world.publisher.look()
        assert await published(world) == 1

    run(tmp_path, body)


def test_failures_count_no_longer_once_the_study_was_published_with_others(tmp_path: Path) -> None:
    async def body(world: ManifestWorld) -> None:
        failing = _Failing(RuntimeError("ours"))
        manifests = replace(world.manifests, identities=failing)
        together = ManifestsTogether(world.manifests, world.together, world.index)
        worker = ManifestWorker(world.records, manifests, world.clock, together)
        for number in range(2, 5):
            for _ in range(4):
                await worker.drain()
                world.clock.moment += LONGEST_PAUSE
            await world.store(instance_file("1.2.9", "1.2.9.1", f"1.2.9.1.{number}"))
            await world.bridge.drain()
            assert (await worker.drain(), await waiting(world)) == (2, 0)
            await world.store(instance_file(uid=f"1.2.3.1.{number}"))
            await world.bridge.drain()
        assert failing.count == 12

    run(tmp_path, body)


@dataclass
class _Failing:
    failure: Exception
    count: int = 0

    async def provide_bytes(
        self, context: Context, submission: Submission, documents: Mapping[str, Bytes], *, act: str = "ITI-41"
    ) -> tuple[RegistryError, ...]:
        self.count += 1
        raise self.failure

    async def enroll(self, context: Context, patient: str) -> PatientIdentity:
        self.count += 1
        raise self.failure

    async def resolve(self, identifier: Identifier) -> PatientIdentity | None:
        raise self.failure

    async def of_patient(self, patient: str) -> PatientIdentity | None:
        raise self.failure


@dataclass
class _Growing:
    """A repository during whose work the study grows, once."""

    world: ManifestWorld
    count: int = 0

    async def provide_bytes(
        self, context: Context, submission: Submission, documents: Mapping[str, Bytes], *, act: str = "ITI-41"
    ) -> tuple[RegistryError, ...]:
        self.count += 1
        if self.count == 1:
            await self.world.store(instance_file(uid="1.2.3.1.2"))
            assert await waiting(self.world) == 1
        return await self.world.documents.provide_bytes(context, submission, documents, act=act)
