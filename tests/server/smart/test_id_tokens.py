"""id_tokens as an app sees them (smart checks section 8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
import pytest
from msgspec.structs import replace

from server.smart.id_tokens import IdTokens, authentication_contexts
from server.smart.keys import TOKEN_SECONDS, KeyRing
from server.smart.model import Approval, User
from tests.server.smart.keeping import SITE, Kept, keeping

USER = User("u1", "li", "Li Na", ("nurse",), fhir_user="Practitioner/12")
APPROVAL = Approval(
    "a1",
    "app",
    ("openid", "fhirUser", "patient/*.rs"),
    user="u1",
    nonce="n-0S6",
    auth_time=1_795_000_000_000_000,
    methods=("pwd", "otp", "mfa"),
)


def issued(folder: Path, user: User = USER, approval: Approval = APPROVAL) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, checked as an app checks them."""

    async def work(kept: Kept) -> tuple[dict[str, Any], dict[str, Any]]:
        ring = KeyRing(kept.store.records, kept.clock, kept.offload)
        token = await IdTokens(ring, kept.clock, kept.offload).issue(SITE, user, approval)
        header = jwt.get_unverified_header(token)
        (key,) = [each for each in await ring.public() if each["kid"] == header["kid"]]
        options: Any = {"verify_exp": False, "verify_iat": False}
        claims = jwt.decode(token, jwt.PyJWK(key), ["RS256"], options, audience="app", issuer=SITE.issuer)
        assert claims["iat"] == kept.clock.seconds
        return header, claims

    return keeping(folder, work)


def test_o01_and_o05_it_is_a_jwt_by_rs256_with_a_published_kid(tmp_path: Path) -> None:
    header, _ = issued(tmp_path)
    assert header["alg"] == "RS256"


def test_o06_the_payload_is_complete(tmp_path: Path) -> None:
    _, claims = issued(tmp_path)
    assert (claims["iss"], claims["aud"], claims["sub"]) == (SITE.issuer, "app", "u1")
    assert claims["exp"] == claims["iat"] + TOKEN_SECONDS
    assert 1 <= len(claims["sub"]) <= 255


def test_o07_fhir_user_is_an_absolute_url(tmp_path: Path) -> None:
    _, claims = issued(tmp_path)
    assert claims["fhirUser"] == "https://weft.example/fhir/Practitioner/12"


def test_o07_fhir_user_is_told_only_where_it_was_granted(tmp_path: Path) -> None:
    _, claims = issued(tmp_path, approval=replace(APPROVAL, scopes=("openid",)))
    assert "fhirUser" not in claims


def test_o09_nonce_and_sign_in_are_told_as_they_were(tmp_path: Path) -> None:
    _, claims = issued(tmp_path)
    assert (claims["nonce"], claims["auth_time"], claims["amr"]) == ("n-0S6", 1_795_000_000, ["pwd", "otp", "mfa"])


@pytest.mark.parametrize(
    ("methods", "name"),
    [(("pwd",), "password"), (("pwd", "otp", "mfa"), "two-factors"), (("pwd", "hwk"), "two-factors")],
)
def test_o09_acr_is_true_to_the_factors(tmp_path: Path, methods: tuple[str, ...], name: str) -> None:
    _, claims = issued(tmp_path, approval=replace(APPROVAL, methods=methods))
    assert claims["acr"] == f"{SITE.issuer}/acr/{name}"
    assert claims["acr"] in authentication_contexts(SITE)


def test_what_there_is_not_is_left_out(tmp_path: Path) -> None:
    _, claims = issued(tmp_path, approval=replace(APPROVAL, nonce="", auth_time=0))
    assert not {"nonce", "auth_time", "name"} & set(claims)
