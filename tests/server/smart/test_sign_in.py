"""Sign-in as a service: the steps, what each failure tells (nothing), and what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pyotp
import pytest
from argon2 import PasswordHasher
from msgspec.structs import replace

from server.kernel.clock import micros
from server.kernel.problem import Kind, Problem
from server.smart.digest import digest
from server.smart.model import Session, User
from server.smart.passwords import Cost, Passwords
from server.smart.recording import Caller
from server.smart.recovery import hashed
from server.smart.second_factors import Policy
from server.smart.sign_in import Entered, Halfway, Proof, Step
from tests.server.smart.peopled import BY, CALLER, PASSWORD, Peopled, peopled

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


async def _refusal(here: Peopled, login: str, password: str, caller: Caller = CALLER) -> Problem:
    outcome = (await asyncio.gather(here.people.sign_in.begin(login, password, caller), return_exceptions=True))[0]
    assert isinstance(outcome, Problem)
    return outcome


async def _with_app(here: Peopled, **more: object) -> Halfway:
    """A user with an authenticator app, after the password."""
    user = await here.user()
    await here.people.users.change(user.id, lambda user: replace(user, totp=SECRET, **more))
    step = await here.people.sign_in.begin("anna", PASSWORD, CALLER)
    assert isinstance(step, Halfway)
    assert step.step is Step.FACTOR
    return step


def _code(here: Peopled) -> str:
    return str(pyotp.TOTP(SECRET).at(here.clock.moment))


def test_a_right_password_opens_a_session_and_is_recorded_without_it(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()
        step = await here.people.sign_in.begin("ANNA", PASSWORD, CALLER)
        assert isinstance(step, Entered)
        assert await here.people.sessions.find(step.cookie) == (user, step.session)
        event = here.told.events[-1]
        assert (event.subtype, event.outcome, event.user, event.peer) == ("110122", 0, user.id, "192.0.2.7")
        assert event.session == step.session.id
        assert step.cookie not in str(here.told.events)
        assert PASSWORD not in str(here.told.events)

    peopled(tmp_path, work)


@pytest.mark.parametrize("locked", [False, True])
def test_unknown_inactive_and_wrong_are_refused_alike(tmp_path: Path, locked: bool) -> None:
    async def work(here: Peopled) -> None:
        await here.user()
        await here.user("off")
        await here.people.users.set_active(BY, "off", False)
        await here.user("unset")
        user = (await here.people.users.of_login("unset")).id
        await here.people.users.change(user, lambda user: replace(user, password=""))
        attempts = [("anna", "wrong"), ("off", PASSWORD), ("unset", ""), ("nobody", PASSWORD), ("x" * 900, PASSWORD)]
        for _ in range(4 if locked else 0):
            for login, password in attempts:
                await _refusal(here, login, password)
        refusals = [await _refusal(here, login, password) for login, password in attempts]
        told = {(each.kind, each.text, each.issues, each.retry_after) for each in refusals}
        assert len(told) == 1
        assert refusals[0].kind is (Kind.BUSY if locked else Kind.UNAUTHENTICATED)

    peopled(tmp_path, work)


def test_a_login_nobody_has_costs_as_many_hashes_as_one_somebody_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[str] = []
    verify = PasswordHasher.verify

    def counting(self: PasswordHasher, known: str, password: str) -> object:
        costs.append(known.split("$")[3])
        return verify(self, known, password)

    async def work(here: Peopled) -> None:
        await here.user()
        monkeypatch.setattr(PasswordHasher, "verify", counting)
        await _refusal(here, "anna", "wrong")
        await _refusal(here, "nobody", "wrong")
        assert costs == ["m=8,t=1,p=1"] * 2

    peopled(tmp_path, work)


def test_a_failure_is_recorded_by_name_only_where_there_is_such_a_user(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()
        await _refusal(here, "anna", "wrong")
        await _refusal(here, "hunter2-typed-in-the-wrong-field", "wrong")
        known, stranger = here.told.events[-2:]
        assert (known.user, known.outcome, known.outcome_text) == (user.id, 4, "password")
        assert stranger.user == ""
        assert stranger.user_name.startswith("unknown ")
        assert "hunter2" not in str(here.told.events)

    peopled(tmp_path, work)


def test_the_tenth_failure_locks_and_says_so_in_the_trail(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        await here.user()
        for _ in range(10):
            assert (await _refusal(here, "anna", "wrong")).kind is Kind.UNAUTHENTICATED
            here.clock.move(seconds=70)
        assert here.told.events[-1].outcome == 8
        assert (await _refusal(here, "anna", PASSWORD)).kind is Kind.BUSY
        assert here.told.texts[-1] == "110122 8 locked"
        await here.people.users.unlock(BY, "anna")
        assert isinstance(await here.people.sign_in.begin("anna", PASSWORD, CALLER), Entered)

    peopled(tmp_path, work)


def test_a_code_works_once_even_for_two_at_the_same_time(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        first = await _with_app(here)
        second = await here.people.sign_in.begin("anna", PASSWORD, CALLER)
        assert isinstance(second, Halfway)
        outcomes = await asyncio.gather(
            *(here.people.sign_in.prove(each, Proof.APP, _code(here), None, CALLER) for each in (first, second)),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in outcomes) == ["Entered", "Problem"]

    peopled(tmp_path, work)


def test_a_visit_is_used_up_by_its_session(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        halfway = await _with_app(here)
        entered = await here.people.sign_in.prove(halfway, Proof.APP, _code(here), None, CALLER)
        assert isinstance(entered, Entered)
        assert entered.session.methods == ("pwd", "otp", "mfa")
        assert await here.people.sign_in.resume(halfway.cookie) is None
        assert await here.people.sessions.find(halfway.cookie) is None
        here.clock.move(seconds=60)
        with pytest.raises(Problem):
            await here.people.sign_in.prove(halfway, Proof.APP, _code(here), None, CALLER)

    peopled(tmp_path, work)


def test_guesses_of_the_second_factor_lock_the_login_though_the_password_is_right(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        halfway = await _with_app(here)
        for _ in range(9):
            with pytest.raises(Problem) as caught:
                await here.people.sign_in.prove(halfway, Proof.APP, "000000", None, CALLER)
            assert caught.value.kind is Kind.UNAUTHENTICATED
            here.clock.move(seconds=70)
            again = await here.people.sign_in.begin("anna", PASSWORD, CALLER)
            assert isinstance(again, Halfway)
            halfway = again
        with pytest.raises(Problem):
            await here.people.sign_in.prove(halfway, Proof.APP, "000000", None, CALLER)
        assert (await _refusal(here, "anna", PASSWORD)).kind is Kind.BUSY

    peopled(tmp_path, work)


def test_a_recovery_code_lets_in_once(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        halfway = await _with_app(here, recovery=(hashed("aaaa-bbbb"), hashed("cccc-dddd")))
        entered = await here.people.sign_in.prove(halfway, Proof.RECOVERY, "AAAA BBBB", None, CALLER)
        assert isinstance(entered, Entered)
        assert (await here.now(entered.user)).recovery == (hashed("cccc-dddd"),)
        again = await here.people.sign_in.begin("anna", PASSWORD, CALLER)
        assert isinstance(again, Halfway)
        with pytest.raises(Problem):
            await here.people.sign_in.prove(again, Proof.RECOVERY, "aaaa-bbbb", None, CALLER)

    peopled(tmp_path, work)


def test_a_visit_ends_after_ten_minutes(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        halfway = await _with_app(here)
        here.clock.move(minutes=9)
        assert await here.people.sign_in.resume(halfway.cookie) is not None
        here.clock.move(minutes=2)
        assert await here.people.sign_in.resume(halfway.cookie) is None

    peopled(tmp_path, work)


def test_first_the_factor_then_the_password_then_enrolment(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        await here.user(must_change=True)
        step = await here.people.sign_in.begin("anna", PASSWORD, CALLER)
        assert isinstance(step, Halfway)
        assert step.step is Step.RENEWAL
        step = await here.people.sign_in.new_password(step, "four boats at dusk", CALLER)
        assert isinstance(step, Halfway)
        assert step.step is Step.ENROL
        secret = await here.people.factors.begin_app(step.visit.id, step.user)
        code = str(pyotp.TOTP(secret).at(here.clock.moment))
        assert await here.people.factors.confirm_app(step.visit.id, step.user.id, code)
        entered = await here.people.sign_in.enrolled(step, Proof.APP, CALLER)
        assert isinstance(entered, Entered)
        assert entered.session.methods == ("pwd", "otp", "mfa")
        assert (await _refusal(here, "anna", PASSWORD)).kind is Kind.UNAUTHENTICATED

    peopled(tmp_path, work, Policy.CLINICAL)


@pytest.mark.parametrize(
    ("policy", "roles", "asks"),
    [
        (Policy.CLINICAL, ("nurse",), True),
        (Policy.CLINICAL, ("patient",), True),
        (Policy.CLINICAL, ("auditor",), True),
        (Policy.CLINICAL, ("administrator",), False),
        (Policy.CLINICAL, ("administrator", "nurse"), True),
        (Policy.ALL, ("administrator",), True),
        (Policy.OFF, ("nurse",), False),
    ],
)
def test_who_must_have_a_second_factor(tmp_path: Path, policy: Policy, roles: tuple[str, ...], asks: bool) -> None:
    async def work(here: Peopled) -> None:
        await here.user(roles=roles)
        step = await here.people.sign_in.begin("anna", PASSWORD, CALLER)
        assert isinstance(step, Halfway if asks else Entered)

    peopled(tmp_path, work, policy)


def test_a_password_of_another_cost_is_hashed_anew(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()
        old = await Passwords(here.people.hashing, Cost(memory=16)).hash(PASSWORD)
        await here.people.users.change(user.id, lambda user: replace(user, password=old))
        await here.people.sign_in.begin("anna", PASSWORD, CALLER)
        assert (await here.now(user)).password.startswith("$argon2id$v=19$m=8,")
        assert isinstance(await here.people.sign_in.begin("anna", PASSWORD, CALLER), Entered)

    peopled(tmp_path, work)


def test_who_has_given_the_old_password_gets_nowhere_after_a_reset(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        await here.user()
        halfway = await here.people.sign_in.begin("anna", PASSWORD, CALLER)
        assert isinstance(halfway, Halfway)
        assert halfway.step is Step.ENROL
        await here.people.users.reset(BY, "anna")
        assert await here.people.sign_in.resume(halfway.cookie) is None

    peopled(tmp_path, work, Policy.ALL)


def test_a_password_changed_on_the_way_is_not_undone_by_hashing_the_old_one_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()
        cheap = PasswordHasher(1, 16, 1).hash(PASSWORD)
        await here.people.users.change(user.id, lambda user: replace(user, password=cheap))
        hashing = Passwords.hash

        async def slow(passwords: Passwords, password: str) -> str:
            await here.people.users.change(user.id, lambda user: replace(user, password="another"))
            return await hashing(passwords, password)

        monkeypatch.setattr(Passwords, "hash", slow)
        assert (await _refusal(here, "anna", PASSWORD)).kind is Kind.UNAUTHENTICATED
        assert (await here.now(user)).password == "another"

    peopled(tmp_path, work)


def test_who_finds_the_hashes_busy_has_not_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(here: Peopled) -> None:
        await here.user()

        async def busy(_: Passwords, password: str, known: str) -> None:
            raise Problem(Kind.BUSY, "Too many people sign in at this moment.", retry_after=2)

        with monkeypatch.context() as patched:
            patched.setattr(Passwords, "verify", busy)
            for _ in range(12):
                assert (await _refusal(here, "anna", PASSWORD)).retry_after == 2
        assert isinstance(await here.people.sign_in.begin("anna", PASSWORD, CALLER), Entered)

    peopled(tmp_path, work)


def test_who_hammers_at_a_lock_is_told_of_once_a_minute(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        await here.user()
        for _ in range(4):
            await _refusal(here, "anna", "wrong")
        before = len(here.told.events)
        for number in range(50):
            await _refusal(here, "anna", "wrong")
            await _refusal(here, f"nobody-{number % 2}", "wrong")
        assert len(here.told.events) < before + 12
        here.clock.move(minutes=2)
        await _refusal(here, "anna", "wrong")
        await _refusal(here, "anna", "wrong")
        assert any("more requests" in each.detail for event in here.told.events for each in event.entities)

    peopled(tmp_path, work)


def test_a_stranger_cannot_lock_out_who_comes_from_a_browser_of_theirs(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        await here.user()
        entered = await here.people.sign_in.begin("anna", PASSWORD, CALLER)
        assert isinstance(entered, Entered)
        for _ in range(12):
            await _refusal(here, "anna", "wrong")
            here.clock.move(seconds=70)
        assert (await _refusal(here, "anna", PASSWORD)).kind is Kind.BUSY
        own = CALLER._replace(device=digest(entered.device))
        again = await here.people.sign_in.begin("Anna", PASSWORD, own)
        assert isinstance(again, Entered)
        assert again.device == "", "it has its cookie already"
        assert (await _refusal(here, "anna", PASSWORD)).kind is Kind.BUSY, "the stranger gains nothing by it"
        assert (await _refusal(here, "anna", PASSWORD, CALLER._replace(device=digest("x")))).kind is Kind.BUSY

    peopled(tmp_path, work)


def test_a_known_browser_gets_no_more_guesses_than_a_stranger(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        await here.user()
        entered = await here.people.sign_in.begin("anna", PASSWORD, CALLER)
        assert isinstance(entered, Entered)
        own = CALLER._replace(device=digest(entered.device))
        for _ in range(10):
            assert (await _refusal(here, "anna", "wrong", own)).kind is Kind.UNAUTHENTICATED
            here.clock.move(seconds=70)
        assert (await _refusal(here, "anna", PASSWORD, own)).kind is Kind.BUSY
        await here.people.users.unlock(BY, "anna")
        assert isinstance(await here.people.sign_in.begin("anna", PASSWORD, own), Entered)
        here.clock.move(days=181)
        await here.people.store.sweep(micros(here.clock))
        for _ in range(4):
            await _refusal(here, "anna", "wrong")
        assert (await _refusal(here, "anna", PASSWORD, own)).kind is Kind.BUSY, "it is forgotten in the end"

    peopled(tmp_path, work)


def test_a_reset_while_somebody_signs_in_leaves_no_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(here: Peopled) -> None:
        await here.user()
        opened = here.people.sessions.open

        async def late(user: User, methods: Sequence[str]) -> tuple[str, Session]:
            await here.people.users.reset(BY, "anna")
            return await opened(user, methods)

        monkeypatch.setattr(here.people.sessions, "open", late)
        assert (await _refusal(here, "anna", PASSWORD)).kind is Kind.UNAUTHENTICATED
        assert not await here.people.store.every(Session)

    peopled(tmp_path, work)
