"""Images, their FHIR side and consents in one store, asked through DICOMweb on behalf of anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from profiles.packages.load import resources
from server.access.consent.policies import Site
from server.access.consent.source import Consents
from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess
from server.archive import rows
from server.archive.find import Finder
from server.archive.remove import Remover
from server.archive.retrieve import Retriever
from server.archive.store import Store
from server.bridge.imaging_study import resource_id
from server.bridge.manifest_announcing import announcement
from server.bridge.reconcile import Reconciler
from server.bridge.worker import Worker
from server.dicomweb import problems
from server.dicomweb.surface import DicomWeb
from server.fhir.bundle.transaction import Transactions
from server.fhir.consents import ConsentRules
from server.fhir.imaging_studies import ImagingRecords
from server.fhir.index.indexer import Indexer
from server.fhir.index.reading import Reading
from server.fhir.index.registry import Registry
from server.fhir.json_form import Resource, decode
from server.fhir.patch.bundled import read_patch
from server.fhir.repository import Repository
from server.fhir.rules import RuleSet
from server.fhir.search.searcher import Searcher
from server.fhir.series_labels import INLINE_LABEL, SeriesLabels
from server.fhir.writing import Rules, Writing
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.surface import Answer, Call, Endpoint
from server.kernel.answers import AnswerCache
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.kernel.trail import Trail
from server.settings import Settings
from storage.filesystem.blobs import FolderBlobs
from storage.ports import Records
from tests.contract.imaging_samples import STOW, label, stow_body
from tests.data.exchange import exchange

BASE = "http://pacs.example/dicomweb"
SERVER_CONTEXT = Context(LOCAL_ACTOR, "test")


@dataclass
class StillClock:
    """Goes on by a millisecond each time it is asked."""

    moment: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment


class Unchecked:
    async def check_all(self, resources: Sequence[Resource]) -> list[Problem | None]:
        return [None] * len(resources)


@dataclass
class ActorDoor:
    """Lets in whoever the test has named last."""

    context: Context = SERVER_CONTEXT
    refusal: Problem | None = None
    left: list[Trail] = field(default_factory=list)

    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        if self.refusal is not None:
            raise self.refusal
        return self.context

    async def leave(self, call: Call, endpoint: Endpoint, outcome: Answer | Problem) -> None:
        self.left.append(call.context.trail)


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def studies(self) -> list[str]:
        return self.values("0020000D")

    def values(self, tag: str) -> list[Any]:
        return [row[tag].get("Value", [None])[0] for row in self.json()]


class ImagingWorld:
    """`run` works in the loop of the archive the records came from."""

    def __init__(
        self, records: Records, folder: Path, offload: Offload, site: Site | None = None, rules: Sequence[Rules] = ()
    ) -> None:
        self.records, self.offload, self.clock = records, offload, StillClock()
        self.access = AccessPoint(Consents(records, self.clock, site))
        indexer = Indexer(Registry([each for each in resources() if each["resourceType"] == "SearchParameter"]))
        self.searcher = searcher = Searcher(
            records, self.access, lambda: indexer.registry, lambda: Reading(self.clock.now(), UTC), bytes(32)
        )
        all_rules = RuleSet((ConsentRules(records), SeriesLabels(indexer.keys), *rules))
        writing = Writing(offload, Unchecked(), indexer, all_rules)
        self.repository = Repository(records, self.access, self.clock, offload, writing, searcher)
        self.transactions = Transactions(self.repository, read_patch)
        reconciler = Reconciler(
            records, self.repository, self.transactions, offload, self.clock, UTC, BASE, requires_token=True,
            announce=announcement if rules else None,
        )  # fmt: skip
        self.bridge = Worker(records, reconciler, self.clock)
        (folder / "blobs").mkdir(exist_ok=True)
        self.blobs = FolderBlobs(folder / "blobs", offload)
        self.imaging = ImagingAccess(self.access, ImagingRecords(records))
        self.answers = AnswerCache(1 << 22)
        self.web = DicomWeb(
            store=Store(records, self.blobs, self.imaging, offload, Settings()),
            finder=Finder(records, self.blobs, self.imaging),
            retriever=Retriever(records, self.blobs, self.imaging, offload),
            remover=Remover(records, self.blobs, self.imaging),
            answers=self.answers,
            offload=offload,
            most_results=100,
            max_pixels=1 << 20,
        )
        self.door = ActorDoor()
        self.app = SurfaceApplication(
            prefix="/dicomweb",
            endpoints=self.web.endpoints(),
            problem=problems.render,
            door=self.door,
            cors=Cors.parse("*"),
            offload=offload,
        )

    async def prepare(self) -> None:
        await self.records.prepare(rows.INDEXES)

    async def put(self, *all_resources: Resource) -> None:
        for each in all_resources:
            await self.repository.update(SERVER_CONTEXT, each["resourceType"], each["id"], each)

    async def store(self, *files: bytes) -> None:
        got = await self.ask(SERVER_CONTEXT, "POST", "/studies", body=stow_body(*files), content_type=STOW)
        assert got.status == 200, got.body
        await self.bridge.drain()

    async def label(self, study: str, *codes: str, series: str | None = None) -> None:
        """Put security labels on a study, or on one series of it."""
        labels = [label(code) for code in codes]

        def change(resource: Resource) -> Resource:
            if series is None:
                return resource | {"meta": resource["meta"] | {"security": labels}}
            extension = [{"url": INLINE_LABEL, "valueCoding": each} for each in labels]
            marked = [each | {"extension": extension} if each["uid"] == series else each for each in resource["series"]]
            return resource | {"series": marked}

        await self.repository.patch(SERVER_CONTEXT, "ImagingStudy", resource_id(study), change)

    async def reads(self, context: Context, study: str) -> Resource | None:
        """The ImagingStudy as the actor reads it over FHIR."""
        try:
            stored = await self.repository.read(context, "ImagingStudy", resource_id(study))
        except Problem as problem:
            if problem.kind not in (Kind.NOT_FOUND, Kind.FORBIDDEN):
                raise
            return None
        return decode(stored.body)

    async def ask(
        self,
        who: Context,
        method: str,
        path: str,
        query: Mapping[str, str] | str = "",
        *,
        accept: str = "",
        body: bytes = b"",
        content_type: str = "",
        **headers: str,
    ) -> Got:
        self.door.context = Context(who.actor, who.request_id, who.purpose, trail=Trail())
        sent = {"host": "pacs.example", "accept": accept, "content-type": content_type, **headers}
        named = {name.replace("_", "-"): value for name, value in sent.items() if value}
        text = query if isinstance(query, str) else urlencode(query)
        return Got(*await exchange(self.app, method, "/dicomweb" + path, named, body, query=text))

    async def get(self, who: Context, path: str, query: Mapping[str, str] | str = "", **more: str) -> Got:
        return await self.ask(who, "GET", path, query, **more)

    def retrievals(self, study: str, series: str, instance: str) -> dict[str, tuple[str, str]]:
        """Path and query of every endpoint that retrieves, by its name."""
        values = {"study": study, "series": series, "instance": instance, "frames": "1", "attribute:path": "7FE00010"}
        uri = {"requestType": "WADO", "studyUID": study, "seriesUID": series, "objectUID": instance}
        found = {}
        for row in self.web.endpoints():
            if row.interaction == "read":
                path = row.path
                for name, value in values.items():
                    path = path.replace("{" + name + "}", value)
                assert "{" not in path, path
                found[row.name] = (path, urlencode(uri) if row.name == "wado.uri" else "")
        return found
