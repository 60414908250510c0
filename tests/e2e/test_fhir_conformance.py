"""The FHIR part of the conformance kit against a real server, and against one that is no FHIR service at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.kit.__main__ import kind_of
from conformance.kit.fhir.suite import SUITE, run
from conformance.kit.report import Check, Outcome
from conformance.kit.verdict import Verdict
from tests.e2e.running import ROOT, Place, Server, running

OF_REFERENCES = {"B10", "B12", "B15", "B18", "C20", "C21", "C22", "C24", "C25"}
"""Checks that go another way where references are enforced."""

NOT_OFFERED = {
    "O20 gives the charts of all patients",
    "O50 answers later where that is preferred",
    "O68 exports the provenance of what belongs to patients",
}
"""Optional in the standard."""


def name_of(check: Check[Any]) -> str:
    return f"{check.id} {check.name}"


@pytest.fixture(scope="module")
def server(new_place: Callable[[], Place]) -> Iterator[Server]:
    """It may send to this machine, where the kit listens for what subscriptions tell."""
    with running(new_place(), subscription_hosts="127.0.0.1") as each:
        yield each


@pytest.fixture(scope="module")
def outcomes(server: Server) -> dict[str, Outcome]:
    return {name_of(each.check): each for each in run(f"{server.url}/fhir").outcomes}


@pytest.mark.parametrize("name", [name_of(check) for check in SUITE])
def test_a_check_of_the_kit_passes(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    expected = Verdict.SKIPPED if name in NOT_OFFERED else Verdict.PASSED
    assert outcome.verdict is expected, f"{outcome.check.clause}: {outcome.text}"


def test_the_kit_runs_again_on_what_it_left_behind(server: Server, outcomes: dict[str, Outcome]) -> None:
    assert outcomes
    report = run(f"{server.url}/fhir", only={"R05", "C13", "Y01", "Y07", "B18"})
    assert report.is_clean, report.lines()


def test_the_kit_recognises_a_fhir_service_from_the_command_line(server: Server) -> None:
    assert kind_of(server.dicomweb, {}) == "dicomweb"
    command = [sys.executable, "-m", "conformance.kit", f"{server.url}/fhir", "--only", "R12", "--only", "R13"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "2 passed, 0 failed" in ended.stdout


def test_where_references_are_enforced_and_several_may_be_deleted(small_place: Place) -> None:
    with running(small_place, references="enforced", conditional_deletes="10") as server:
        report = run(f"{server.url}/fhir", only=OF_REFERENCES)
    assert report.is_clean, report.lines()
    skipped = {each.check.id for each in report.outcomes if each.verdict is Verdict.SKIPPED}
    assert skipped == {"C22"}


def test_the_kit_finds_fault_with_a_server_that_is_none(nothing: str) -> None:
    report = run(nothing)
    assert kind_of(nothing, {}) == "dicomweb"
    assert report.count(Verdict.FAILED) > len(SUITE) * 0.9
    assert not {"C02", "C08", "C15", "Y01", "B18", "F01"} & {
        each.check.id for each in report.outcomes if each.verdict is not Verdict.FAILED
    }
