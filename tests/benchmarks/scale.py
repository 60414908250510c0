"""Whether a search costs more where there is more: the same queries over 2,000 and over 200,000 studies.

Rows go straight into the index, since storing 200,000 instances would only measure patience; they are made by the same
code that makes them at ingest. The server then answers over HTTP.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from server.archive.rows import STUDY, StudyRow
from server.assembly import open_services
from server.settings import Settings
from storage.ports import Put
from tests.benchmarks.cases import JSON
from tests.benchmarks.corpus import Corpus, Shape, Study
from tests.benchmarks.load import Target
from tests.benchmarks.meter import Meter
from tests.benchmarks.report import Measure, Run
from tests.e2e.running import Place, running

SIZES = (2_000, 200_000)
_BATCH = 1000
_MONTHS = [f"{year}{month:02}" for year in range(2020, 2025) for month in range(1, 13)]
_QUERIES = {
    "date range, 50": [f"/studies?StudyDate={month}01-{month}31&limit=50" for month in _MONTHS],
    "page of 50": [f"/studies?limit=50&offset={offset}" for offset in range(0, 1900, 50)],
    "patient id": [f"/studies?PatientID=T1-{number}" for number in range(1, 500)],
    "name wildcard, 50": [f"/studies?PatientName={name}*&limit=50" for name in ("Wang", "Li", "Zhang", "Chen")],
}


def qido_scale(
    folder: Path | None, sizes: Sequence[int] = SIZES, seconds: float = 3.0, *, may_use_wrk: bool = True
) -> list[Run]:
    """One run for each size; archives in `folder` are kept and used again."""
    runs = []
    with tempfile.TemporaryDirectory(prefix="weft-scale-") as temporary:
        for size in sizes:
            place = Place(f"{size} studies", (folder or Path(temporary)) / str(size))
            if not (place.data / "weft.sqlite").exists():
                place.data.mkdir(parents=True, exist_ok=True)
                asyncio.run(_fill(place.data, size))
            runs.append(_measure(place, seconds, may_use_wrk=may_use_wrk))
    return runs


def _measure(place: Place, seconds: float, *, may_use_wrk: bool) -> Run:
    run = Run(place.name, "")
    with running(place) as server:
        target = Target(server.dicomweb, may_use_wrk=may_use_wrk)
        for name, paths in _QUERIES.items():
            target.gets(paths, JSON, 1, min(1.0, seconds))
            for clients in (1, 16):
                with Meter(server.pid) as meter:
                    load = target.gets(paths, JSON, clients, seconds)
                run.add(f"{name} c{clients}", Measure.of(load, meter.cost))
    return run


async def _fill(folder: Path, size: int) -> None:
    services = await open_services(Settings(data=folder, auth="off"))
    try:
        studies = Corpus(Shape(tiny=size), 1).tiny
        for first in range(0, size, _BATCH):
            batch = await services.offload.cpu(_puts, studies[first : first + _BATCH])
            await services.stores.records.commit(batch)
    finally:
        await services.close()


def _puts(studies: Sequence[Study]) -> list[Put]:
    rows = [_row(study) for study in studies]
    return [Put(STUDY, row.study_instance_uid, row.encode(), row.keys()) for row in rows]


def _row(study: Study) -> StudyRow:
    roman, hanzi = study.name.split("=")
    attributes = {
        "00080020": {"vr": "DA", "Value": [study.date]},
        "00080030": {"vr": "TM", "Value": ["101112"]},
        "00080050": {"vr": "SH", "Value": [f"A{study.study[-8:]}"]},
        "00081030": {"vr": "LO", "Value": ["胸部CT平扫"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": roman, "Ideographic": hanzi}]},
        "00100020": {"vr": "LO", "Value": [study.patient_id]},
        "00100030": {"vr": "DA", "Value": ["19650412"]},
        "00100040": {"vr": "CS", "Value": ["M"]},
        "0020000D": {"vr": "UI", "Value": [study.study]},
    }
    return StudyRow(study.study, "r1", attributes, 1, 1, (study.modality,), ("1.2.840.10008.5.1.4.1.1.2",))
