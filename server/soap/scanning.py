"""An envelope as it arrives: inline documents are taken out as streams, the little that remains is kept for parsing.

A parser that holds the text of an element holds the document, so the text of each `Document` element goes its own way
before parsing; a token that nobody can guess stands in its place. Whether the element is the one of XDS is seen
afterwards in the parsed envelope, where every token must be found again: what only looks like an element (in a comment,
in CDATA) is refused there. Rejected: an incremental parser with call-backs, ten times slower on what is no document.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from server.kernel.problem import Kind, Problem
from storage.pieces import even
from storage.ports import Bytes

_BINARY = re.compile(rb"<(?:[^\s<>/:!?&;\"'=]{1,100}:)?Document(?=[\s/>])")
_LONGEST_TAG = 1 << 20
_SPACE = b" \t\r\n"
_PIECE = 64 << 10
"""Scanned at a time: a sender of single bytes does not make a long tag be searched anew for each of them."""
_MOST_ELEMENTS = 200_000
"""Binary elements of a message, empty ones too."""
_FREE = _TAKEN_AT_ONCE = 1 << 20
"""Of what each envelope holds so much is not counted; of the rest, so much at a time."""


class Room:
    """Bytes that messages may take up together; whoever comes too late is told to come again."""

    def __init__(self, octets: int, within: Room | None = None) -> None:
        self._left = octets
        self._within = within

    def take(self, octets: int) -> None:
        if octets > self._left:
            raise Problem(Kind.BUSY, "Too many long messages come in at once.", retry_after=5)
        if self._within is not None:
            self._within.take(octets)
        self._left -= octets

    def give_back(self, octets: int) -> None:
        self._left += octets
        if self._within is not None:
            self._within.give_back(octets)


class Shares:
    """Room for all messages of a surface, of which no sender has more than a fourth: none alone keeps others out."""

    def __init__(self, octets: int) -> None:
        self._whole = Room(octets)
        self._share = octets // 4
        self._rooms: WeakValueDictionary[str, Room] = WeakValueDictionary()

    def of(self, sender: str, longest: int) -> Room:
        """One for all messages of a sender that are on their way; the longest message alone always fits."""
        room = self._rooms.get(sender)
        if room is None:
            self._rooms[sender] = room = Room(max(self._share, longest), self._whole)
        return room


class Scanner:
    """Reads turn by turn: `to_text`, the text if there is one, `to_text` again until there is none; then `kept`."""

    def __init__(self, chunks: AsyncIterator[Bytes], longest: int, room: Room) -> None:
        self._chunks = even(chunks, _PIECE)
        self._longest = longest
        self._room = room
        self._taken = 0
        self._data = b""
        self._at = 0
        self._kept = bytearray()
        self._length = 0
        self._elements = 0

    async def to_text(self) -> bool:
        """Goes on to the text of the next binary element; false where there is no other."""
        while await self._to_element():
            if await self._has_text():
                return True
        return False

    async def text(self) -> AsyncIterator[bytes]:
        """To the next markup."""
        while True:
            end = self._data.find(b"<", self._at)
            piece = self._data[self._at :] if end < 0 else self._data[self._at : end]
            self._at += len(piece)
            if piece:
                yield piece
            if end >= 0 or not await self._more():
                return

    def put(self, token: bytes) -> None:
        """What stands in the envelope for the text that was taken."""
        self._keep(token)

    def release(self) -> None:
        """The envelope is done with."""
        self._room.give_back(self._taken)
        self._taken = 0

    def kept(self) -> bytes:
        whole = bytes(self._kept)
        self._kept = bytearray()
        return whole

    async def _to_element(self) -> bool:
        """To behind the start tag of the next binary element that is not empty."""
        while True:
            found = _BINARY.search(self._data, self._at)
            end = self._data.find(b">", found.end()) if found else -1
            if found and end >= 0:
                self._keep_to(end + 1)
                self._elements += 1
                if self._elements > _MOST_ELEMENTS:
                    raise Problem(Kind.TOO_LARGE, f"A message may have {_MOST_ELEMENTS} binary elements.")
                if self._data[end - 1 : end] != b"/":
                    return True
                continue
            self._keep_to(found.start() if found else self._surely())
            if len(self._data) - self._at > _LONGEST_TAG:
                raise Problem(Kind.INVALID, "The envelope has a tag, a comment or a CDATA section that is too long.")
            if not await self._more():
                self._keep_to(len(self._data))
                return False

    def _surely(self) -> int:
        """How far no start tag has been begun."""
        opened = self._data.rfind(b"<", self._at)
        return opened if opened > self._data.rfind(b">", self._at) else len(self._data)

    async def _has_text(self) -> bool:
        """Past white space; other content (an xop:Include) is markup again."""
        while True:
            rest = self._data[self._at : self._at + 64].lstrip(_SPACE)
            if rest:
                return not rest.startswith(b"<")
            if self._at < len(self._data):
                self._at = min(self._at + 64, len(self._data))
            elif not await self._more():
                return False

    async def _more(self) -> bool:
        async for chunk in self._chunks:
            if chunk:
                self._data = self._data[self._at :] + bytes(chunk)
                self._at = 0
                return True
        return False

    def _keep_to(self, place: int) -> None:
        if place > self._at:
            self._keep(self._data[self._at : place])
            self._at = place

    def _keep(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length > self._longest:
            text = f"A message may be at most {self._longest} bytes long, documents apart."
            raise Problem(Kind.TOO_LARGE, text)
        while self._length > self._taken + _FREE:
            self._room.take(_TAKEN_AT_ONCE)
            self._taken += _TAKEN_AT_ONCE
        self._kept += piece
