"""Every promise of `storage.journal.Journal`, kept by every adapter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.errors import StoreUnavailable
from storage.filesystem.journal_chains import FolderAppender
from storage.filesystem.journal_frames import encode
from storage.journal import Appender, ClaimLost, Journal, Line
from tests.conftest import ROOT
from tests.contract.conftest import Archive
from tests.contract.journal_process import BATCH, BODY, batch
from tests.contract.journals import Hand, journal_of

FILES = pytest.mark.parametrize("archive", ["sqlite"], indirect=True)
DATABASE = pytest.mark.parametrize("archive", ["mongodb"], indirect=True)


@dataclass
class Place:
    archive: Archive
    folder: Path
    open: Callable[[], Journal]
    hand: Hand
    journal: Journal

    def claim(self, chain: str = "log-1") -> Appender:
        appender = self.archive.run(self.journal.claim(chain))
        assert appender is not None
        return appender

    def append(self, appender: Appender, first: int, count: int = 3) -> list[Line]:
        lines = lines_of(first, count)
        self.archive.run(appender.append(lines))
        return lines

    def write(self, appender: Appender, first: int, count: int = 3) -> bool:
        async def work() -> bool:
            return appender.write(lines_of(first, count))

        return self.archive.run(work())

    def release(self, appender: Appender) -> None:
        self.archive.run(appender.release())

    def read(self, start: int = 0, limit: int = 1000, *, bodies: bool = True, chain: str = "log-1") -> list[Line]:
        return self.archive.run(self.journal.read(chain, start, limit, bodies=bodies))

    def start(self, act: str) -> subprocess.Popen[str]:
        script = Path(__file__).parent / "journal_process.py"
        return subprocess.Popen(
            [sys.executable, str(script), self.archive.url, str(self.folder), act],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )


def lines_of(first: int, count: int = 3) -> list[Line]:
    return [Line(each, b"head %d" % each, b"body %d " % each * (each % 70)) for each in range(first, first + count)]


@pytest.fixture
def place(archive: Archive, tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "journal"
    opening, hand = journal_of(archive.url, folder, archive.threads)
    journal = opening()
    yield Place(archive, folder, opening, hand, journal)
    archive.run(journal.close())


def test_lines_come_back_as_they_were_appended(place: Place) -> None:
    appender = place.claim()
    assert appender.last is None
    lines = place.append(appender, 0) + place.append(appender, 3, 200)
    assert place.read() == lines
    assert place.read(5, 2) == lines[5:7]
    assert place.read(7, 1000) == lines[7:]
    assert place.read(203) == []
    assert place.read(bodies=False) == [line._replace(body=None) for line in lines]
    assert place.archive.run(place.journal.last("log-1")) == lines[-1]._replace(body=None)


def test_pages_follow_each_other_while_lines_are_appended(place: Place) -> None:
    appender = place.claim()
    found: list[Line] = []
    for first in range(0, 400, 40):
        place.append(appender, first, 40)
        while lines := place.read(len(found), 7):
            found += lines
    assert found == lines_of(0, 400)


def test_chains_are_named_once_they_have_a_line(place: Place) -> None:
    first, second = place.claim("log-2"), place.claim("log-10")
    assert place.archive.run(place.journal.chains()) == []
    place.append(first, 0)
    place.append(second, 0)
    assert sorted(place.archive.run(place.journal.chains())) == ["log-10", "log-2"]
    assert place.read(chain="log-1") == []
    assert place.archive.run(place.journal.last("log-1")) is None


def test_a_chain_is_claimed_once_at_a_time(place: Place) -> None:
    appender = place.claim()
    other = place.open()
    assert place.archive.run(other.claim("log-1")) is None
    place.append(appender, 0)
    place.archive.run(appender.renew())
    place.release(appender)
    again = place.archive.run(other.claim("log-1"))
    assert again is not None
    assert again.last == Line(2, b"head 2", None)
    place.append(again, 3)
    assert place.read() == lines_of(0, 6)
    place.archive.run(other.close())


@FILES
def test_after_release_nothing_is_appended(place: Place) -> None:
    appender = place.claim()
    place.release(appender)
    with pytest.raises(StoreUnavailable):
        place.append(appender, 0)


@DATABASE
def test_two_that_believe_to_have_a_chain_do_not_make_one_of_it(place: Place) -> None:
    """The claims of a database end with time, so a slow writer may still believe in its own."""
    slow = place.claim()
    place.append(slow, 0)
    place.release(slow)
    fast = place.claim()
    place.append(fast, 3)
    with pytest.raises(ClaimLost):
        place.archive.run(slow.append([Line(3, b"other", b"other"), Line(4, b"other", b"other")]))
    with pytest.raises(ClaimLost):
        place.archive.run(slow.renew())
    assert place.read() == lines_of(0, 6)


def test_bodies_are_dropped_and_heads_stay(place: Place) -> None:
    appender = place.claim()
    lines = place.append(appender, 0, 300)
    for _ in range(2):
        place.archive.run(place.journal.drop("log-1", 20, 250))
        left = [line if not 20 <= line.sequence <= 250 else line._replace(body=None) for line in lines]
        assert place.read() == left
    lines = place.append(appender, 300, 5)
    assert place.read(300) == lines
    place.release(appender)
    assert place.claim().last == lines[-1]._replace(body=None)


@FILES
def test_segments_without_bodies_give_back_their_room(place: Place) -> None:
    appender = place.claim()
    for first in range(0, 300, 10):
        place.append(appender, first, 10)
    before = sum(file.stat().st_size for file in place.folder.rglob("*.log"))
    place.archive.run(place.journal.drop("log-1", 0, 299))
    after = sum(file.stat().st_size for file in place.folder.rglob("*.log"))
    assert after < before // 2
    assert place.read() == [line._replace(body=None) for line in lines_of(0, 300)]
    assert b"body" not in b"".join(file.read_bytes() for file in place.folder.rglob("*.log"))


@pytest.mark.parametrize("act", ["write", "hasten"])
def test_kill_9_loses_nothing_acknowledged(place: Place, act: str) -> None:
    process = place.start(act)
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    said += map(int, process.stdout.read().split())
    process.wait()
    process.stdout.close()
    found = place.read()
    assert [line.sequence for line in found] == list(range(len(found)))
    assert len(found) > said[-1]
    assert all(line.body == BODY for line in found)


@FILES
def test_what_is_only_written_stands_between_what_is_appended(place: Place) -> None:
    appender = place.claim()
    assert not place.write(appender, 0), "there is no room yet"
    place.append(appender, 0)
    assert place.write(appender, 3)
    assert place.write(appender, 6)
    place.append(appender, 9)
    assert place.write(appender, 12)
    assert place.read() == lines_of(0, 15)
    place.release(appender)
    assert not place.write(appender, 15)
    again = place.claim()
    assert again.last == lines_of(14, 1)[0]._replace(body=None)
    place.release(again)


@DATABASE
def test_a_database_takes_waiting(place: Place) -> None:
    appender = place.claim()
    place.append(appender, 0)
    assert not place.write(appender, 3)
    assert place.read() == lines_of(0, 3)
    place.release(appender)


@FILES
def test_nothing_follows_where_a_flush_failed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before it may be lost, so whoever goes on has to claim anew and look."""

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    async def flushed() -> None:
        assert isinstance(appender, FolderAppender)
        with pytest.raises(OSError, match="Input/output"):
            appender.flush()

    appender = place.claim()
    place.append(appender, 0)
    assert place.write(appender, 3)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        place.archive.run(flushed())
    assert not place.write(appender, 6)
    with pytest.raises(StoreUnavailable):
        place.append(appender, 6)
    place.release(appender)
    assert place.read() == lines_of(0, 6)


@FILES
def test_what_did_not_fit_on_the_disk_is_not_half_there(place: Place) -> None:
    process = place.start("fill")
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "the audit journal: File too large" in told
    written = int(told.split()[0])
    assert place.read() == [line for first in range(0, written + BATCH, BATCH) for line in batch(first)]


@FILES
def test_what_a_crash_left_half_written_is_cut_and_kept_aside(place: Place) -> None:
    appender = place.claim()
    place.append(appender, 0)
    place.release(appender)
    file = next(place.folder.rglob("*.log"))
    whole = file.read_bytes()
    torn = encode(lines_of(3), len(whole))
    ends = [len(encode(lines_of(3, count), 0)) for count in (0, 1, 2, 3)]
    for length in range(1, len(torn)):
        file.write_bytes(whole + torn[:length])
        appender = place.claim()
        kept = max(count for count, end in enumerate(ends) if end <= length)
        assert appender.last == Line(2 + kept, b"head %d" % (2 + kept), None)
        left = len(torn[ends[kept] : length].rstrip(b"\0"))
        assert (appender.cut.octets if appender.cut else 0) == left
        assert not appender.damage
        place.append(appender, 3 + kept)
        assert place.read() == lines_of(0, 6 + kept)
        place.release(appender)
    kept_aside = {file.read_bytes() for file in place.folder.rglob("*.torn")}
    assert torn[ends[2] : -1].rstrip(b"\0") in kept_aside


@FILES
def test_pages_that_reached_the_disk_out_of_order_are_cut_as_well(place: Place) -> None:
    appender = place.claim()
    place.append(appender, 0)
    place.release(appender)
    file = next(place.folder.rglob("*.log"))
    whole = file.read_bytes()
    torn = bytearray(encode(lines_of(3, 5), len(whole)))
    torn[40:60] = bytes(20)
    file.write_bytes(whole + torn)
    appender = place.claim()
    assert appender.last == Line(2, b"head 2", None)
    assert appender.cut is not None
    assert appender.cut.octets == len(torn)


@FILES
def test_what_was_acknowledged_is_never_cut(place: Place) -> None:
    """A later batch stands behind it, which is only written once what is before is durable."""
    appender = place.claim()
    for first in (0, 3, 6):
        place.append(appender, first)
    place.release(appender)
    file = next(place.folder.rglob("*.log"))
    content = bytearray(file.read_bytes())
    content[content.index(b"head 4")] ^= 1
    file.write_bytes(content)
    appender = place.claim()
    assert "unreadable from byte" in appender.damage
    with pytest.raises(StoreUnavailable):
        place.append(appender, 9)
    assert file.read_bytes() == content


@FILES
def test_unreadable_lines_are_passed_over(place: Place) -> None:
    appender = place.claim()
    place.append(appender, 0, 10)
    file = next(place.folder.rglob("*.log"))
    content = bytearray(file.read_bytes())
    at = content.index(b"head 4")
    content[at - 30 : at] = bytes(30)
    file.write_bytes(content)
    assert [line.sequence for line in place.read()] == [0, 1, 2, 3, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("name", ["", "..", "a/b", "Log", "log 1", "log-" + "1" * 60])
@FILES
def test_only_plain_names_are_chains(place: Place, name: str) -> None:
    with pytest.raises(ValueError):
        place.archive.run(place.journal.claim(name))
