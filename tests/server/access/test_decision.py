"""Access: default is to refuse, and one object is judged as a search would."""

from __future__ import annotations

import asyncio

import pytest

from server.access.decision import AccessPoint
from server.kernel.context import LOCAL_ACTOR, Actor, Context, Grant
from storage.query import EVERYTHING, NOTHING, matches

SEARCHER = Actor("s", "s", (Grant(frozenset({"search"}), frozenset({"ImagingStudy"})),))
NOBODY = Actor("n", "n", ())


@pytest.mark.parametrize(
    ("actor", "interaction", "resource_type", "allowed"),
    [
        (LOCAL_ACTOR, "delete", "ImagingStudy", True),
        (SEARCHER, "search", "ImagingStudy", True),
        (SEARCHER, "search", "Patient", False),
        (SEARCHER, "read", "ImagingStudy", False),
        (NOBODY, "search", "ImagingStudy", False),
    ],
)
def test_a_grant_decides(actor: Actor, interaction: str, resource_type: str, allowed: bool) -> None:
    async def ask() -> None:
        context, access = Context(actor, "test"), AccessPoint()
        predicate = await access.constrain(context, interaction, resource_type)
        decision = await access.decide(context, interaction, resource_type, {})
        assert predicate == (EVERYTHING if allowed else NOTHING)
        assert decision.allowed is allowed is matches(predicate, {})
        assert decision.reason

    asyncio.run(ask())
