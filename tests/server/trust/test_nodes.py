"""Nodes by certificate: of the connection, or as a proxy tells it for those an administrator marked."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from server.trust.certificates import from_field, normal_name, read_der, read_pem
from server.trust.model import Node
from server.trust.nodes import Caller, Nodes
from tests.data.assertions import NOW, Signer, certificate_of, signer
from tests.server.trust.conftest import Gate


def field(der: bytes) -> str:
    return f":{b64encode(der).decode()}:"


def known(gate: Gate, *nodes: Node) -> None:
    gate.runner.run(gate.store.records.commit([gate.store.put(each) for each in nodes]))


def caller(gate: Gate, connection: bytes | None, told: str = "") -> Caller:
    return gate.runner.run(Nodes(gate.store, gate.clock).caller(connection, told))


def pinned(name: str, **others: Any) -> Node:
    return Node(name, thumbprint=read_der(signer(name).der).thumbprint, roles=("system",), **others)


def test_a_node_acts_as_what_its_administrator_said(gate: Gate) -> None:
    known(gate, pinned("north", organization="Organization/5", fhir_user="Device/4"))
    found = caller(gate, signer("north").der)
    assert found.actor is not None
    assert (found.actor.id, found.actor.client, found.actor.roles) == ("node|north", "north", frozenset({"system"}))
    assert (found.actor.organizations, found.actor.fhir_user) == (frozenset({"Organization/5"}), "Device/4")


def test_a_certificate_of_nobody_names_nobody(gate: Gate) -> None:
    known(gate, pinned("north"))
    found = caller(gate, signer("south").der)
    assert (found.node, found.actor, found.subject) == (None, None, "CN=south")
    assert caller(gate, None) == Caller()
    assert caller(gate, b"no certificate").subject == "unreadable"


def test_a_name_of_our_authorities_serves_and_a_pinned_certificate_goes_before(gate: Gate) -> None:
    by_name = Node("by name", subject=normal_name("CN=north"))
    known(gate, by_name)
    assert caller(gate, signer("north").der).node == by_name
    known(gate, Node("pinned", thumbprint=read_der(signer("north").der).thumbprint))
    found = caller(gate, signer("north").der).node
    assert found is not None
    assert found.id == "pinned"


def test_what_a_proxy_tells_counts_for_those_marked_so(gate: Gate) -> None:
    known(gate, pinned("north", is_by_proxy=True), pinned("south"), pinned("proxy"))
    north = caller(gate, signer("proxy").der, field(signer("north").der))
    assert north.node is not None
    assert (north.node.id, north.certificate) == ("north", signer("north").der)
    south = caller(gate, None, field(signer("south").der))
    assert south == Caller(subject="CN=south")


@pytest.mark.parametrize("told", [field(signer("south").der), field(signer("stranger").der), ":AAAA:", "x, y"])
def test_whom_a_proxy_tells_of_is_never_the_proxy_itself(gate: Gate, told: str) -> None:
    known(gate, pinned("south"), pinned("proxy"))
    found = caller(gate, signer("proxy").der, told)
    assert (found.node, found.certificate) == (None, None)
    assert found.subject


def test_a_certificate_whose_time_is_over_names_nobody(gate: Gate) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    old = Signer(key, certificate_of(key, "old", (-10, -1)))
    known(gate, Node("old", thumbprint=read_der(old.der).thumbprint))
    assert caller(gate, old.der).node is None


@pytest.mark.parametrize(
    "text", ["", "x", ":::", ":é:", ":AAAA", "AAAA:", ":A A:", f":{'A' * 200_000}:", ":AAAA:, :AAAA:"]
)
def test_fields_that_hold_no_certificate(gate: Gate, text: str) -> None:
    with pytest.raises(ValueError):
        read_der(from_field(text))
    assert caller(gate, None, text).node is None


def test_what_a_certificate_says() -> None:
    [found] = read_pem(signer("rsa", is_rsa=True).pem.encode())
    assert found == read_der(found.der)
    assert found.can_sign
    assert found.is_good(NOW)
    assert not found.is_good(NOW + timedelta(days=4000))
    assert replace(found).pem == signer("rsa", is_rsa=True).pem
    weak = ec.generate_private_key(ec.SECP224R1())
    assert not read_der(Signer(weak, certificate_of(weak, "weak")).der).can_sign
    assert normal_name("CN=a, O=b") == "CN=a,O=b"
    with pytest.raises(ValueError):
        read_pem(b"nothing")
