"""WADO-RS Retrieve Study, Series and Instance (PS3.18 10.4): files as stored or transcoded, one to a part."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from server.archive.read_ahead import MOST, Job, read_ahead
from server.archive.retrieve import STREAMED, ListedInstance, Retriever
from server.archive.rows import StoredInstance
from server.dicom.transfer_syntax import OCTET_STREAM
from server.dicomweb import media
from server.dicomweb.archive_zip import Files, zipped
from server.dicomweb.bulkdata import RetrieveBulkdata
from server.dicomweb.choice import Chosen, chosen_for_all, chosen_for_instance, form_of
from server.dicomweb.frame_parts import label
from server.dicomweb.parts import (
    Content,
    Piece,
    multipart,
    multipart_one,
    multipart_part,
    part_headers,
    single,
    unchanged,
)
from server.dicomweb.paths import INSTANCE, SERIES, STUDY, instance_of, series_of, study_of
from server.dicomweb.recoded import RecodedInstances
from server.http.conditional import byte_range, etag, weak_etag
from server.http.multipart import OutgoingPart
from server.http.negotiate import Offer, accepted
from server.http.surface import Answer, Call, Endpoint

_CLAUSE = "PS3.18 10.4"
_ATTACHMENT = ("Content-Disposition", 'attachment; filename="instance.dcm"')
_RECODING_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class RetrieveInstances:
    retriever: Retriever
    recoded: RecodedInstances
    bulkdata: RetrieveBulkdata

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("wado.study", "GET", STUDY, "read", self.study, _CLAUSE),
            Endpoint("wado.series", "GET", SERIES, "read", self.series, _CLAUSE),
            Endpoint("wado.instance", "GET", INSTANCE, "read", self.instance, _CLAUSE),
        )

    async def study(self, call: Call) -> Answer:
        return await self._several(call, await self.retriever.listed(call.context, study_of(call)), "study.zip")

    async def series(self, call: Call) -> Answer:
        return await self._several(call, await self.retriever.listed(call.context, *series_of(call)), "series.zip")

    async def instance(self, call: Call) -> Answer:
        instance = await self.retriever.instance(call.context, *instance_of(call))
        stored = instance.transfer_syntax_uid
        offer = chosen_for_instance(accepted(call), stored, has_frames=instance.frame_count > 0)
        form = form_of(offer)
        if form == OCTET_STREAM:
            return await self.bulkdata.of_instances(call, [ListedInstance.of(instance)], pixels_only=False)
        if form == media.ZIP:
            return self._zip(Chosen(form, ((ListedInstance.of(instance), offer),), 0), "instance.zip")
        tag = _tag(instance, offer)
        if answer := unchanged(call, tag):
            return answer
        if offer.transfer_syntax != stored:
            content, offer = await self.recoded.one(accepted(call), instance, offer)
            tag = _tag(instance, offer)
        elif not offer.multipart and instance.blob.size > STREAMED:
            return await self._long(call, instance, offer, tag)
        else:
            content = await self.retriever.open(instance.blob)
        return _whole(call, instance, offer, tag, content)

    async def _long(self, call: Call, instance: StoredInstance, offer: Offer, tag: str) -> Answer:
        """A long file alone, or a range of it, read as it is sent."""
        size = instance.blob.size
        headers = [("ETag", tag), ("Vary", "Accept"), ("Accept-Ranges", "bytes"), _ATTACHMENT]
        asked = byte_range(call, size, tag)
        if isinstance(asked, Answer):
            return asked
        if asked is None:
            return Answer(200, await self.retriever.open(instance.blob), label(offer), headers, size)
        headers.append(("Content-Range", asked.content_range))
        body = await self.retriever.open(instance.blob, asked.start, asked.length)
        return Answer(206, body, label(offer), headers, asked.length)

    async def _several(self, call: Call, listed: list[ListedInstance], filename: str) -> Answer:
        chosen = chosen_for_all(accepted(call), listed)
        if chosen.form == OCTET_STREAM:
            return await self.bulkdata.of_instances(call, listed, pixels_only=False)
        if chosen.form == media.ZIP:
            return self._zip(chosen, filename)
        headers = []
        if chosen.left_out:
            text = f"{chosen.left_out} of {len(listed)} instances cannot be given in an accepted transfer syntax"
            headers.append(("Warning", f'299 {call.base} "{text}"'))
        return multipart(
            [self._piece(call, each, offer) for each, offer in chosen.items],
            media.DICOM,
            headers,
            status=206 if chosen.left_out else 200,
            most=_at_once(chosen),
        )

    def _piece(self, call: Call, each: ListedInstance, offer: Offer) -> Piece:
        location = call.base + each.path
        if offer.transfer_syntax != each.transfer_syntax_uid:
            job = Job(each.blob.size, partial(self.recoded.part, each, offer, location))
            return Piece(label(offer), location, None, job)
        job_as_stored = Job(_held(each), partial(self.retriever.open, each.blob))
        return Piece(label(offer), location, each.blob.size, job_as_stored)

    def _zip(self, chosen: Chosen, filename: str) -> Answer:
        status = 206 if chosen.left_out else 200
        return zipped(self._files(chosen), self.retriever.offload, filename, [("Vary", "Accept")], status=status)

    async def _files(self, chosen: Chosen) -> Files:
        jobs = [Job(_held(each), partial(self._file, each, offer)) for each, offer in chosen.items]
        async with aclosing(read_ahead(jobs, most=_RECODING_AT_ONCE)) as files:
            async for name, content in files:
                yield name, content

    async def _file(self, each: ListedInstance, offer: Offer) -> tuple[str, Content]:
        content, _ = await self.recoded.file(each, offer)
        return f"{each.series_instance_uid}/{each.sop_instance_uid}.dcm", content


def _whole(call: Call, instance: StoredInstance, offer: Offer, tag: str, content: Content) -> Answer:
    """One file as the answer."""
    location = call.base + instance.path
    if isinstance(content, bytes | bytearray | memoryview):
        if offer.multipart:
            return multipart_one(content, media.DICOM, label(offer), location, tag)
        return single(call, content, label(offer), tag, [_ATTACHMENT])
    if not offer.multipart:
        return Answer(200, content, label(offer), [("ETag", tag), ("Vary", "Accept"), _ATTACHMENT])
    length = instance.blob.size if offer.transfer_syntax == instance.transfer_syntax_uid else None
    part = OutgoingPart(part_headers(label(offer), location), content, length)
    return multipart_part(part, media.DICOM, [("ETag", tag)])


def _tag(instance: StoredInstance, offer: Offer) -> str:
    parts = (instance.sha256[:32], offer.transfer_syntax)
    return weak_etag(*parts) if offer.multipart else etag(*parts)


def _held(each: ListedInstance) -> int:
    return each.blob.size if each.blob.size <= STREAMED else 0


def _at_once(chosen: Chosen) -> int:
    as_stored = all(offer.transfer_syntax == each.transfer_syntax_uid for each, offer in chosen.items)
    return MOST if as_stored else _RECODING_AT_ONCE
