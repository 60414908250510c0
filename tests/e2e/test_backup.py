"""A hospital loses its server: what was backed up beside it comes back, into stores of either kind, and says the same.

The archive is the demonstration's: images, a ward, documents, consents, people who sign in, and an audit trail.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.audit.event import Event
from server.cli import main
from server.groundwork import Groundwork
from tests.data.instances import instance
from tests.e2e.clients import fetch, store, stored
from tests.e2e.fhir import Fhir, awaited, put
from tests.e2e.running import ROOT, Place, Server, eventually, is_ready, running
from tests.e2e.smart.browser import Browser
from tests.ports import free_port
from tests.server.commands.administering import asking

IMAGE = (
    "/dicomweb/studies/1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
    "/series/1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322"
    "/instances/1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
)
ASKED = (
    "/fhir/Patient?name=ouyang",
    "/fhir/Patient/ward-03",
    "/fhir/Patient/ward-03/_history",
    "/fhir/Observation?patient=ward-03&code=http://loinc.org|8310-5&_sort=-date&_count=200",
    "/fhir/ImagingStudy?patient=ward-03&_include=ImagingStudy:patient",
    "/fhir/DocumentReference?patient=ward-03&status=current",
    "/dicomweb/studies?PatientName=xiaodong&fuzzymatching=true",
    f"{IMAGE}/metadata",
)
CONSENT = {
    "resourceType": "Consent", "id": "ward-05", "status": "active",
    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
    "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
    "patient": {"reference": "Patient/ward-05"}, "dateTime": "2026-11-20",
    "performer": [{"reference": "Patient/ward-05"}], "organization": [{"display": "Our hospital"}],
    "sourceAttachment": {"title": "on paper"}, "policy": [{"uri": "https://hospital.example/privacy"}],
    "provision": {"type": "deny"},
}  # fmt: skip
KEYS = ("master.key", "audit.key", "index.key")


@dataclass
class Hospital:
    """What its people know: where it is, their tokens, a password; and what it answered before it was lost."""

    url: str
    told: str
    answers: dict[str, bytes] = field(default_factory=dict)

    @property
    def tokens(self) -> Mapping[str, str]:
        return dict(re.findall(r"^  export ([A-Z]+)=(\S+)$", self.told, re.MULTILINE))

    @property
    def nurse(self) -> str:
        (found,) = re.findall(r"^  nurse +([a-z0-9-]{14})$", self.told, re.MULTILINE)
        return str(found)

    @property
    def query(self) -> bytes:
        """The demonstration's own ITI-18."""
        (found,) = re.findall(r"<<'END'\n(.*?)\nEND$", self.told, re.MULTILINE | re.DOTALL)
        return str(found).encode()

    def ask(self, path: str, token: str = "TOKEN", body: bytes | None = None, **headers: str) -> bytes:
        given = {
            "Authorization": f"Bearer {self.tokens[token]}",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        request = urllib.request.Request(self.url + path, body, given, method=None if body is None else "POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def consent(self) -> None:
        headers = {"Authorization": f"Bearer {self.tokens['RECORDER']}", "Content-Type": "application/fhir+json"}
        body = json.dumps(CONSENT).encode()
        request = urllib.request.Request(f"{self.url}/fhir/Consent/ward-05", body, headers, method="PUT")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 201

    def status(self, path: str) -> int:
        try:
            self.ask(path)
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code
        return 200

    def everything(self) -> dict[str, bytes]:
        answers = {path: unordered(self.ask(path)) for path in ASKED}
        answers["image"] = self.ask(IMAGE, Accept="application/dicom; transfer-syntax=*")
        answers["documents"] = b"\n".join(sorted(self.documents()))
        return answers

    def documents(self) -> list[bytes]:
        answer = self.ask("/xds/registry", body=self.query, Content_Type="application/soap+xml")
        return re.findall(rb'<rim:ExtrinsicObject id="([^"]+)"', answer)


def unordered(answer: bytes) -> bytes:
    """Without what a store may choose: the order among equals, and what its cursors look like."""
    found = json.loads(answer)
    if isinstance(found, dict) and found.get("resourceType") == "Bundle":
        found = sorted(json.dumps(each, sort_keys=True) for each in found["entry"])
    return json.dumps(found, sort_keys=True).encode()


@contextmanager
def serving(place: Place, command: str, port: int) -> Iterator[Server]:
    log = place.data.parent / f"{place.data.name}-{secrets.token_hex(2)}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", command, "--port", str(port), "--data", str(place.data)],
            cwd=ROOT, env=place.variables(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    server = Server(place, port, process, log)
    try:
        assert is_ready(server), server.tail()
        yield server
    finally:
        assert server.stop() in (0, -signal.SIGTERM, -signal.SIGKILL)
    assert not server.faults(), server.tail()


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backup")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("safe")


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory, backup: Path, keys: Path) -> Hospital:
    """Served, backed up twice beside its server, then killed and gone for good; only the keys were kept, elsewhere."""
    place = Place("lost", tmp_path_factory.mktemp("lost") / "data", SIGNED)
    place.data.mkdir()
    port = free_port()
    with serving(place, "demo", port) as server:
        hospital = Hospital(f"http://127.0.0.1:{port}", server.log.read_text())
        done(weft(place, "backup", str(backup)))
        assert hospital.status("/fhir/Patient/ward-05") == 200
        hospital.consent()
        hospital.answers.update(hospital.everything())
        told = done(weft(place, "backup", str(backup)))
        assert "copied 0 files" in told
        for name in KEYS:
            assert str(place.data / name) in told
            shutil.copy2(place.data / name, keys / name)
        server.kill()
    shutil.rmtree(place.data)
    return hospital


SIGNED = {"WEFT_AUTH": "smart", "WEFT_COMMUNITY": "2.999.1", "WEFT_SECOND_FACTOR": "off"}


def weft(place: Place, *words: str) -> Result:
    """A command on the archive of the place, in this process: one of its own would load for longer than it works."""
    unset = dict.fromkeys(name for name in os.environ if name.startswith("WEFT_"))
    return CliRunner().invoke(main, words, env={**unset, **place.variables()})


@contextmanager
def begun(place: Place, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, to be ended by a signal."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server", *words],
        cwd=ROOT, env=place.variables(), stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


def done(ended: Result, status: int = 0) -> str:
    assert ended.exit_code == status, ended.output
    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    return ended.stdout


def with_keys(place: Place, keys: Path) -> Place:
    place.data.mkdir(parents=True, exist_ok=True)
    for name in KEYS:
        shutil.copy2(keys / name, place.data / name)
    return place


def signed(place: Place) -> Place:
    return Place(place.name, place.data, {**place.environment, **SIGNED})


def test_after_a_restore_everything_is_as_it_was(
    new_place: Callable[[], Place], hospital: Hospital, backup: Path, keys: Path, tmp_path: Path
) -> None:
    place = with_keys(signed(new_place()), keys)
    assert "restored in" in done(weft(place, "restore", str(backup)))
    assert "empty place" in weft(place, "restore", str(backup)).stderr
    with serving(place, "serve", int(hospital.url.rpartition(":")[2])):
        for asked, answer in hospital.everything().items():
            assert answer == hospital.answers[asked], asked
        assert len(hospital.documents()) == 4
        assert hospital.status("/fhir/Patient/ward-05") == 403
        browser = Browser(hospital.url)
        page = browser.send(browser.open("/oauth/account"), "/sign-in", login="nurse", password=hospital.nurse)
        assert page.url.path == "/oauth/account", page.text
        assert page.status_code == 200
        browser.close()
        subtypes = hospital.ask("/fhir/AuditEvent?subtype=restore,backup&_count=50", "AUDITOR").decode()
        assert subtypes.count('"display":"Backup"') == 2
        assert subtypes.count('"display":"Restore"') == 1
        assert "sound" in done(weft(place, "audit", "verify"))
        # What grew elsewhere is backed up from there as well.
        done(weft(place, "backup", str(tmp_path / "again")))
    assert "clean" in done(weft(place, "verify"))
    assert "comes back" in done(weft(place, "restore", str(tmp_path / "again"), "--rehearse"))


def test_a_rehearsal_finds_what_was_altered(hospital: Hospital, backup: Path, keys: Path, tmp_path: Path) -> None:
    place = with_keys(Place("rehearsed", tmp_path / "data", SIGNED), keys)
    copy = shutil.copytree(backup, tmp_path / "backup")
    before = sorted(tmp_path.rglob("*"))
    assert "comes back" in done(weft(place, "restore", str(copy), "--rehearse"))
    assert sorted(tmp_path.rglob("*")) == before, "nothing is left of a rehearsal"
    file = max((path for path in (copy / "files").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    told = done(weft(place, "restore", str(copy), "--rehearse"), 1)
    assert "file damaged" in told
    assert "does NOT come back whole" in told
    file.unlink()
    told = done(weft(place, "restore", str(copy), "--rehearse"), 1)
    assert file.name in told
    part = next(path for path in (copy / "chunks").rglob("*") if path.is_file())
    part.write_bytes(b"")
    ended = weft(
        place, "restore", str(copy), "--rehearse", "--snapshot", sorted((copy / "snapshots").iterdir())[-1].name
    )
    assert ended.exit_code in (1, 2)


def test_without_its_keys_nothing_is_written(hospital: Hospital, backup: Path, keys: Path, tmp_path: Path) -> None:
    place = with_keys(Place("keyless", tmp_path / "data", SIGNED), keys)
    for name in KEYS:
        (place.data / name).unlink()
        ended = weft(place, "restore", str(backup))
        assert ended.exit_code == 2
        assert f"{name} is missing" in ended.stderr
        with_keys(place, keys)
    other = Place("other", tmp_path / "other", SIGNED)
    done(weft(other, "user", "list"))
    for name in ("audit.key", "master.key"):
        shutil.copy2(other.data / name, place.data / name)
        ended = weft(place, "restore", str(backup))
        assert ended.exit_code == 2
        assert len(ended.stderr.strip().splitlines()) == 1
        with_keys(place, keys)
    assert sorted(path.name for path in place.data.iterdir()) == sorted(KEYS)
    ended = weft(place, "restore", str(tmp_path / "nowhere"))
    assert "there is no folder" in ended.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_restore_that_is_killed_leaves_a_place_that_says_so(
    hospital: Hospital, backup: Path, keys: Path, tmp_path: Path
) -> None:
    """Amid the files, which come before the records."""
    place = with_keys(Place("killed", tmp_path / "data", SIGNED), keys)
    with begun(place, "restore", str(backup)) as process:
        eventually(lambda: list((place.data / "blobs").glob("*/*/*")))
        process.kill()
        assert process.wait(30) == -signal.SIGKILL
    for words in (["serve", "--port", str(free_port())], ["verify"], ["restore", str(backup)], ["user", "list"]):
        ended = weft(place, *words)
        assert ended.exit_code == 2
        assert "restore again" in ended.stderr


async def events(ground: Groundwork) -> list[Event]:
    assert ground.audit is not None
    return [each.event for each in (await ground.audit.recorder.events("", 1000)).events]


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_what_is_broken_off_leaves_nothing_behind(
    hospital: Hospital, backup: Path, keys: Path, tmp_path: Path, signal_: signal.Signals
) -> None:
    """Neither half of an archive in the temporary folder, nor a lock in the target."""
    (tmp_path / "tmp").mkdir()
    place = with_keys(Place("ended", tmp_path / "data", {**SIGNED, "TMPDIR": str(tmp_path / "tmp")}), keys)
    with begun(place, "restore", str(backup), "--rehearse") as process:
        eventually(lambda: list((tmp_path / "tmp").glob("weft-rehearsal-*/blobs")))
        process.send_signal(signal_)
        assert process.communicate(timeout=30)[1].strip() == "weft: broken off"
        assert process.returncode == 2
    assert list((tmp_path / "tmp").iterdir()) == []
    done(weft(place, "restore", str(backup)))
    long = place.data / "blobs/20000101/0000" / ("f" * 32)
    long.parent.mkdir(parents=True)
    with long.open("wb") as file:
        file.truncate(1 << 30)
    target = tmp_path / "backup"
    with begun(place, "backup", str(target)) as process:
        eventually(lambda: (target / "files").exists())
        process.send_signal(signal_)
        assert process.wait(30) == 2
    assert not (target / "lock.json").exists()
    assert list(target.rglob(".*")) == []
    assert [each.outcome for each in asking(place.data, events) if each.subtype == "backup"][-2:] == [0, 8]
    assert "none yet" in done(weft(place, "backup", str(target), "--list"))


def test_snapshots_are_listed_and_let_go_of(hospital: Hospital, backup: Path, keys: Path, tmp_path: Path) -> None:
    place = with_keys(Place("listing", tmp_path / "data", SIGNED), keys)
    copy = shutil.copytree(backup, tmp_path / "backup")
    lines = done(weft(place, "backup", str(copy), "--list")).splitlines()
    assert len(lines) == 3
    first = lines[1].split()[0]
    assert "restored in" in done(weft(place, "restore", str(copy), "--snapshot", first))
    assert "let go of 2 older snapshots" in done(weft(place, "backup", str(copy), "--keep", "1"))
    (line,) = done(weft(place, "backup", str(copy), "--list")).splitlines()[1:]
    assert line.split()[0] != first
    assert "comes back" in done(weft(place, "restore", str(copy), "--rehearse"))


def test_a_backup_among_writers_is_whole(new_place: Callable[[], Place], tmp_path: Path) -> None:
    """On each pair of stores, while images and resources come in and studies go."""
    place, target, stopped = new_place(), str(tmp_path / "backup"), threading.Event()
    with running(place) as server, ThreadPoolExecutor(1) as pool:
        before = [instance(number, study=1).data() for number in range(1, 21)]
        assert len(stored(store(server, *before))) == 20
        writing = pool.submit(_written, server, stopped)
        try:
            for _ in range(2):
                done(weft(place, "backup", target))
        finally:
            stopped.set()
        assert writing.result() > 5
    new = new_place()
    new.data.mkdir(parents=True, exist_ok=True)
    for path in place.data.glob("*.key"):
        shutil.copy2(path, new.data / path.name)
    done(weft(new, "restore", target))
    assert "clean" in done(weft(new, "verify"))
    with running(new) as server:
        assert sorted(fetch(server, f"/studies/{instance(1, study=1).study}")) == sorted(before)
        with closing(Fhir(server)) as fhir:
            assert awaited(lambda: fhir.ask("GET", "/Patient/p1"), 200).json["id"] == "p1"


def _written(server: Server, stopped: threading.Event) -> int:
    """How many studies came, of which each third went again."""
    with closing(Fhir(server)) as fhir:
        for number in itertools.count(1):
            study = instance(number * 5, study=1 + number).study
            store(server, *(instance(number * 5 + each, study=1 + number).data() for each in range(5)))
            put(
                fhir, {"resourceType": "Patient", "id": f"p{number % 11}", "birthDate": f"2026-01-{1 + number % 28:02}"}
            )
            if number % 3 == 0:
                request = urllib.request.Request(f"{server.url}/dicomweb/studies/{study}", method="DELETE")
                with urllib.request.urlopen(request, timeout=60) as answer:
                    assert answer.status < 300
            if stopped.is_set():
                return number
    raise AssertionError
