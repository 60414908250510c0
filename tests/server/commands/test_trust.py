"""`weft node` and `weft issuer`: who is believed, and the audit trail that hears of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.groundwork import Groundwork
from server.trust.certificates import read_der
from server.trust.model import Issuer, Node
from server.trust.store import TrustStore
from tests.data.assertions import signer
from tests.server.commands.administering import asking, refused, told


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    file = tmp_path / "certificate.pem"
    file.write_text(signer().pem)
    return file


def issuers_of(data: Path) -> list[Issuer]:
    async def question(ground: Groundwork) -> list[Issuer]:
        return await TrustStore(ground.stores.records).every(Issuer)

    return asking(data, question)


def nodes_of(data: Path) -> list[Node]:
    async def question(ground: Groundwork) -> list[Node]:
        return await TrustStore(ground.stores.records).every(Node)

    return asking(data, question)


def test_an_issuer_is_believed_as_told_renewed_and_taken_out(tmp_path: Path, certificate: Path) -> None:
    more = (
        "--role",
        "2.16.840.1.113883.6.96|309343006=radiologist",
        "--role",
        "HCP=nurse",
        "--role",
        "HCP=technologist",
    )
    text = told(tmp_path, "issuer", "add", "https://idp.example", str(certificate), *more, "--purpose", "EMER=BTG")
    assert "Believed: https://idp.example" in text
    [issuer] = issuers_of(tmp_path)
    assert issuer.roles == {"2.16.840.1.113883.6.96|309343006": ("radiologist",), "HCP": ("nurse", "technologist")}
    assert (issuer.purposes, issuer.purpose, issuer.certificates) == ({"EMER": "BTG"}, "TREAT", (signer().pem,))
    assert "already" in refused(tmp_path, "issuer", "add", "https://idp.example", str(certificate))
    certificate.write_text(signer("successor").pem)
    told(tmp_path, "issuer", "renew", "https://idp.example", str(certificate))
    assert issuers_of(tmp_path)[0].certificates == (signer().pem, signer("successor").pem)
    assert read_der(signer().der).thumbprint[:16] in told(tmp_path, "issuer", "list")
    told(tmp_path, "issuer", "remove", "https://idp.example")
    assert issuers_of(tmp_path) == []


def test_a_node_is_let_in_by_certificate_or_by_name(tmp_path: Path, certificate: Path) -> None:
    text = told(tmp_path, "node", "add", "north", "--certificate", str(certificate), "--organization", "Organization/5")
    assert "WEFT_TLS_CLIENT_AUTHORITIES is not set" in text
    told(tmp_path, "node", "add", "south", "--subject", "CN=south, O=Hospital", "--role", "nurse", "--by-proxy")
    north, south = sorted(nodes_of(tmp_path), key=lambda each: each.id)
    assert (north.thumbprint, north.roles) == (read_der(signer().der).thumbprint, ("system",))
    assert north.organization == "Organization/5"
    assert (south.subject, south.roles, south.is_by_proxy) == ("CN=south,O=Hospital", ("nurse",), True)
    assert "CN=south,O=Hospital" in told(tmp_path, "node", "list")
    told(tmp_path, "node", "remove", "north")
    assert [each.id for each in nodes_of(tmp_path)] == ["south"]


def test_what_a_node_and_an_issuer_may_feed_is_named_and_named_anew(tmp_path: Path, certificate: Path) -> None:
    told(tmp_path, "node", "add", "north", "--subject", "CN=north", "--feeds", "urn:oid:1.9.1", "--feeds", "1.9.2")
    assert nodes_of(tmp_path)[0].feeds == ("1.9.1", "1.9.2")
    assert "1.9.1 1.9.2" in told(tmp_path, "node", "list")
    assert "of any" in told(tmp_path, "node", "feeds", "north", "any")
    assert "no identities" in told(tmp_path, "node", "feeds", "north")
    assert nodes_of(tmp_path)[0].feeds == ()
    told(tmp_path, "issuer", "add", "https://idp.example", str(certificate), "--feeds", "http://his.example/patients")
    told(tmp_path, "issuer", "feeds", "https://idp.example", "1.9.3")
    assert issuers_of(tmp_path)[0].feeds == ("1.9.3",)
    assert "1.9.3" in told(tmp_path, "issuer", "list")


MISTAKES = {
    "a: an OID such as": ("node", "add", "n", "--subject", "CN=n", "--feeds", "a"),
    "an OID such as 2.999.7": ("issuer", "feeds", "n", "1.02"),
    "server": ("node", "add", "n", "--subject", "CN=n", "--role", "server"),
    "give its certificate": ("node", "add", "n"),
    "a name such as": ("node", "add", "n", "--subject", "north"),
    "There is no node": ("node", "remove", "n"),
    "There is no issuer": ("issuer", "remove", "n"),
    "ActReason": ("node", "add", "n", "--subject", "CN=n", "--purpose", "12"),
}


@pytest.mark.parametrize("said", MISTAKES)
def test_mistakes_are_told(tmp_path: Path, said: str) -> None:
    assert said in refused(tmp_path, *MISTAKES[said])


def test_an_issuers_mistakes_are_told(tmp_path: Path, certificate: Path) -> None:
    add = ("issuer", "add", "https://idp.example", str(certificate))
    assert "CODE=ROLE" in refused(tmp_path, *add, "--role", "HCP=server")
    assert "CODE=ROLE" in refused(tmp_path, *add, "--role", "radiologist")
    assert "ActReason" in refused(tmp_path, *add, "--purpose", "X=12")
    certificate.write_text("nothing")
    assert "holds no certificate" in refused(tmp_path, *add)
