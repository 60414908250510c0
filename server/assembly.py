"""Opens the stores and puts the services together: the same way for the server and for the command line."""

from __future__ import annotations

from dataclasses import dataclass

from server.access.decision import AccessPoint
from server.archive import rows
from server.archive.find import Finder
from server.archive.remove import Remover
from server.archive.retrieve import Retriever
from server.archive.store import Store
from server.dicomweb.surface import DicomWeb
from server.kernel.answers import AnswerCache
from server.kernel.clock import Clock, SystemClock
from server.kernel.offload import Offload
from server.settings import Settings
from storage.open import Stores, open_stores


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a surface or a command may use; `close` waits for what is under way."""

    settings: Settings
    offload: Offload
    clock: Clock
    stores: Stores
    access: AccessPoint
    answers: AnswerCache
    store: Store
    finder: Finder
    retriever: Retriever
    remover: Remover

    def dicomweb(self) -> DicomWeb:
        """The DICOMweb surface over these services."""
        return DicomWeb(
            store=self.store,
            finder=self.finder,
            retriever=self.retriever,
            remover=self.remover,
            answers=self.answers,
            offload=self.offload,
            most_results=self.settings.query_limit,
            max_pixels=self.settings.max_pixels,
        )

    async def close(self) -> None:
        await self.stores.close()
        self.offload.close()


async def open_services(settings: Settings) -> Services:
    """Everything ready for use; `ValueError` names a setting that cannot be, `StoreUnavailable` a store that is not."""
    offload = Offload()
    try:
        stores = await open_stores(
            settings.records_url,
            settings.blobs_url,
            encryption=settings.encryption,
            key_file=settings.key_file,
            threads=offload,
        )
    except BaseException:
        offload.close()
        raise
    try:
        await stores.records.prepare(rows.INDEXES)
    except BaseException:
        await stores.close()
        offload.close()
        raise
    access = AccessPoint()
    records, blobs = stores.records, stores.blobs
    return Services(
        settings=settings,
        offload=offload,
        clock=SystemClock(),
        stores=stores,
        access=access,
        answers=AnswerCache(settings.cache),
        store=Store(records, blobs, access, offload, settings),
        finder=Finder(records, blobs, access),
        retriever=Retriever(records, blobs, access, offload),
        remover=Remover(records, blobs, access),
    )
