"""What FHIR costs, as ratios from one run: loading beside mere parsing, answers beside canned ones, much beside little.

Loading: every bundle of a folder, posted by one client; beside it `fhir.resources` parsing and validating the same
resources. Serving: a read and a page of twenty Observations; beside them a Starlette application that answers the
same bytes. Scale: one patient's values of one code, newest first, among ten thousand Observations and among a million.
"""

from __future__ import annotations

import asyncio
import bz2
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError

from server.assembly import open_services
from server.fhir.stored import HISTORY, Stored, collection
from server.settings import Settings
from storage.ports import Put
from tests.benchmarks.load import Target
from tests.benchmarks.meter import Meter, usage
from tests.benchmarks.report import Measure, Run
from tests.benchmarks.wire import Connection
from tests.e2e.running import ROOT, Place, running
from tests.ports import free_port

FHIR_JSON = "application/fhir+json"
SIZES = (10_000, 1_000_000)
_PATIENTS = 100
_CODES = ("8867-4", "9279-1", "8310-5", "2708-6", "29463-7")
_BATCH = 2000
_PAGE = "Observation?patient=Patient/{}&code=http://loinc.org|{}&_sort=-date&_count=20"


def fhir_load(bundles: Path) -> list[str]:
    """Lines that say how long loading took, and mere parsing by a model library."""
    files = sorted(bundles.glob("*.json.bz2"), key=lambda each: (not each.name.startswith("0-"), each.name))
    texts = [bz2.decompress(each.read_bytes()) for each in files]
    parsing, count = _parse(texts)
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder, running(Place("load", Path(folder))) as server:
        loading, cpu = _load(server.url, server.pid, texts)
    return [
        f"{count} resources in {len(files)} bundles",
        f"parsed and validated by fhir.resources: {parsing:.1f} s, {1e3 * parsing / count:.3f} ms each",
        f"loaded by Weft over HTTP: {loading:.1f} s ({cpu:.1f} s CPU), {1e3 * loading / count:.3f} ms each",
        f"ratio (needed: at most 1): {loading / parsing:.2f}",
    ]


def _parse(texts: Sequence[bytes]) -> tuple[float, int]:
    """Seconds it takes to make models of the bundles, and the resources in them."""
    count, begun = 0, time.perf_counter()
    for text in texts:
        with suppress(ValidationError):  # R4B differs from R4 in places; the work was done all the same
            count += len(Bundle.model_validate_json(text).entry)
    return time.perf_counter() - begun, count


def _load(url: str, pid: int, texts: Sequence[bytes]) -> tuple[float, float]:
    connection = Connection(Target(url).url)
    headers = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON, "Prefer": "return=minimal"}
    before = usage(pid)[0]
    begun = time.perf_counter()
    try:
        for text in texts:
            answer = connection.request("POST", "/fhir", headers, text, keep=True)
            if answer.status != 200:
                raise SystemExit(f"a bundle was refused with {answer.status}: {(answer.body or b'')[:2000]!r}")
    finally:
        connection.close()
    return time.perf_counter() - begun, usage(pid)[0] - before


def fhir_serve(seconds: float) -> list[str]:
    """Lines that compare a read and a search page with canned answers of the same bytes.

    The page is measured twice: as it is, and with no answer kept, as where every request differs from the last ones.
    """
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as name:
        folder = Path(name)
        asyncio.run(_fill(folder / "data", 10_000))
        pages = ["/" + _PAGE.format(f"p{number}", code) for number in range(_PATIENTS) for code in _CODES]
        lines = _beside("read", [f"/Observation/o{number}" for number in range(1000)], 0.5, folder, seconds)
        lines += _beside("page of 20", pages, 0.25, folder, seconds)
        return lines + _beside("page of 20, no answer kept", pages, 0.25, folder, seconds, cache="0")


def _beside(case: str, paths: Sequence[str], needed: float, folder: Path, seconds: float, **settings: str) -> list[str]:
    lines = []
    with running(Place("serve", folder / "data"), **settings) as server:
        target = Target(f"{server.url}/fhir")
        answer = target.get(paths[0], FHIR_JSON).body or b""
        with _canned(folder, answer) as canned:
            for clients in (1, 16):
                rate = _rate(target, paths, clients, seconds)
                other = _rate(canned, paths[:1], clients, seconds)
                lines.append(
                    f"{case} ({len(answer)} bytes) c{clients}: {rate:.0f}/s, canned {other:.0f}/s, "
                    f"ratio {rate / other:.2f} (needed {needed})"
                )
    return lines


def _rate(target: Target, paths: Sequence[str], clients: int, seconds: float) -> float:
    target.gets(paths, FHIR_JSON, clients, min(1.0, seconds))
    load = target.gets(paths, FHIR_JSON, clients, seconds)
    if load.wrong:
        raise SystemExit(f"{load.wrong} answers were refused")
    return load.requests / load.seconds


@contextmanager
def _canned(folder: Path, answer: bytes) -> Iterator[Target]:
    file, port = folder / "answer", free_port()
    file.write_bytes(answer)
    command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.canned:app", "--port", str(port), "--no-access-log"]
    process = subprocess.Popen([*command, "--log-level", "error"], cwd=ROOT, env={**os.environ, "CANNED": str(file)})
    try:
        target = Target(f"http://127.0.0.1:{port}")
        _await(target)
        yield target
    finally:
        process.terminate()
        process.wait()


def _await(target: Target) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            target.get("/", FHIR_JSON)
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the canned server did not start")


def fhir_scale(sizes: Sequence[int], seconds: float) -> list[Run]:
    """One run for each number of Observations: always of a hundred patients, so the more, the more each has.

    No answer is kept, for then a search would cost the same whatever there is.
    """
    runs = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="weft-scale-") as folder:
            asyncio.run(_fill(Path(folder), size))
            with running(Place(f"{size} observations", Path(folder)), cache="0") as server:
                runs.append(_measure(Target(f"{server.url}/fhir"), server.pid, size, seconds))
    return runs


def _measure(target: Target, pid: int, size: int, seconds: float) -> Run:
    run = Run(f"{size} observations", "")
    paths = ["/" + _PAGE.format(f"p{number}", code) for number in range(_PATIENTS) for code in _CODES]
    if json.loads(target.get(paths[0], FHIR_JSON).body).get("entry") is None:
        raise SystemExit("the search found nothing")
    target.gets(paths, FHIR_JSON, 1, min(1.0, seconds))
    for clients in (1, 16):
        with Meter(pid) as meter:
            load = target.gets(paths, FHIR_JSON, clients, seconds)
        run.add(f"patient, code, newest 20, c{clients}", Measure.of(load, meter.cost))
    return run


async def _fill(folder: Path, size: int) -> None:
    """Observations straight into the records, with the keys and the history a write would make."""
    services = await open_services(Settings(data=folder, auth="off"))
    try:
        for first in range(0, size, _BATCH):
            numbers = range(first, min(size, first + _BATCH))
            puts = await services.offload.cpu(_puts, services.fhir.knowledge.parameters, numbers)
            await services.stores.records.commit(puts)
    finally:
        await services.close()


def _puts(indexer: Any, numbers: range) -> list[Put]:
    puts = []
    for number in numbers:
        resource = _observation(number)
        body = json.dumps(resource, separators=(",", ":")).encode()
        stored = Stored("Observation", resource["id"], 1, 1_760_000_000_000_000 + number * 1000, body)
        text = stored.record_body()
        at = frozenset({stored.last_updated})
        puts.append(Put(collection("Observation"), stored.id, text, indexer.keys(resource, stored.last_updated), 0))
        puts.append(Put(HISTORY, f"{stored.reference}/1", text, {"at": at, "Observation": at}, 0))
    return puts


def _observation(number: int) -> dict[str, Any]:
    """A vital sign: every patient gets each code in turn, a quarter of an hour apart."""
    code = _CODES[number // _PATIENTS % len(_CODES)]
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * (number // _PATIENTS))
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "meta": {"versionId": "1", "lastUpdated": "2025-10-09T08:53:20.000Z"},
        "status": "final",
        "category": [{"coding": [category]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/p{number % _PATIENTS}"},
        "encounter": {"reference": f"Encounter/e{number % _PATIENTS}"},
        "effectiveDateTime": moment.isoformat(),
        "valueQuantity": {
            "value": 60 + number % 40,
            "unit": "/min",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
    }
