"""`weft audit`: verification, proofs and erasure at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.audit.checkpoint import parse
from server.groundwork import Groundwork
from storage.encryption.signing import open_signing_keys
from tests.server.audit.trails import event
from tests.server.commands.administering import asking, refused, told, weft


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An archive with ten events."""

    async def record(ground: Groundwork) -> None:
        assert ground.audit is not None
        await ground.audit.recorder.record([event(each) for each in range(10)])

    asking(tmp_path, record)
    return tmp_path


def test_a_sound_trail_is_told_in_one_line(data: Path) -> None:
    assert told(data, "audit", "verify") == (
        "12 entries, 10 events, 1 checkpoints, 0 entries not in a checkpoint yet, no witness: sound\n"
    )
    assert told(data, "audit", "verify", "--from", "2026-01-01", "--to", "2100-01-01T10:00").endswith("sound\n")
    report = json.loads(told(data, "audit", "verify", "--json"))
    assert report["sound"]
    assert report["events"] == 12, "that it was verified is itself recorded"


def test_what_was_changed_is_told_with_its_place(data: Path) -> None:
    file = next((data / "audit/log-1").glob("*.log"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    ended = weft(data, "audit", "verify", "--json")
    assert ended.exit_code == 1
    report = json.loads(ended.stdout)
    assert not report["sound"]
    assert report["findings"][0]["place"].startswith("log-1-")
    ended = weft(data, "audit", "verify")
    assert ended.exit_code == 1
    assert "NOT SOUND" in ended.stdout


def test_proofs_and_checkpoints_are_printed(data: Path) -> None:
    keys = open_signing_keys(data / "audit.key", may_create=False)
    assert parse(told(data, "audit", "checkpoint").strip().encode(), keys).size == 12
    proof = json.loads(told(data, "audit", "proof", "log-1-4"))
    assert proof["entry"] == "log-1-4"
    assert parse(proof["checkpoint"].encode(), keys).number == 0
    told(data, "audit", "verify")
    assert json.loads(told(data, "audit", "consistency", "0", "1"))["path"]
    assert "in no checkpoint" in refused(data, "audit", "proof", "log-1-400")
    assert "two checkpoints" in refused(data, "audit", "consistency", "5", "9")
    assert "give a time" in refused(data, "audit", "verify", "--from", "yesterday")


def test_events_are_erased_with_a_reason(data: Path) -> None:
    assert told(data, "audit", "erase", "log-1-2", "--reason", "order of a court") == "1 event erased\n"
    assert "1 contents dropped with reason" in told(data, "audit", "verify")
    assert weft(data, "audit", "erase", "log-1-3").exit_code == 2
    assert "say why" in refused(data, "audit", "erase", "log-1-3", "--reason", " ")
    assert "no event" in refused(data, "audit", "erase", "log-9-9", "--reason", "order of a court")
