"""Headers that every answer carries unless it says otherwise."""

from __future__ import annotations

from server.http.browser_policy import UNSAID, closed

OWN = [("Content-Security-Policy", "default-src 'self'"), ("cache-control", "max-age=60")]


def names(given: list[tuple[str, str]], *, is_public: bool = False, only_https: bool = True) -> list[str]:
    found = closed(only_https=only_https).missing(given, is_public=is_public)
    return [name.decode() for name, _ in found]


def test_what_an_answer_does_not_say_is_said_for_it() -> None:
    all_ = ["Content-Security-Policy", "Referrer-Policy", "Cache-Control", "Strict-Transport-Security"]
    assert names([]) == all_
    assert names(OWN) == ["Referrer-Policy", "Strict-Transport-Security"]


def test_what_is_public_may_be_kept() -> None:
    assert "Cache-Control" not in names([], is_public=True)


def test_https_is_demanded_only_where_it_is_spoken() -> None:
    assert "Strict-Transport-Security" not in names([], only_https=False)


def test_without_sign_in_nothing_is_added() -> None:
    assert UNSAID.missing([], is_public=False) == []
