"""Clients that prove themselves by key: section 6 of the SMART checks."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest

from tests.e2e.smart.apps import App, assertion
from tests.e2e.smart.published import Published
from tests.e2e.smart.stage import Stage
from tests.server.smart.keeping import ec_key, rsa_key, small_curve_key

FORM = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}


def sent(stage: Stage, proof: dict[str, str], app: str = "backend", is_new: bool = False) -> httpx.Response:
    client = stage.each_time if is_new else stage.http
    return client.post(stage.token_url, data={**FORM, **proof})


def claims(stage: Stage, app: str = "backend", **changes: Any) -> dict[str, Any]:
    return stage.apps[app].claims(stage.token_url, **changes)


def refused(answer: httpx.Response) -> bool:
    return answer.status_code in (400, 401) and answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=["RS384", "ES384"])
def test_k01_both_algorithms_are_accepted(stage: Stage, key: Any) -> None:
    assert sent(stage, assertion(key, claims(stage))).status_code == 200


def test_k01_other_algorithms_are_refused(stage: Stage) -> None:
    made = claims(stage)
    unsigned = jwt.encode(made, None, algorithm="none", headers={"kid": "ec-1"})
    by_secret = jwt.encode(made, json.dumps(rsa_key().public) * 2, algorithm="HS384", headers={"kid": "rsa-1"})
    weaker = jwt.encode(made, rsa_key().private, algorithm="RS256", headers={"kid": "rsa-1"})
    for token in (unsigned, by_secret, weaker, small_curve_key("ec-1").signed(made)):
        assert refused(sent(stage, {**assertion(ec_key(), made), "client_assertion": token}))


def test_k01_key_and_algorithm_must_match(stage: Stage) -> None:
    assert refused(sent(stage, assertion(rsa_key(), claims(stage), kid="ec-1")))
    assert refused(sent(stage, assertion(ec_key(), claims(stage), kid="rsa-1")))


@pytest.mark.parametrize("kind", ["", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "jwt-bearer"])
def test_k02_the_type_of_the_assertion(stage: Stage, kind: str) -> None:
    proof = {**assertion(ec_key(), claims(stage)), "client_assertion_type": kind}
    assert refused(sent(stage, proof))


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "e30.e30.", "x" * 20_000, ".." * 4000])
def test_k03_what_is_no_jwt_is_refused(stage: Stage, text: str) -> None:
    answer = sent(stage, {**assertion(ec_key(), claims(stage)), "client_assertion": text})
    assert answer.status_code in (400, 401)


def test_k03_a_bad_signature_is_refused(stage: Stage) -> None:
    head, body, signature = ec_key().signed(claims(stage)).split(".")
    other = base64.urlsafe_b64encode(json.dumps(claims(stage, app="agreed")).encode()).rstrip(b"=").decode()
    for token in (f"{head}.{other}.{signature}", f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}."):
        assert refused(sent(stage, {**assertion(ec_key(), claims(stage)), "client_assertion": token}))
    assert refused(sent(stage, assertion(ec_key("ec-1x"), claims(stage), kid="ec-1")))


@pytest.mark.parametrize("changes", [{"iss": "public-app"}, {"sub": "public-app"}, {"iss": None}, {"sub": None}])
def test_k03_issuer_and_subject_are_the_client(stage: Stage, changes: dict[str, Any]) -> None:
    assert refused(sent(stage, assertion(ec_key(), claims(stage, **changes))))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("aud", "https://elsewhere.example/token"),
        ("aud", None),
        ("exp", None),
        ("exp", "soon"),
        ("exp", timedelta(minutes=-1)),
        ("exp", timedelta(hours=1)),
        ("jti", None),
        ("jti", ""),
        ("jti", 7),
        ("nbf", timedelta(minutes=15)),
    ],
)
def test_k04_every_claim_is_checked(stage: Stage, claim: str, value: Any) -> None:
    if isinstance(value, timedelta):  # from now, not from when the tests were collected
        value = int(time.time() + value.total_seconds())
    assert refused(sent(stage, assertion(ec_key(), claims(stage, **{claim: value}))))


def test_k05_an_assertion_is_good_once(stage: Stage) -> None:
    proof = assertion(ec_key(), claims(stage))
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: sent(stage, proof, is_new=True), range(6)))
    assert sorted(each.status_code for each in answers) == [200, 401, 401, 401, 401, 401]
    same = json.loads(base64.urlsafe_b64decode(proof["client_assertion"].split(".")[1] + "=="))["jti"]
    assert refused(sent(stage, assertion(rsa_key(), claims(stage, jti=same))))
    assert sent(stage, assertion(ec_key(), claims(stage, "agreed", jti=same))).status_code == 200


def test_k06_the_kid_picks_one_key(stage: Stage) -> None:
    assert refused(sent(stage, assertion(ec_key(), claims(stage), kid=None)))
    assert refused(sent(stage, assertion(ec_key(), claims(stage), kid="unknown")))
    two = stage.apps["ambiguous"]
    assert refused(sent(stage, assertion(rsa_key("same"), claims(stage, "ambiguous"), kid="same")))
    assert two.key is not None


def test_k07_a_jku_is_never_followed(stage: Stage, published: Published) -> None:
    published.keys = [ec_key("mine").public]
    before = len(published.asked)
    for jku in (published.url, published.url + "/other"):
        assert refused(sent(stage, assertion(ec_key(), claims(stage), jku=jku)))
        assert refused(sent(stage, assertion(ec_key("mine"), claims(stage), jku=jku)))
    assert len(published.asked) == before


@pytest.fixture
def by_url(published: Published) -> Iterator[Published]:
    """With the one key of the app that publishes."""
    published.keys, published.cache_control = [rsa_key("published").public], "no-store"
    yield published
    published.keys, published.cache_control = [], "no-store"


SCOPE = "launch/patient offline_access patient/Patient.rs"


def test_k07_a_jku_may_repeat_what_is_registered(stage: Stage, by_url: Published) -> None:
    app = stage.apps["key-url"]
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    right = assertion(rsa_key("published"), app.claims(stage.token_url), jku=by_url.url)
    assert stage.post("token", {**form, **right}).json()["error"] == "invalid_grant"
    wrong = assertion(rsa_key("published"), app.claims(stage.token_url), jku=by_url.url + "?x")
    assert stage.post("token", {**form, **wrong}).json()["error"] == "invalid_client"


def test_k08_keys_by_address_and_by_registration(stage: Stage, by_url: Published) -> None:
    for app in ("key", "key-url"):
        granted = stage.granted(SCOPE, app)
        assert stage.refresh(stage.apps[app], granted["refresh_token"]).status_code == 200
    assert by_url.asked


def test_k09_keys_are_kept_as_long_as_the_publisher_says(stage: Stage, by_url: Published) -> None:
    app = stage.apps["key-url"]
    before = len(by_url.asked)
    for _ in range(3):
        assert known(stage, app)
    assert len(by_url.asked) == before + 3
    by_url.cache_control = "max-age=600"
    for _ in range(3):
        assert known(stage, app)
    assert len(by_url.asked) == before + 4
    by_url.keys, by_url.cache_control = [ec_key("renewed").public], "no-store"
    for key in (ec_key("renewed"), ec_key("renewed"), ec_key("made-up")):
        proof = assertion(key, app.claims(stage.token_url))
        answer = stage.post("token", {"grant_type": "refresh_token", "refresh_token": "x", **proof})
        assert answer.json()["error"] == ("invalid_client" if key is ec_key("made-up") else "invalid_grant")


def test_k10_a_key_that_is_taken_back_stops_working(stage: Stage, by_url: Published) -> None:
    app = stage.apps["key-url"]
    assert known(stage, app)
    by_url.keys = [ec_key("next").public]
    assert not known(stage, app)
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    renewed = assertion(ec_key("next"), app.claims(stage.token_url))
    assert stage.post("token", {**form, **renewed}).json()["error"] == "invalid_grant"


def known(stage: Stage, app: App) -> bool:
    """Whether the client is let in, whatever it then asks for."""
    return bool(stage.refresh(app, "x").json()["error"] == "invalid_grant")
