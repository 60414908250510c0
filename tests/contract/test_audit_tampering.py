"""Whatever is done to the audit trail without its key is found, with its place: in files and in MongoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from server.audit.chain import Draft, Head, Kind, Place, extend, parse_head
from server.audit.copying import STATE
from server.audit.findings import Report
from server.audit.opening import Audit
from storage.encryption.bodies import ClearBodies
from storage.encryption.signing import open_signing_keys
from storage.journal import Journal, Line
from storage.ports import Put
from tests.contract.conftest import Archive, opened_archive
from tests.contract.journals import Hand, journal_of
from tests.server.audit.trails import Desk, event, fill, told


@dataclass
class Trail:
    """A trail of 41 entries in `log-1` (a start and 40 events) under four checkpoints, closed in good order."""

    archive: Archive
    desk: Desk
    open_journal: Callable[[], Journal]
    hand: Hand

    def opened(self, *, witnessed: bool = True) -> Audit:
        return self.archive.run(self.desk.open(self.open_journal(), witnessed=witnessed))

    def filled(self) -> Audit:
        audit = self.opened()
        self.archive.run(fill(audit, self.desk.time))
        return audit

    def close(self, audit: Audit) -> None:
        self.archive.run(audit.close())

    def verify(self, *, witnessed: bool = True) -> Report:
        audit = self.opened(witnessed=witnessed)
        try:
            return self.archive.run(audit.verifier.verify())
        finally:
            self.archive.run(audit.journal.close())

    def change(self, change: Callable[[list[Line]], list[Line]], chain: str = "log-1") -> None:
        self.hand.replace(chain, change(self.hand.lines(chain)))


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trail]:
    folder = tmp_path_factory.mktemp("tampering")
    with opened_archive(request, folder) as archive:
        opening, hand = journal_of(archive.url, folder / "journal", archive.threads)
        trail = Trail(archive, Desk(archive.open(), archive.threads, folder, archive.runner), opening, hand)
        trail.close(trail.filled())
        yield trail


@pytest.fixture
def trail(made: Trail) -> Iterator[Trail]:
    """As it was made, whatever becomes of it."""
    moment, lines = made.desk.time.moment, made.hand.take()
    copied = {file: file.read_bytes() for file in made.desk.folder.glob("witness/*/*")}
    state = made.archive.run(made.desk.records.get(STATE, ["copies"]))
    yield made
    made.desk.time.moment = moment
    made.hand.put_back(lines)
    for file in set(made.desk.folder.glob("witness/*/*")) - copied.keys():
        file.unlink()
    made.archive.run(made.desk.records.commit([Put(STATE, each.id, each.body) for each in state]))


def head_of(line: Line) -> Head:
    head = parse_head(line.head)
    assert head is not None
    return head


def flipped(content: bytes, at: int = 20) -> bytes:
    return content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]


def with_line(lines: list[Line], number: int, line: Line) -> list[Line]:
    return [line if each.sequence == number else each for each in lines]


def test_an_untouched_trail_is_sound(trail: Trail) -> None:
    report = trail.verify()
    assert report.findings == ()
    assert (report.entries, report.events, report.unsigned) == (42, 40, 0)
    assert report.checkpoints == report.witnessed == 5


def test_a_changed_byte_of_a_content(trail: Trail) -> None:
    trail.change(lambda lines: with_line(lines, 7, lines[7]._replace(body=flipped(lines[7].body or b""))))
    assert told(trail.verify()) == [("changed", "log-1-7")]


def test_a_changed_byte_of_a_head(trail: Trail) -> None:
    """Wherever it is: version, kind, key, number, time, hash, link."""
    before = trail.hand.lines("log-1")
    for at in (0, 1, 3, 9, 15, 30, 60, 85):
        trail.hand.replace("log-1", with_line(before, 7, before[7]._replace(head=flipped(before[7].head, at))))
        found = told(trail.verify())
        assert found[0][1] in ("log-1-7", "log-1-7 to log-1-8")
        assert {place for _, place in found[1:]} <= {"log-1-7", "log-1-8", "checkpoints-0"}
        assert ("unsigned", "checkpoints-0") in found


def test_a_row_taken_out(trail: Trail) -> None:
    trail.change(lambda lines: lines[:7] + lines[8:])
    assert told(trail.verify()) == [("missing", "log-1-7"), ("unsigned", "checkpoints-0")]


def test_a_row_taken_out_and_the_others_numbered_anew(trail: Trail) -> None:
    trail.change(lambda lines: lines[:7] + [each._replace(sequence=each.sequence - 1) for each in lines[8:]])
    found = told(trail.verify())
    assert found[0] == ("moved", "log-1-7 to log-1-40")
    assert ("cut", "log-1-41") in found


def test_two_rows_swapped(trail: Trail) -> None:
    def swap(lines: list[Line]) -> list[Line]:
        one, other = lines[7], lines[12]
        return with_line(with_line(lines, 7, other._replace(sequence=7)), 12, one._replace(sequence=12))

    trail.change(swap)
    found = told(trail.verify())
    assert ("moved", "log-1-7") in found
    assert ("moved", "log-1-12") in found


def test_two_contents_swapped(trail: Trail) -> None:
    def swap(lines: list[Line]) -> list[Line]:
        one, other = lines[7], lines[12]
        return with_line(with_line(lines, 7, one._replace(body=other.body)), 12, other._replace(body=one.body))

    trail.change(swap)
    assert told(trail.verify()) == [("changed", "log-1-7"), ("changed", "log-1-12")]


def test_a_tail_cut_off(trail: Trail) -> None:
    trail.change(lambda lines: lines[:30])
    found = told(trail.verify())
    assert ("cut", "log-1-30 to log-1-41") in found


def test_a_tail_cut_off_with_its_checkpoints_is_told_by_the_witness(trail: Trail) -> None:
    trail.change(lambda lines: lines[:31])
    trail.change(lambda lines: lines[:3], "checkpoints")
    assert told(trail.verify()) == [("cut", "checkpoints-3 to checkpoints-4")]
    report = trail.verify(witnessed=False)
    assert told(report) == []
    trail.desk.time.move(minutes=11)
    assert "ends here without a stop" in str(trail.verify(witnessed=False).findings)


def test_a_chain_that_is_gone(trail: Trail) -> None:
    trail.change(lambda lines: [])
    assert ("cut", "log-1-0 to log-1-41") in told(trail.verify())


def test_an_old_checkpoint_played_again(trail: Trail) -> None:
    trail.change(
        lambda lines: with_line(lines, 4, Line(4, lines[4].head, lines[1].body)),
        "checkpoints",
    )
    found = told(trail.verify(witnessed=False))
    assert ("changed", "checkpoints-4") in found


def test_an_old_checkpoint_as_the_newest_one(trail: Trail) -> None:
    """The later ones taken out, and none of the entries."""
    trail.desk.time.move(minutes=20)
    audit = trail.opened()
    trail.archive.run(audit.recorder.record([event(99)]))
    trail.close(audit)
    trail.change(lambda lines: lines[:2], "checkpoints")
    found = told(trail.verify(witnessed=False))
    assert found == [("unsigned", "log-1-21")]
    assert {kind for kind, _ in told(trail.verify())} == {"unsigned", "cut"}


def test_a_checkpoint_taken_out(trail: Trail) -> None:
    trail.change(lambda lines: lines[:2] + lines[3:], "checkpoints")
    found = told(trail.verify(witnessed=False))
    assert ("missing", "checkpoints-2") in found
    assert {kind for kind, _ in found} == {"missing"}


def rewritten(trail: Trail, key_file: str) -> list[Line]:
    """The whole chain without the tenth event, as well made as it can be with another key."""
    key = open_signing_keys(trail.desk.folder / key_file, may_create=True).active
    made: list[Line] = []
    place = Place()
    for line in trail.hand.lines("log-1"):
        head = head_of(line)
        if head.sequence == 10:
            continue
        draft = Draft(Kind.STARTED, line.body or b"")
        some, place = extend("log-1", place, [draft], key, ClearBodies(), head.recorded)
        made += some
    return made


def test_the_whole_chain_written_anew_without_the_key(trail: Trail) -> None:
    made = rewritten(trail, "other.key")
    trail.hand.replace("log-1", made)
    found = told(trail.verify())
    assert ("unlinked", "log-1-0 to log-1-40") in found
    assert "key that is not in the key file" in str(trail.verify().findings)


def test_the_whole_chain_written_anew_under_the_right_keys_name(trail: Trail) -> None:
    key_id = head_of(trail.hand.lines("log-1")[0]).key
    made = rewritten(trail, "other.key")
    named = [each._replace(head=each.head[:2] + key_id + each.head[6:]) for each in made]
    trail.hand.replace("log-1", named)
    found = told(trail.verify())
    assert ("unlinked", "log-1-0 to log-1-40") in found
    assert ("cut", "log-1-41") in found


def test_a_content_taken_away_without_a_reason(trail: Trail) -> None:
    trail.change(lambda lines: with_line(lines, 7, lines[7]._replace(body=None)) if lines else lines)
    found = told(trail.verify())
    assert [place for _, place in found] == ["log-1-7"]


def test_a_damaged_end_is_left_as_it_is_and_another_chain_begun(trail: Trail) -> None:
    """What a server finds at its start: it goes on, and destroys no evidence."""
    trail.change(lambda lines: lines[:30])
    before = trail.hand.lines("log-1")
    audit = trail.opened()
    trail.archive.run(audit.recorder.record([event(100)]))
    trail.close(audit)
    assert trail.hand.lines("log-1") == before
    assert [head_of(line).kind for line in trail.hand.lines("log-2")] == [Kind.STARTED, Kind.EVENT, Kind.STOPPED]
    assert ("cut", "log-1-30 to log-1-41") in told(trail.verify())


def test_a_damaged_end_of_the_checkpoints_is_gone_on_from_the_last_sound_one(trail: Trail) -> None:
    trail.change(
        lambda lines: with_line(lines, 4, lines[4]._replace(body=flipped(lines[4].body or b""))), "checkpoints"
    )
    audit = trail.opened()
    trail.archive.run(audit.recorder.record([event(100)]))
    trail.close(audit)
    found = told(trail.verify(witnessed=False))
    assert {place for _, place in found} == {"checkpoints-4"}
    assert len(trail.hand.lines("checkpoints-1")) == 1


def test_entries_put_in_without_the_key_are_not_signed(trail: Trail) -> None:
    audit = trail.filled()
    lines = trail.hand.lines("log-1")
    forged = lines[-1]._replace(sequence=len(lines), head=flipped(lines[-1].head, 60))
    trail.hand.replace("log-1", [*lines, forged])
    trail.desk.time.move(minutes=2)
    trail.archive.run(audit.checkpointer.look())
    report = trail.verify()
    trail.close(audit)
    assert told(report)[0] == ("moved", f"log-1-{len(lines)}")
    assert report.unsigned == 1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda line: [line._replace(body=flipped(line.body or b""))], "changed"),
        (lambda line: [line._replace(head=flipped(line.head, 15))], "unlinked"),
        (lambda line: [], "cut"),
    ],
    ids=["a content", "a time", "the end"],
)
def test_what_was_done_before_the_checkpoint_is_found_as_well(
    trail: Trail, change: Callable[[Line], list[Line]], found: str
) -> None:
    """What signs entries knows those of its own process, and does not look at the stored ones."""
    audit = trail.filled()
    trail.archive.run(audit.recorder.record([event(100), event(101)]))
    last = trail.hand.lines("log-1")[-1]
    trail.change(lambda lines: [*lines[:-1], *change(last)])
    trail.desk.time.move(minutes=2)
    assert trail.archive.run(audit.checkpointer.look()) is not None
    report = trail.verify()
    trail.close(audit)
    assert (found, f"log-1-{last.sequence}") in told(report)


def test_a_range_is_verified_by_itself(trail: Trail) -> None:
    start = trail.desk.time.now()
    trail.desk.time.move(hours=1)
    audit = trail.filled()
    trail.archive.run(audit.recorder.record([event(500)]))
    trail.close(audit)
    trail.change(lambda lines: with_line(lines, 7, lines[7]._replace(body=flipped(lines[7].body or b""))))
    trail.change(lambda lines: with_line(lines, 60, lines[60]._replace(body=flipped(lines[60].body or b""))))
    audit = trail.opened()
    verify = audit.verifier.verify
    assert told(trail.archive.run(verify(until=start))) == [("changed", "log-1-7")]
    assert told(trail.archive.run(verify(since=start))) == [("changed", "log-1-60")]
    assert told(trail.archive.run(verify(since=trail.desk.time.now()))) == []
    assert len(told(trail.archive.run(verify()))) == 2
    trail.archive.run(audit.journal.close())


def test_a_reason_put_in_without_the_key_is_none(trail: Trail) -> None:
    """Not even where an entry was taken out before it, so that nothing speaks against its link."""
    key = open_signing_keys(trail.desk.folder / "other.key", may_create=True).active
    lines = trail.hand.lines("log-1")
    for body in (b'{"chain":"log-1","ranges":[[0,40]],"reason":"none"}', b"no reason at all"):
        forged, _ = extend("log-1", Place(12), [Draft(Kind.DROPPED, body)], key, ClearBodies(), 0)
        named = forged[0]._replace(head=forged[0].head[:2] + head_of(lines[0]).key + forged[0].head[6:])
        taken = lines[5]._replace(body=None)
        trail.hand.replace("log-1", [*lines[:5], taken, *lines[6:11], named, *lines[13:]])
        found = told(trail.verify())
        assert ("missing", "log-1-11") in found
        assert "log-1-5" in {place for _, place in found}


@pytest.mark.parametrize("made", ["mongodb"], indirect=True)
def test_what_is_written_after_a_chain_was_taken_over_is_signed_once(trail: Trail) -> None:
    """The claims of a database end with time: until the first one writes, it knows nothing of the second."""
    first = trail.opened()
    trail.archive.run(first.recorder.record([event(100)]))
    trail.hand.put_back(trail.hand.take())
    second = trail.opened()
    trail.archive.run(second.recorder.record([event(101)]))
    for number in (102, 103):
        trail.desk.time.move(minutes=2)
        assert trail.archive.run(first.checkpointer.look()) is not None
        trail.archive.run(first.recorder.record([event(number)]))
    assert [each.writers[0].chain for each in (first, second)] == ["log-2", "log-1"]
    trail.close(first)
    trail.close(second)
    report = trail.verify()
    assert (told(report), report.events, report.unsigned) == ([], 44, 0)
