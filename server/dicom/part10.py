"""Part 10 files (PS3.10 chapter 7): from the bytes of one to what an archive must know about it.

`scan` reads a file in memory, `Scanner` one that streams by, of which it holds no more than the stretch being read;
both are one reader. Every transfer syntax is read here: what is not known is Explicit VR Little Endian, as PS3.5
annex A makes every encapsulated one. pydicom supplies the dictionary but not the parser, as was planned for what the
fast path would not know: nothing remained that it reads and this does not, while it gives an empty data set for a file
that ends inside encapsulated pixel data, and fails by RecursionError on deep nesting.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from server.dicom import file_meta as group2
from server.dicom import transfer_syntax
from server.dicom.describe import describe
from server.dicom.elements import Walk
from server.dicom.encoding import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from server.dicom.file_meta import FileMeta
from server.dicom.instance import Instance
from server.dicom.limits import Limits
from server.dicom.reading import Dataset
from server.dicom.window import Steps, Stretch, Window, complete
from server.kernel.problem import Kind, Problem

__all__ = ["FileMeta", "Limits", "Scanner", "file_meta", "inflate", "scan"]

_GE_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"
"""Implicit VR Little Endian but for the pixel data, of old GE equipment."""
_DEFAULT = Limits()
_PIECE = 1 << 20


def file_meta(data: bytes | memoryview) -> FileMeta:
    """Group 0002 of a file of which at least the beginning is given."""
    return complete(group2.read(Window(bytes(data[: _DEFAULT.file_meta]), ended=True), _DEFAULT))


def scan(data: bytes | memoryview, *, limits: Limits = _DEFAULT) -> Instance:
    """A whole file in memory."""
    if not isinstance(data, bytes):
        return _scan_in_pieces(data, limits)
    window = Window(data, ended=True)
    meta = complete(group2.read(window, limits))
    if meta.is_deflated:
        return _scan_in_pieces(memoryview(data), limits)
    walk = _walk(window, meta, limits)
    return describe(meta, walk, complete(walk.run(meta.dataset_start)), len(data))


def inflate(data: bytes, *, limits: Limits = _DEFAULT) -> bytes:
    """A deflated file with its data set inflated: what offsets count in where `Instance.inflated` is true."""
    start = file_meta(data).dataset_start
    inflation = _Inflation(limits)
    inflated = b"".join((data[:start], *inflation.pieces(memoryview(data)[start:])))
    inflation.check_complete()
    return inflated


class Scanner:
    """The same of a file that comes in chunks."""

    def __init__(self, limits: Limits = _DEFAULT) -> None:
        self._limits = limits
        self._window = Window()
        self._size = 0
        self._inflation: _Inflation | None = None
        self._deflated = b""
        """What had come of the deflated data set when its beginning was found."""
        self._outcome: tuple[FileMeta, Walk, Dataset] | None = None
        self._failure: Exception | None = None
        self._steps = self._read()
        self._wanted: Stretch = next(self._steps)

    def feed(self, chunk: bytes | memoryview) -> None:
        """The next bytes; `Problem` as soon as the file is known to be bad."""
        self._size += len(chunk)
        with self._failing_for_good():
            self._take(chunk)

    def finish(self) -> Instance:
        """What the file is, all of it having been fed."""
        with self._failing_for_good():
            self._end()
        if self._outcome is None:
            raise AssertionError("the reader neither ended nor failed at the end of the file")
        return describe(*self._outcome, self._size)

    def _end(self) -> None:
        if self._inflation is not None:
            self._inflation.check_complete()
        self._window.ended = True
        self._advance()

    def _take(self, chunk: bytes | memoryview) -> None:
        if self._inflation is None:
            self._window.push(chunk)
            self._advance()
            chunk = b""
        if self._inflation is not None:
            chunk, self._deflated = self._deflated or chunk, b""
            for piece in self._inflation.pieces(chunk):
                self._window.push(piece)
                self._advance()

    def _advance(self) -> None:
        while self._outcome is None and self._window.settle(self._wanted):
            try:
                self._wanted = next(self._steps)
            except StopIteration as stop:
                self._outcome = stop.value

    @contextmanager
    def _failing_for_good(self) -> Iterator[None]:
        """A reader that failed cannot go on: what made it fail is raised again by whatever is asked after it."""
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except Exception as failure:
            self._failure = failure
            raise

    def _read(self) -> Steps[tuple[FileMeta, Walk, Dataset]]:
        meta = yield from group2.read(self._window, self._limits)
        if meta.is_deflated:
            self._inflation = _Inflation(self._limits)
            self._deflated = self._window.cut(meta.dataset_start)
        walk = _walk(self._window, meta, self._limits)
        return meta, walk, (yield from walk.run(meta.dataset_start))


class _Inflation:
    """Raw deflate (RFC 1951), bounded in what comes out at once and altogether."""

    def __init__(self, limits: Limits) -> None:
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._left = self._most = limits.inflated

    def pieces(self, chunk: bytes | memoryview) -> Iterator[bytes]:
        while not self._zlib.eof:
            try:
                piece = self._zlib.decompress(chunk, _PIECE)
            except zlib.error:
                raise Problem(Kind.INVALID, "Cannot understand the data set: it is not deflated as claimed.") from None
            self._left -= len(piece)
            if self._left < 0:
                raise Problem(Kind.TOO_LARGE, f"The data set inflates to more than {self._most} bytes.")
            yield piece
            chunk = self._zlib.unconsumed_tail
            if not chunk and len(piece) < _PIECE:
                return

    def check_complete(self) -> None:
        if not self._zlib.eof:
            raise Problem(Kind.INVALID, "Cannot understand the data set: its deflated bytes end too early.")


def _scan_in_pieces(data: memoryview, limits: Limits) -> Instance:
    """Of a view no more is copied, and of a deflated file no more is inflated at once, than is being read."""
    scanner = Scanner(limits)
    for start in range(0, data.nbytes, _PIECE):
        scanner.feed(data[start : start + _PIECE])
    return scanner.finish()


def _walk(window: Window, meta: FileMeta, limits: Limits) -> Walk:
    syntax = transfer_syntax.get(meta.transfer_syntax_uid)
    swapped = meta.transfer_syntax_uid == _GE_BIG_ENDIAN_PIXELS
    encapsulated = syntax is not None and syntax.encapsulated
    return Walk(window, _encoding(meta), limits, encapsulated=encapsulated, swapped_pixels=swapped)


def _encoding(meta: FileMeta) -> Encoding:
    match meta.transfer_syntax_uid:
        case transfer_syntax.IMPLICIT_LITTLE:
            return IMPLICIT_LITTLE
        case transfer_syntax.EXPLICIT_BIG:
            return EXPLICIT_BIG
        case uid:
            return IMPLICIT_LITTLE if uid == _GE_BIG_ENDIAN_PIXELS else EXPLICIT_LITTLE
