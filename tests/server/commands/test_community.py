"""`weft community`: what may be entered, and what is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.groundwork import Groundwork
from server.xca.neighbour import Neighbour, Neighbours
from tests.data.assertions import signer
from tests.server.commands.administering import asking, refused, told


async def _known(ground: Groundwork) -> list[Neighbour]:
    return await Neighbours(ground.stores.records, "").every()


async def _acts(ground: Groundwork) -> list[tuple[str, str]]:
    assert ground.audit is not None
    found = (await ground.audit.recorder.events("", 100)).events
    return [(each.event.action, each.event.entities[0].reference) for each in found if each.event.entities]


def test_communities_are_entered_shown_and_taken_out(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(signer().pem)
    assert "No other community" in told(tmp_path, "community", "list")
    told(tmp_path, "community", "add", "1.2.9.1", "East", "--weft", "https://east.example/", "--audience", "urn:region")
    more = ("--patient-authority", "1.2.9.2.4", "--authority", str(tmp_path / "ca.pem"), "--show-certificate")
    told(tmp_path, "community", "add", "urn:oid:1.2.9.2", "West", "--query", "https://west.example/q", *more)
    east, west = asking(tmp_path, _known)
    assert (east.id, east.imaging) == ("urn:oid:1.2.9.1", "https://east.example/xca/imaging")
    assert (west.query, west.retrieve, west.patient_authority) == ("https://west.example/q", "", "1.2.9.2.4")
    assert (west.shows_certificate, west.authority) == (True, signer().pem)
    assert "https://west.example/q" in told(tmp_path, "community", "list")
    told(tmp_path, "community", "add", "1.2.9.1", "East", "--weft", "http://127.0.0.1:8081")
    told(tmp_path, "community", "remove", "1.2.9.2")
    assert [each.query for each in asking(tmp_path, _known)] == ["http://127.0.0.1:8081/xca/query"]
    acts = [each for each in asking(tmp_path, _acts) if each[1].startswith("community")]
    assert sorted(acts) == [
        ("C", "community urn:oid:1.2.9.1"), ("C", "community urn:oid:1.2.9.2"),
        ("D", "community urn:oid:1.2.9.2"), ("U", "community urn:oid:1.2.9.1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("add", "east", "East", "--weft", "https://east.example"), "an OID"),
        (("add", "1.2.9.1", "East"), "--weft"),
        (("add", "1.2.9.1", "East", "--weft", "http://east.example"), "https"),
        (("add", "1.2.9.1", "East", "--query", "https://user@east.example/"), "https"),
        (("add", "1.2.9.1", "East", "--query", "file:///etc/passwd"), "https"),
        (("remove", "1.2.9.1"), "no community"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...], part: str) -> None:
    assert part in refused(tmp_path, "community", *arguments)


def test_nobody_is_their_own_neighbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_COMMUNITY", "1.2.9.7")
    assert "itself" in refused(tmp_path, "community", "add", "1.2.9.7", "We", "--weft", "https://us.example")
