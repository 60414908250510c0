"""The first page is true: `weft demo` serves what it says, and every curl of the README answers as a reader expects."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import ROOT, Place, Server, free_port, resident_bytes

CURLS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("curl ")
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = Place("demo", tmp_path_factory.mktemp("demo"))
    port = free_port()
    log = place.data / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "demo", "--port", str(port), "--data", str(place.data)],
            cwd=ROOT,
            env=place.variables(auth="smart"),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(place, port, process, log)
    try:
        _await(server)
        yield server
    finally:
        assert server.stop() in (0, -15)


def _await(server: Server) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{server.url}/readyz", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline, server.tail()
            assert server.process.poll() is None, server.tail()


@pytest.fixture(scope="module")
def token(demo: Server) -> str:
    """As a reader copies it from the screen."""
    return re.findall(r"^  export TOKEN=(\S+)$", demo.log.read_text(), re.MULTILINE)[0]


@pytest.fixture(scope="module")
def answers(demo: Server, token: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each curl prints, run in the order of the page."""
    if shutil.which("curl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have curl")
        pytest.skip("no curl here")
    folder = tmp_path_factory.mktemp("reader")
    printed = []
    for line in CURLS:
        command = line.replace("http://127.0.0.1:8080", demo.url) + " --fail-with-body"
        env = {**os.environ, "TOKEN": token}
        ended = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60, env=env)
        assert ended.returncode == 0, (line, ended.stdout, ended.stderr)
        printed.append(ended.stdout)
    printed.append(str(folder))
    return printed


def test_the_page_has_at_least_five_curls() -> None:
    assert len(CURLS) >= 5


def test_the_first_lists_the_studies(answers: list[str]) -> None:
    assert len(json.loads(answers[0])) > 30


def test_the_second_finds_a_chinese_name_by_pinyin(answers: list[str]) -> None:
    names = [study["00100010"]["Value"][0] for study in json.loads(answers[1])]
    assert {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"} in names


def test_the_third_gives_metadata(answers: list[str]) -> None:
    (dataset,) = json.loads(answers[2])
    assert dataset["00080060"]["Value"] == ["CT"]


def test_the_fourth_draws_the_image(answers: list[str]) -> None:
    assert (Path(answers[-1]) / "ct.jpg").read_bytes().startswith(b"\xff\xd8\xff")


def test_the_last_two_fetch_a_file_and_store_it(answers: list[str]) -> None:
    assert (Path(answers[-1]) / "ct.dcm").read_bytes()[128:132] == b"DICM"
    assert len(json.loads(answers[5])["00081199"]["Value"]) == 1


def test_a_patient_is_found_by_pinyin(answers: list[str]) -> None:
    (entry,) = json.loads(answers[6])["entry"]
    assert entry["resource"]["name"][0]["family"] == "欧阳"


def test_studies_come_with_their_patient(answers: list[str]) -> None:
    modes = [(each["search"]["mode"], each["resource"]["resourceType"]) for each in json.loads(answers[7])["entry"]]
    assert ("match", "ImagingStudy") in modes
    assert ("include", "Patient") in modes


def test_the_latest_temperatures_come_first(answers: list[str]) -> None:
    entries = json.loads(answers[8])["entry"]
    moments = [each["resource"]["effectiveDateTime"] for each in entries]
    assert len(moments) == 5
    assert moments == sorted(moments, reverse=True)


def test_the_timeline_holds_images_and_vital_signs(answers: list[str]) -> None:
    types = {each["resource"]["resourceType"] for each in json.loads(answers[9])["entry"]}
    assert {"ImagingStudy", "Observation"} <= types


def test_history_comes_as_xml(answers: list[str]) -> None:
    assert '<Bundle xmlns="http://hl7.org/fhir">' in answers[10]


def test_a_day_that_is_none_is_told(answers: list[str]) -> None:
    (issue,) = [each for each in json.loads(answers[11])["issue"] if each["severity"] == "error"]
    assert issue["expression"] == ["Patient.birthDate"]


def test_the_demonstration_says_what_to_open(demo: Server, token: str) -> None:
    told = demo.log.read_text()
    lines = re.findall(rf"curl -s --oauth2-bearer {re.escape(token)} .*'({re.escape(demo.url)}/[^']+)'", told)
    assert len(lines) >= 5
    for url in lines:
        with urllib.request.urlopen(_asked(url, token), timeout=30) as answer:
            assert answer.status == 200


def test_the_demonstration_shows_nothing_without_its_token(demo: Server) -> None:
    for path in ("/fhir/Patient", "/dicomweb/studies"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(demo.url + path, timeout=30)
        assert refused.value.code == 401
        refused.value.close()


def test_the_demonstration_lets_two_users_in(demo: Server) -> None:
    told = demo.log.read_text()
    assert re.findall(r"^  (nurse|radiologist) +([a-z0-9-]{14})$", told, re.MULTILINE)
    assert "Password" not in told


def _asked(url: str, token: str) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})


def test_the_demonstration_is_small(demo: Server) -> None:
    assert resident_bytes(demo.pid) < 400 << 20


def test_a_port_in_use_is_told_in_one_sentence(tmp_path: Path) -> None:
    place = Place("demo", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "server", "demo", "--port", str(port), "--data", str(tmp_path)],
            cwd=ROOT,
            env=place.variables(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ended.returncode == 2
    assert f"port {port} is in use" in ended.stderr
    assert "Traceback" not in ended.stderr
