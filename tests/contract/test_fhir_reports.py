"""One current report of each examination, on every record store and by every way of writing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from server.access.decision import AccessPoint
from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import all_sound, parse_bundle
from server.fhir.committing import Status, Written
from server.fhir.json_form import Resource
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.kernel.problem import Kind, Problem
from storage.ports import Records
from tests.contract.conftest import Archive
from tests.data.reports import NUMBERS, coded, imaging_report
from tests.server.fhir.small import CONTEXT, TickingClock, content, no_reads

BASE = "http://weft.example/fhir"


@pytest.fixture
def fhir(archive: Archive, store: Records) -> FhirServices:
    return opened(archive, store)


def opened(archive: Archive, store: Records) -> FhirServices:
    options = FhirOptions(bases=(BASE,))
    return archive.run(open_fhir(store, AccessPoint(), TickingClock(), archive.threads, options))


def report(resource_id: str | None, status: str = "final", number: str = "E1", **more: Any) -> Resource:
    given = {} if resource_id is None else {"id": resource_id}
    return imaging_report(number, status=status, **given, **more)


def put(archive: Archive, fhir: FhirServices, resource: Resource) -> Written:
    return archive.run(fhir.repository.update(CONTEXT, "DiagnosticReport", resource["id"], resource))


def create(archive: Archive, fhir: FhirServices, resource: Resource, if_none_exist: str | None = None) -> Written:
    return archive.run(fhir.repository.create(CONTEXT, "DiagnosticReport", resource, if_none_exist))


def bundle(archive: Archive, fhir: FhirServices, kind: str, *resources: Resource) -> list[EntryAnswer]:
    """Each put under its id, or posted where it has none."""
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"DiagnosticReport/{each['id']}"}
            if "id" in each else {"method": "POST", "url": "DiagnosticReport"}}
        for each in resources
    ]  # fmt: skip
    _, parsed = parse_bundle({"resourceType": "Bundle", "type": kind, "entry": entries}, BASE, 100)
    if kind == "batch":
        return archive.run(fhir.batches.run(CONTEXT, parsed, no_reads))
    return archive.run(fhir.transactions.run(CONTEXT, all_sound(parsed), no_reads))


def refused(work: Callable[[], object], kind: Kind, code: str) -> str:
    with pytest.raises(Problem) as raised:
        work()
    assert (raised.value.kind, raised.value.issues[0].code) == (kind, code)
    return raised.value.issues[0].text


def test_a_second_report_of_an_examination_is_refused_and_told_of_the_first(
    archive: Archive, fhir: FhirServices
) -> None:
    put(archive, fhir, report("a", "preliminary"))
    for attempt in (lambda: put(archive, fhir, report("b")), lambda: create(archive, fhir, report(None))):
        assert refused(attempt, Kind.CONFLICT, "duplicate").startswith("There is a current report of")
    put(archive, fhir, report("other", number="E2"))
    put(archive, fhir, report("free", meta={}))
    moved = report("other", number="E1")
    refused(lambda: put(archive, fhir, moved), Kind.CONFLICT, "duplicate")


def test_a_revision_is_the_next_version_and_what_it_replaced_is_kept(archive: Archive, fhir: FhirServices) -> None:
    for status in ("preliminary", "final", "amended"):
        written = put(archive, fhir, report("a", status))
    assert written.stored.version == 3
    first = archive.run(fhir.repository.vread(CONTEXT, "DiagnosticReport", "a", "1"))
    assert content(first)["status"] == "preliminary"
    same = create(archive, fhir, report(None), f"identifier={NUMBERS}|E1")
    assert (same.status, same.stored.id) == (Status.MATCHED, "a")
    query = f"identifier={NUMBERS}|E1"
    newest = report(None, "corrected")
    again = archive.run(fhir.repository.update_matching(CONTEXT, "DiagnosticReport", query, newest))
    assert (again.stored.id, again.stored.version) == ("a", 4)


def test_another_report_takes_the_place_of_one_withdrawn_or_deleted(archive: Archive, fhir: FhirServices) -> None:
    put(archive, fhir, report("a"))
    put(archive, fhir, report("a", "entered-in-error"))
    put(archive, fhir, report("b"))
    archive.run(fhir.repository.delete(CONTEXT, "DiagnosticReport", "b"))
    put(archive, fhir, report("c"))
    refused(lambda: put(archive, fhir, report("a")), Kind.UNSUPPORTED, "business-rule")
    refused(lambda: put(archive, fhir, report("b", "preliminary")), Kind.CONFLICT, "duplicate")


def test_naming_the_report_replaced_does_not_suffice_while_it_stands(archive: Archive, fhir: FhirServices) -> None:
    put(archive, fhir, report("a"))
    url = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces"
    told = {"extension": [{"url": url, "valueReference": {"reference": "DiagnosticReport/a"}}]}
    refused(lambda: put(archive, fhir, report("b", **told)), Kind.CONFLICT, "duplicate")
    answers = bundle(archive, fhir, "transaction", report("b", **told), report("a", "entered-in-error"))
    assert [each.status for each in answers] == [201, 200]


def test_a_report_does_not_go_back(archive: Archive, fhir: FhirServices) -> None:
    put(archive, fhir, report("a"))
    text = refused(lambda: put(archive, fhir, report("a", "preliminary")), Kind.UNSUPPORTED, "business-rule")
    assert text == "A report that is final cannot become preliminary."

    def patched() -> object:
        work = fhir.repository.patch(CONTEXT, "DiagnosticReport", "a", lambda before: before | {"status": "registered"})
        return archive.run(work)

    refused(patched, Kind.UNSUPPORTED, "business-rule")
    assert put(archive, fhir, report("a")).status is Status.UNCHANGED


def test_a_patch_that_makes_a_report_another_examinations_meets_the_rule(archive: Archive, fhir: FhirServices) -> None:
    put(archive, fhir, report("a"))
    put(archive, fhir, report("b", number="E2"))

    def renumbered(before: Resource) -> Resource:
        return before | {"identifier": report("x")["identifier"]}

    def patched() -> object:
        return archive.run(fhir.repository.patch(CONTEXT, "DiagnosticReport", "b", renumbered))

    refused(patched, Kind.CONFLICT, "duplicate")


def test_two_reports_of_one_examination_in_a_transaction(archive: Archive, fhir: FhirServices) -> None:
    with pytest.raises(Problem) as raised:
        bundle(archive, fhir, "transaction", report(None), report("b"))
    [issue] = raised.value.issues
    assert (raised.value.kind, issue.code) == (Kind.CONFLICT, "duplicate")
    assert issue.location == "Bundle.entry[1].resource.identifier"
    assert issue.text == "Another entry is a report of the same examination."
    assert archive.run(fhir.searcher.matching(CONTEXT, "DiagnosticReport", (("_id", "b"),), 1)) == []


def test_reports_of_many_examinations_in_a_transaction_may_change_places(archive: Archive, fhir: FhirServices) -> None:
    first = [report(f"r{each}", number=f"E{each}") for each in range(45)]
    assert {each.status for each in bundle(archive, fhir, "transaction", *first)} == {201}
    swapped = [report("r0", number="E44"), report("r44", number="E0")]
    assert [each.status for each in bundle(archive, fhir, "transaction", *swapped)] == [200, 200]
    with pytest.raises(Problem) as raised:
        bundle(archive, fhir, "transaction", report("x1", number="Y"), report("x2", number="E31"))
    assert raised.value.issues[0].text.startswith("There is a current report")
    assert (raised.value.issues[0].location or "").startswith("Bundle.entry[1]")


def test_in_a_batch_one_of_two_is_stored(archive: Archive, fhir: FhirServices) -> None:
    answers = bundle(archive, fhir, "batch", *(report(None) for _ in range(6)))
    problems = [each.problem for each in answers if each.problem]
    assert len(problems) == 5
    assert {each.kind for each in problems} == {Kind.CONFLICT}


def test_of_reports_created_at_once_in_two_processes_one_is_stored(archive: Archive, fhir: FhirServices) -> None:
    other = opened(archive, archive.open())

    async def both() -> list[Written | BaseException]:
        creating = [
            each.repository.create(CONTEXT, "DiagnosticReport", report(None))
            for each in (fhir, other)
            for _ in range(4)
        ]
        return await asyncio.gather(*creating, return_exceptions=True)

    outcomes = archive.run(both())
    [written] = [each for each in outcomes if isinstance(each, Written)]
    problems = [each for each in outcomes if isinstance(each, Problem)]
    assert len(problems) == 7
    expected = "There is a current report of this examination"
    assert all(each.kind is Kind.CONFLICT and each.text.startswith(expected) for each in problems)


def test_the_same_number_of_two_institutions_is_two_examinations(archive: Archive, fhir: FhirServices) -> None:
    def of(name: str) -> Resource:
        identifier = {"type": coded("v2-0203", "ACSN"), "value": "1,2|3", "assigner": {"display": name}}
        return report(None, identifier=[identifier])

    create(archive, fhir, of("A"))
    create(archive, fhir, of("B"))
    refused(lambda: create(archive, fhir, of("A")), Kind.CONFLICT, "duplicate")
