"""Stores FHIR files: bundles as they ask for it, lines of NDJSON in groups; what waits for others is tried once more.

Files are taken in the order they were found, two at a time, so that one is read while the other is written. A file
whose name begins with `0-` is finished before the next begins, since such names say that others refer to it.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.batch import Batches
from server.fhir.bundle.entries import Entry, all_sound, parse_bundle
from server.fhir.bundle.transaction import Transactions
from server.fhir.json_form import Resource, decode
from server.importing.fhir_files import FhirFile, Form, read_lines, read_whole
from server.importing.fhir_marks import Marks, creates, digest_of, mark
from server.importing.fhir_requests import bundle, entry_of, request_of, transaction
from server.importing.sources import Source, Unreadable
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.ports import Records

MOST_ENTRIES = 100_000
LINES = 500
"""Lines of NDJSON that are stored in one transaction."""
_BASE = "urn:weft:import"
"""Files carry no URLs of this server."""


@dataclass(slots=True)
class FileOutcome:
    """What became of one file."""

    written: int = 0
    """Resources stored or found there."""
    was_there: bool = False
    """A bundle stored already, so that nothing was done."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Label and reason; a bundle that is refused whole is one of them."""
    waiting: list[Waiting] = field(default_factory=list)
    """Requests that refer to what may come later."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request to be tried again, or the source to read it from where it is long."""

    label: str
    request: Resource | None
    places: tuple[str, ...] = ()
    """Labels of its entries."""


class FhirImporter:
    def __init__(
        self, transactions: Transactions, batches: Batches, records: Records, offload: Offload, context: Context
    ) -> None:
        self._transactions = transactions
        self._marks = Marks(records)
        self._batches = batches
        self._offload = offload
        self._context = context

    async def store(self, source: Source, file: FhirFile, *, is_last: bool = False) -> FileOutcome:
        """Everything of a file. `is_last`: what refers to nothing is refused rather than left waiting."""
        outcome = FileOutcome()
        try:
            if file.form is Form.NDJSON:
                await self._lines(source, file, outcome)
            else:
                request, digest = await self._offload.cpu(_request, source, file)
                await self._run(source.label, request, (), outcome, keeps=False, digest=digest)
        except (Problem, Unreadable) as error:
            _refuse(outcome, source.label, error)
        if is_last:
            _give_up(outcome)
        return outcome

    async def again(self, waiting: Waiting, source: Source, file: FhirFile) -> FileOutcome:
        """What was left waiting, for the last time."""
        if waiting.request is None:
            return await self.store(source, file, is_last=True)
        outcome = FileOutcome()
        await self._run(waiting.label, waiting.request, waiting.places, outcome, keeps=True)
        _give_up(outcome)
        return outcome

    async def _lines(self, source: Source, file: FhirFile, outcome: FileOutcome) -> None:
        async for lines in self._groups(source, file):
            places, entries = [], []
            digest = digest_of(b"\n".join(line for _, line in lines))
            for number, line in lines:
                label = f"{source.label}:{number}"
                try:
                    entries.append(entry_of(decode(line)))
                    places.append(label)
                except Problem as problem:
                    _refuse(outcome, label, problem)
            await self._group(source.label, entries, tuple(places), outcome, digest)

    async def _groups(self, source: Source, file: FhirFile) -> AsyncIterator[list[tuple[int, bytes]]]:
        lines = read_lines(source, file)
        while group := await self._offload.io(_some, lines):
            yield group

    async def _group(
        self, label: str, entries: Sequence[Resource], places: tuple[str, ...], outcome: FileOutcome, digest: str
    ) -> None:
        """In one transaction; where that fails, one by one, to store what can be and name what cannot."""
        if not entries:
            return
        attempt = FileOutcome()
        await self._run(label, transaction(entries), places, attempt, keeps=False, digest=digest)
        if attempt.refused or attempt.waiting:
            await self._run(label, bundle("batch", entries), places, outcome, keeps=True, digest=digest)
        else:
            outcome.written += attempt.written
            outcome.was_there = outcome.was_there or attempt.was_there

    async def _run(
        self,
        label: str,
        request: Resource,
        places: tuple[str, ...],
        outcome: FileOutcome,
        *,
        keeps: bool,
        digest: str | None = None,
    ) -> None:
        """`keeps`: the request stays in memory where it has to wait. `digest`: of the text it comes from."""
        try:
            kind, entries = await self._offload.cpu(parse_bundle, request, _BASE, MOST_ENTRIES)
            marked = digest if digest and creates(request) else None
            if marked and await self._marks.holds(marked):
                outcome.was_there = True
                return
            answers = await (self._transaction if kind == "transaction" else self._batch)(entries, marked)
        except Problem as problem:
            if _is_unresolved(problem):
                outcome.waiting.append(Waiting(label, request if keeps else None, places))
            else:
                _refuse(outcome, label, problem)
            return
        _sort(label, request, places, answers, outcome)

    async def _transaction(self, entries: Sequence[Entry | Problem], digest: str | None) -> list[EntryAnswer]:
        beside = (lambda made: mark(digest, [each.stored for each in made])) if digest else None
        return await self._transactions.run(self._context, all_sound(entries), _no_reads, beside=beside)

    async def _batch(self, entries: Sequence[Entry | Problem], digest: str | None) -> list[EntryAnswer]:
        answers = await self._batches.run(self._context, entries, _no_reads)
        if digest:
            await self._marks.add(digest, [each.stored for each in answers if each.stored and each.problem is None])
        return answers


def _sort(
    label: str, request: Resource, places: tuple[str, ...], answers: Sequence[EntryAnswer], outcome: FileOutcome
) -> None:
    """What an answered bundle comes to: entries stored, refused, or to be tried again together."""
    again: list[tuple[str, Resource]] = []
    for number, answer in enumerate(answers):
        place = places[number] if places else f"{label}: Bundle.entry[{number}]"
        if answer.problem is None:
            outcome.written += 1
        elif _is_unresolved(answer.problem):
            again.append((place, request["entry"][number]))
        else:
            _refuse(outcome, place, answer.problem)
    if again:
        entries = bundle("batch", [entry for _, entry in again])
        outcome.waiting.append(Waiting(label, entries, tuple(place for place, _ in again)))


def _give_up(outcome: FileOutcome) -> None:
    for each in outcome.waiting:
        for place in each.places or (each.label,):
            outcome.refused.append((place, "refers to something by criteria that match nothing"))
    outcome.waiting = []


def _is_unresolved(problem: Problem) -> bool:
    """A conditional reference, or an enforced one, to what is not there yet."""
    return problem.kind in (Kind.PRECONDITION, Kind.UNSUPPORTED) and any(
        issue.code == "not-found" for issue in problem.issues
    )


def _refuse(outcome: FileOutcome, label: str, error: Problem | Unreadable) -> None:
    if isinstance(error, Unreadable):
        outcome.refused.append((label, str(error)))
        return
    issue = error.issues[0] if error.issues else None
    place = f" ({issue.location})" if issue and issue.location else ""
    outcome.refused.append((label + place, issue.text if issue else error.text))


def _request(source: Source, file: FhirFile) -> tuple[Resource, str]:
    resource, text = read_whole(source, file)
    return request_of(resource), digest_of(text)


def _some(lines: Iterator[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return list(itertools.islice(lines, LINES))


async def _no_reads(context: Context, entry: Entry) -> EntryAnswer:
    raise Problem(Kind.UNSUPPORTED, "An import carries out nothing but writes.")
