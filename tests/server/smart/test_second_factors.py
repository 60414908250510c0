"""Second factors: enrolled only on proof, and never taken from somebody who must have one."""

from __future__ import annotations

from pathlib import Path

import pyotp
import pytest

from server.kernel.problem import Problem
from server.smart.second_factors import Policy
from server.smart.security_keys import Party
from tests.server.smart.authenticator import Authenticator
from tests.server.smart.peopled import Peopled, peopled

PARTY = Party("weft.example", "https://weft.example")


def _code(here: Peopled, secret: str, late: int = 0) -> str:
    return str(pyotp.TOTP(secret).at(here.clock.moment, counter_offset=late))


def test_an_app_is_enrolled_by_a_code_of_it_and_by_nothing_else(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user, factors = await here.user(), here.people.factors
        secret = await factors.begin_app("visit", user)
        assert await factors.begin_app("visit", user) == secret
        assert not await factors.confirm_app("visit", user.id, "000000")
        assert not await factors.confirm_app("another visit", user.id, _code(here, secret))
        assert (await here.now(user)).totp == ""
        assert await factors.confirm_app("visit", user.id, _code(here, secret))
        assert (await here.now(user)).totp == secret
        assert not await factors.proved_by_code(user.id, _code(here, secret))
        assert await factors.proved_by_code(user.id, _code(here, secret, 1))

    peopled(tmp_path, work)


def test_an_enrolment_of_somebody_else_or_of_before_is_none(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user, bo, factors = await here.user(), await here.user("bo"), here.people.factors
        secret = await factors.begin_app("visit", user)
        assert not await factors.confirm_app("visit", bo.id, _code(here, secret))
        here.clock.move(minutes=11)
        assert not await factors.confirm_app("visit", user.id, _code(here, secret))

    peopled(tmp_path, work)


def test_a_key_is_registered_proves_itself_and_its_challenge_is_used_up(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user, factors, device = await here.user(), here.people.factors, Authenticator()
        answer = device.created(await factors.begin_key("visit", user, PARTY))
        assert await factors.confirm_key("visit", user.id, PARTY, answer, "blue")
        assert not await factors.confirm_key("visit", user.id, PARTY, answer, "blue")
        user = await here.now(user)
        assert [each.name for each in user.webauthn] == ["blue"]
        proof = device.proved(await factors.challenge("visit", user, PARTY))
        assert await factors.proved_by_key("visit", user.id, PARTY, proof)
        assert not await factors.proved_by_key("visit", user.id, PARTY, proof)
        assert (await here.now(user)).webauthn[0].count == 1

    peopled(tmp_path, work)


def test_new_recovery_codes_void_the_old_ones(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user, factors = await here.user(), here.people.factors
        old = await factors.new_recovery_codes(user.id)
        new = await factors.new_recovery_codes(user.id)
        assert not set(new) & set((await here.now(user)).recovery)
        assert not await factors.proved_by_recovery(user.id, old[0])
        assert await factors.proved_by_recovery(user.id, new[0])
        assert not await factors.proved_by_recovery(user.id, new[0])

    peopled(tmp_path, work)


@pytest.mark.parametrize("policy", [Policy.OFF, Policy.CLINICAL])
def test_the_last_factor_of_somebody_who_needs_one_stays(tmp_path: Path, policy: Policy) -> None:
    async def work(here: Peopled) -> None:
        user, factors, device = await here.user(), here.people.factors, Authenticator()
        secret = await factors.begin_app("visit", user)
        await factors.confirm_app("visit", user.id, _code(here, secret))
        await factors.confirm_key(
            "visit", user.id, PARTY, device.created(await factors.begin_key("visit", user, PARTY)), ""
        )
        await factors.new_recovery_codes(user.id)
        await factors.remove(user.id, "app")
        user = await here.now(user)
        assert (user.totp, len(user.webauthn)) == ("", 1)
        if policy is Policy.CLINICAL:
            with pytest.raises(Problem):
                await factors.remove(user.id, user.webauthn[0].id)
            assert (await here.now(user)).webauthn
        else:
            await factors.remove(user.id, user.webauthn[0].id)
            assert ((await here.now(user)).webauthn, (await here.now(user)).recovery) == ((), ())

    peopled(tmp_path, work, policy)
