"""The benchmarks run, and measure what they say: a corpus of a few images, a fraction of a second for each case."""

from __future__ import annotations

import bz2
import json
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.cases import cases
from tests.benchmarks.corpus import Corpus, Shape
from tests.benchmarks.load import Load
from tests.benchmarks.meter import Cost
from tests.benchmarks.report import Measure, Run, compare

SMALL = ["--studies", "2", "--slices", "3", "--tiny", "60", "--rounds", "1", "--seconds", "0.05", "--no-wrk"]


@pytest.mark.e2e
@pytest.mark.slow
def test_every_case_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run.json"
    assert main(["local", *SMALL, "--label", "weft", "--out", str(out)]) == 0
    run = Run.load(out)
    assert run.notes == {}
    assert {case.name for case in cases(Corpus(Shape(2, 3, 60), 1))} < run.rows.keys()
    assert not [name for name in run.rows if run.median(name).wrong]
    assert all(run.median(name).rate > 0 for name in run.rows)
    assert main(["compare", str(out), str(out)]) == 0
    assert capsys.readouterr().out.count("1.00x") >= len(run.rows)


@pytest.mark.e2e
@pytest.mark.slow
def test_searches_are_compared_by_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--sizes", "50", "300", "--seconds", "0.05", "--no-wrk"]
    assert main(["qido-scale", "--folder", str(tmp_path), *sizes]) == 0
    assert "date range, 50 c1" in capsys.readouterr().out


@pytest.mark.e2e
@pytest.mark.slow
def test_fhir_searches_are_compared_by_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fhir-scale", "--sizes", "1000", "2000", "--seconds", "0.05"]) == 0
    assert "patient, code, newest 20, c16" in capsys.readouterr().out


@pytest.mark.e2e
@pytest.mark.slow
def test_stored_queries_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xds", "--documents", "300", "--seconds", "0.05"]) == 0
    told = capsys.readouterr().out
    assert "GetDocuments c4" in told
    assert "wrong" not in told


@pytest.mark.e2e
@pytest.mark.slow
def test_a_folder_of_bundles_is_loaded_and_parsed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry]}
    (tmp_path / "one.json.bz2").write_bytes(bz2.compress(json.dumps(bundle).encode()))
    assert main(["fhir-load", str(tmp_path)]) == 0
    assert "2 resources in 1 bundles" in capsys.readouterr().out


@pytest.mark.e2e
@pytest.mark.slow
def test_reads_and_pages_are_set_beside_canned_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fhir-serve", "--seconds", "0.05"]) == 0
    told = capsys.readouterr().out
    assert all(case in told for case in ("read (", "page of 20 (", "no answer kept"))


@pytest.mark.e2e
@pytest.mark.slow
def test_sign_in_and_audit_are_set_beside_none(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--patients", "12", "--studies", "1", "--slices", "1", "--rounds", "1", "--seconds", "0.02", "--no-wrk"]
    assert main(["access", *small, "--only", "c1"]) == 0
    told = capsys.readouterr().out
    assert all(f"{case} c1 " in told for case in ("read", "page, the same", "qido patient id", "frame", "rendered"))
    assert "of the rate without sign-in" in told


def test_a_comparison_tells_rate_and_cost() -> None:
    slow, fast = Run("slow", ""), Run("fast", "")
    slow.add("case", Measure.of(Load(requests=10, seconds=1.0), Cost(wall=1.0, server=1.0)))
    fast.add("case", Measure.of(Load(requests=40, seconds=1.0), Cost(wall=1.0, server=0.5)))
    fast.add("other", fast.rows["case"][0])
    text = "\n".join(compare(slow, fast))
    assert "4.00x" in text
    assert "8.00x" in text
    assert text.endswith("measured in one of the two only: other")


def test_the_corpus_is_the_same_for_everybody() -> None:
    one, other = (Corpus(Shape(1, 2, 4), 1) for _ in range(2))
    assert one.ct == other.ct
    assert one.tiny != Corpus(Shape(1, 2, 4), 2).tiny
