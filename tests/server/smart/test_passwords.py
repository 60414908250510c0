"""Passwords: what is refused, how they are kept, and that nobody is a shorter wait than somebody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher, extract_parameters

from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.smart.passwords import LONGEST, Cost, Passwords, Verdict, Weakness, weakness

CHEAP = Cost(memory=8)


@pytest.fixture
def offload() -> Iterator[Offload]:
    made = Offload(io_threads=1, cpu_threads=1)
    yield made
    made.close()


@pytest.mark.anyio
async def test_kept_as_argon2id_and_found_right(offload: Offload) -> None:
    passwords = Passwords(offload, CHEAP)
    kept = await passwords.hash("three boats at noon")
    assert kept.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert await passwords.verify("three boats at noon", kept) == Verdict(True)
    assert await passwords.verify("three boats at noon ", kept) == Verdict(False)
    assert await passwords.verify("Three boats at noon", kept) == Verdict(False)


@pytest.mark.anyio
async def test_of_another_cost_it_is_right_but_outdated(offload: Offload) -> None:
    kept = await Passwords(offload, CHEAP).hash("three boats at noon")
    dearer = Passwords(offload, Cost(memory=16))
    assert await dearer.verify("three boats at noon", kept) == Verdict(True, True)
    assert await dearer.verify("two boats at noon", kept) == Verdict(False)


def test_default_cost_is_that_of_the_cheat_sheet(offload: Offload) -> None:
    assert Cost() == Cost(memory=47_104, passes=1, lanes=1)


@pytest.mark.anyio
async def test_without_a_hash_nothing_is_right_and_as_much_is_computed(
    offload: Offload, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords, compared = Passwords(offload, CHEAP), []
    verify = PasswordHasher.verify

    def counting(self: PasswordHasher, known: str, password: str) -> object:
        compared.append(password)
        return verify(self, known, password)

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    for known in ("", "not a hash", await passwords.hash("another one")):
        assert await passwords.verify("three boats", known) == Verdict(False)
    assert compared == ["three boats"] * 3


@pytest.mark.anyio
async def test_one_that_is_too_long_is_never_hashed_as_it_is(offload: Offload) -> None:
    passwords = Passwords(offload, CHEAP)
    kept = await passwords.hash("a" * (LONGEST + 1))
    assert not (await passwords.verify("a" * (LONGEST + 1), kept)).is_right


@pytest.mark.anyio
async def test_too_many_at_once_are_told_to_come_back(offload: Offload) -> None:
    passwords = Passwords(offload, CHEAP)
    outcomes = await asyncio.gather(*(passwords.hash("three boats") for _ in range(80)), return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, Problem)]
    assert len(refused) == 16
    assert {each.kind for each in refused} == {Kind.BUSY}
    assert (await passwords.hash("three boats")).startswith("$argon2id$")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("a1b2c3d", Weakness.SHORT),
        ("x" * 129, Weakness.LONG),
        ("password", Weakness.COMMON),
        ("PassWord1", Weakness.COMMON),
        ("12345678", Weakness.COMMON),
        ("aaaaaaaaaaaa", Weakness.COMMON),
        ("abababababab", Weakness.COMMON),
        ("Andersson", Weakness.NAMED),
        ("andersson-1958", Weakness.NAMED),
        ("Anna Andersson", Weakness.NAMED),
        ("three boats at noon", None),
        ("三条船在正午靠岸啦", None),
        ("p" * 3 + "q" * 3 + "r" * 122, None),
        (" leading space", None),
    ],
)
def test_weak_ones_are_named_by_what_is_wrong(password: str, why: Weakness | None) -> None:
    assert weakness(password, "andersson", "Anna Andersson") is why


@pytest.mark.anyio
async def test_what_is_compared_for_nobody_costs_as_much_as_a_hash(
    offload: Offload, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords, compared = Passwords(offload, CHEAP), list[str]()
    whole = PasswordHasher.verify

    def verify(hasher: PasswordHasher, known: str, password: str) -> bool:
        compared.append(known)
        return whole(hasher, known, password)

    kept = await passwords.hash("three boats at noon")
    monkeypatch.setattr(PasswordHasher, "verify", verify)
    assert await passwords.verify("three boats at noon", "") == Verdict(False)
    assert await Passwords(offload, CHEAP).verify("three boats at noon", "") == Verdict(False)
    assert [extract_parameters(each) for each in compared] == [extract_parameters(kept)] * 2
    assert len(set(compared)) == 2
