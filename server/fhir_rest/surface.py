"""All endpoints of the FHIR REST API over one set of services (R4 http.html)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from server.fhir.bundle.batch import Batches
from server.fhir.bundle.transaction import Transactions
from server.fhir.history import History
from server.fhir.index.registry import Registry
from server.fhir.operations.catalogue import Catalogue
from server.fhir.repository import Repository
from server.fhir.search.searcher import Searcher
from server.fhir.validation import Validation
from server.fhir_rest.bodies import Bodies
from server.fhir_rest.capability import Capabilities, Policies
from server.fhir_rest.documents import DocumentReading, Documents, NoDocuments
from server.fhir_rest.exporting import Exporting
from server.fhir_rest.following import Following, NoPersons, Persons
from server.fhir_rest.histories import Histories
from server.fhir_rest.metadata import Metadata
from server.fhir_rest.operating import Operating
from server.fhir_rest.providing import NoProvide, Provide
from server.fhir_rest.resources import Resources
from server.fhir_rest.routing import FhirRouter
from server.fhir_rest.searching import Searching
from server.fhir_rest.transactions import Bundles
from server.http.surface import Endpoint
from server.kernel.answers import AnswerCache
from server.kernel.offload import Offload


@dataclass(frozen=True, slots=True)
class FhirRest:
    """The surface; `profiles` by resource type, `longest` body in bytes, `most_entries` of a bundle."""

    repository: Repository
    validation: Validation
    searcher: Searcher
    history: History
    transactions: Transactions
    batches: Batches
    catalogue: Catalogue
    registry: Callable[[], Registry]
    profiles: Mapping[str, Sequence[str]]
    policies: Policies
    answers: AnswerCache
    offload: Offload
    longest: int
    most_entries: int
    exporting: Exporting
    documents: Documents = NoDocuments()
    provide: Provide = NoProvide()
    persons: Persons = NoPersons()

    def endpoints(self) -> tuple[Endpoint, ...]:
        rows = self._resources()
        # The statement tells of bundles, and a bundle may ask for the statement.
        told = (*rows, *self._bundles(rows))
        shares_documents = not isinstance(self.documents, NoDocuments)
        capabilities = Capabilities(told, self.catalogue, self.registry, self.policies, self.profiles, shares_documents)
        rows += Metadata(capabilities, self.answers, self.offload).endpoints()
        return (*rows, *self._bundles(rows), *self.exporting.endpoints())

    def router(self, others: Sequence[Endpoint] = ()) -> FhirRouter:
        """`others` are rows below the FHIR base that are not of FHIR itself."""
        return FhirRouter((*self.endpoints(), *others), self.catalogue)

    def _resources(self) -> tuple[Endpoint, ...]:
        bodies = Bodies(self.offload, self.longest)
        documents = DocumentReading(self.documents, self.offload, self.longest)
        following = Following(self.persons)
        return (
            *Resources(self.repository, bodies, self.validation, documents, self.provide, following).endpoints(),
            *Histories(self.history, self.offload).endpoints(),
            *Searching(self.searcher, bodies, self.answers, self.offload).endpoints(),
            *Operating(self.catalogue, bodies, self.offload).endpoints(),
        )

    def _bundles(self, others: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        """What the entries of a bundle may ask for is everything else."""
        inner = FhirRouter(others, self.catalogue)
        bodies = Bodies(self.offload, self.longest)
        redaction = self.repository.reading.redaction
        return Bundles(
            self.transactions,
            self.batches,
            bodies,
            inner,
            self.offload,
            self.most_entries,
            redaction,
            self.provide,
            Following(self.persons),
        ).endpoints()
