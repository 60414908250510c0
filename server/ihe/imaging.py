"""Retrieve Imaging Document Set: RAD-69 of an Imaging Document Source, RAD-75 of a responding gateway (RAD TF-2 4.69,
4.75; digest of XDS-I.b).

What is asked for is judged as DICOMweb judges it: an image the actor may not see is not there, of a study of which a
part is held back the rest is given out, since every image is asked for by name. A gateway insists on the community
being named; an imaging source takes the name along and does not look at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.archive.retrieve import ListedInstance, Retriever
from server.ihe.imaging_request import ImageRequest, read_request
from server.ihe.imaging_staging import Staging
from server.ihe.responses import note, refuse_retrieval, retrieve_response
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.soap.message import Attachment, Exchange, Reply, Transaction
from server.xds.errors import ErrorCode, RegistryError
from server.xds.repository import DocumentRequest, Retrieved, RetrievedDocument
from server.xds.vocabulary import XDSI

_BODY = f"{{{XDSI}}}RetrieveImagingDocumentSetRequest"


@dataclass(frozen=True, slots=True)
class ImagingSource:
    """`source`: the Retrieve Location UID of the images here; `home`: the community they are in."""

    retriever: Retriever
    staging: Staging
    source: str
    home: str

    def transactions(self) -> tuple[Transaction, ...]:
        """RAD-69."""
        return (
            Transaction(
                name="RAD-69",
                action="urn:ihe:rad:2009:RetrieveImagingDocumentSet",
                response_action="urn:ihe:iti:2007:RetrieveDocumentSetResponse",
                body=_BODY,
                perform=self._retrieve,
                refuse=refuse_retrieval,
                is_mtom=True,
                interaction="read",
            ),
        )

    def gateway(self) -> tuple[Transaction, ...]:
        """RAD-75, responding."""
        return (
            Transaction(
                name="RAD-75",
                action="urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet",
                response_action="urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSetResponse",
                body=_BODY,
                perform=self._retrieve_across,
                refuse=refuse_retrieval,
                is_mtom=True,
                interaction="read",
            ),
        )

    async def _retrieve(self, exchange: Exchange) -> Reply:
        return await self._answer(exchange, is_gateway=False)

    async def _retrieve_across(self, exchange: Exchange) -> Reply:
        return await self._answer(exchange, is_gateway=True)

    async def _answer(self, exchange: Exchange, *, is_gateway: bool) -> Reply:
        asked = read_request(exchange.body)
        found = await self.images(exchange.context, asked.images, asked.transfer_syntaxes, is_gateway=is_gateway)
        note(exchange.context, found.errors)
        return retrieve_response(found.documents, found.errors)

    async def images(
        self, context: Context, asked: Sequence[ImageRequest], accepted: Sequence[str], *, is_gateway: bool = False
    ) -> Retrieved:
        """The images asked for, as far as they are here and may be seen; each is opened once, or closed unread."""
        errors: dict[ImageRequest, RegistryError] = {}
        for each in asked:
            if error := self._misdirected(each, is_gateway=is_gateway):
                errors[each] = error
        located = await self._located(context, [each for each in asked if each not in errors])
        here = [each for each in asked if each in located]
        attached = await self.staging.attached([located[each] for each in here], accepted)
        images: list[RetrievedDocument] = []
        for request, outcome in zip(here, attached, strict=True):
            if isinstance(outcome, Problem):
                errors[request] = _unsendable(request, outcome)
            else:
                images.append(_document(request, outcome))
        missing = {each: _missing(each) for each in asked if each not in located and each not in errors}
        errors |= missing
        return Retrieved(tuple(images), tuple(errors[each] for each in asked if each in errors))

    def _misdirected(self, asked: ImageRequest, *, is_gateway: bool) -> RegistryError | None:
        uid = asked.sop_instance_uid
        if is_gateway and not asked.home:
            return RegistryError(ErrorCode.MISSING_HOME, "A request between communities names the community.", uid)
        if is_gateway and asked.home != self.home:
            return RegistryError(ErrorCode.UNKNOWN_COMMUNITY, f"This is not the community {asked.home}.", uid)
        if asked.repository == self.source:
            return None
        code = ErrorCode.UNKNOWN_IMAGING_SOURCE if is_gateway else ErrorCode.UNKNOWN_REPOSITORY
        return RegistryError(code, f"No imaging source {asked.repository} is here.", uid)

    async def _located(self, context: Context, asked: Sequence[ImageRequest]) -> Mapping[ImageRequest, ListedInstance]:
        """What of it is there, in the study and the series it was asked for in."""
        studies: dict[str, list[ImageRequest]] = {}
        for each in asked:
            studies.setdefault(each.study_instance_uid, []).append(each)
        found: dict[ImageRequest, ListedInstance] = {}
        for study, requests in studies.items():
            there = {each.sop_instance_uid: each for each in await self._seen(context, study, requests)}
            for request in requests:
                listed = there.get(request.sop_instance_uid)
                if listed is not None and listed.series_instance_uid == request.series_instance_uid:
                    found[request] = listed
        return found

    async def _seen(self, context: Context, study: str, asked: Sequence[ImageRequest]) -> list[ListedInstance]:
        uids = list(dict.fromkeys(each.sop_instance_uid for each in asked))
        try:
            return await self.retriever.named(context, study, uids)
        except Problem as problem:
            if problem.kind is not Kind.FORBIDDEN:
                raise
            return []


def _document(asked: ImageRequest, attachment: Attachment) -> RetrievedDocument:
    request = DocumentRequest(asked.home, asked.repository, asked.sop_instance_uid)
    return RetrievedDocument(request, "", attachment.media_type, attachment.length, lambda: attachment.content)


def _missing(asked: ImageRequest) -> RegistryError:
    where = f"{asked.study_instance_uid}:{asked.series_instance_uid}:{asked.sop_instance_uid}"
    return RegistryError(ErrorCode.DOCUMENT_UNIQUE_ID, f"There is no image {where}.", asked.sop_instance_uid)


def _unsendable(asked: ImageRequest, problem: Problem) -> RegistryError:
    if problem.kind is Kind.NOT_FOUND:
        return _missing(asked)
    code = ErrorCode.REPOSITORY_OUT_OF_RESOURCES if problem.kind is Kind.TOO_LARGE else ErrorCode.REPOSITORY
    return RegistryError(code, problem.text, asked.sop_instance_uid)
