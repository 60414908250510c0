"""Images on their way out: as they are stored where that is acceptable, else recoded and put aside until they are sent.

How an answer ends, and how long each of its parts is, must be known before its first byte; so whatever has to be
recoded is recoded first, into blobs that go when the answer has gone. Only what loses nothing is made here: whoever
takes nothing but a lossy form gets what was stored so, and no new loss.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from server.archive.read_ahead import Job, read_ahead
from server.archive.recode import Recoder
from server.archive.retrieve import ListedInstance
from server.dicom import transfer_syntax
from server.dicom.transfer_syntax import EXPLICIT_LITTLE
from server.kernel.finishing import finished
from server.kernel.measuring import Lent
from server.kernel.problem import Kind, Problem
from server.kernel.streams import Owning, pieces
from server.soap.message import Attachment, Bytes
from storage.ports import BlobRef, Blobs

MEDIA_TYPE = "application/dicom"
MOST_STAGED = 8 << 30
"""Bytes put aside for one answer."""
_AT_ONCE = 2
_LOSSLESS = (EXPLICIT_LITTLE, *transfer_syntax.LOSSLESS_CODINGS)
"""What is made, the best first."""


@dataclass(frozen=True, slots=True)
class Staging:
    """`room`: bytes one answer may have put aside."""

    blobs: Blobs
    recoder: Recoder
    room: int = MOST_STAGED

    async def attached(
        self, instances: Sequence[ListedInstance], accepted: Sequence[str]
    ) -> list[Attachment | Problem]:
        """Each image ready to be sent, or why it cannot be; the caller closes the contents, sent or not."""
        found: list[Attachment | Problem | None] = [self._as_stored(each, accepted) for each in instances]
        places = [n for n, each in enumerate(found) if each is None]
        aside = _Aside(self.blobs, self.room)
        jobs = [Job(0, partial(self._recoded, instances[n], accepted, aside)) for n in places]
        try:
            async with aclosing(read_ahead(jobs, most=_AT_ONCE)) as made:
                for n in places:
                    found[n] = await anext(made)
        except BaseException:
            await finished(aside.aclose())
            raise
        return [each for each in found if each is not None]

    def _as_stored(self, listed: ListedInstance, accepted: Sequence[str]) -> Attachment | None:
        if listed.transfer_syntax_uid not in accepted:
            return None
        return Attachment(self._opened(listed.blob), listed.blob.size, MEDIA_TYPE)

    async def _recoded(self, listed: ListedInstance, accepted: Sequence[str], aside: _Aside) -> Attachment | Problem:
        try:
            ref = await self._put_aside(listed, [each for each in _LOSSLESS if each in accepted], aside)
        except Problem as problem:
            if problem.kind not in (Kind.NOT_ACCEPTABLE, Kind.NOT_FOUND, Kind.TOO_LARGE):
                raise
            return problem
        return Attachment(Owning(self._opened(ref), Lent(self.blobs, ref)), ref.size, MEDIA_TYPE)

    async def _put_aside(self, listed: ListedInstance, wanted: Sequence[str], aside: _Aside) -> BlobRef:
        """The image in the first of these transfer syntaxes it can be had in."""
        retriever = self.recoder.coder.retriever
        for each in wanted:
            try:
                content = await self.recoder.recoded(await retriever.by_uid(listed.sop_instance_uid), each)
            except Problem as problem:
                if problem.kind is not Kind.NOT_ACCEPTABLE:
                    raise
                continue
            return await aside.put(content)
        raise Problem(Kind.NOT_ACCEPTABLE, "The image cannot be had in any of the transfer syntaxes asked for.")

    async def _opened(self, ref: BlobRef) -> AsyncGenerator[Bytes, None]:
        """Opened when its turn has come, so that of a long answer one file is open at a time."""
        content = await self.recoder.coder.retriever.open(ref)
        if isinstance(content, bytes | bytearray | memoryview):
            yield content
            return
        async for piece in content:
            yield piece


class _Aside:
    """The blobs put aside for one answer."""

    def __init__(self, blobs: Blobs, room: int) -> None:
        self._blobs = blobs
        self._room = room
        self._refs: list[BlobRef] = []

    async def put(self, content: Bytes | AsyncIterator[Bytes]) -> BlobRef:
        ref = await self._blobs.put(pieces(content))
        self._refs.append(ref)
        self._room -= ref.size
        if self._room < 0:
            await self._blobs.delete(self._refs.pop())
            raise Problem(Kind.TOO_LARGE, "Too much would have to be recoded for one answer; ask for fewer images.")
        return ref

    async def aclose(self) -> None:
        for each in self._refs:
            await self._blobs.delete(each)
