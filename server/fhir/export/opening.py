"""The export service put together over the other FHIR services."""

from __future__ import annotations

from server.access.decision import AccessPoint
from server.audit.writes import UNRECORDED, Writes
from server.fhir import json_form
from server.fhir.export.compartment import patient_compartments
from server.fhir.export.exports import Exports
from server.fhir.export.membership import Membership
from server.fhir.export.run import Subset, Writing
from server.fhir.services import FhirServices
from server.fhir.stored import Stored
from server.fhir.subset import Subset as Elements
from storage.ports import Blobs, Records


def open_exports(
    records: Records, blobs: Blobs, access: AccessPoint, fhir: FhirServices, writes: Writes = UNRECORDED
) -> Exports:
    parameters = fhir.knowledge.parameters
    compartment = patient_compartments(lambda: parameters.registry)
    membership = Membership(records, access, fhir.searcher, compartment)
    writing = Writing(records, blobs, parameters, subset_of(()), fhir.repository.reading.redaction)
    return Exports(records, blobs, access, membership, writing, fhir.clock, subset_of, writes)


def subset_of(elements: tuple[str, ...]) -> Subset:
    """What is written of each version: all of it as it is stored, or the elements named."""
    if not elements:
        return lambda stored: stored.body
    chosen = Elements(elements=frozenset(elements))

    def part(stored: Stored) -> bytes:
        return json_form.encode(chosen.of(json_form.decode(stored.body)))

    return part
