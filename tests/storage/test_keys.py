"""The key file: made once, kept private, rotated, and never half there."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.encryption.keys import KeyFileError, open_keys, rotate_data_key
from storage.errors import Damaged


def test_the_first_start_makes_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "data/master.key"
    keys = open_keys(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(keys.active.key) == 32
    assert open_keys(path).active == keys.active
    assert [each.name for each in path.parent.iterdir()] == ["master.key"]


def test_two_archives_have_different_keys(tmp_path: Path) -> None:
    assert open_keys(tmp_path / "one").active.key != open_keys(tmp_path / "other").active.key


def test_workers_that_start_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from storage.encryption.keys import open_keys;"
        "sys.stdin.readline(); print(open_keys(Path(sys.argv[1])).active.key.hex())"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "master.key")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    keys = {worker.communicate()[0] for worker in workers}
    assert [worker.returncode for worker in workers] == [0] * 6
    assert len(keys) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["master.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_file_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    open_keys(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="set its mode to 0600"):
        open_keys(path)


def test_a_missing_file_is_not_made_where_data_wait_for_it(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with pytest.raises(KeyFileError, match="is missing"):
        open_keys(path, may_create=False)
    assert not path.exists()


def test_a_file_that_cannot_be_opened_is_an_error_of_the_key_file(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError):
        open_keys(tmp_path)


def test_rotation_adds_a_key_and_keeps_the_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    running = open_keys(path)
    first = running.active
    fresh = rotate_data_key(path)
    restarted = open_keys(path)
    assert restarted.active.id.hex() == fresh != first.id.hex()
    assert restarted.find(first.id) == first.key
    assert running.active == first
    assert running.find(restarted.active.id) == restarted.active.key
    assert running.active == restarted.active
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["master.key"]


def test_a_rotation_wraps_all_data_keys_under_a_new_master_key(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    before = open_keys(path)
    old = json.loads(path.read_text())
    rotate_data_key(path)
    new = json.loads(path.read_text())
    assert old["master"] != new["master"]
    assert old["data_keys"].keys() < new["data_keys"].keys()
    assert all(old["data_keys"][name]["wrapped"] != new["data_keys"][name]["wrapped"] for name in old["data_keys"])
    assert open_keys(path).find(before.active.id) == before.active.key


def test_rotations_at_once_lose_no_key(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    first = open_keys(path).active
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(rotate_data_key, [path] * 24))
    kept = open_keys(path)
    assert all(kept.find(bytes.fromhex(each)) for each in made)
    assert kept.find(first.id) == first.key
    assert kept.active.id.hex() in made


def test_what_cannot_be_renewed_is_left_as_it_is(tmp_path: Path) -> None:
    for path in (tmp_path / "master.key", tmp_path / "nowhere" / "master.key"):
        with pytest.raises(KeyFileError):
            rotate_data_key(path)
    (tmp_path / "master.key").write_text("{}")
    (tmp_path / "master.key").chmod(0o600)
    with pytest.raises(KeyFileError):
        rotate_data_key(tmp_path / "master.key")
    assert (tmp_path / "master.key").read_text() == "{}"


def test_an_unknown_data_key_is_damage(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="no data key 0102030405060708"):
        open_keys(tmp_path / "master.key").find(bytes(range(1, 9)))


def test_a_file_that_disappeared_or_broke_leaves_a_running_server_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    keys = open_keys(path)
    active = keys.active
    path.write_text("{")
    with pytest.raises(Damaged):
        keys.find(bytes(8))
    path.unlink()
    with pytest.raises(Damaged):
        keys.find(bytes(8))
    assert keys.find(active.id) == active.key


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    os.chmod(path, 0o600)
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=50)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda it: json.dumps(it).encode())
)
def test_no_content_is_accepted_or_raises_anything_else(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(KeyFileError):
        open_keys(_file(tmp_path / "garbage", content))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("format", "weft keys 2"),
        ("master", "AAAA"),
        ("master", 7),
        ("active", "0000000000000000"),
        ("active", "zz"),
        ("data_keys", {}),
        ("data_keys", {"0000000000000000": {"wrapped": "AAAA", "created": ""}}),
        ("data_keys", {"0000000000000000": 1}),
        ("data_keys", ["0000000000000000"]),
    ],
)
def test_a_changed_file_is_refused_and_not_quoted(tmp_path: Path, part: str, value: object) -> None:
    path = tmp_path / "master.key"
    open_keys(path)
    content = json.loads(path.read_text())
    secret = content["master"]
    _file(path, json.dumps(content | {part: value}).encode())
    with pytest.raises(KeyFileError, match="restore it from its backup") as caught:
        open_keys(path)
    assert secret not in str(caught.value)


def test_a_wrapped_key_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    open_keys(path)
    content = json.loads(path.read_text())
    entry = content["data_keys"][content["active"]]
    entry["wrapped"] = ("B" if entry["wrapped"][0] == "A" else "A") + entry["wrapped"][1:]
    with pytest.raises(KeyFileError):
        open_keys(_file(path, json.dumps(content).encode()))
