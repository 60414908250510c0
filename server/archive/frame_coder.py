"""Frames of a stored instance in another coding than the stored one: decoded, and encoded again where that is asked.

Nothing made here is kept: what is asked for again is made again. Codecs run outside the event loop and free the GIL.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial

from server.archive.frames_reader import FileReader, FramePlace
from server.archive.retrieve import Retriever
from server.archive.rows import StoredInstance
from server.dicom import stored_json
from server.dicom.frames import NativeFrames
from server.dicom.instance import DicomJson
from server.dicom.pixels import codecs, native
from server.dicom.pixels.description import PixelDescription
from server.dicom.pixels.encode import encode_frame
from server.dicom.pixels.transcode import can_transcode
from server.dicom.transfer_syntax import EXPLICIT_BIG, EXPLICIT_LITTLE
from server.kernel.problem import Kind, Problem
from storage.ports import Bytes

_INLINE = 64 << 10
"""Metadata up to this length is parsed at once; a slide scan's would hold up the loop."""


THREADS = min(4, os.cpu_count() or 1)
"""For one frame, where a codec can divide it: one client waits less, and several lose nothing by it."""


@dataclass(frozen=True, slots=True)
class FrameCoder:
    retriever: Retriever
    max_pixels: int = codecs.DEFAULT_MAX_PIXELS

    async def dataset(self, instance: StoredInstance) -> DicomJson:
        """The instance's data set as metadata holds it."""
        found = await self.retriever.metadata([instance.sop_instance_uid])
        if not found:
            raise Problem(Kind.NOT_FOUND, "The instance is no longer there.")
        if len(found[0]) <= _INLINE:
            dataset: DicomJson = stored_json.decode(found[0])
            return dataset
        return await self.retriever.offload.cpu(stored_json.decode, found[0])

    async def describe(self, instance: StoredInstance) -> PixelDescription:
        """What the data set says of its pixels; NOT_ACCEPTABLE where that is impossible, so that nothing decodes."""
        dataset = await self.dataset(instance)
        try:
            return PixelDescription.of(dataset, instance.transfer_syntax_uid)
        except Problem as problem:
            raise Problem(Kind.NOT_ACCEPTABLE, problem.text, problem.issues) from problem

    def able(self, stored: str, wanted: str, description: PixelDescription) -> bool:
        """Whether these very samples can be taken out of one transfer syntax and put into the other."""
        if stored == wanted:
            return True
        return description.pixels <= self.max_pixels and can_transcode(stored, wanted, description)

    def decoded_length(self, stored: str, description: PixelDescription) -> int:
        """Length of one frame given uncompressed; decoding also undoes the subsampling of native colour."""
        if stored == EXPLICIT_BIG:
            return description.frame_bytes
        return (description.decoded_bits + 7) // 8

    async def coded(
        self, reader: FileReader, number: int, place: FramePlace, description: PixelDescription, wanted: str
    ) -> bytes:
        """Frame `number` in the transfer syntax `wanted`."""
        stored = reader.instance.transfer_syntax_uid
        raw, bit_offset = await self.stored(reader, number, place, description)
        work = partial(_recode, raw, description, stored, wanted, bit_offset, self.max_pixels)
        try:
            return await self.retriever.offload.cpu(work)
        except Problem as problem:
            raise Problem(Kind.NOT_ACCEPTABLE, problem.text, problem.issues) from problem

    async def stored(
        self, reader: FileReader, number: int, place: FramePlace, description: PixelDescription
    ) -> tuple[Bytes, int]:
        """The frame's stored bytes, and the bit where it begins."""
        frames = reader.instance.frames
        if reader.instance.transfer_syntax_uid == EXPLICIT_BIG and isinstance(frames, NativeFrames):
            span = native.frame_range(frames, number, description)
            return await reader.fetch(span.start, span.length), span.bit_offset
        return await reader.frame(place), 0


def _recode(
    raw: Bytes, description: PixelDescription, stored: str, wanted: str, bit_offset: int, max_pixels: int
) -> bytes:
    data = bytes(raw)
    if stored == EXPLICIT_BIG and wanted == EXPLICIT_LITTLE:
        return native.little_endian_frame(data, description, stored, bit_offset=bit_offset)
    frame = codecs.decode(data, description, stored, max_pixels=max_pixels, bit_offset=bit_offset, threads=THREADS)
    if wanted == EXPLICIT_LITTLE:
        return native.frame_bytes(frame.samples, description)
    return encode_frame(frame, description, wanted, threads=THREADS)
