"""What is measured: each case a list of paths, what to accept, how many clients, and a check of one answer first."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from tests.benchmarks.corpus import Corpus, Study
from tests.benchmarks.wire import Answer

T = TypeVar("T")

JSON = "application/dicom+json"
FILE = 'multipart/related; type="application/dicom"'
ANY_FILE = f"{FILE}; transfer-syntax=*"
OCTETS = 'multipart/related; type="application/octet-stream"'
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"

Check = Callable[[Answer], str]
"""What is wrong with an answer; empty when nothing is."""


@dataclass(frozen=True)
class Case:
    name: str
    paths: Sequence[str]
    accept: str
    clients: int
    check: Check
    once: bool = False
    """Every path once, rather than for some seconds."""
    images: int = 1
    """Images in one answer: rates are told in images then."""


def cases(corpus: Corpus) -> list[Case]:
    return [*_searches(corpus), *_lists(corpus), *_retrievals(corpus), *_transcodings(corpus)]


def _searches(corpus: Corpus) -> list[Case]:
    tiny = corpus.tiny
    if not tiny:
        return []
    patients = _shuffled(sorted({study.patient_id for study in tiny}))[:500]
    names = sorted({study.name.split("=")[0].split("^")[0] for study in tiny})
    hanzi = sorted({study.name.split("=")[1][0] for study in tiny})
    months = sorted({study.date[:6] for study in tiny})
    ranges = _shuffled([f"{month}01-{month}31" for month in months])
    offsets = random.Random(5).choices(range(max(1, len(tiny) - 60)), k=200)
    queries = {
        "qido patient id": [f"/studies?PatientID={each}" for each in patients],
        "qido name wildcard": [f"/studies?PatientName={each}*&limit=50" for each in names],
        "qido name in hanzi": [f"/studies?PatientName=*{quote(each)}*&limit=50" for each in hanzi],
        "qido date range": [f"/studies?StudyDate={each}&limit=50" for each in ranges],
        "qido date range, all fields": [f"/studies?StudyDate={each}&limit=50&includefield=all" for each in ranges],
        "qido page": [f"/studies?limit=50&offset={each}" for each in offsets],
        "qido series of modality": [f"/series?Modality={each}&limit=50" for each in ("CT", "MR", "DX", "US")],
        "qido series of study": [f"/studies/{study.study}/series" for study in _shuffled(tiny)[:500]],
    }
    return [
        Case(f"{name} c{clients}", queries[name], JSON, clients, rows(1)) for name in queries for clients in (1, 16)
    ]


def _lists(corpus: Corpus) -> list[Case]:
    series = [study.series_path for study in corpus.ct]
    count = corpus.shape.slices
    queries = {
        "qido instances": [f"{each}/instances" for each in series],
        "qido instances, all fields": [f"{each}/instances?includefield=all" for each in series],
        "metadata of series": [f"{each}/metadata" for each in series],
    }
    return [
        Case(f"{name} c{clients}", queries[name], JSON, clients, rows(count)) for name in queries for clients in (1, 4)
    ]


def _retrievals(corpus: Corpus) -> list[Case]:
    instances = _instances(corpus.ct)
    count = corpus.shape.slices
    studies = [f"/studies/{study.study}" for study in corpus.ct]
    return [
        *(Case(f"study c{n}", studies * (1 + n // 4), ANY_FILE, n, parts(count), True, count) for n in (1, 4)),
        *(Case(f"instance c{n}", instances, ANY_FILE, n, parts(1)) for n in (1, 8)),
        Case("instance, default syntax c8", instances, FILE, 8, parts(1)),
        Case("instance, single part c8", instances, "application/dicom", 8, is_file),
        *(Case(f"frame c{n}", [f"{each}/frames/1" for each in instances], OCTETS, n, parts(1)) for n in (1, 8)),
        Case("metadata of instance c4", [f"{each}/metadata" for each in instances], JSON, 4, rows(1)),
        *(Case(f"rendered c{n}", [f"{each}/rendered" for each in instances], "image/jpeg", n, is_jpeg) for n in (1, 4)),
        Case("rendered 256 c4", [f"{each}/rendered?viewport=256,256" for each in instances], "image/jpeg", 4, is_jpeg),
        Case("thumbnail c4", [f"{each}/thumbnail" for each in instances], "image/jpeg", 4, is_jpeg),
    ]


def _transcodings(corpus: Corpus) -> list[Case]:
    instances = _instances(corpus.ct)
    return [
        Case(f"{name} c{clients}", instances, f"{FILE}; transfer-syntax={syntax}", clients, coded(syntax))
        for name, syntax in (("to JPEG-LS", JPEG_LS), ("to JPEG 2000", JPEG_2000))
        for clients in (1, 4)
    ]


def _instances(studies: Sequence[Study]) -> list[str]:
    return _shuffled([study.instance_path(place) for study in studies for place in range(len(study.instances))])


def _shuffled(each: Sequence[T]) -> list[T]:
    mixed = list(each)
    random.Random(5).shuffle(mixed)
    return mixed


def rows(least: int) -> Check:
    def check(answer: Answer) -> str:
        found = len(json.loads(answer.body or b"[]"))
        return "" if found >= least else f"{found} rows, expected {least}"

    return check


def parts(count: int) -> Check:
    def check(answer: Answer) -> str:
        found = len(_parts(answer))
        return "" if found == count else f"{found} parts, expected {count}"

    return check


def coded(syntax: str) -> Check:
    def check(answer: Answer) -> str:
        found = [part for part in _parts(answer) if syntax.encode() in part[:1200]]
        return "" if found else f"not in {syntax}"

    return check


def is_file(answer: Answer) -> str:
    return "" if (answer.body or b"")[128:132] == b"DICM" else "not a DICOM file"


def is_jpeg(answer: Answer) -> str:
    return "" if (answer.body or b"").startswith(b"\xff\xd8") else "not a JPEG"


def _parts(answer: Answer) -> list[bytes]:
    boundary = re.search(r'boundary="?([^";]+)', answer.headers.get("content-type", ""))
    if boundary is None:
        return []
    pieces = (b"\r\n" + (answer.body or b"")).split(b"\r\n--" + boundary[1].encode())[1:]
    return [piece for piece in pieces if not piece.startswith(b"--")]
