"""Instances sent in another transfer syntax than the stored one, and what is sent when that proves impossible."""

from __future__ import annotations

from dataclasses import dataclass, replace

from server.archive.recode import Recoder
from server.archive.retrieve import ListedInstance
from server.archive.rows import StoredInstance
from server.dicom.transfer_syntax import EXPLICIT_LITTLE
from server.dicomweb import media
from server.dicomweb.choice import first_that, instance_offers
from server.dicomweb.parts import Content, part_headers
from server.http.multipart import OutgoingPart
from server.http.negotiate import Offer, choose
from server.kernel.problem import Kind, Problem


@dataclass(frozen=True, slots=True)
class RecodedInstances:
    recoder: Recoder

    async def one(self, accept: tuple[str, str], instance: StoredInstance, offer: Offer) -> tuple[Content, Offer]:
        """The file in the best accepted transfer syntax it can be had in; as stored where nothing decodes it."""
        stored = instance.transfer_syntax_uid
        try:
            offer = await self._possible(accept, instance, offer)
            if offer.transfer_syntax != stored:
                return await self.recoder.recoded(instance, offer.transfer_syntax), offer
        except Problem as problem:
            fallback = choose(accept, media.dicom_offers_undecodable(stored, single=not offer.multipart))
            if problem.kind is not Kind.NOT_ACCEPTABLE or fallback is None:
                raise
            offer = fallback
        return await self.recoder.coder.retriever.open(instance.blob), offer

    async def part(self, each: ListedInstance, offer: Offer, location: str) -> OutgoingPart:
        """One of many, with the transfer syntax it really has."""
        content, syntax = await self.file(each, offer)
        return OutgoingPart(part_headers(f"{media.DICOM}; transfer-syntax={syntax}", location), content)

    async def file(self, each: ListedInstance, offer: Offer) -> tuple[Content, str]:
        """One of many, and its transfer syntax: one that cannot be recoded must not cost its neighbours."""
        wanted = _wanted(offer, each.transfer_syntax_uid, has_frames=each.frame_count > 0)
        if wanted != each.transfer_syntax_uid:
            try:
                instance = await self.recoder.coder.retriever.by_uid(each.sop_instance_uid)
                return await self.recoder.recoded(instance, wanted), wanted
            except Problem as problem:
                if problem.kind is not Kind.NOT_ACCEPTABLE:
                    raise
        return await self.recoder.coder.retriever.open(each.blob), each.transfer_syntax_uid

    async def _possible(self, accept: tuple[str, str], instance: StoredInstance, offer: Offer) -> Offer:
        """The offer again, knowing how deep the samples are and of what kind."""
        if not instance.frame_count:
            return replace(offer, transfer_syntax=_wanted(offer, instance.transfer_syntax_uid, has_frames=False))
        coder, stored = self.recoder.coder, instance.transfer_syntax_uid
        description = await coder.describe(instance)
        alike = [
            each
            for each in instance_offers(stored, True)
            if each.media_type == media.DICOM and each.multipart is offer.multipart
        ]
        return first_that(lambda each: coder.able(stored, each.transfer_syntax, description), accept, alike)


def _wanted(offer: Offer, stored: str, *, has_frames: bool) -> str:
    """An object without frames has no compressed form and goes out uncompressed instead."""
    return offer.transfer_syntax if has_frames or offer.transfer_syntax == stored else EXPLICIT_LITTLE
