"""QIDO-RS over the wire: paths, media types, headers and problems."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess
from server.archive.find import Finder
from server.dicomweb.qido import Search
from server.kernel.answers import AnswerCache
from server.kernel.offload import Offload
from tests.server.archive.in_memory import InMemoryBlobs, InMemoryRecords
from tests.server.archive.sample_studies import Sample
from tests.server.http.harness import Sent, application, ask

JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'
BASE = "http://pacs.example:8080/dicomweb"


class Served:
    def __init__(self, most: int = 1000) -> None:
        self.records = InMemoryRecords()
        self.put("r1")
        finder = Finder(self.records, InMemoryBlobs(), ImagingAccess(AccessPoint()))
        self.search = Search(finder, AnswerCache(1 << 20), Offload(io_threads=1, cpu_threads=1), most)
        self.app = application(self.search.endpoints())

    def put(self, revision: str, **extra: Any) -> None:
        sample = Sample()
        sample.add(study="1.1", StudyDate="20240105", PatientName="Wang^Wei=王^伟", PatientID="P1")
        sample.add(study="1.1", series="1.1.2", Modality="SR", SeriesDescription=extra.get("description", "first"))
        sample.add(study="1.2", StudyDate="20240106", PatientID="P2", Modality="MR")
        asyncio.run(sample.put_all(self.records, revision))

    def get(self, path: str, query: str = "", **headers: str) -> Sent:
        return ask(self.app, "GET", f"/dicomweb{path}", query=query, headers={"accept": JSON, **headers})

    def rows(self, path: str, query: str = "") -> list[dict[str, Any]]:
        answer = self.get(path, query)
        assert answer.status == 200
        rows: list[dict[str, Any]] = orjson.loads(answer.body)
        return rows


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/studies", 2),
        ("/series", 3),
        ("/instances", 3),
        ("/studies/1.1/series", 2),
        ("/studies/1.1/instances", 2),
        ("/studies/1.1/series/1.1.2/instances", 1),
        ("/studies/1.1/series/9.9/instances", 0),
        ("/studies/9.9/series", 0),
    ],
)
def test_every_search_resource_answers_with_a_list(served: Served, path: str, expected: int) -> None:
    answer = served.get(path)
    assert answer.status == 200
    assert answer.header("content-type") == JSON
    assert len(orjson.loads(answer.body)) == expected


def test_urls_are_absolute_and_text_is_utf8(served: Served) -> None:
    (row,) = served.rows("/studies", "PatientName=%E7%8E%8B*")
    assert row["00081190"]["Value"] == [f"{BASE}/studies/1.1"]
    assert row["00100010"]["Value"] == [{"Alphabetic": "Wang^Wei", "Ideographic": "王^伟"}]


def test_a_query_may_be_utf8_without_percent_encoding(served: Served) -> None:
    assert len(served.rows("/studies", "PatientName=*王*")) == 1


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json", "application/json"),
        ("application/dicom+json, application/json", JSON),
        ("*/*", JSON),
        ("application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*", JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
    ],
)
def test_json_is_given_under_the_name_asked(served: Served, accept: str, expected: str) -> None:
    for path in ("/studies", "/studies/1.1/series"):
        assert served.get(path, accept=accept).header("content-type") == expected


def test_xml_comes_as_one_part_for_each_result(served: Served) -> None:
    for path, query, parts in (("/studies", "", 2), ("/studies/1.1/series", "", 2), ("/studies", "PatientID=none", 0)):
        answer = served.get(path, query, accept=XML)
        assert (answer.header("content-type") or "").startswith(
            'multipart/related; type="application/dicom+xml"; boundary='
        )
        assert answer.body.count(b"<NativeDicomModel") == parts


def test_the_accept_parameter_comes_before_the_header(served: Served) -> None:
    assert served.get("/studies", "accept=application/json").header("content-type") == "application/json"


def test_what_cannot_be_given_is_not_acceptable(served: Served) -> None:
    assert served.get("/studies", accept="image/jpeg").status == 406
    assert served.get("/studies/1.1/series", accept="application/dicom").status == 406


def test_a_page_says_how_many_remain_and_how_many_there_are(served: Served) -> None:
    answer = served.get("/studies", "limit=1")
    assert answer.header("warning") == f"299 {BASE}: There are 1 additional results that can be requested"
    assert answer.header("x-total-count") == "2"
    last = served.get("/studies", "limit=1&offset=1")
    assert last.header("warning") is None
    assert last.header("x-total-count") == "2"
    assert served.get("/studies", "offset=9").header("x-total-count") is None


def test_the_server_bounds_the_page() -> None:
    served = Served(most=1)
    for query in ("", "limit=50"):
        answer = served.get("/studies", query)
        assert len(orjson.loads(answer.body)) == 1
        assert "1 additional" in (answer.header("warning") or "")


def test_a_page_below_a_study_warns_each_time(served: Served) -> None:
    for _ in range(2):
        assert "additional" in (served.get("/studies/1.1/series", "limit=1").header("warning") or "")


def test_what_was_ignored_is_named_in_a_warning(served: Served) -> None:
    for path in ("/studies", "/studies/1.1/series", "/studies/9.9/series"):
        answer = served.get(path, "frobnicate=1")
        assert answer.status == 200
        assert "frobnicate" in (answer.header("warning") or "")


@pytest.mark.parametrize(
    ("path", "query", "named"),
    [
        ("/studies", "StudyDate=20249999", "StudyDate: '20249999'"),
        ("/studies", "limit=x", "limit"),
        ("/studies", "PatientName=%ff", "UTF-8"),
        ("/studies/1.1/series", "Modality=CT&Modality=MR", "Modality"),
        ("/studies/9.9/series", "offset=-1", "offset"),
        ("/studies/x/series", "", "Study Instance UID"),
        ("/studies/1.1/series/..%2f/instances", "", "Series Instance UID"),
    ],
)
def test_bad_input_is_refused_by_name(served: Served, path: str, query: str, named: str) -> None:
    answer = served.get(path, query)
    assert answer.status == 400
    assert named in orjson.loads(answer.body)["text"]


def test_an_answer_below_a_study_is_kept_until_the_study_changes(served: Served) -> None:
    first = served.get("/studies/1.1/series").body
    before = served.records.reads
    assert served.get("/studies/1.1/series").body == first
    assert served.records.reads == before + 1
    served.put("r2", description="second")
    assert b"second" in served.get("/studies/1.1/series").body


def test_answers_kept_for_one_base_or_query_serve_no_other(served: Served) -> None:
    served.get("/studies/1.1/series")
    other = served.get("/studies/1.1/series", host="other.example")
    assert b"http://other.example/dicomweb/studies" in other.body
    assert len(served.rows("/studies/1.1/series", "Modality=SR")) == 1
    assert len(served.rows("/studies/1.1/series")) == 2


def test_series_are_found_by_attributes_of_their_study(served: Served) -> None:
    rows = served.rows("/series", "00100020=P1&includefield=all")
    assert [row["00100020"]["Value"] for row in rows] == [["P1"], ["P1"]]


def test_every_row_names_its_interaction_and_clause(served: Served) -> None:
    rows = served.search.endpoints()
    assert len({row.name for row in rows}) == len(rows) == 6
    assert {(row.method, row.interaction, row.clause) for row in rows} == {("GET", "search", "PS3.18 10.6")}
