"""What the content of a document must be for its format code, where somebody here knows the format."""

from __future__ import annotations

from typing import Protocol

from server.xds.errors import RegistryError
from server.xds.metadata import DocumentEntry
from storage.ports import BlobRef


class ContentCheck(Protocol):
    """Asked for each document of its format before anything is registered."""

    async def __call__(self, entry: DocumentEntry, content: BlobRef) -> tuple[RegistryError, ...]:
        """What is wrong; warnings refuse nothing."""
        ...
