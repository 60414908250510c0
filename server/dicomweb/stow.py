"""STOW-RS: storing instances (PS3.18 10.5).

A request body is a stream: each part goes to the store service while the next has not arrived. What is wrong with one
part is that part's failure; what is wrong with the frame around them fails the request only where no part came before.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import orjson

from server.archive.stage import StoreOutcome
from server.archive.store import IncomingInstance, Store
from server.dicom import native_xml
from server.dicomweb import paths
from server.dicomweb.media import DICOM, DICOM_JSON, DICOM_XML
from server.dicomweb.store_response import response_module, status_of
from server.dicomweb.stow_datasets import DATASET_TYPES, incoming_datasets
from server.http.content_encoding import decoded
from server.http.media_type import parse_media_type
from server.http.multipart import Part, parts
from server.http.negotiate import MULTIPART, Offer, accepted, require
from server.http.surface import Answer, Call, Endpoint
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem

_RESPONSES = (
    Offer(DICOM_JSON, aliases=("application/json",)),
    Offer(DICOM_XML, aliases=("application/xml", "text/xml")),
)
_CLAUSE = "PS3.18 10.5"


@dataclass(frozen=True, slots=True)
class Stow:
    store: Store
    offload: Offload

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("stow.studies", "POST", "/studies", "create", self.store_instances, _CLAUSE),
            Endpoint("stow.study", "POST", paths.STUDY, "create", self.store_instances, _CLAUSE),
        )

    async def store_instances(self, call: Call) -> Answer:
        study = paths.study_of(call) if "study" in call.path else None
        offer = require(accepted(call), _RESPONSES)
        async with aclosing(self._incoming(call)) as incoming:
            outcomes = await self.store.store(call.context, incoming, study)
        if not outcomes:
            raise Problem(Kind.INVALID, "The request holds no instance.")
        return await self._answer(call, offer, study, outcomes)

    def _incoming(self, call: Call) -> AsyncGenerator[IncomingInstance, None]:
        kind, parameters = _content_type(call)
        body = decoded(call, self.offload)
        if kind == DICOM:
            return _single(body)
        if kind in DATASET_TYPES:
            return self._datasets(call, _only(Part(1, {}, body)), kind)
        if kind != MULTIPART:
            raise _unsupported(kind)
        root, _ = parse_media_type(parameters.get("type") or DICOM)
        received = parts(body, parameters.get("boundary", ""))
        if root in DATASET_TYPES:
            return self._datasets(call, received, root)
        if root != DICOM:
            raise _unsupported(f"{MULTIPART} of {root}")
        return _incoming_files(received)

    def _datasets(self, call: Call, received: AsyncIterator[Part], kind: str) -> AsyncGenerator[IncomingInstance, None]:
        return incoming_datasets(
            received, DATASET_TYPES[kind], base=call.base, blobs=self.store.blobs, offload=self.offload
        )

    async def _answer(self, call: Call, offer: Offer, study: str | None, outcomes: Sequence[StoreOutcome]) -> Answer:
        module = response_module(call.base, study, outcomes)
        status = status_of(outcomes)
        failures = [outcome.failure for outcome in outcomes if outcome.failure]
        waits = [failure.retry_after for failure in failures if failure.retry_after is not None]
        headers = [("Retry-After", str(max(waits)))] if waits and status != 200 else []
        if offer.media_type == DICOM_XML:
            return Answer(status, await self.offload.cpu(native_xml.to_xml, module), DICOM_XML, headers)
        return Answer(status, orjson.dumps(module), DICOM_JSON, headers)


def _content_type(call: Call) -> tuple[str, dict[str, str]]:
    text = call.header("content-type")
    if not text:
        raise _unsupported("no Content-Type")
    return parse_media_type(text)


async def _single(body: AsyncIterator[bytes]) -> AsyncGenerator[IncomingInstance, None]:
    """A body that is one file."""
    yield IncomingInstance(1, body)


async def _only(part: Part) -> AsyncIterator[Part]:
    yield part


async def _incoming_files(received: AsyncIterator[Part]) -> AsyncGenerator[IncomingInstance, None]:
    """The parts of a multipart body of files; a broken frame becomes the failure of the part it would have held."""
    number = 0
    try:
        async for part in received:
            number = part.number
            problem = _part_problem(part)
            yield IncomingInstance(number, None if problem else part.chunks, problem)
    except Problem as problem:
        if number == 0:
            raise
        yield IncomingInstance(number + 1, None, problem)


def _part_problem(part: Part) -> Problem | None:
    """A part need not say what it is, since the request has; but it must not say that it is something else."""
    try:
        kind, _ = parse_media_type(part.headers.get("content-type") or DICOM)
    except Problem as problem:
        return problem
    return None if kind in (DICOM, "application/octet-stream") else _unsupported(kind)


def _unsupported(kind: str) -> Problem:
    text = f"Instances are stored from {DICOM}, {DICOM_JSON} or {DICOM_XML}, alone or in {MULTIPART}; this is {kind}."
    return Problem(Kind.UNSUPPORTED_MEDIA, text, (Issue(text, "Content-Type"),))
