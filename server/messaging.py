"""Puts together what speaks the messages of IHE: SOAP surfaces, their door, other communities, HL7 version 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.access.consent.source import Consents
from server.access.decision import AccessPoint
from server.archive.frame_coder import FrameCoder
from server.archive.recode import Recoder
from server.archive.retrieve import Retriever
from server.documents import Documents
from server.groundwork import Groundwork
from server.hl7v2.listening import PatientFeed, Senders, server_tls
from server.hl7v2.mllp import Listener
from server.http.client_certificate import ClientCertificates
from server.ihe.directory import RecordedDirectory
from server.ihe.door import SoapDoor
from server.ihe.identity_feed import IdentityFeedRows
from server.ihe.imaging import ImagingSource
from server.ihe.imaging_request import MOST_IMAGES
from server.ihe.imaging_staging import Staging
from server.ihe.initiating import GatewayRows
from server.ihe.registry import RegistryRows
from server.ihe.repository import RepositoryRows
from server.ihe.spoken import Spoken
from server.kernel import supervision
from server.kernel.clock import Clock
from server.kernel.hosts import Hosts
from server.oauth.door import SmartDoor
from server.settings import Settings
from server.smart.recording import Unrecorded
from server.soap.message import Transaction
from server.soap.reading import MessageLimits
from server.soap.replying import Replies
from server.soap.surface import AsEntered, Identify, SoapSurface
from server.trust.assertions import Assertions
from server.trust.conditions import Own
from server.trust.nodes import Nodes
from server.trust.store import TrustStore
from server.trust.sweeping import TrustSweeper
from server.xca.answers import Retrievals
from server.xca.asking import Asking
from server.xca.lines import Certificate, Lines
from server.xca.neighbour import Neighbours
from server.xca.querying import CrossQueries
from server.xca.retrieving import CrossRetrieval
from server.xca.rights import Rights
from server.xds.queries import Queries
from server.xds.repository import Repository


@dataclass(frozen=True, slots=True)
class Messaging:
    """Everything between the services of `Documents` and those who send messages."""

    settings: Settings
    documents: Documents
    imaging: ImagingSource
    replies: Replies
    gateway: GatewayRows
    lines: Lines
    trust: TrustStore
    clock: Clock

    def workers(self, door: SoapDoor | None = None) -> Mapping[str, supervision.Worker]:
        """`door`: who may send messages; `None` without sign-in."""
        trust = TrustSweeper(self.trust, self.clock)
        found = {"replies": self.replies.run, "trust": trust.run}
        if self.settings.mllp_port:
            found["mllp"] = lambda: self.listener(door).run()
        return found

    def xds(self, identify: Identify | None = None) -> SoapSurface:
        """Registry, repository and imaging source of this community."""
        registry, repository = self._rows()
        return self._surface(
            "xds",
            {
                "/registry": (
                    *registry.transactions(),
                    *IdentityFeedRows(self.documents.feed(), self.clock).transactions(),
                ),
                "/repository": repository.transactions(),
                "/imaging": self.imaging.transactions(),
            },
            identify,
        )

    def xca(self, identify: Identify | None = None) -> SoapSurface:
        """The gateway other communities ask, and the one that asks them for those here."""
        registry, repository = self._rows()
        return self._surface(
            "xca",
            {
                "/query": registry.gateway(),
                "/retrieve": repository.gateway(),
                "/imaging": self.imaging.gateway(),
                **{f"/gateway{path}": rows for path, rows in self.gateway.rows().items()},
            },
            identify,
        )

    def _rows(self) -> tuple[RegistryRows, RepositoryRows]:
        documents = self.documents
        offload = documents.repository.contents.offload
        return (
            RegistryRows(documents.registry, documents.queries, documents.updates, documents.removals, offload),
            RepositoryRows(documents.repository, documents.removal, offload),
        )

    def _surface(self, name: str, rows: Mapping[str, Sequence[Transaction]], identify: Identify | None) -> SoapSurface:
        contents = self.documents.repository.contents
        return SoapSurface(
            name=name,
            rows=rows,
            blobs=contents.blobs,
            offload=contents.offload,
            identify=identify or AsEntered(),
            limits=MessageLimits(self.settings.max_submission, self.settings.max_document),
            replies=self.replies,
        )

    def listener(self, door: SoapDoor | None) -> Listener:
        """HL7 version 2 messages of identity sources; all worker processes listen on one port."""
        settings, senders, tls = self.settings, None, None
        if door is not None:
            senders = Senders(door.nodes, door.step)
        if settings.tls_certificate and settings.tls_client_authorities:
            tls = server_tls(settings.tls_certificate, settings.tls_key, settings.tls_client_authorities)
        feed = PatientFeed(self.documents.feed(), self.documents.repository.contents.offload, self.clock, senders)
        return Listener(settings.host, settings.mllp_port, feed.answer, tls, settings.workers > 1)

    async def close(self) -> None:
        await self.lines.close()


def open_messaging(ground: Groundwork, documents: Documents, access: AccessPoint, retriever: Retriever) -> Messaging:
    settings, blobs, records = ground.settings, ground.stores.blobs, ground.stores.records
    community = documents.community
    staging = Staging(blobs, Recoder(FrameCoder(retriever, settings.max_pixels)))
    images = ImagingSource(retriever, staging, community.imaging_source, community.home)
    lines, rights = _lines(ground), Rights(records, access, documents.master)
    return Messaging(
        settings=settings,
        documents=documents,
        imaging=images,
        replies=Replies(Hosts.parse(settings.reply_hosts)),
        gateway=_gateway(ground, lines, documents.queries, documents.repository, images, rights),
        lines=lines,
        trust=TrustStore(records, ground.stores.marks),
        clock=ground.clock,
    )


def _lines(ground: Groundwork) -> Lines:
    settings = ground.settings
    return Lines(
        ground.stores.blobs,
        ground.offload,
        MessageLimits(settings.max_submission, settings.max_document, MOST_IMAGES),
        Certificate(settings.tls_certificate, settings.tls_key),
    )


def _gateway(
    ground: Groundwork, lines: Lines, queries: Queries, repository: Repository, images: ImagingSource, rights: Rights
) -> GatewayRows:
    """What asks other communities."""
    recorder = ground.audit.recorder if ground.audit is not None else Unrecorded()
    asking = Asking(lines, recorder, ground.clock, ground.settings.community_seconds)
    community = repository.community
    neighbours = Neighbours(ground.stores.records, community.home)
    return GatewayRows(
        CrossQueries(community, neighbours, asking, rights, queries, ground.offload),
        CrossRetrieval(community.home, neighbours, asking, rights, Retrievals(ground.stores.blobs, ground.offload)),
        repository,
        images,
    )


def soap_door(ground: Groundwork, access: AccessPoint, messaging: Messaging, tokens: SmartDoor) -> SoapDoor | None:
    """Who may send messages; `None` without sign-in."""
    if ground.audit is None or not isinstance(access.consents, Consents):
        return None
    settings, records, clock = ground.settings, ground.stores.records, ground.clock
    store, documents = messaging.trust, messaging.documents
    assertions = Assertions(store, clock, ground.offload, Own(settings.own_url, documents.community.home))
    directory = RecordedDirectory(records, documents.master)
    return SoapDoor(
        tokens=tokens,
        step=tokens.step,
        nodes=Nodes(store, clock),
        certificates=ClientCertificates.behind(settings.proxies),
        spoken=Spoken(assertions, directory, access.consents, ground.audit.recorder, clock, ground.offload),
        clock=clock,
        offload=ground.offload,
    )
