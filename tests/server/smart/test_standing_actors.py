"""Whether who began something long ago may still act."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from server.kernel.context import LOCAL_ACTOR, Actor
from server.smart.model import Client, User
from server.smart.standing_actors import StandingActors
from tests.server.smart.keeping import Kept, keeping

NURSE = Actor("u|c|", "Li", (), frozenset({"nurse"}), user="u", client="c")
PROXY = Actor("x|c|", "Wu", (), frozenset({"proxy"}), user="x", client="c", own_patients=frozenset({"p1"}))
BACKEND = Actor("|b|", "b", (), frozenset({"system"}), client="b")
USER = User("u", "li", "Li", ("nurse",))
PARENT = User("x", "wu", "Wu", ("proxy",), own_patients=("p1",))
APP, SERVICE = Client("c", "App", "none", ()), Client("b", "b", "private_key_jwt", ())


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ({}, {NURSE, PROXY, BACKEND}),
        ({"u": {"is_active": False}}, {PROXY, BACKEND}),
        ({"u": {"roles": ("technologist",)}}, {PROXY, BACKEND}),
        ({"x": {"own_patients": ()}}, {NURSE, BACKEND}),
        ({"c": {"is_approved": False}}, {BACKEND}),
        ({"b": {"is_approved": False}}, {NURSE, PROXY}),
        ({"b": {"patients": ("p1",)}}, {NURSE, PROXY}),
        ({"u": None, "b": None}, {PROXY}),
    ],
)
def test_who_stands(tmp_path: Path, changed: dict[str, dict[str, object] | None], left: set[Actor]) -> None:
    async def work(kept: Kept) -> None:
        for each in (USER, PARENT, APP, SERVICE):
            change = changed.get(each.id, {})
            if change is not None:
                await kept.store.save(msgspec.structs.replace(each, **change))
        actors = StandingActors(kept.store)
        assert {each for each in (NURSE, PROXY, BACKEND) if await actors.stands(each)} == left
        assert await actors.stands(LOCAL_ACTOR)
        assert not await actors.stands(Actor("nobody", "nobody", ()))

    keeping(tmp_path, work)
