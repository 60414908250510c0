"""One run: storing first, then every case, some rounds over; each case is checked once before it is timed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tests.benchmarks.cases import JSON, OCTETS, Case, cases
from tests.benchmarks.corpus import Corpus, Shape, Study, files
from tests.benchmarks.load import Load, Target
from tests.benchmarks.meter import Meter
from tests.benchmarks.report import Measure, Run
from tests.benchmarks.wire import Answer

_BOUNDARY = "weft-benchmark-boundary"
_CONTENT_TYPE = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
_VIEWER_CLIENTS = 6


@dataclass(frozen=True)
class Plan:
    target: Target
    pid: int = 0
    shape: Shape = Shape()
    token: int = 1
    rounds: int = 3
    seconds: float = 3.0
    only: str = ""
    may_store: bool = True

    def wants(self, name: str) -> bool:
        return not self.only or re.search(self.only, name) is not None


def measure(plan: Plan, label: str) -> Run:
    """All that is asked for; a case whose answer is wrong becomes a note instead of a number."""
    run = Run(label, plan.target.base_url)
    corpus = Corpus(plan.shape, plan.token)
    for number in range(plan.rounds):
        _say(f"round {number + 1} of {plan.rounds}")
        if plan.may_store:
            # Later rounds store other instances; everything else asks for those of the first.
            _store(plan, run, Corpus(plan.shape, plan.token + number), with_tiny=number == 0)
        for case in cases(corpus):
            if plan.wants(case.name) and case.name not in run.notes:
                _measure_case(plan, run, case)
        if corpus.ct and plan.wants("viewer"):
            _open_as_viewers_do(plan, run, corpus)
    return run


def _measure_case(plan: Plan, run: Run, case: Case) -> None:
    answer = plan.target.get(case.paths[0], case.accept)
    wrong = f"HTTP {answer.status}" if answer.status not in (200, 206) else case.check(answer)
    if wrong:
        run.notes[case.name] = f"not measured: {wrong}"
        return
    with Meter(plan.pid) as meter:
        if case.once:
            load = plan.target.get_each(case.paths, case.accept, case.clients)
        else:
            load = plan.target.gets(case.paths, case.accept, case.clients, plan.seconds)
    _add(run, case.name, load, meter, case.images)


def _store(plan: Plan, run: Run, corpus: Corpus, *, with_tiny: bool) -> None:
    half = max(1, len(corpus.ct) // 2)
    parts = [("stow CT c1", corpus.ct[:half], 1, 10, False), ("stow CT c4", corpus.ct[half:], 4, 10, False)]
    if with_tiny:
        fifth = len(corpus.tiny) // 5
        parts += [
            ("stow tiny c1", corpus.tiny[:fifth], 1, 50, True),
            ("stow tiny c4", corpus.tiny[fifth:], 4, 50, True),
        ]
    for name, studies, clients, per_request, is_tiny in parts:
        if studies:
            _store_studies(plan, run, name, studies, clients, per_request, is_tiny=is_tiny)


def _store_studies(
    plan: Plan, run: Run, name: str, studies: Sequence[Study], clients: int, per_request: int, *, is_tiny: bool
) -> None:
    instances = (each for study in studies for each in files(study, is_tiny=is_tiny))
    bodies = [_multipart(group) for group in _groups(instances, per_request)]
    count = sum(len(study.instances) for study in studies)
    with Meter(plan.pid) as meter:
        load = plan.target.post_each(bodies, _CONTENT_TYPE, clients, _stored)
    load.requests = count
    _add(run, name, load, meter)


def _stored(answer: Answer) -> bool:
    if answer.status != 200:
        return False
    told = json.loads(answer.body or b"{}")
    told = told[0] if isinstance(told, list) else told
    return "00081198" not in told


def _open_as_viewers_do(plan: Plan, run: Run, corpus: Corpus) -> None:
    """Study, series, metadata of the series, then every frame over six connections; one load for all studies."""
    total = Load()
    with Meter(plan.pid) as meter:
        for study in corpus.ct[:5]:
            first = [f"/studies?StudyInstanceUID={study.study}", f"/studies/{study.study}/series"]
            first.append(f"{study.series_path}/metadata")
            frames = [f"{study.instance_path(place)}/frames/1" for place in range(len(study.instances))]
            told = plan.target.get_each(first, JSON, 1)
            drawn = plan.target.get_each(frames, OCTETS, _VIEWER_CLIENTS)
            total.requests += 1
            total.wrong += told.wrong + drawn.wrong
            total.octets += told.octets + drawn.octets
            total.seconds += told.seconds + drawn.seconds
    total.median = total.slow = total.seconds / total.requests
    _add(run, "viewer opens study", total, meter)


def _add(run: Run, name: str, load: Load, meter: Meter, images: int = 1) -> None:
    each = Measure.of(load, meter.cost, images)
    run.add(name, each)
    _say(f"  {name:28} {each.rate:10.1f}/s {each.megabytes:8.1f} MB/s  CPU {each.cpu_ms:.3f} ms")


def _multipart(contents: Iterable[bytes]) -> bytes:
    parts = [f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + each + b"\r\n" for each in contents]
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()


def _groups(each: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    while group := list(islice(each, size)):
        yield group


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
