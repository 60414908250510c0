"""Documents are compared with what was provided; nothing of theirs, or of an export, is swept away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from server.assembly import Services, open_services
from server.commands.verify import CLEAN, FOUND, verify
from server.kernel.measuring import Received
from server.settings import Settings
from server.xds.checking import Checked, Damage, DocumentCheck
from server.xds.contents import entered


async def _octets(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _keep(services: Services, unique_id: str, content: bytes) -> Received:
    kept = await services.documents.repository.contents.receive(_octets(content))
    await services.stores.records.commit([entered(unique_id, kept, 0)])
    return kept


def settings(folder: Path) -> Settings:
    return Settings(data=folder, auth="off")


def test_each_document_is_read_whole(tmp_path: Path) -> None:
    async def run() -> list[Damage | Checked]:
        services = await open_services(settings(tmp_path))
        try:
            contents = services.documents.repository.contents
            await _keep(services, "1.2.1", b"as provided")
            other, lost = await _keep(services, "1.2.2", b"one thing"), await _keep(services, "1.2.3", b"lost")
            swapped = await contents.receive(_octets(b"another!!"))
            wrong = Received(swapped.ref, other.sha1, "")
            await services.stores.records.commit([entered("1.2.2", wrong, 1)])
            await contents.blobs.delete(lost.ref)
            return [each async for each in DocumentCheck(contents).run()]
        finally:
            await services.close()

    found = asyncio.run(run())
    assert sum(each.octets for each in found if isinstance(each, Checked)) == len(b"as provided")
    damages = {each.unique_id: each for each in found if isinstance(each, Damage)}
    assert set(damages) == {"1.2.2", "1.2.3"}
    assert damages["1.2.3"].is_missing
    assert not damages["1.2.2"].is_missing
    assert verify(settings(tmp_path), decode=False, sweep=False) == FOUND


def test_an_archive_of_whole_documents_is_clean(tmp_path: Path) -> None:
    async def fill() -> None:
        services = await open_services(settings(tmp_path))
        try:
            await _keep(services, "1.2.1", b"as provided")
        finally:
            await services.close()

    asyncio.run(fill())
    assert verify(settings(tmp_path), decode=False, sweep=True) == CLEAN
