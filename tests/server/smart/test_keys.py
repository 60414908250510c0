"""Signing keys: made once for all processes, published without secrets, kept until their last token ends (O10)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import jwt

from server.smart.keys import TOKEN_SECONDS, KeyRing
from storage.ports import Record
from tests.server.smart.keeping import PUBLIC_MEMBERS, Kept, keeping


def ring(kept: Kept) -> KeyRing:
    return KeyRing(kept.store.records, kept.clock, kept.offload)


def test_o04_a_key_set_holds_a_valid_rsa_key(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        (key,) = await ring(kept).public()
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
        assert jwt.PyJWK(key).key.key_size == 2048

    keeping(tmp_path, work)


def test_o10_no_private_member_is_published(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        await ring(kept).rotate()
        assert {name for key in await ring(kept).public() for name in key} <= PUBLIC_MEMBERS

    keeping(tmp_path, work)


def test_o10_rotation_keeps_the_old_key_until_its_last_token_ends(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        here, elsewhere = ring(kept), ring(kept)
        old = await here.signing()
        fresh = await here.rotate()
        assert (await elsewhere.signing()).kid == fresh
        assert [key["kid"] for key in await elsewhere.public()] == [fresh, old.kid]
        kept.clock.move(seconds=TOKEN_SECONDS)
        assert [key["kid"] for key in await elsewhere.public()] == [fresh, old.kid]
        kept.clock.move(seconds=61)
        assert [key["kid"] for key in await elsewhere.public()] == [fresh]

    keeping(tmp_path, work)


def test_processes_that_begin_at_once_agree_on_one_key(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        signing = await asyncio.gather(*(ring(kept).signing() for _ in range(4)))
        assert len({key.kid for key in signing}) == 1

    keeping(tmp_path, work)


def test_rotations_at_once_are_each_done(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        await ring(kept).signing()
        made = await asyncio.gather(ring(kept).rotate(), ring(kept).rotate())
        listed = await ring(kept).listed()
        assert {key.kid for key in listed} > set(made)
        assert [key.published_until > 0 for key in listed] == [False, True, True]

    keeping(tmp_path, work)


def test_keys_that_are_done_with_are_forgotten_at_the_next_rotation(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        for _ in range(3):
            await ring(kept).rotate()
            kept.clock.move(hours=2)
        assert len(await ring(kept).listed()) == 2

    keeping(tmp_path, work)


def test_a_private_key_is_stored_as_every_record_is(tmp_path: Path) -> None:
    """Encrypted at rest where the store encrypts: the ring does nothing beside the port."""

    async def work(kept: Kept) -> list[Record]:
        await ring(kept).signing()
        return await kept.store.records.get("smart-key", ["ring"])

    (record,) = keeping(tmp_path, work)
    assert b"PRIVATE KEY" in record.body


def test_no_key_is_made_by_looking(tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        assert await ring(kept).listed() == ()

    keeping(tmp_path, work)
