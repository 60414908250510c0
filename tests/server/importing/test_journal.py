"""The journal of an unfinished import: what is in it, when it goes, what a crash leaves."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from server.importing.journal import Journal
from server.importing.sources import FileSource

STORES = ("sqlite:///a", "file:///b")


def mark(number: int) -> bytes:
    return hashlib.blake2b(bytes([number]), digest_size=16).digest()


def journal(folder: Path) -> Journal:
    return Journal.of(folder, STORES, [Path("x")])


def test_an_interrupted_import_is_remembered(tmp_path: Path) -> None:
    first = journal(tmp_path)
    assert first.open() == 0
    first.add([mark(1), mark(2)])
    first.close(is_finished=False)
    again = journal(tmp_path)
    assert again.open() == 2
    assert again.holds(mark(1))
    assert not again.holds(mark(3))
    again.close(is_finished=False)


def test_a_finished_import_leaves_nothing(tmp_path: Path) -> None:
    each = journal(tmp_path)
    each.open()
    each.add([mark(1)])
    each.close(is_finished=True)
    assert list(tmp_path.iterdir()) == []


def test_a_mark_cut_short_by_a_crash_is_dropped(tmp_path: Path) -> None:
    each = journal(tmp_path)
    each.path.write_bytes(mark(1) + mark(2)[:7])
    assert each.open() == 1
    each.add([mark(3)])
    each.close(is_finished=False)
    assert each.path.read_bytes() == mark(1) + mark(3)


def test_other_paths_and_other_stores_have_journals_of_their_own(tmp_path: Path) -> None:
    names = {
        Journal.of(tmp_path, STORES, [Path("x")]).path,
        Journal.of(tmp_path, STORES, [Path("y")]).path,
        Journal.of(tmp_path, ("mongodb://c", "file:///b"), [Path("x")]).path,
    }
    assert len(names) == 3


def test_the_order_of_paths_does_not_matter(tmp_path: Path) -> None:
    one, other = (Journal.of(tmp_path, STORES, paths) for paths in ([Path("a"), Path("b")], [Path("b"), Path("a")]))
    assert one.path == other.path


def test_a_changed_file_has_another_mark(tmp_path: Path) -> None:
    path = tmp_path / "1"
    path.write_bytes(b"abc")
    before = FileSource.of(path)
    os.utime(path, ns=(1, 1))
    after = FileSource.of(path)
    assert isinstance(before, FileSource)
    assert isinstance(after, FileSource)
    assert before.mark != after.mark


def test_no_name_of_a_file_is_in_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "Doe_John.dcm"
    path.write_bytes(b"abc")
    source = FileSource.of(path)
    assert isinstance(source, FileSource)
    each = journal(tmp_path / "data")
    each.open()
    each.add([source.mark])
    each.close(is_finished=False)
    assert b"Doe" not in each.path.read_bytes()
    assert "Doe" not in each.path.name
