"""A stored instance in another transfer syntax: its frames recoded, the file around them rewritten (PS3.18 8.7.3.4).

A small object is done in one act outside the event loop. A large one streams: a few frames are under way at a time, so
what is held does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from server.archive.frame_coder import THREADS, FrameCoder
from server.archive.frames_reader import FileReader, FramePlace
from server.archive.read_ahead import Job, read_ahead
from server.archive.retrieve import begun
from server.archive.rows import StoredInstance
from server.dicom import transfer_syntax
from server.dicom.pixels import transcode
from server.dicom.pixels.description import PIXEL_DATA
from server.dicom.pixels.transcode import RecodedFrame, Transcoding
from server.dicom.transfer_syntax import EXPLICIT_LITTLE
from server.kernel.problem import Kind, Problem
from storage.ports import Bytes

_AT_ONCE = 8 << 20
"""Pixels of an object, in decoded bytes, up to which it is recoded in one act."""

_LONGEST_TAIL = 64 << 20
_LONGEST_REWRITTEN = 256 << 20
"""Longest file without frames that is rewritten, which holds it whole."""

_CODING_AT_ONCE = 2
_PLACED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Recoder:
    coder: FrameCoder

    async def recoded(self, instance: StoredInstance, wanted: str) -> Bytes | AsyncIterator[Bytes]:
        """The file in the transfer syntax `wanted`; NOT_ACCEPTABLE where it cannot be had."""
        reader = await FileReader.of(self.coder.retriever, instance)
        try:
            if wanted == EXPLICIT_LITTLE and (instance.pixel_data_start is None or not instance.frame_count):
                return await self._rewritten(reader)
            return await self._transcoded(reader, wanted)
        except Problem as problem:
            if problem.kind is Kind.INVALID:
                raise Problem(Kind.NOT_ACCEPTABLE, problem.text, problem.issues) from problem
            raise

    async def _rewritten(self, reader: FileReader) -> Bytes:
        """A native file whose pixels, if it has any, need no recoding of their own."""
        if reader.size > _LONGEST_REWRITTEN:
            raise Problem(Kind.NOT_ACCEPTABLE, "The instance is too long to be rewritten in another transfer syntax.")
        whole = bytes(await reader.fetch(0, reader.size))
        instance = reader.instance
        offload = self.coder.retriever.offload
        return await offload.cpu(transcode.explicit_file, whole, instance.dataset_start, instance.transfer_syntax_uid)

    async def _transcoded(self, reader: FileReader, wanted: str) -> Bytes | AsyncIterator[Bytes]:
        instance = reader.instance
        plan = transcode.plan(
            await self.coder.dataset(instance),
            instance.transfer_syntax_uid,
            wanted,
            frame_count=instance.frame_count,
            max_pixels=self.coder.max_pixels,
            threads=THREADS,
        )
        head, tail = await self._around(reader)
        decoded = self.coder.decoded_length(instance.transfer_syntax_uid, plan.description) * instance.frame_count
        if decoded <= _AT_ONCE and instance.frame_count <= _PLACED_AT_ONCE:
            frames = await self._stored_frames(reader, plan)
            return await self.coder.retriever.offload.cpu(_all_at_once, plan, head, tail, instance, frames)
        recoded = self._recoded_frames(reader, plan)
        return await begun(_closing(transcode.stream(plan, head, instance.dataset_start, tail, recoded), recoded))

    async def _around(self, reader: FileReader) -> tuple[bytes, bytes]:
        """The file up to its Pixel Data and what follows that element."""
        instance = reader.instance
        bulk = next((each for each in instance.bulk if each.path == PIXEL_DATA), None)
        if bulk is None or instance.pixel_data_start is None:
            raise Problem(Kind.NOT_ACCEPTABLE, "The instance has no pixel data to recode.")
        syntax = transfer_syntax.get(instance.transfer_syntax_uid)
        delimiter = 8 if syntax is not None and syntax.encapsulated else 0
        end = min(bulk.start + bulk.length + delimiter, reader.size)
        if reader.size - end > _LONGEST_TAIL:
            raise Problem(Kind.NOT_ACCEPTABLE, "Too much follows the pixel data of this instance to recode it.")
        head = bytes(await reader.fetch(0, instance.pixel_data_start))
        return head, bytes(await reader.fetch(end, reader.size - end))

    async def _stored_frames(self, reader: FileReader, plan: Transcoding) -> list[tuple[Bytes, int]]:
        numbers = range(1, reader.instance.frame_count + 1)
        places = await reader.places(numbers)
        return [
            await self.coder.stored(reader, number, place, plan.description)
            for number, place in zip(numbers, places, strict=True)
        ]

    async def _recoded_frames(self, reader: FileReader, plan: Transcoding) -> AsyncGenerator[RecodedFrame, None]:
        count = reader.instance.frame_count
        for first in range(1, count + 1, _PLACED_AT_ONCE):
            numbers = range(first, min(first + _PLACED_AT_ONCE, count + 1))
            places = await reader.places(numbers)
            jobs = (
                Job(plan.description.frame_bytes, partial(self._recoded_frame, reader, plan, number, place))
                for number, place in zip(numbers, places, strict=True)
            )
            async with aclosing(read_ahead(jobs, most=_CODING_AT_ONCE)) as frames:
                async for frame in frames:
                    yield frame

    async def _recoded_frame(
        self, reader: FileReader, plan: Transcoding, number: int, place: FramePlace
    ) -> RecodedFrame:
        raw, bit_offset = await self.coder.stored(reader, number, place, plan.description)
        return await self.coder.retriever.offload.cpu(_recode, plan, raw, bit_offset)


def _recode(plan: Transcoding, raw: Bytes, bit_offset: int) -> RecodedFrame:
    return plan.frame(bytes(raw), bit_offset=bit_offset)


def _all_at_once(
    plan: Transcoding, head: bytes, tail: bytes, instance: StoredInstance, frames: list[tuple[Bytes, int]]
) -> bytes:
    recoded = (_recode(plan, raw, bit_offset) for raw, bit_offset in frames)
    return b"".join(transcode.assemble(plan, head, instance.dataset_start, tail, recoded))


async def _closing(
    pieces: AsyncIterator[bytes], frames: AsyncGenerator[RecodedFrame, None]
) -> AsyncGenerator[Bytes, None]:
    async with aclosing(frames):
        async for piece in pieces:
            yield piece
