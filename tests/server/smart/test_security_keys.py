"""Security keys: what a device must prove, and everything that is not proof."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from server.smart.digest import new_secret
from server.smart.model import User, WebAuthnKey
from server.smart.security_keys import Party, authentication, proved, registered, registration
from tests.server.smart.authenticator import PRESENT, Authenticator

PARTY = Party("weft.example", "https://weft.example")
USER = User("u1", "anna", "Anna", ("nurse",))


def _registered(device: Authenticator) -> tuple[WebAuthnKey | None, str]:
    challenge = new_secret()
    answer = device.created(registration(PARTY, USER, challenge))
    return registered(PARTY, answer, challenge, "blue", 7), answer


def _key(device: Authenticator) -> WebAuthnKey:
    key, _ = _registered(device)
    assert key is not None
    return key


def _proved(device: Authenticator, *keys: WebAuthnKey) -> WebAuthnKey | None:
    challenge = new_secret()
    answer = device.proved(authentication(PARTY, replace(USER, webauthn=keys), challenge))
    return proved(PARTY, answer, challenge, keys)


def test_a_key_is_registered_and_proves_itself_with_a_rising_count() -> None:
    device = Authenticator()
    key = _key(device)
    assert (key.name, key.added, key.count) == ("blue", 7, 0)
    after = _proved(device, key)
    assert after == replace(key, count=1)
    assert _proved(device, after) == replace(key, count=2)


def test_a_count_that_falls_back_is_a_copy() -> None:
    device = Authenticator()
    key = replace(_key(device), count=9)
    assert _proved(device, key) is None


@pytest.mark.parametrize(
    "change",
    [{"origin": "https://evil.example"}, {"host": "evil.example"}, {"flags": PRESENT}, {"flags": 0}],
    ids=["another page", "another server", "nobody checked", "nobody there"],
)
def test_no_key_of_another_place_or_of_nobody(change: dict[str, Any]) -> None:
    device = Authenticator()
    key = _key(device)
    for name, value in change.items():
        setattr(device, name, value)
    assert _registered(device)[0] is None
    assert _proved(device, key) is None


def test_an_answer_is_to_its_own_challenge_only() -> None:
    device = Authenticator()
    key, answer = _registered(device)
    assert key is not None
    assert registered(PARTY, answer, new_secret(), "blue", 7) is None
    told = device.proved({"challenge": new_secret()})
    assert proved(PARTY, told, new_secret(), [key]) is None


def test_a_key_of_somebody_else_is_none() -> None:
    mine, other = Authenticator(), Authenticator()
    assert _proved(other, _key(mine)) is None
    other.id = mine.id
    assert _proved(other, _key(mine)) is None


def test_options_ask_for_a_check_and_for_known_keys() -> None:
    key = _key(Authenticator())
    user = replace(USER, webauthn=(key,))
    asked = authentication(PARTY, user, new_secret())
    assert asked["userVerification"] == "required"
    assert [each["id"] for each in asked["allowCredentials"]] == [key.id]
    made = registration(PARTY, user, new_secret())
    assert made["authenticatorSelection"]["userVerification"] == "required"
    assert [each["id"] for each in made["excludeCredentials"]] == [key.id]
    assert made["attestation"] == "none"


@given(
    st.text(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["id", "rawId", "type", "response", "clientDataJSON"]), inner)
        ),
    ).map(json.dumps)
)
def test_whatever_is_sent_is_no_proof_and_no_fault(answer: str) -> None:
    key = WebAuthnKey("AAAA", "AAAA", 0, "", 0)
    assert registered(PARTY, answer, "AAAA", "", 0) is None
    assert proved(PARTY, answer, "AAAA", [key]) is None


def test_a_damaged_answer_is_no_proof() -> None:
    device = Authenticator()
    key, answer = _registered(device)
    assert key is not None
    whole = json.loads(device.proved({"challenge": "AAAA"}))
    for name in ("clientDataJSON", "authenticatorData", "signature"):
        for value in ("", "AAAA", "!", None, 7, whole["response"][name][:-8]):
            damaged = {**whole, "response": {**whole["response"], name: value}}
            assert proved(PARTY, json.dumps(damaged), "AAAA", [key]) is None
    for name in ("clientDataJSON", "attestationObject"):
        for value in ("", "AAAA", "!", None, "o2NmbXQ"):
            told = json.loads(answer)
            told["response"][name] = value
            assert registered(PARTY, json.dumps(told), "AAAA", "", 0) is None
    assert proved(PARTY, "[" * 100_000, "AAAA", [key]) is None


@pytest.mark.parametrize(
    ("base", "party"),
    [
        ("https://weft.example/oauth", Party("weft.example", "https://weft.example")),
        ("https://weft.example:8443/oauth", Party("weft.example", "https://weft.example:8443")),
        ("http://localhost:8080/oauth", Party("localhost", "http://localhost:8080")),
        ("http://127.0.0.1:8080/oauth", None),
        ("https://[::1]/oauth", None),
        ("http://weft.example/oauth", None),
    ],
)
def test_keys_are_for_servers_with_a_name_and_a_safe_way_there(base: str, party: Party | None) -> None:
    assert Party.of(base) == party
