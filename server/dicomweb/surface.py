"""All DICOMweb endpoints over one set of services (PS3.18 10.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

from server.archive.find import Finder
from server.archive.frame_coder import FrameCoder
from server.archive.recode import Recoder
from server.archive.remove import Remover
from server.archive.retrieve import Retriever
from server.archive.store import Store
from server.dicomweb.bulkdata import RetrieveBulkdata
from server.dicomweb.capabilities import Capabilities
from server.dicomweb.delete import Deletion
from server.dicomweb.frames import RetrieveFrames
from server.dicomweb.metadata import RetrieveMetadata
from server.dicomweb.qido import Search
from server.dicomweb.recoded import RecodedInstances
from server.dicomweb.rendered import RetrieveRendered
from server.dicomweb.stow import Stow
from server.dicomweb.wado import RetrieveInstances
from server.dicomweb.wado_uri import WadoUri
from server.http.surface import Endpoint
from server.kernel.answers import AnswerCache
from server.kernel.offload import Offload


@dataclass(frozen=True, slots=True)
class DicomWeb:
    """The surface; `most_results` of one search, `max_pixels` of one frame that is decoded."""

    store: Store
    finder: Finder
    retriever: Retriever
    remover: Remover
    answers: AnswerCache
    offload: Offload
    most_results: int
    max_pixels: int

    def endpoints(self) -> tuple[Endpoint, ...]:
        rows = self._retrieval() + self._others()
        return rows + Capabilities(rows).endpoints()

    def _retrieval(self) -> tuple[Endpoint, ...]:
        coder = FrameCoder(self.retriever, self.max_pixels)
        recoded = RecodedInstances(Recoder(coder))
        bulkdata = RetrieveBulkdata(self.retriever, coder)
        return (
            *RetrieveInstances(self.retriever, recoded, bulkdata).endpoints(),
            *RetrieveMetadata(self.retriever, self.answers).endpoints(),
            *RetrieveFrames(self.retriever, coder).endpoints(),
            *bulkdata.endpoints(),
            *RetrieveRendered(self.retriever, coder).endpoints(),
            *WadoUri(self.retriever, coder, recoded).endpoints(),
        )

    def _others(self) -> tuple[Endpoint, ...]:
        return (
            *Search(self.finder, self.answers, self.offload, self.most_results).endpoints(),
            *Stow(self.store, self.offload).endpoints(),
            *Deletion(self.remover).endpoints(),
        )
