"""The document repository's transactions as rows: ITI-41 (RAD-68 too), 43, 86, and ITI-39 as a responding gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from lxml import etree

from server.ihe.responses import note, note_documents, refuse, refuse_retrieval, registry_response, retrieve_response
from server.kernel.measuring import Received
from server.kernel.offload import Offload
from server.soap.message import Exchange, Reply, Transaction
from server.xds.document_removal import DocumentRemoval
from server.xds.ebxml_reading import take_submission
from server.xds.errors import ErrorCode, RegistryError, refusal, refused
from server.xds.repository import MOST_REQUESTS, DocumentRequest, Repository
from server.xds.rim_fields import identity
from server.xds.vocabulary import LCM, RMD, XDSB

_PROVIDE = f"{{{XDSB}}}ProvideAndRegisterDocumentSetRequest"
_RETRIEVE = f"{{{XDSB}}}RetrieveDocumentSetRequest"
_REMOVE = f"{{{RMD}}}RemoveDocumentsRequest"
_SUBMIT = f"{{{LCM}}}SubmitObjectsRequest"
_DOCUMENT = f"{{{XDSB}}}Document"
_REQUEST = f"{{{XDSB}}}DocumentRequest"
_HOME, _REPOSITORY, _UNIQUE = (f"{{{XDSB}}}{n}" for n in ("HomeCommunityId", "RepositoryUniqueId", "DocumentUniqueId"))


@dataclass(frozen=True, slots=True)
class RepositoryRows:
    repository: Repository
    removal: DocumentRemoval
    offload: Offload

    def transactions(self) -> tuple[Transaction, ...]:
        return (
            Transaction(
                name="ITI-41",
                action="urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
                response_action="urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse",
                body=_PROVIDE,
                perform=self._provide,
                refuse=refuse,
                is_mtom=True,
                interaction="create",
            ),
            Transaction(
                name="ITI-43",
                action="urn:ihe:iti:2007:RetrieveDocumentSet",
                response_action="urn:ihe:iti:2007:RetrieveDocumentSetResponse",
                body=_RETRIEVE,
                perform=self._retrieve,
                refuse=refuse_retrieval,
                is_mtom=True,
                interaction="read",
            ),
            Transaction(
                name="ITI-86",
                action="urn:ihe:iti:2017:RemoveDocuments",
                response_action="urn:ihe:iti:2017:RemoveDocumentsResponse",
                body=_REMOVE,
                perform=self._remove,
                refuse=refuse,
                interaction="delete",
            ),
        )

    def gateway(self) -> tuple[Transaction, ...]:
        return (
            Transaction(
                name="ITI-39",
                action="urn:ihe:iti:2007:CrossGatewayRetrieve",
                response_action="urn:ihe:iti:2007:CrossGatewayRetrieveResponse",
                body=_RETRIEVE,
                perform=self._retrieve_across,
                refuse=refuse_retrieval,
                is_mtom=True,
                interaction="read",
            ),
        )

    async def _provide(self, exchange: Exchange) -> Reply:
        submit = exchange.body.find(_SUBMIT)
        if submit is None:
            raise refused(ErrorCode.REPOSITORY_METADATA, "The request holds no lcm:SubmitObjectsRequest.")
        submission = await self.offload.cpu(take_submission, submit)
        warnings = await self.repository.provide(exchange.context, submission, _contents(exchange))
        return Reply(registry_response(warnings))

    async def _retrieve(self, exchange: Exchange) -> Reply:
        return await self._retrieved(exchange, is_gateway=False)

    async def _retrieve_across(self, exchange: Exchange) -> Reply:
        return await self._retrieved(exchange, is_gateway=True)

    async def _retrieved(self, exchange: Exchange, *, is_gateway: bool) -> Reply:
        requests = read_requests(exchange.body)
        found = await self.repository.retrieve(exchange.context, requests, is_gateway=is_gateway)
        note_documents(exchange.context, requests, found.errors)
        return retrieve_response(found.documents, found.errors)

    async def _remove(self, exchange: Exchange) -> Reply:
        removed = await self.removal.remove_documents(exchange.context, read_requests(exchange.body))
        note(exchange.context, removed.errors)
        return Reply(registry_response(removed.errors, is_partial=removed.count > 0))


def read_requests(body: etree._Element) -> list[DocumentRequest]:
    """What a RetrieveDocumentSetRequest (and what is made like it) asks for, in its order."""
    found = [
        DocumentRequest(_text(each, _HOME), _text(each, _REPOSITORY), _text(each, _UNIQUE))
        for each in islice(body.iterfind(_REQUEST), MOST_REQUESTS + 1)
    ]
    if not found or not all(each.document and each.repository for each in found):
        text = "A request names one document or more, each by RepositoryUniqueId and DocumentUniqueId."
        raise refused(ErrorCode.REPOSITORY, text)
    return found


def _text(request: etree._Element, name: str) -> str:
    return (request.findtext(name) or "").strip()


def _contents(exchange: Exchange) -> Mapping[str, Received]:
    """The documents of the message by their ids."""
    contents: dict[str, Received] = {}
    errors: list[RegistryError] = []
    for element in exchange.body.iterfind(_DOCUMENT):
        name, received = identity((element.get("id") or "").strip()), exchange.binary(element)
        if not name:
            errors.append(RegistryError(ErrorCode.MISSING_METADATA, "A document has no id."))
        elif received is None:
            errors.append(RegistryError(ErrorCode.MISSING_DOCUMENT, f"Document {name} has no content.", name))
        elif name in contents:
            text = f"Two documents of the message have the id {name}."
            errors.append(RegistryError(ErrorCode.DUPLICATE_IN_REPOSITORY_MESSAGE, text, name))
        else:
            contents[name] = received
    if errors:
        raise refusal(errors)
    return contents
