"""private_key_jwt, check by check (smart checks section 6)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.kernel.problem import Kind, Problem
from server.smart.assertions import Assertions, claimed_client
from server.smart.client_keys import ClientKeys, Published
from server.smart.jwks import WrongKeys, inline_keys
from server.smart.model import Client
from tests.server.smart.keeping import (
    SITE,
    ClientKey,
    HeldClock,
    Kept,
    ec_key,
    keeping,
    rsa_key,
    small_curve_key,
)

URL = "https://client.example/jwks"


class NoPublisher:
    async def fetch(self, url: str) -> Published:
        raise WrongKeys("there is nothing to fetch here")


def client(*keys: ClientKey, **more: Any) -> Client:
    given = {"jwks": {"keys": [each.public for each in keys]}} if keys else {}
    return Client("backend", "Backend", "private_key_jwt", ("system/*.rs",), **{**given, **more})


def claims(clock: HeldClock, **changed: Any) -> dict[str, Any]:
    whole = {"iss": "backend", "sub": "backend", "aud": SITE.token, "exp": clock.seconds + 300, "jti": "one"}
    return {name: value for name, value in {**whole, **changed}.items() if value is not None}


def assertions(kept: Kept) -> Assertions:
    return Assertions(kept.store, kept.clock, ClientKeys(NoPublisher(), kept.clock), kept.offload)


def verdict(folder: Path, by: Client, assertion: str) -> str:
    """`accepted`, or the error a client hears."""

    async def work(kept: Kept) -> str:
        return await heard(assertions(kept), by, assertion)

    return keeping(folder, work)


async def heard(checking: Assertions, by: Client, assertion: str) -> str:
    try:
        await checking.verify(assertion, by, SITE)
    except Problem as problem:
        says_no_more = problem.kind is Kind.UNAUTHENTICATED and problem.text == "The client could not be authenticated."
        return str(problem.issues[0].code) if says_no_more else "told too much"
    return "accepted"


def refused(folder: Path, key: ClientKey, changed: Mapping[str, Any], **header: Any) -> bool:
    signed = key.signed(claims(HeldClock(), **changed), **header)
    return verdict(folder, client(rsa_key(), ec_key()), signed) == "invalid_client"


@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=["RS384", "ES384"])
def test_k01_rs384_and_es384_are_accepted(tmp_path: Path, key: ClientKey) -> None:
    assert verdict(tmp_path, client(rsa_key(), ec_key()), key.signed(claims(HeldClock()))) == "accepted"


def test_k01_none_is_refused(tmp_path: Path) -> None:
    unsigned = jwt.encode(claims(HeldClock()), None, algorithm="none", headers={"kid": "rsa-1"})
    assert verdict(tmp_path, client(rsa_key()), unsigned) == "invalid_client"


def test_k01_a_shared_secret_made_of_the_public_key_is_refused(tmp_path: Path) -> None:
    modulus = rsa_key().public["n"]
    signed = jwt.encode(claims(HeldClock()), modulus, algorithm="HS384", headers={"kid": "rsa-1"})
    assert verdict(tmp_path, client(rsa_key()), signed) == "invalid_client"


def test_k01_other_algorithms_of_the_same_key_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, ClientKey("rsa-1", "RS256", rsa_key().private), {})


def test_k01_key_and_algorithm_must_match(tmp_path: Path) -> None:
    swapped = client(ClientKey("ec-1", "RS384", rsa_key().private), rsa_key())
    assert verdict(tmp_path, swapped, ec_key().signed(claims(HeldClock()))) == "invalid_client"


def test_k01_a_curve_other_than_p384_is_refused(tmp_path: Path) -> None:
    by = client(jwks={"keys": [small_curve_key().public]})
    own = ClientKey("p256", "ES384", ec_key().private)
    assert verdict(tmp_path, by, own.signed(claims(HeldClock()))) == "invalid_client"


def test_k01_a_short_rsa_key_is_refused(tmp_path: Path) -> None:
    short = rsa_key("short", 1024)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        signed = short.signed(claims(HeldClock()))
    assert verdict(tmp_path, client(jwks={"keys": [short.public]}), signed) == "invalid_client"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "e30.e30.", "..", "é.è.à", "[" * 5000, "a" * 9000])
def test_k03_what_is_no_jwt_is_refused(tmp_path: Path, text: str) -> None:
    assert verdict(tmp_path, client(rsa_key()), text) == "invalid_client"


def test_k03_a_bad_signature_is_refused(tmp_path: Path) -> None:
    stranger = ClientKey("rsa-1", "RS384", rsa_key("stranger").private)
    assert refused(tmp_path, stranger, {})


@pytest.mark.parametrize("changed", [{"iss": "other"}, {"sub": "other"}, {"iss": None}, {"sub": None}])
def test_k03_and_k04_iss_and_sub_are_the_client(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert refused(tmp_path, rsa_key(), changed)


@pytest.mark.parametrize("audience", [None, SITE.issuer, SITE.fhir, "https://other.example/oauth/token", [], 7])
def test_k04_aud_is_the_token_endpoint(tmp_path: Path, audience: object) -> None:
    assert refused(tmp_path, rsa_key(), {"aud": audience})


def test_k04_a_list_of_the_one_audience_will_do(tmp_path: Path) -> None:
    assert not refused(tmp_path, rsa_key(), {"aud": [SITE.token]})


@pytest.mark.parametrize("ahead", [None, -6, 306, 3600, float("inf"), "soon"])
def test_k04_exp_is_present_and_at_most_five_minutes_ahead(tmp_path: Path, ahead: object) -> None:
    moment = HeldClock().seconds + ahead if isinstance(ahead, int) else ahead
    assert refused(tmp_path, rsa_key(), {"exp": moment})


@pytest.mark.parametrize("changed", [{"nbf": 60}, {"iat": 60}])
def test_k04_a_statement_of_the_future_is_refused(tmp_path: Path, changed: dict[str, int]) -> None:
    later = {name: HeldClock().seconds + ahead for name, ahead in changed.items()}
    assert refused(tmp_path, rsa_key(), later)


@pytest.mark.parametrize("identifier", [None, "", "x" * 600, 5])
def test_k04_jti_is_a_text_of_fair_length(tmp_path: Path, identifier: object) -> None:
    if isinstance(identifier, int):
        signed = _with_odd_jti(identifier)
        assert verdict(tmp_path, client(rsa_key()), signed) == "invalid_client"
    else:
        assert refused(tmp_path, rsa_key(), {"jti": identifier})


def _with_odd_jti(value: int) -> str:
    """PyJWT does not sign one, so the payload is signed as it is."""
    payload = json.dumps({**claims(HeldClock()), "jti": value}).encode()
    return jwt.PyJWS().encode(payload, rsa_key().private, "RS384", {"kid": "rsa-1"})


def test_k05_the_same_statement_twice_is_refused_in_every_process(tmp_path: Path) -> None:
    async def work(kept: Kept) -> list[str]:
        signed = rsa_key().signed(claims(kept.clock))
        processes = [assertions(kept) for _ in range(4)]
        at_once = await asyncio.gather(*(heard(each, client(rsa_key()), signed) for each in processes))
        other = rsa_key().signed(claims(kept.clock, exp=kept.clock.seconds + 200))
        return [*at_once, await heard(processes[0], client(rsa_key()), other)]

    outcomes = keeping(tmp_path, work)
    assert outcomes.count("accepted") == 1


def test_k05_another_client_may_use_the_same_jti(tmp_path: Path) -> None:
    async def work(kept: Kept) -> list[str]:
        signed = [rsa_key().signed(claims(kept.clock, iss=each, sub=each)) for each in ("backend", "other")]
        other = Client("other", "Other", "private_key_jwt", (), jwks={"keys": [rsa_key().public]})
        return [
            await heard(assertions(kept), by, each) for by, each in zip((client(rsa_key()), other), signed, strict=True)
        ]

    assert keeping(tmp_path, work) == ["accepted", "accepted"]


def test_k05_a_jti_is_forgotten_when_its_statement_has_long_ended(tmp_path: Path) -> None:
    async def work(kept: Kept) -> int:
        await heard(assertions(kept), client(rsa_key()), rsa_key().signed(claims(kept.clock)))
        kept.clock.move(minutes=6)
        return await kept.store.sweep(kept.clock.seconds * 1_000_000)

    assert keeping(tmp_path, work) == 1


def test_k06_a_kid_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, rsa_key(), {}, kid="unknown")
    assert refused(tmp_path / "none", rsa_key(), {}, kid=None)


def test_k06_a_kid_that_two_keys_have_is_refused(tmp_path: Path) -> None:
    by = client(rsa_key(), ClientKey("rsa-1", "ES384", ec_key().private))
    assert verdict(tmp_path, by, rsa_key().signed(claims(HeldClock()))) == "invalid_client"


@pytest.mark.parametrize("members", [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"alg": "RS256"}])
def test_k06_a_key_for_other_work_is_refused(tmp_path: Path, members: dict[str, Any]) -> None:
    by = client(jwks={"keys": [{**rsa_key().public, **members}]})
    assert verdict(tmp_path, by, rsa_key().signed(claims(HeldClock()))) == "invalid_client"


@pytest.mark.parametrize("address", [URL, "http://169.254.169.254/", SITE.oauth("jwks")])
def test_k07_jku_is_never_followed(tmp_path: Path, address: str) -> None:
    """The client registered its keys inline: there is no address that a statement might name."""
    assert refused(tmp_path, rsa_key(), {}, jku=address)


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"jwk": rsa_key().public}, {"x5u": URL}])
def test_k07_keys_inside_the_statement_count_for_nothing(tmp_path: Path, header: dict[str, Any]) -> None:
    assert refused(tmp_path, rsa_key(), {}, **header)


def test_k10_an_inline_key_that_was_taken_out_stops_working(tmp_path: Path) -> None:
    assert verdict(tmp_path, client(ec_key()), rsa_key().signed(claims(HeldClock()))) == "invalid_client"


def test_a_registered_key_set_holds_a_usable_public_key() -> None:
    assert inline_keys({"keys": [rsa_key().public, ec_key().public]})
    private = {**rsa_key().public, "d": "secret"}
    odd = [None, [], {"keys": {}}, {"keys": []}, {"keys": [small_curve_key().public]}, {"keys": [private]}]
    for document in [*odd, {"keys": [{}] * 33}, {"keys": [{**rsa_key().public, "kid": 1}]}]:
        with pytest.raises(Problem) as refusal:
            inline_keys(document)
        assert refusal.value.issues[0].code == "invalid_client_metadata"


def test_the_claimed_client_is_the_subject_or_nobody() -> None:
    assert claimed_client(rsa_key().signed(claims(HeldClock()))) == "backend"
    assert claimed_client(rsa_key().signed({"iss": "backend"})) is None


def _as_jwt(parts: list[bytes]) -> str:
    return ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200) | st.lists(st.binary(max_size=60), min_size=3, max_size=3).map(_as_jwt))
def test_any_text_may_claim_nothing(text: str) -> None:
    assert claimed_client(text) is None


class OnePublisher:
    async def fetch(self, url: str) -> Published:
        return Published([rsa_key().public] if url == URL else [], 60)


@pytest.mark.parametrize(
    ("address", "outcome"), [(URL, "accepted"), (URL + "/", "invalid_client"), ("", "invalid_client")]
)
def test_k07_jku_equals_the_registered_address(tmp_path: Path, address: str, outcome: str) -> None:
    async def work(kept: Kept) -> str:
        checking = Assertions(kept.store, kept.clock, ClientKeys(OnePublisher(), kept.clock), kept.offload)
        return await heard(checking, client(jwks_url=URL), rsa_key().signed(claims(kept.clock), jku=address))

    assert keeping(tmp_path, work) == outcome
