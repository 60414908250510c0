"""One-time codes: a step of grace either way, each used once, and nothing else that looks like one."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from server.kernel.clock import SECOND
from server.smart.recovery import COUNT, hashed, new_codes
from server.smart.totp import accepted_step, new_secret, uri

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""Of RFC 6238, appendix B."""
AT = 1_111_111_111 * SECOND
STEP = 1_111_111_111 // 30


def test_codes_of_the_standard() -> None:
    assert accepted_step(SECRET, "050471", AT, 0) == STEP
    assert accepted_step(SECRET, "287082", 59 * SECOND, 0) == 1


@pytest.mark.parametrize(("late", "is_accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_of_grace_either_way(late: int, is_accepted: bool) -> None:
    code = pyotp.HOTP(SECRET).at(STEP)
    found = accepted_step(SECRET, code, AT + late * 30 * SECOND, 0)
    assert found == (STEP if is_accepted else None)


def test_a_step_that_was_accepted_is_used_up_with_those_before_it() -> None:
    code, before = pyotp.HOTP(SECRET).at(STEP), pyotp.HOTP(SECRET).at(STEP - 1)
    assert accepted_step(SECRET, code, AT, STEP) is None
    assert accepted_step(SECRET, before, AT, STEP) is None
    assert accepted_step(SECRET, pyotp.HOTP(SECRET).at(STEP + 1), AT, STEP) == STEP + 1


@pytest.mark.parametrize(
    "code", ["", "05047", "0504711", "05047a", "０５０４７１", "050471\x00", "-50471", "5" * 10_000]
)
def test_what_is_no_code_is_none(code: str) -> None:
    assert accepted_step(SECRET, code, AT, 0) is None


def test_spaces_as_apps_show_them_do_no_harm() -> None:
    assert accepted_step(SECRET, " 050 471 ", AT, 0) == STEP


def test_a_secret_is_new_and_long_and_its_uri_names_the_account() -> None:
    assert new_secret() != new_secret()
    assert len(new_secret()) == 32
    parts = urlsplit(uri(SECRET, "anna@ward 3", "Weft"))
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/Weft:anna%40ward%203")
    assert parse_qs(parts.query) == {"secret": [SECRET], "issuer": ["Weft"]}


def test_recovery_codes_differ_and_may_be_typed_in_any_case() -> None:
    codes = new_codes()
    assert len(set(codes)) == COUNT
    assert all(len(code.replace("-", "")) == 24 for code in codes)
    assert hashed(codes[0]) == hashed(codes[0].upper().replace("-", " "))
    assert hashed(codes[0]) != hashed(codes[1])
