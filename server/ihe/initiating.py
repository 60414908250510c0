"""The initiating gateway as rows: ITI-18, ITI-43 and RAD-69, answered by this community and by others together.

These have paths of their own. What is asked at `/xds` is answered from here alone, and so is what other gateways ask at
`/xca`: a question never travels further than one community, however they are configured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from server.audit.entities import document_detail
from server.audit.event import Entity
from server.ihe.imaging import ImagingSource
from server.ihe.imaging_request import ImageRequest, read_request, write_request
from server.ihe.repository import read_requests
from server.ihe.responses import note, note_documents, query_response, refuse_query, refuse_retrieval, retrieve_response
from server.kernel.context import Context
from server.kernel.problem import Kind
from server.soap.message import Exchange, Reply, Transaction
from server.xca.messages import write_retrieval
from server.xca.neighbour import Neighbour
from server.xca.querying import CrossQueries
from server.xca.retrieving import CrossRetrieval, Way
from server.xds.errors import ErrorCode, refused
from server.xds.repository import MOST_REQUESTS, DocumentRequest, Repository, Retrieved
from server.xds.vocabulary import QUERY, XDSB, XDSI

_RETRIEVED = "urn:ihe:iti:2007:RetrieveDocumentSetResponse"


@dataclass(frozen=True, slots=True)
class GatewayRows:
    queries: CrossQueries
    retrieval: CrossRetrieval
    repository: Repository
    imaging: ImagingSource

    def rows(self) -> Mapping[str, Sequence[Transaction]]:
        """By path below the gateway."""
        return {
            "/query": (
                Transaction(
                    name="ITI-18",
                    action="urn:ihe:iti:2007:RegistryStoredQuery",
                    response_action="urn:ihe:iti:2007:RegistryStoredQueryResponse",
                    body=f"{{{QUERY}}}AdhocQueryRequest",
                    perform=self._query,
                    refuse=refuse_query,
                    interaction="search",
                ),
            ),
            "/retrieve": (
                Transaction(
                    name="ITI-43",
                    action="urn:ihe:iti:2007:RetrieveDocumentSet",
                    response_action=_RETRIEVED,
                    body=f"{{{XDSB}}}RetrieveDocumentSetRequest",
                    perform=self._retrieve,
                    refuse=refuse_retrieval,
                    is_mtom=True,
                    interaction="read",
                ),
            ),
            "/imaging": (
                Transaction(
                    name="RAD-69",
                    action="urn:ihe:rad:2009:RetrieveImagingDocumentSet",
                    response_action=_RETRIEVED,
                    body=f"{{{XDSI}}}RetrieveImagingDocumentSetRequest",
                    perform=self._images,
                    refuse=refuse_retrieval,
                    is_mtom=True,
                    interaction="read",
                ),
            ),
        }

    async def _query(self, exchange: Exchange) -> Reply:
        found = await self.queries.answer(exchange.context, exchange.body, exchange.header)
        note(exchange.context, found.errors)
        return Reply(query_response(found.found, found.errors, is_partial=found.has_answered))

    async def _retrieve(self, exchange: Exchange) -> Reply:
        context, requests = exchange.context, read_requests(exchange.body)
        if len(requests) > MOST_REQUESTS:
            text = f"One request may name {MOST_REQUESTS} documents."
            raise refused(ErrorCode.REPOSITORY_OUT_OF_RESOURCES, text, kind=Kind.TOO_LARGE)
        own = self.repository.community
        way = Way(
            "ITI-39",
            "urn:ihe:iti:2007:CrossGatewayRetrieve",
            ("search", "DocumentReference"),
            own.repository,
            _retrieve_url,
            self.repository.retrieve,
            write_retrieval,
        )
        found = await self.retrieval.retrieve(context, requests, way, exchange.header)
        for each in found.found:
            if not each.entry_id:
                detail = document_detail(each.request.repository, each.request.home)
                context.trail.add(each.request.document, (), detail)
        note_documents(context, requests, found.errors)
        return retrieve_response(found.found, found.errors)

    async def _images(self, exchange: Exchange) -> Reply:
        context, asked = exchange.context, read_request(exchange.body)
        way = Way(
            "RAD-75",
            "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet",
            ("read", "ImagingStudy"),
            self.imaging.source,
            _imaging_url,
            partial(self._own_images, asked.transfer_syntaxes),
            partial(write_request, transfer_syntaxes=asked.transfer_syntaxes),
            _study,
        )
        found = await self.retrieval.retrieve(context, asked.images, way, exchange.header)
        given = {each.request for each in found.found}
        studies = Counter(
            each.study_instance_uid
            for each in asked.images
            if DocumentRequest(each.home, each.repository, each.document) in given and self._is_abroad(each)
        )
        for study, count in studies.items():
            context.trail.add(f"urn:oid:{study}", (), f"{count} instances")
        note(context, found.errors)
        return retrieve_response(found.found, found.errors)

    async def _own_images(
        self, transfer_syntaxes: Sequence[str], context: Context, asked: Sequence[ImageRequest]
    ) -> Retrieved:
        return await self.imaging.images(context, asked, transfer_syntaxes)

    def _is_abroad(self, asked: ImageRequest) -> bool:
        return asked.home not in ("", self.imaging.home)


def _retrieve_url(neighbour: Neighbour) -> str:
    return neighbour.retrieve


def _imaging_url(neighbour: Neighbour) -> str:
    return neighbour.imaging


def _study(asked: ImageRequest) -> Entity:
    return Entity("study", f"urn:oid:{asked.study_instance_uid}")
