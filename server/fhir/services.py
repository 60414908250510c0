"""The FHIR services over one set of records, put together once for the server and for the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from profiles.findings import Severity
from server.access.consent.alerts import Alerts
from server.access.decision import AccessPoint
from server.audit.writes import UNRECORDED, Writes
from server.fhir.access_marker import has_access_keys
from server.fhir.bundle.batch import Batches
from server.fhir.bundle.transaction import Transactions
from server.fhir.consents import ConsentRules
from server.fhir.criteria import GranularCriteria
from server.fhir.history import History
from server.fhir.index.bases import Bases
from server.fhir.index.reading import Reading
from server.fhir.knowledge import Knowledge, KnowledgeFollower, knowledge_of
from server.fhir.operations.catalogue import Catalogue, Operation
from server.fhir.operations.everything import Everything
from server.fhir.operations.lastn import LastN
from server.fhir.operations.meta import MetaOperations
from server.fhir.operations.search_rows import SearchRows
from server.fhir.operations.terminology import TerminologyOperations
from server.fhir.operations.terminology_rows import TerminologyRows
from server.fhir.operations.validate import ValidateOperation
from server.fhir.patch.bundled import read_patch
from server.fhir.redaction import RightsRedaction
from server.fhir.reports import ReportRules
from server.fhir.repository import Repository
from server.fhir.rules import RuleSet
from server.fhir.search.request import Limits
from server.fhir.search.searcher import Searcher
from server.fhir.series_labels import SeriesLabels
from server.fhir.subscriptions.owner import Owners
from server.fhir.subscriptions.rules import SubscriptionRules
from server.fhir.subscriptions.service import Subscriptions
from server.fhir.writing import Rules, Writing
from server.kernel.clock import Clock
from server.kernel.hosts import Hosts
from server.kernel.offload import Offload
from storage.errors import VersionConflict
from storage.ports import Put, Records

_SECRETS = "fhir-secret"
_CURSORS = "cursors"


@dataclass(frozen=True, slots=True)
class FhirOptions:
    """What a site may choose; `bases` are the URLs by which clients know this service."""

    bases: tuple[str, ...] = ()
    zone: tzinfo = UTC
    most_results: int = 1000
    enforces_references: bool = False
    enforces_profiles: bool = True
    most_deleted: int = 0


@dataclass(frozen=True, slots=True)
class FhirServices:
    options: FhirOptions
    knowledge: Knowledge
    following: KnowledgeFollower
    searcher: Searcher
    repository: Repository
    history: History
    transactions: Transactions
    batches: Batches
    clock: Clock
    offload: Offload

    def operations(self) -> tuple[Operation, ...]:
        """The rows of all operations on one resource, a type or terminology."""
        terminology = TerminologyOperations(self.knowledge.terminology, self.clock)
        return (
            *ValidateOperation(self.knowledge.validation, self.repository).rows(),
            *MetaOperations(self.repository, self.knowledge.validation).rows(),
            *SearchRows(Everything(self.searcher), LastN(self.searcher)).rows(),
            *TerminologyRows(terminology, self.repository, self.offload).rows(),
        )

    def subscriptions(self, hosts: Hosts, owners: Owners) -> Subscriptions:
        """What serves subscriptions for as long as the server runs, and as long as their owners may be told."""
        parameters = self.knowledge.parameters
        return Subscriptions(self.repository, self.searcher, parameters, self.clock, self.offload, hosts, owners)

    def catalogue(self, others: Sequence[Operation] = ()) -> Catalogue:
        return Catalogue((*self.operations(), *others))


async def open_fhir(
    records: Records,
    access: AccessPoint,
    clock: Clock,
    offload: Offload,
    options: FhirOptions,
    alerts: Alerts | None = None,
    writes: Writes = UNRECORDED,
    rules: Sequence[Rules] = (),
) -> FhirServices:
    """`alerts` are told of consents that are not understood; `writes` gives the events of what is written; `rules` are
    those of services above this one."""
    declared = Severity.ERROR if options.enforces_profiles else Severity.WARNING
    knowledge = knowledge_of(options.bases, options.zone, offload, declared)
    parameters = knowledge.parameters
    following = KnowledgeFollower(knowledge, records, clock, offload)
    await following.load()
    reading = _reading(knowledge, clock, options)
    access.is_keyed = await has_access_keys(records)
    access.criteria = GranularCriteria(lambda: parameters.registry, reading)
    redaction = RightsRedaction(
        records, access.consents, access, offload, parameters.keys, Bases.of(options.bases).local
    )
    searcher = Searcher(
        records,
        access,
        lambda: parameters.registry,
        reading,
        await cursor_secret(records),
        Limits(max_count=options.most_results),
        redaction,
    )
    writing = await _writing(records, offload, options, knowledge, searcher, alerts, rules)
    repository = Repository(
        records,
        access,
        clock,
        offload,
        writing,
        searcher,
        enforces_references=options.enforces_references,
        most_deleted=options.most_deleted,
        committed=knowledge.committed,
        writes=writes,
        redaction=redaction,
    )
    return FhirServices(
        options=options,
        knowledge=knowledge,
        following=following,
        searcher=searcher,
        repository=repository,
        history=History(records, repository.reading, searcher.cursors),
        transactions=Transactions(repository, read_patch),
        batches=Batches(repository, read_patch),
        clock=clock,
        offload=offload,
    )


def _reading(knowledge: Knowledge, clock: Clock, options: FhirOptions) -> Callable[[], Reading]:
    def reading() -> Reading:
        return Reading(clock.now(), options.zone, options.bases, knowledge.terminology)

    return reading


async def _writing(
    records: Records,
    offload: Offload,
    options: FhirOptions,
    knowledge: Knowledge,
    searcher: Searcher,
    alerts: Alerts | None,
    others: Sequence[Rules],
) -> Writing:
    """What makes changes ready, under all the rules of beside and before."""
    parameters = knowledge.parameters
    consents = ConsentRules(records, options.bases, options.zone, alerts)
    await consents.prepare()
    rules = RuleSet((ReportRules(records, searcher), consents, SeriesLabels(parameters.keys), *others))
    validation = SubscriptionRules(knowledge.validation, searcher)
    return Writing(offload, validation, parameters, rules, keeps_references=options.enforces_references)


async def cursor_secret(records: Records) -> bytes:
    """What seals the links between pages: made once, and one for all processes of an archive."""
    for record in await records.get(_SECRETS, [_CURSORS]):
        return record.body
    secret = os.urandom(32)
    try:
        await records.commit([Put(_SECRETS, _CURSORS, secret, expected=0)])
    except VersionConflict:
        return await cursor_secret(records)
    return secret
