"""Pictures of stored frames: what rendering needs is gathered here, the work itself is done outside the event loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from server.archive.frame_coder import FrameCoder
from server.archive.frames_reader import FileReader
from server.dicom.render.parameters import IccProfile, RenderOptions
from server.dicom.render.pipeline import render_animation, render_stored
from server.dicom.render.presentation import Presentation
from server.kernel.problem import Kind, Problem
from storage.ports import Bytes

_LONGEST_TABLE = 64 << 20
_LONGEST_ANIMATION = 128 << 20
"""Of the stored frames an animation is made from, in bytes."""


@dataclass(frozen=True, slots=True)
class Renderer:
    coder: FrameCoder

    async def frame(self, reader: FileReader, options: RenderOptions) -> bytes:
        """The frame the options name, in the media type they name."""
        presentation = await self._presentation(reader, options)
        (place,) = await reader.places([options.frame_number])
        stored, bit_offset = await self.coder.stored(reader, options.frame_number, place, presentation.description)
        max_pixels = self.coder.max_pixels
        work = partial(_render, stored, presentation, options, bit_offset, max_pixels)
        return await self._done(work)

    async def animation(self, reader: FileReader, numbers: Sequence[int], options: RenderOptions) -> bytes:
        """These frames as one GIF."""
        places = await reader.places(numbers)
        if sum(place.length for place in places) > _LONGEST_ANIMATION:
            raise Problem(Kind.TOO_LARGE, "The animation would be too large; ask for fewer frames.")
        presentation = await self._presentation(reader, options)
        frames = [
            await self.coder.stored(reader, number, place, presentation.description)
            for number, place in zip(numbers, places, strict=True)
        ]
        return await self._done(partial(_animate, frames, presentation, options, self.coder.max_pixels))

    async def _presentation(self, reader: FileReader, options: RenderOptions) -> Presentation:
        """What the data set says about showing the frame, with the bulk values that takes."""
        instance = reader.instance
        dataset = await self.coder.dataset(instance)
        gather = partial(
            Presentation.of,
            dataset,
            instance.transfer_syntax_uid,
            options.frame_number,
            profile=options.iccprofile is not IccProfile.NO,
        )
        try:
            presentation = gather()
            if not presentation.missing:
                return presentation
            bulk = {each.path: each for each in instance.bulk if each.path in presentation.missing}
            values: dict[str, bytes] = {}
            for path, value in bulk.items():
                if value.length > _LONGEST_TABLE:
                    raise Problem(Kind.NOT_ACCEPTABLE, "A look-up table of the instance is too long.")
                content = await reader.fetch(value.start, value.length)
                values[path] = bytes(reader.little_endian(value, content))
            return gather(bulk=values)
        except Problem as problem:
            raise _unrenderable(problem) from problem

    async def _done(self, work: partial[bytes]) -> bytes:
        try:
            return await self.coder.retriever.offload.cpu(work)
        except Problem as problem:
            raise _unrenderable(problem) from problem


def _render(
    stored: Bytes, presentation: Presentation, options: RenderOptions, bit_offset: int, max_pixels: int
) -> bytes:
    return render_stored(bytes(stored), presentation, options, bit_offset=bit_offset, max_pixels=max_pixels)


def _animate(
    frames: list[tuple[Bytes, int]], presentation: Presentation, options: RenderOptions, max_pixels: int
) -> bytes:
    stored = ((bytes(frame), bit_offset) for frame, bit_offset in frames)
    return render_animation(stored, presentation, options, max_pixels=max_pixels)


def _unrenderable(problem: Problem) -> Problem:
    """A stored object that cannot be shown is no fault of the request."""
    if problem.kind in (Kind.INVALID, Kind.FAULT):
        return Problem(Kind.NOT_ACCEPTABLE, problem.text, problem.issues)
    return problem
