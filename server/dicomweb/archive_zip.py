"""`application/zip`: files streamed into one archive, which is never held (PS3.18 supplement 211).

Files are stored, not deflated: pixels are compressed already or gain little, and a hospital's network is faster than
deflate. Sizes follow each file, so nothing needs to be known before it is read; zip64 is used for large files.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeAlias

from server.dicomweb.parts import Content
from server.http.surface import Answer, Bytes
from server.kernel.offload import Offload
from server.kernel.streams import close, pieces

ZIP = "application/zip"

Files: TypeAlias = AsyncGenerator[tuple[str, Content], None]
"""Name inside the archive, and content. Names are made of UIDs already checked, never of other data."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


class _Outlet(io.RawIOBase):
    """What the zip writer writes to: takes the pieces, which are then sent, and cannot seek."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Bytes) -> int:  # type: ignore[override]
        self.pieces.append(bytes(data))
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        pieces, self.pieces = self.pieces, []
        return b"".join(pieces)


def zipped(
    files: Files, offload: Offload, filename: str, headers: list[tuple[str, str]], *, status: int = 200
) -> Answer:
    """The archive as an answer to be saved under `filename`."""
    disposition = ("Content-Disposition", f'attachment; filename="{filename}"')
    return Answer(status, _stream(files, offload), ZIP, [*headers, disposition])


async def _stream(files: Files, offload: Offload) -> AsyncGenerator[Bytes, None]:
    outlet = _Outlet()
    archive = zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED)
    async with aclosing(files):
        async for name, content in files:
            entry = archive.open(zipfile.ZipInfo(name, _EPOCH), "w", force_zip64=True)
            try:
                async for piece in pieces(content):
                    # The checksum of half a megabyte takes too long for the event loop.
                    await offload.cpu(entry.write, piece)
                    yield outlet.take()
            finally:
                entry.close()
                await close(content)
    archive.close()
    yield outlet.take()
