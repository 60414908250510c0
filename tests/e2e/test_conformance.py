"""The conformance kit against a real server, and against one that is no DICOMweb service at all."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conformance.kit.report import Outcome
from conformance.kit.suite import SUITE, run
from conformance.kit.verdict import Verdict
from tests.e2e.running import ROOT, Server


@pytest.fixture(scope="module")
def outcomes(server: Server) -> dict[str, Outcome]:
    return {each.check.name: each for each in run(server.dicomweb).outcomes}


@pytest.mark.parametrize("name", [check.name for check in SUITE])
def test_a_check_of_the_kit_passes(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert outcome.verdict is Verdict.PASSED, f"{outcome.check.clause}: {outcome.text}"


def test_the_kit_leaves_nothing_behind(server: Server, outcomes: dict[str, Outcome]) -> None:
    assert outcomes
    again = run(server.dicomweb)
    assert again.is_clean


def test_the_kit_runs_from_the_command_line(server: Server) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "conformance.kit", server.dicomweb, "--quiet"], cwd=ROOT, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"{len(SUITE)} passed" in ended.stdout


def test_the_kit_finds_fault_with_a_server_that_is_none(nothing: str) -> None:
    report = run(nothing)
    passed = {outcome.check.name for outcome in report.outcomes if outcome.verdict is Verdict.PASSED}
    assert report.count(Verdict.FAILED) > len(SUITE) * 0.8
    assert "gives an instance back byte for byte" not in passed
