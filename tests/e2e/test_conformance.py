"""The conformance kit against a real server, and against one that is no DICOMweb service at all."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator

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


class _Nothing(http.server.BaseHTTPRequestHandler):
    """Answers everything with an empty page."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_OPTIONS = do_DELETE = do_PATCH = do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def no_dicomweb() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Nothing) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_the_kit_finds_fault_with_a_server_that_is_none(no_dicomweb: str) -> None:
    report = run(no_dicomweb)
    passed = {outcome.check.name for outcome in report.outcomes if outcome.verdict is Verdict.PASSED}
    assert report.count(Verdict.FAILED) > len(SUITE) * 0.8
    assert "gives an instance back byte for byte" not in passed
