"""`weft backup` and `weft restore` at the command line: what they say, what they refuse, and what is remembered."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.archive.metadata import pointer
from server.archive.rows import INSTANCE, METADATA
from server.audit.backups import place_of
from server.audit.event import Event
from server.cli import main
from server.commands.backing_up import NAMING, refs
from server.commands.backup_keys import check, remarks
from server.fhir.export.job import COLLECTION
from server.groundwork import Groundwork
from server.kernel.measuring import Received
from server.kernel.offload import Offload
from server.settings import Settings, SettingsError
from server.xds.contents import CONTENT, entered
from storage.encryption.keys import rotate_data_key
from storage.ports import BlobRef, Record
from tests.data.instances import write_instances
from tests.server.commands.administering import asking, refused, told, weft


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three instances and a user."""
    folder = tmp_path / "archive"
    write_instances(tmp_path / "in", 3)
    folder.mkdir()
    told(folder, "import", str(tmp_path / "in"))
    told(folder, "user", "add", "li", "nurse", "--name", "Li")
    return folder


def with_keys(data: Path, new: Path) -> Path:
    new.mkdir()
    for path in data.glob("*.key"):
        shutil.copy2(path, new)
    return new


async def events(ground: Groundwork) -> list[Event]:
    assert ground.audit is not None
    return [each.event for each in (await ground.audit.recorder.events("", 1000)).events]


def test_a_backup_says_what_it_copied_and_what_it_left_out(data: Path, tmp_path: Path) -> None:
    said = told(data, "backup", str(tmp_path / "backup"))
    assert " 3 files, " in said
    assert "copied 3 files" in said
    keys = [each for each in ("master.key", "audit.key", "index.key") if (data / each).exists()]
    assert len(keys) > 1
    assert all(str(data / key) in said for key in keys)
    assert not [path for path in (tmp_path / "backup").rglob("*") if path.name in keys]
    assert "copied 0 files" in told(data, "backup", f"file://{tmp_path}/backup")
    assert len(told(data, "backup", str(tmp_path / "backup"), "--list").splitlines()) == 3


def test_both_acts_are_in_the_trail(data: Path, tmp_path: Path) -> None:
    told(data, "backup", str(tmp_path / "backup"))
    (taken,) = [each for each in asking(data, events) if each.subtype == "backup"]
    assert (taken.code, taken.action, taken.outcome) == ("110106", "R", 0)
    assert taken.user_name.endswith("(command line)")
    assert taken.entities[0].reference == f"file://{tmp_path}/backup"
    new = with_keys(data, tmp_path / "new")
    told(new, "restore", str(tmp_path / "backup"))
    found = {each.subtype: each for each in asking(new, events)}
    assert found["backup"] == taken
    assert (found["restore"].code, found["restore"].action) == ("110107", "C")
    assert " 3 files, " in found["restore"].entities[0].detail
    assert "sound" in told(new, "audit", "verify")
    assert "li" in told(new, "user", "list")
    assert "clean" in told(new, "verify")


def test_a_backup_that_comes_to_nothing_is_told_as_well(data: Path, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup/chunks").write_text("not a folder")
    assert "Not a directory" in refused(data, "backup", str(tmp_path / "backup"))
    assert [each.outcome for each in asking(data, events) if each.subtype == "backup"] == [0, 8]
    assert "none yet" in told(data, "backup", str(tmp_path / "backup"), "--list")


def test_what_opens_a_target_is_not_told() -> None:
    assert place_of("s3://bucket/a/b?endpoint=https://x&region=y") == "s3://bucket/a/b"
    assert place_of("s3://user:secret@bucket/a") == "s3://bucket/a"


def test_a_folder_may_have_any_name(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my 备份 100%25 #1"
    told(data, "backup", str(folder))
    assert (folder / "snapshots").is_dir()
    assert len(told(data, "backup", str(folder), "--list").splitlines()) == 2
    assert "comes back" in told(data, "restore", str(folder), "--rehearse")
    (taken,) = [each for each in asking(data, events) if each.subtype == "backup"]
    assert taken.entities[0].reference == f"file://{folder}"


def test_another_archives_place_is_left_alone(data: Path, tmp_path: Path) -> None:
    told(data, "backup", str(tmp_path / "backup"))
    other = tmp_path / "other"
    told(other, "user", "list")
    assert "back up into another place" in refused(other, "backup", str(tmp_path / "backup"), "--keep", "1")
    assert [each.outcome for each in asking(other, events) if each.subtype == "backup"] == [0, 8]
    listing = told(other, "backup", str(tmp_path / "backup"), "--list")
    assert "another key file's" in listing
    assert len(listing.splitlines()) == 1
    assert len(told(data, "backup", str(tmp_path / "backup"), "--list").splitlines()) == 2


def test_a_snapshot_counts_although_older_ones_stay(data: Path, tmp_path: Path) -> None:
    for _ in range(2):
        told(data, "backup", str(tmp_path / "backup"))
    first, _ = sorted((tmp_path / "backup/snapshots").iterdir())
    first.write_bytes(first.read_bytes()[:-1])
    ended = weft(data, "backup", str(tmp_path / "backup"), "--keep", "3")
    assert ended.exit_code == 1
    assert f"could be let go of: snapshot {first.name}" in ended.stdout
    listing = told(data, "backup", str(tmp_path / "backup"), "--list").splitlines()
    assert len(listing) == 4
    assert first.name in listing[-1]


def test_what_the_archive_lost_is_not_let_go_of(data: Path, tmp_path: Path) -> None:
    told(data, "backup", str(tmp_path / "backup"))
    next(path for path in (data / "blobs").rglob("*") if path.is_file()).unlink()
    for _ in range(2):
        ended = weft(data, "backup", str(tmp_path / "backup"), "--keep", "1")
        assert ended.exit_code == 1
        assert "No older snapshot was let go of" in ended.stdout
    first, *_ = sorted((tmp_path / "backup/snapshots").iterdir())
    assert "comes back" in told(data, "restore", str(tmp_path / "backup"), "--snapshot", first.name, "--rehearse")


def test_a_key_file_from_before_a_renewal_is_refused(data: Path, tmp_path: Path) -> None:
    """Although it opens a snapshot's own account, where the key was renewed while that was taken."""
    new = with_keys(data, tmp_path / "new")
    rotate_data_key(data / "master.key")
    threads = Offload()
    try:
        said = asyncio.run(remarks(Settings(data=data), threads))
        asyncio.run(check(Settings(data=data), said, threads))
        with pytest.raises(SettingsError, match=r"master.key is a copy from before a key was renewed"):
            asyncio.run(check(Settings(data=new), said, threads))
    finally:
        threads.close()


def test_a_key_file_that_cannot_be_read_is_told_in_a_sentence(data: Path, tmp_path: Path) -> None:
    (data / "index.key").write_text("nonsense")
    assert "index.key holds no secret" in refused(data, "backup", str(tmp_path / "backup"))


def test_only_an_empty_place_is_restored_into(data: Path, tmp_path: Path) -> None:
    told(data, "backup", str(tmp_path / "backup"))
    assert "empty place" in refused(data, "restore", str(tmp_path / "backup"))
    new = with_keys(data, tmp_path / "new")
    told(new, "restore", str(tmp_path / "backup"))
    assert "empty place" in refused(new, "restore", str(tmp_path / "backup"))


def test_what_is_not_there_is_told_in_one_sentence(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "there is no folder" in refused(data, "restore", str(tmp_path / "nowhere"))
    assert "there is no folder" in refused(data, "backup", str(tmp_path / "nowhere"), "--list")
    assert "there is no snapshot in this place" in refused(data, "restore", str(tmp_path / "empty"))
    assert "none yet" in told(data, "backup", str(tmp_path / "empty"), "--list")
    told(data, "backup", str(tmp_path / "backup"))
    assert "no snapshot 2020" in refused(data, "restore", str(tmp_path / "backup"), "--snapshot", "2020")
    assert "no snapshot" in refused(data, "restore", str(tmp_path / "backup"), "--snapshot", "../../x")
    assert "scheme 'ftp'" in refused(data, "backup", "ftp://host/path")


@pytest.mark.parametrize("name", ["master.key", "audit.key"])
def test_keys_have_to_be_there_and_the_same(data: Path, tmp_path: Path, name: str) -> None:
    told(data, "backup", str(tmp_path / "backup"))
    new = with_keys(data, tmp_path / "new")
    (new / name).unlink()
    assert f"{name} is missing" in refused(new, "restore", str(tmp_path / "backup"))
    other = tmp_path / "other"
    told(other, "user", "list")
    shutil.copy2(other / name, new / name)
    sentence = refused(new, "restore", str(tmp_path / "backup"))
    assert "another key file's" in sentence or f"{name} is not the one" in sentence
    assert not (new / "weft.sqlite").exists()
    assert not (new / "blobs").exists()


def test_a_rehearsal_leaves_nothing_and_finds_what_was_altered(data: Path, tmp_path: Path) -> None:
    told(data, "backup", str(tmp_path / "backup"))
    assert "comes back" in told(data, "restore", str(tmp_path / "backup"), "--rehearse")
    file = next(path for path in (tmp_path / "backup/files").rglob("*") if path.is_file())
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    ended = weft(data, "restore", str(tmp_path / "backup"), "--rehearse")
    assert ended.exit_code == 1
    assert "damaged" in ended.stdout
    assert file.name in ended.stdout
    file.unlink()
    ended = weft(data, "restore", str(tmp_path / "backup"), "--rehearse")
    assert ended.exit_code == 1
    assert file.name in ended.stdout
    assert "does NOT come back whole" in ended.stdout
    assert "copied 1 files" in told(data, "backup", str(tmp_path / "backup"))
    assert "comes back" in told(data, "restore", str(tmp_path / "backup"), "--rehearse")


def test_files_that_the_archive_lost_are_told_by_the_backup(data: Path, tmp_path: Path) -> None:
    file = next(path for path in (data / "blobs").rglob("*") if path.is_file())
    file.unlink()
    ended = weft(data, "backup", str(tmp_path / "backup"))
    assert ended.exit_code == 1
    assert file.name in ended.stdout


def test_without_sign_in_and_encryption_it_is_told_that_anybody_can_read_it(tmp_path: Path) -> None:
    write_instances(tmp_path / "in", 1)
    env = {"WEFT_AUTH": "off", "WEFT_ENCRYPTION": "off", "WEFT_DATA": str(tmp_path / "archive"), "COLUMNS": "200"}
    for words in (["import", str(tmp_path / "in")], ["backup", str(tmp_path / "backup")]):
        ended = CliRunner().invoke(main, words, env=env)
        assert ended.exit_code == 0, ended.output
    assert "whoever reaches the backup can read it" in ended.stdout
    ended = CliRunner().invoke(main, ["restore", str(tmp_path / "backup"), "--rehearse"], env=env)
    assert ended.exit_code == 0, ended.output
    new = with_keys(tmp_path / "archive", tmp_path / "new")
    ended = CliRunner().invoke(main, ["restore", str(tmp_path / "backup")], env=env | {"WEFT_DATA": str(new)})
    assert ended.exit_code == 0, ended.output


def test_every_record_that_names_a_file_is_understood() -> None:
    ref = BlobRef("20261122/2149/" + "a" * 32, 5)
    assert frozenset({INSTANCE, METADATA, CONTENT, COLLECTION}) == NAMING
    assert list(refs(METADATA, Record("1", 1, pointer(ref)))) == [ref]
    assert list(refs(METADATA, Record("1", 1, b"{}"))) == []
    content = entered("1.2", Received(ref, "", ""), 0)
    assert list(refs(CONTENT, Record("1.2", 1, content.body))) == [ref]
