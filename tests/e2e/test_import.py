"""`weft import` as a person uses it: interrupted, run again, looked over."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.data.instances import ROOT as UID_ROOT
from tests.data.instances import write_instances
from tests.e2e.clients import client
from tests.e2e.running import ROOT, Place, running, weft


def interrupted(place: Place, folder: Path) -> subprocess.Popen[str]:
    """An import that is asked to stop as soon as it has stored something."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "import", str(folder)],
        cwd=ROOT,
        env=place.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None:
        if any(journal.stat().st_size for journal in place.data.glob("import-*.journal")):
            process.send_signal(signal.SIGINT)
            break
    return process


def test_an_interrupted_import_goes_on_and_leaves_no_duplicates(
    small_place: Place, tmp_path: Path, is_full: bool
) -> None:
    count = 5000 if is_full else 1500
    digests = write_instances(tmp_path / "in", count)
    first = interrupted(small_place, tmp_path / "in")
    told, complained = first.communicate(timeout=120)
    assert first.returncode == 130, told + complained
    assert "run the same command again to go on" in told
    again = weft(small_place, "import", str(tmp_path / "in"), "--report", str(tmp_path / "report.jsonl"))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "done by the run before" in again.stdout
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert 0 < len(lines) < count
    assert {line["outcome"] for line in lines} == {"stored"}
    with running(small_place) as server:
        studies = client(server).get("/studies?limit=1000&includefield=NumberOfStudyRelatedInstances", None).json()
        assert sum(study["00201208"]["Value"][0] for study in studies) == count
        assert all(study["0020000D"]["Value"][0].startswith(UID_ROOT) for study in studies)
    verified = weft(small_place, "verify")
    assert (verified.returncode, verified.stdout.split()[0]) == (0, str(count))
    assert len(digests) == count


def test_a_running_server_shows_what_is_imported_beside_it(small_place: Place, tmp_path: Path) -> None:
    write_instances(tmp_path / "in", 60)
    with running(small_place) as server:
        assert client(server).get("/studies", None).json() == []
        assert weft(small_place, "import", str(tmp_path / "in")).returncode == 0
        assert len(client(server).get("/studies", None).json()) == 2


def test_exit_statuses_tell_how_it_went(small_place: Place, tmp_path: Path) -> None:
    write_instances(tmp_path / "in", 3)
    assert weft(small_place, "import", str(tmp_path / "in")).returncode == 0
    (tmp_path / "in/note.txt").write_text("not an image")
    mixed = weft(small_place, "import", str(tmp_path / "in"))
    assert mixed.returncode == 1
    assert str(tmp_path / "in/note.txt") in mixed.stdout
    assert weft(small_place, "import", str(tmp_path / "in/note.txt")).returncode == 2
    (tmp_path / "empty").mkdir()
    assert weft(small_place, "import", str(tmp_path / "empty")).returncode == 2
    assert weft(small_place, "import", str(tmp_path / "absent")).returncode == 2
    assert weft(small_place, "import").returncode == 2
