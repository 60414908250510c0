"""Which Subscription resources may be stored at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.fhir.json_form import Resource
from server.fhir.subscriptions.rules import SubscriptionRules
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.sqlite.records import SqliteRecords
from tests.server.fhir.small import Small, SmallValidation, patient


def subscription(**more: Any) -> Resource:
    channel = {"type": "rest-hook", "endpoint": "https://ward.example/"}
    return {
        "resourceType": "Subscription", "status": "requested", "criteria": "Patient?family=x", "channel": channel
    } | more  # fmt: skip


async def problems(folder: Path, *resources: Resource) -> list[Problem | None]:
    threads = Offload()
    records = SqliteRecords(folder / "records.sqlite", threads)
    try:
        small = Small(records, threads)
        return list(await SubscriptionRules(SmallValidation(), small.searcher).check_all(resources))
    finally:
        await records.close()
        threads.close()


@pytest.mark.anyio
async def test_what_can_be_served_passes_and_others_are_not_asked(tmp_path: Path) -> None:
    ok = (subscription(), subscription(criteria="Patient"), subscription(status="off", criteria="x"), patient())
    assert await problems(tmp_path, *ok) == [None] * 4
    [refused] = await problems(tmp_path, patient(gender="m"))
    assert refused is not None


@pytest.mark.parametrize(
    ("more", "location"),
    [
        ({"criteria": "/Patient?family=x"}, "Subscription.criteria"),
        ({"criteria": "Ward?x=1"}, "Subscription.criteria"),
        ({"criteria": "Patient?nonsense=1"}, "Subscription.criteria"),
        ({"criteria": "Patient?family"}, "Subscription.criteria"),
        ({"criteria": None}, "Subscription.criteria"),
        ({"channel": None}, "Subscription.channel.type"),
        ({"channel": {"type": "email"}}, "Subscription.channel.type"),
        ({"channel": {"type": "rest-hook"}}, "Subscription.channel.endpoint"),
        ({"channel": {"type": "rest-hook", "endpoint": "http://[x/"}}, "Subscription.channel.endpoint"),
        ({"status": "active", "criteria": "x"}, "Subscription.criteria"),
    ],
)
@pytest.mark.anyio
async def test_what_cannot_be_served_is_unprocessable(tmp_path: Path, more: Resource, location: str) -> None:
    [problem] = await problems(tmp_path, subscription(**more))
    assert problem is not None
    assert (problem.kind, problem.issues[0].location) == (Kind.UNSUPPORTED, location)
