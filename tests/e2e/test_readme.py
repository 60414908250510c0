"""The first page is true: `weft demo` serves what it says, and every command of the README does what it promises."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli import main
from server.commands.demo import sample_folders
from server.settings import read_settings
from tests.e2e.running import ROOT, Place, Server, is_ready, resident_bytes
from tests.ports import free_port

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines() if line.strip()
]
SERVES = re.compile(r"((?:WEFT_\w+=\S+ )*)weft serve(.*)")


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
        assert is_ready(server), server.tail()
        yield server
    finally:
        assert server.stop() in (0, -15)


@pytest.fixture(scope="module")
def tokens(demo: Server) -> dict[str, str]:
    """As a reader copies them from the screen."""
    return _exported(demo, "[A-Z]+")


def _exported(demo: Server, name: str) -> dict[str, str]:
    return dict(re.findall(rf"^  export ({name})=(\S+)$", demo.log.read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder a reader works in: the page's files saved as it says, and data of their own."""
    folder = tmp_path_factory.mktemp("reader")
    for kind, name in (("python", "backend.py"), ("json", "consent.json"), ("xml", "query.xml")):
        (block,) = re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL)
        assert f"`{name}`" in README
        (folder / name).write_text(block, encoding="utf-8")
    image = sample_folders()[0] / "CT_small.dcm"
    for name in ("studies", "bundles"):
        (folder / name).mkdir()
    shutil.copy(image, folder / "studies")
    with zipfile.ZipFile(folder / "export.zip", "w") as archive:
        archive.write(image, "ct.dcm")
    patient = b'{"resourceType":"Patient","id":"own","gender":"female"}\n'
    (folder / "patients.ndjson.gz").write_bytes(gzip.compress(patient))
    (folder / "bundles" / "patient.json").write_bytes(patient)
    return folder


@pytest.fixture(scope="module")
def answers(demo: Server, tokens: Mapping[str, str], reader: Path) -> dict[str, list[str]]:
    """What each command prints, run in the order of the page; one that stands there twice is answered twice."""
    for program in ("curl", "openssl"):
        if shutil.which(program) is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"CI must have {program}")
            pytest.skip(f"no {program} here")
    printed: dict[str, list[str]] = {}
    for command in COMMANDS:
        if command.startswith("weft ") and "weft serve" not in command:
            printed.setdefault(command, []).append(_administered(demo, reader, command))
        elif command.startswith(("curl ", "openssl ", "python ", "mkdir ")):
            printed.setdefault(command, []).append(_typed(demo, tokens, reader, command))
    return printed


def _typed(demo: Server, tokens: Mapping[str, str], reader: Path, command: str) -> str:
    typed = command.replace("http://127.0.0.1:8080", demo.url).replace("~/", f"{reader}/")
    if command.startswith("curl ") and "%{http_code}" not in command:
        typed += " --fail-with-body"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, **tokens, **_exported(demo, "WEFT_DATA"), "PATH": path}
    ended = subprocess.run(["bash", "-c", typed], cwd=reader, capture_output=True, text=True, timeout=60, env=env)
    assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
    return ended.stdout


def _administered(demo: Server, reader: Path, command: str) -> str:
    """Without another process, beside the running server."""
    disc = sample_folders()[0] / "dicomdirtests/DICOMDIR"
    words = shlex.split(command.replace("/media/cdrom/DICOMDIR", str(disc)).replace("~", str(reader)))[1:]
    words = [str(reader / each) if (reader / each).is_file() else each for each in words]
    env = {**_exported(demo, "WEFT_[A-Z]+"), "COLUMNS": "200"}
    ended = CliRunner().invoke(main, words, env=env)
    assert ended.exit_code == 0, (command, ended.output)
    return ended.output


def only(answers: Mapping[str, list[str]], *parts: str) -> str:
    """What the one command prints in which all of these stand."""
    (found,) = [printed[-1] for command, printed in answers.items() if all(each in command for each in parts)]
    return found


def test_every_command_is_one_that_is_tried(answers: Mapping[str, list[str]]) -> None:
    made = [each for each in COMMANDS if each.startswith(("make ", "docker ")) or SERVES.fullmatch(each)]
    assert set(COMMANDS) == {*answers, *made}


@pytest.mark.parametrize("command", [each for each in COMMANDS if "weft serve" in each])
def test_settings_to_serve_with_can_be_used(command: str) -> None:
    matched = SERVES.fullmatch(command)
    assert matched
    words = shlex.split(matched[2])
    given = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    numbers = {name: int(given.pop(name)) for name in ("port", "workers") if name in given}
    environment = dict(each.split("=", 1) for each in shlex.split(matched[1]))
    assert read_settings(environment, **given, **numbers)


def test_a_chinese_name_is_found_by_pinyin(answers: Mapping[str, list[str]]) -> None:
    names = [study["00100010"]["Value"][0] for study in json.loads(only(answers, "xiaodong"))]
    assert {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"} in names


def test_an_image_is_drawn_fetched_and_stored(answers: Mapping[str, list[str]], reader: Path) -> None:
    assert (reader / "ct.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    assert (reader / "ct.dcm").read_bytes()[128:132] == b"DICM"
    assert len(json.loads(only(answers, "--data-binary @ct.dcm"))["00081199"]["Value"]) == 1


def test_a_patient_is_found_by_pinyin(answers: Mapping[str, list[str]]) -> None:
    (entry,) = json.loads(only(answers, "name=ouyang"))["entry"]
    assert entry["resource"]["name"][0]["family"] == "欧阳"


def test_studies_come_with_their_patient(answers: Mapping[str, list[str]]) -> None:
    entries = json.loads(only(answers, "_include=ImagingStudy:patient"))["entry"]
    modes = [(each["search"]["mode"], each["resource"]["resourceType"]) for each in entries]
    assert ("match", "ImagingStudy") in modes
    assert ("include", "Patient") in modes


def test_the_latest_temperatures_come_first(answers: Mapping[str, list[str]]) -> None:
    entries = json.loads(only(answers, "/fhir/Observation?"))["entry"]
    moments = [each["resource"]["effectiveDateTime"] for each in entries]
    assert len(moments) == 5
    assert moments == sorted(moments, reverse=True)


def test_the_timeline_holds_images_and_vital_signs(answers: Mapping[str, list[str]]) -> None:
    types = {each["resource"]["resourceType"] for each in json.loads(only(answers, "$timeline"))["entry"]}
    assert {"ImagingStudy", "Observation"} <= types


def test_a_day_that_is_none_is_told(answers: Mapping[str, list[str]]) -> None:
    issues = json.loads(only(answers, "$validate"))["issue"]
    (issue,) = [each for each in issues if each["severity"] == "error"]
    assert issue["expression"] == ["Patient.birthDate"]


def test_documents_are_the_same_over_soap_and_fhir(answers: Mapping[str, list[str]]) -> None:
    found = set(re.findall(r'<rim:ExtrinsicObject id="urn:uuid:([^"]+)"', only(answers, "/xds/registry")))
    entries = json.loads(only(answers, "/fhir/DocumentReference?"))["entry"]
    assert {each["resource"]["id"] for each in entries} == found
    assert len({each["resource"]["content"][0]["attachment"]["contentType"] for each in entries}) == 2


def test_an_examination_leads_to_its_images(answers: Mapping[str, list[str]]) -> None:
    (found,) = json.loads(only(answers, "$imaging-index"))["parameter"]
    (study,) = [part["part"] for part in found["part"] if part["name"] == "study"]
    assert {"uid", "resource", "address", "document"} <= {part["name"] for part in study}
    assert "/dicomweb" in json.dumps(study)


def test_a_patient_has_numbers_of_the_hospital_and_of_the_region(
    answers: Mapping[str, list[str]], tokens: Mapping[str, str]
) -> None:
    told = json.loads(only(answers, "$ihe-pix"))["parameter"]
    assert "W20260003" in [each.get("valueIdentifier", {}).get("value") for each in told]
    assert tokens["PATIENT"] in only(answers, "weft person show")
    assert "E0301105" in only(answers, "weft person examinations")


def test_the_region_is_told(answers: Mapping[str, list[str]]) -> None:
    assert "第一医院" in only(answers, "weft institution list")
    assert "https://south.example/xca/query" in only(answers, "weft community list").replace("\n", "")
    assert "south" in only(answers, "weft node list")
    assert "309343006=radiologist" in only(answers, "weft issuer list")


def test_an_app_is_launched_with_its_patient(answers: Mapping[str, list[str]], demo: Server) -> None:
    created = json.loads(only(answers, "/oauth/launch"))
    assert created["launch_url"].startswith("http://localhost:8000/?iss=")
    assert created["launch"] in created["launch_url"]


def test_a_backend_service_gets_a_token_once_it_is_known(answers: Mapping[str, list[str]]) -> None:
    (refused, given) = next(printed for command, printed in answers.items() if command.startswith("python "))
    assert json.loads(refused)["error"] == "invalid_client"
    assert json.loads(given)["scope"] == "system/Observation.rs"


def test_a_consent_acts_on_the_next_request_and_so_does_its_end(answers: Mapping[str, list[str]]) -> None:
    seen = next(printed for command, printed in answers.items() if "%{http_code}" in command)
    assert [each.strip() for each in seen] == ["200", "403", "200"]


def test_the_auditor_reads_what_was_done(answers: Mapping[str, list[str]]) -> None:
    entries = json.loads(only(answers, "AuditEvent"))["entry"]
    assert len(entries) == 5
    assert {each["resource"]["resourceType"] for each in entries} == {"AuditEvent"}
    assert "sound" in only(answers, "weft audit verify")
    assert "weft_audit_alerts_total" in only(answers, "/metrics")


def test_a_backup_comes_back(answers: Mapping[str, list[str]], reader: Path) -> None:
    assert "master.key" in only(answers, "weft backup", "--keep")
    assert len(only(answers, "weft backup", "--list").splitlines()) == 2
    assert "The archive comes back from this backup." in only(answers, "weft restore", "--rehearse")
    assert "restored in" in only(answers, "weft restore", "--data")
    assert (reader / "restored/weft.sqlite").exists()


def test_users_and_apps_are_told_what_they_need(answers: Mapping[str, list[str]]) -> None:
    assert "Password for the first sign-in" in only(answers, "weft user add li")
    assert "client_id growth" in only(answers, "--id growth")
    assert "client_secret, shown only now" in only(answers, "--by secret")


def test_the_demonstration_says_what_to_open(demo: Server, tokens: Mapping[str, str]) -> None:
    told = demo.log.read_text()
    assert len(re.findall(rf"curl -s --oauth2-bearer {re.escape(tokens['TOKEN'])} '{re.escape(demo.url)}/", told)) == 1
    lines = re.findall(rf"curl -s --oauth2-bearer \S+ .*'({re.escape(demo.url)}/[^']+)'", told)
    soap = re.search(r"^curl .*<<'END'\n.*?\nEND$", told, re.MULTILINE | re.DOTALL)
    assert soap
    env = {**os.environ, **tokens}
    ended = subprocess.run(["bash", "-c", soap[0]], capture_output=True, text=True, timeout=60, env=env, check=True)
    assert ended.stdout.count("<rim:ExtrinsicObject") == 4
    assert len(lines) >= 5
    for url in lines:
        with urllib.request.urlopen(_asked(url, tokens["TOKEN"]), timeout=30) as answer:
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
