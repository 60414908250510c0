"""Repositories and records between whose acts something happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from server.bridge.announced import WAITING
from server.bridge.manifest_announcing import OUTBOX
from server.bridge.manifest_together import ManifestsTogether, ProvidingTogether
from server.bridge.manifest_worker import ManifestWorker
from server.kernel.context import Context
from server.xds.errors import RegistryError
from server.xds.metadata import Submission
from server.xds.providing import Made
from server.xds.repository import Repository
from storage.errors import StoreUnavailable
from storage.ports import Bytes, Delete, Put, Records
from tests.contract.manifest_world import ManifestWorld


@dataclass
class Interrupted:
    """A repository whose answer is lost, or which is lost before it has done anything."""

    repository: Repository
    is_done: bool

    async def provide_bytes(
        self, context: Context, submission: Submission, documents: Mapping[str, Bytes], *, act: str = "ITI-41"
    ) -> tuple[RegistryError, ...]:
        if self.is_done:
            await self.repository.provide_bytes(context, submission, documents, act=act)
        raise StoreUnavailable("lost")


@dataclass
class Together:
    """Counts what is provided alone, and of how many studies together."""

    documents: Repository
    providing: ProvidingTogether
    alone: list[str] = field(default_factory=list)
    together: list[int] = field(default_factory=list)

    def worker(self, world: ManifestWorld) -> ManifestWorker:
        manifests = replace(world.manifests, repository=self)
        return ManifestWorker(world.records, manifests, world.clock, ManifestsTogether(manifests, self, world.index))

    async def provide_bytes(
        self, context: Context, submission: Submission, documents: Mapping[str, Bytes], *, act: str = "ITI-41"
    ) -> tuple[RegistryError, ...]:
        self.alone.append(submission.documents[0].id)
        return await self.documents.provide_bytes(context, submission, documents, act=act)

    async def provide_all(
        self, context: Context, made: Sequence[Made], *, act: str, beside: Sequence[Put | Delete]
    ) -> None:
        self.together.append(len(made))
        await self.providing.provide_all(context, made, act=act, beside=beside)


@dataclass
class Between:
    """Somebody announces a study, publishes it or provides its document before they are published together."""

    world: ManifestWorld
    study: str
    what: str

    async def provide_all(
        self, context: Context, made: Sequence[Made], *, act: str, beside: Sequence[Put | Delete]
    ) -> None:
        if self.what == "announced":
            await self.world.records.commit([Put(OUTBOX, self.study, WAITING)])
        elif self.what == "published":
            await self.world.manifests.reconcile(self.study)
        else:
            named = {each.submission.documents[0].id: each for each in made}
            (first, *_) = named
            submission, octets = named[first]
            await self.world.documents.provide_bytes(context, submission, {first: octets})
        await self.world.together.provide_all(context, made, act=act, beside=beside)


class Announcing:
    """Records into which somebody else's announcement of a study comes before the first commit."""

    def __init__(self, records: Records, study: str) -> None:
        self._records, self._study = records, study

    async def commit(self, acts: Sequence[Put | Delete]) -> list[int]:
        if self._study:
            await self._records.commit([Put(OUTBOX, self._study, WAITING)])
            self._study = ""
        return await self._records.commit(acts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)


class Gone:
    async def provide_all(
        self, context: Context, made: Sequence[Made], *, act: str, beside: Sequence[Put | Delete]
    ) -> None:
        raise StoreUnavailable("gone")
