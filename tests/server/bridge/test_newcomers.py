"""Many new studies in one transaction come out as one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from server.archive.outbox import OUTBOX, announcement
from server.bridge import newcomers
from server.bridge.imaging_study import resource_id
from server.bridge.memo import memos
from server.bridge.newcomers import Newcomers
from server.kernel.context import Context
from server.kernel.problem import Problem
from storage.ports import Record
from storage.query import EVERYTHING
from tests.server.bridge.clinical import CONTEXT, Clinical, incoming, run
from tests.server.bridge.images import image

UIDS = [f"1.2.{number}" for number in range(10, 16)]


async def stored(clinical: Clinical, *files: bytes) -> None:
    for outcome in await clinical.store.store(CONTEXT, incoming(files)):
        assert outcome.failure is None, outcome.failure


async def state(clinical: Clinical) -> tuple[list[Any], list[Any], Any]:
    """Studies and patients without what differs from run to run, and the memos."""
    patients = await clinical.find("Patient", name="wang")
    named = {f"Patient/{each['id']}": each["identifier"][0]["value"] for each in patients}
    studies = [await clinical.get(f"ImagingStudy/{resource_id(uid)}") for uid in UIDS]
    for each in studies:
        each["subject"] = named[each["subject"]["reference"]]
    known = await memos(clinical.records, UIDS)
    patients.sort(key=lambda each: named[f"Patient/{each['id']}"])
    plain = [{key: value for key, value in each.items() if key not in ("meta", "id")} for each in patients]
    without_meta = [{key: value for key, value in each.items() if key != "meta"} for each in studies]
    return without_meta, plain, {uid: (memo.id, memo.revision != "") for uid, memo in known.items()}


def files() -> list[bytes]:
    """Six studies of three patients."""
    return [image(1, study=uid, PatientID=f"P{number % 3}") for number, uid in enumerate(UIDS)]


def test_together_they_become_what_each_alone_becomes(tmp_path: Path) -> None:
    found: list[Any] = []

    async def together(clinical: Clinical) -> None:
        await stored(clinical, *files())
        announced = (await clinical.records.find(OUTBOX, EVERYTHING, limit=100)).records
        assert await clinical.reconciler.welcome(announced) == set(UIDS)
        assert not (await clinical.records.find(OUTBOX, EVERYTHING, limit=1)).records
        found.append(await state(clinical))

    async def alone(clinical: Clinical) -> None:
        await stored(clinical, *files())
        for uid in UIDS:
            await clinical.reconciler.reconcile(uid)
        found.append(await state(clinical))

    run(tmp_path / "together", together)
    run(tmp_path / "alone", alone)
    assert len(found[0][1]) == 3
    assert found[0] == found[1]


def test_what_was_written_together_is_known_as_ours(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await stored(clinical, *files())
        await clinical.worker.drain()
        await clinical.send(image(2, study=UIDS[0], PatientID="P0", StudyDescription="corrected"))
        study = await clinical.get(f"ImagingStudy/{resource_id(UIDS[0])}")
        assert study["numberOfInstances"] == 2
        assert await clinical.version(f"ImagingStudy/{resource_id(UIDS[0])}") == 2
        assert await clinical.version(f"ImagingStudy/{resource_id(UIDS[1])}") == 1

    run(tmp_path, body)


def test_odd_ones_are_left_to_the_slower_way(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        twins = [{"resourceType": "Patient", "id": each, "identifier": [_number("P1")]} for each in ("a", "b")]
        await clinical.put(*twins)
        await stored(clinical, image(1, study=UIDS[0], PatientID="P0"), image(1, study=UIDS[1], PatientID="P1"))
        announced = (await clinical.records.find(OUTBOX, EVERYTHING, limit=100)).records
        assert await clinical.reconciler.welcome(announced) == {UIDS[0]}
        await clinical.worker.drain()
        left = await clinical.get(f"ImagingStudy/{resource_id(UIDS[1])}")
        assert left["subject"]["identifier"]["value"] == "P1"
        assert "reference" not in left["subject"]

    run(tmp_path, body)


def test_a_patient_who_is_known_is_not_made_again(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put({"resourceType": "Patient", "id": "here", "identifier": [_number("P0")]})
        await stored(clinical, *files())
        await clinical.worker.drain()
        assert len(await clinical.find("Patient", identifier="P0,P1,P2")) == 3
        study = await clinical.get(f"ImagingStudy/{resource_id(UIDS[0])}")
        assert study["subject"]["reference"] == "Patient/here"

    run(tmp_path, body)


def test_no_more_instances_are_held_together_than_is_wise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "_MOST_INSTANCES", 2)

    async def body(clinical: Clinical) -> None:
        await stored(clinical, *files())
        announced = (await clinical.records.find(OUTBOX, EVERYTHING, limit=100)).records
        assert len(await clinical.reconciler.welcome(announced)) == 2
        await clinical.worker.drain()
        assert len(await memos(clinical.records, UIDS)) == len(UIDS)

    run(tmp_path, body)


def test_a_fault_with_many_leaves_each_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr(newcomers, "_beside", fails)

    async def body(clinical: Clinical) -> None:
        await stored(clinical, *files())
        await clinical.worker.drain()
        assert len(await memos(clinical.records, UIDS)) == len(UIDS)
        assert not (await clinical.records.find(OUTBOX, EVERYTHING, limit=1)).records

    run(tmp_path, body)


def test_a_study_that_changes_meanwhile_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    async def body(clinical: Clinical) -> None:
        class Between(Newcomers):
            async def write(self, context: Context, some: Sequence[Record], endpoint: str) -> set[str]:
                sizes.append(len(some))
                if len(sizes) == 1:
                    await clinical.records.commit([announcement(UIDS[2])])
                return await super().write(context, some, endpoint)

        newcomers = clinical.newcomers
        made = Between(*(getattr(newcomers, each.name) for each in fields(newcomers)))
        monkeypatch.setattr(clinical.reconciler, "_newcomers", made)
        await stored(clinical, *files())
        assert await clinical.worker.drain() == 7
        assert sizes == [6, 5, 1]
        assert len(await memos(clinical.records, UIDS)) == len(UIDS)

    run(tmp_path, body)


def test_a_patient_whom_somebody_makes_meanwhile_is_not_made_a_second_time(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        class Between:
            tries = 0

            async def run(self, *args: Any, **more: Any) -> Any:
                self.tries += 1
                criteria = f"identifier={_number('P1')['system']}|P1"
                made = {"resourceType": "Patient", "identifier": [_number("P1")]}
                await clinical.repository.create(CONTEXT, "Patient", made, criteria)
                return await clinical.newcomers.transactions.run(*args, **more)

        await stored(clinical, *files())
        announced = (await clinical.records.find(OUTBOX, EVERYTHING, limit=100)).records
        between = Between()
        with pytest.raises(Problem):
            await replace(clinical.newcomers, transactions=between).write(  # type: ignore[arg-type]
                CONTEXT, announced, "Endpoint/dicomweb"
            )
        assert (between.tries, await memos(clinical.records, UIDS)) == (1, {})
        await clinical.worker.drain()
        assert len(await clinical.find("Patient", identifier="P0,P1,P2")) == 3
        assert len(await memos(clinical.records, UIDS)) == len(UIDS)

    run(tmp_path, body)


def _number(value: str) -> dict[str, str]:
    return {"system": "http://weft.health/fhir/sid/patient-id", "value": value}
