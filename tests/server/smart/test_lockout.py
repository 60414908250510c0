"""Guessing: the delays, the lock, who opens it, and that trying at once gains nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.kernel.clock import MINUTE, SECOND
from server.kernel.problem import Kind, Problem
from server.smart.lockout import FAILURES, Attempt, Limit, Limits, Lockout, network_of
from storage.query import EVERYTHING
from tests.server.smart.keeping import Kept, keeping


def _lockout(kept: Kept, limits: Limits | None = None) -> Lockout:
    return Lockout(kept.store.records, kept.clock, limits)


async def _wait(lockout: Lockout, login: str, peer: str = "192.0.2.1") -> int:
    """The seconds to wait before an attempt; 0 where it was let begin."""
    outcome = (await asyncio.gather(lockout.begin(login, peer), return_exceptions=True))[0]
    if isinstance(outcome, Attempt):
        return 0
    assert isinstance(outcome, Problem)
    assert outcome.kind is Kind.BUSY
    return outcome.retry_after or 0


@pytest.mark.parametrize("login", ["anna", "nobody-has-this"])
def test_every_failure_beyond_the_free_ones_doubles_the_wait(tmp_path: Path, login: str) -> None:
    async def work(kept: Kept) -> None:
        lockout, waits = _lockout(kept), []
        for count in range(1, 12):
            attempt = await lockout.begin(login, "")
            assert attempt.locks == (count >= 10)
            if count <= 3:
                continue
            wait = await _wait(lockout, login, "")
            waits.append(wait)
            kept.clock.move(seconds=wait - 1)
            assert await _wait(lockout, login, "") == 1
            kept.clock.move(seconds=1)
        assert waits == [2, 4, 8, 16, 32, 64, 900, 900]

    keeping(tmp_path, work)


def test_an_administrator_opens_the_lock(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        lockout = _lockout(kept, Limits(login=Limit(free=0, most=1)))
        await lockout.begin("Anna", "")
        assert await _wait(lockout, " anna ", "") == 900
        assert await lockout.locked_until("ANNA") > 0
        await lockout.unlock("anna")
        assert await lockout.locked_until("anna") == 0
        assert await _wait(lockout, "anna", "") == 0

    keeping(tmp_path, work)


def test_a_complete_sign_in_clears_the_login_and_one_factor_only_its_own_attempt(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        lockout = _lockout(kept)
        for _ in range(3):
            await lockout.begin("anna", "")
        attempt = await lockout.begin("anna", "")
        await lockout.forgive(attempt, is_complete=False)
        await lockout.begin("anna", "")
        assert await _wait(lockout, "anna", "") == 2
        kept.clock.move(seconds=2)
        await lockout.forgive(await lockout.begin("anna", ""), is_complete=True)
        assert await kept.store.records.count(FAILURES, EVERYTHING, at_most=10) == 0

    keeping(tmp_path, work)


def test_many_at_once_get_no_more_attempts_than_one_after_another(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        lockout = _lockout(kept)
        waits = await asyncio.gather(*(_wait(lockout, "anna", "") for _ in range(12)))
        assert sorted(waits)[:4] == [0] * 4
        assert all(sorted(waits)[4:])

    keeping(tmp_path, work)


def test_one_address_cannot_try_every_login(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        lockout = _lockout(kept, Limits(peer=Limit(free=2, most=5)))
        for number in range(3):
            assert await _wait(lockout, f"user-{number}") == 0
        assert await _wait(lockout, "user-9") == 2
        assert await _wait(lockout, "user-9", "192.0.2.2") == 0
        assert await lockout.locked_until("user-9") == 0

    keeping(tmp_path, work)


def test_a_right_password_does_not_wash_an_address_clean(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        lockout = _lockout(kept, Limits(peer=Limit(free=2, most=5)))
        for number in range(2):
            await lockout.begin(f"user-{number}", "192.0.2.1")
        await lockout.forgive(await lockout.begin("mallory", "192.0.2.1"), is_complete=True)
        await lockout.begin("user-3", "192.0.2.1")
        assert await _wait(lockout, "user-4") > 0

    keeping(tmp_path, work)


def test_failures_are_forgotten_after_a_quiet_hour(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        lockout = _lockout(kept, Limits(login=Limit(free=1, most=3, lock=MINUTE)))
        for _ in range(2):
            await lockout.begin("anna", "")
        kept.clock.move(minutes=60)
        await lockout.begin("anna", "")
        assert await _wait(lockout, "anna", "") == 0

    keeping(tmp_path, work)


def test_no_login_or_address_can_be_read_from_what_is_kept(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        await _lockout(kept).begin("anna", "192.0.2.1")
        page = await kept.store.records.find(FAILURES, EVERYTHING, limit=10)
        assert len(page.records) == 2
        assert not any(word in f"{each.id} {each.body!r}" for each in page.records for word in ("anna", "192.0.2.1"))

    keeping(tmp_path, work)


def test_addresses_are_counted_by_what_one_customer_has() -> None:
    assert network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("2001:db8:1:2:3::9") == network_of("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("testclient") == "testclient"


def test_the_lock_is_never_longer_for_a_larger_count() -> None:
    assert Limit(free=3, most=10).delay(10_000) == 15 * MINUTE
    assert Limit(free=3, most=10**9).delay(10**6) == 15 * MINUTE
    assert Limit(free=3, most=10).delay(4) == 2 * SECOND


def test_one_who_comes_by_ipv4_to_an_ipv6_socket_is_counted_alone() -> None:
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") != network_of("::ffff:192.0.2.2")
