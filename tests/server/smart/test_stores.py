"""The authorization server's records: typed, found by their keys, swept when they are over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.kernel.clock import DAY, MINUTE, SECOND, micros
from server.smart import stores
from server.smart.model import Approval, Client, Code, Launch, Session, Token, User
from server.smart.requests import PendingRequest
from server.smart.sweeping import Sweeper
from storage.errors import VersionConflict
from tests.server.smart.keeping import Kept, keeping


def test_each_kind_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        store = kept.store
        values = [
            User("u", "Li", "李医生", ("nurse",), own_patients=("p",)),
            Client("c", "App", "none", ("patient/*.rs",), jwks={"keys": []}, patients=("p",)),
            Session("s", "u", 1, 2, ("pwd",), "x"),
            Launch("l", "c", "u", fhir_context=({"reference": "ImagingStudy/1"},)),
            Approval("a", "c", ("openid",), "u", "s", need_patient_banner=False),
            Code("k", "a", "https://app.example", "x", 3),
            Token("t", "a", "access", ("openid",), 1, 2),
            PendingRequest("r", "c", "https://app.example", "st", ("openid",), "x", "https://weft.example/oauth"),
        ]
        await store.commit(*(store.put(value, 0) for value in values))
        for value in values:
            held = await store.get(type(value), value.id)
            assert held is not None
            assert held == (value, 1)
            assert [each.value for each in await store.every(type(value))] == [value]
        for kind, name, key in (
            (Session, "user", "u"),
            (Approval, "client", "c"),
            (Approval, "session", "s"),
            (Token, "approval", "a"),
        ):
            assert len(await store.find(kind, name, key)) == 1
        assert await store.several(User, ["u", "nobody", "u"]) == {"u": values[0]}
        assert (await store.user("u"), await store.client("c")) == (values[0], values[1])
        assert (await store.session("nothing"), await store.approval("a")) == (None, values[4])

    keeping(tmp_path, work)


def test_a_login_belongs_to_one_user_however_it_is_cased(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        store = kept.store
        first = User("u1", "Straße", "A", ())
        await store.commit(*store.new_user(first))
        with pytest.raises(VersionConflict):
            await store.commit(*store.new_user(User("u2", "STRASSE", "B", ())))
        assert await store.user("u2") is None
        held = await store.user_by_login("strasse")
        assert held is not None
        assert held.value == first

    keeping(tmp_path, work)


def test_what_is_expected_and_not_there_writes_nothing(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        store = kept.store
        code = Code("k", "a", "", "", 1)
        await store.save(code, 0)
        with pytest.raises(VersionConflict):
            await store.commit(store.put(Token("t", "a", "access", (), 1, 2), 0), store.put(code, 7))
        assert not await store.every(Token)

    keeping(tmp_path, work)


def test_one_of_many_uses_a_thing_once(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        used = await asyncio.gather(*(kept.store.use_once("jti", 5) for _ in range(8)))
        assert sorted(used) == [False] * 7 + [True]
        assert await kept.store.sweep(6) == 1
        assert await kept.store.use_once("jti", 5)

    keeping(tmp_path, work)


def test_sweeping_takes_what_is_over_and_leaves_the_rest(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        store, now = kept.store, micros(kept.clock)
        gone = [
            Approval("a1", "c", (), expires=now - SECOND),
            Code("k1", "a1", "", "", now - DAY),
            Token("t1", "a1", "refresh", (), 1, now + DAY),
            Token("t2", "a2", "access", (), 1, now - SECOND),
            Launch("l1", "c", "", expires=now - 11 * MINUTE),
            Session("s1", "u", 1, now - 3 * DAY, (), ""),
            PendingRequest("r1", "c", "", "", (), "", "", expires=now - SECOND),
        ]
        kept_ones = [
            Approval("a2", "c", (), expires=now + DAY),
            Code("k2", "a2", "", "", now - DAY, is_used=True),
            Token("t3", "a2", "refresh", (), 1, now + DAY),
            Launch("l2", "c", "", expires=now - 9 * MINUTE),
            Session("s2", "u", 1, now - DAY, (), ""),
            PendingRequest("r2", "c", "", "", (), "", "", expires=now + SECOND),
        ]
        await store.commit(*(store.put(each) for each in (*gone, *kept_ones)))
        await store.sweep(now)
        for each in gone:
            assert await store.get(type(each), each.id) is None, each
        for each in kept_ones:
            assert await store.get(type(each), each.id) is not None, each
        assert await store.sweep(now) == 0

    keeping(tmp_path, work)


def test_a_busy_minute_is_swept_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(kept: Kept) -> None:
        monkeypatch.setattr(stores, "_MOST", 10)
        for number in range(25):
            await kept.store.use_once(f"jti-{number}", 5)
            await kept.store.save(Approval(f"a{number}", "c", (), expires=5))
        assert await kept.store.sweep(6) == 50

    keeping(tmp_path, work)


def test_the_sweeper_does_what_else_is_to_be_done(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        done = asyncio.Event()

        async def other() -> None:
            done.set()

        await kept.store.save(Approval("a1", "c", (), expires=1))
        running = asyncio.create_task(Sweeper(kept.store, kept.clock, (other,)).run())
        await asyncio.wait_for(done.wait(), 5)
        running.cancel()
        assert not await kept.store.every(Approval)

    keeping(tmp_path, work)
