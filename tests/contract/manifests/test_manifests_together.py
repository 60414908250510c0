"""Studies that come or grow together: published in one commit, whatever comes between."""

from __future__ import annotations

import asyncio

import pytest

from server.bridge.announced import WAITING
from server.bridge.manifest_announcing import OUTBOX
from server.bridge.manifest_worker import LEASE
from server.bridge.manifests import CONTEXT
from server.dicom.key_objects import KEY_OBJECT_SELECTION, dataset_of
from server.dicom.key_objects_checks import check_manifest
from server.dicom.key_objects_writing import build
from server.xds.vocabulary import RPLC
from storage.errors import StoreUnavailable
from storage.ports import Put
from tests.contract.manifest_world import ManifestWorld
from tests.contract.manifests.interruptions import Announcing, Between, Gone, Together
from tests.contract.manifests.opened import Opened
from tests.data.small_files import instance_file


def test_studies_that_come_together_are_published_in_one_commit_each_by_a_submission_of_its_own(opened: Opened) -> None:
    world, studies = opened.world, [f"{opened.study}.{number}" for number in range(7)]

    async def body() -> None:
        await world.publish()
        await world.store(
            *(opened.sent(1, study=each, patient=f"{each}P") for each in studies[:5]),
            opened.sent(1, study=studies[5], patient=f"{studies[0]}P"),
            instance_file(studies[6], uid=f"{studies[6]}.1", sop_class=KEY_OBJECT_SELECTION, modality="KO"),
            *(opened.sent(number, study=studies[1], patient=f"{studies[1]}P") for number in (3, 2)),
        )
        counting = Together(world.documents, world.together)
        assert await counting.worker(world).drain() == 7
        assert (counting.together, counting.alone) == ([6], [])
        found = [await world.entries(each) for each in studies]
        assert [len(each) for each in found] == [1, 1, 1, 1, 1, 1, 0]
        manifests = [await world.manifest(entry) for (entry,) in found[:6]]
        assert [(each.study_instance_uid, each.count) for each in manifests] == [
            (each, 3 if each == studies[1] else 1) for each in studies[:6]
        ]
        for each in manifests:
            assert [fault for fault in check_manifest(dataset_of(build(each))) if fault.is_error] == []
        sets = await world.shelf.associations_to([entry.id for (entry,) in found[:6]])
        assert len({each.object.source for each in sets}) == len(sets) == 6
        numbers = [entry.patient_id for (entry,) in found[:6]]
        assert (numbers[5], len(set(numbers))) == (numbers[0], 5)
        await world.records.commit([Put(OUTBOX, each, WAITING) for each in studies])
        assert await world.publish() == 7
        assert [await world.entries(each, "Approved", "Deprecated") for each in studies] == found

    opened.run(body())


def test_studies_that_grow_together_replace_their_manifests_in_one_commit(opened: Opened) -> None:
    world, studies = opened.world, [f"{opened.study}.{number}" for number in range(5)]

    async def body() -> None:
        await world.publish()
        await world.store(*(opened.sent(1, study=each, patient=f"{each}P") for each in studies))
        await world.publish()
        first = {each: (await world.entries(each))[0] for each in studies}
        await world.registry.deprecate(CONTEXT, [first[studies[3]].id])
        await world.store(*(opened.sent(2, study=each, patient=f"{each}P") for each in studies[:4]))
        await world.records.commit([Put(OUTBOX, studies[4], WAITING)])
        counting = Together(world.documents, world.together)
        assert await counting.worker(world).drain() == 5
        assert (counting.together, len(counting.alone)) == ([3], 1)
        second = {each: (await world.entries(each))[0] for each in studies}
        assert second[studies[4]] == first[studies[4]]
        for each in studies[:4]:
            assert (await world.manifest(second[each])).count == 2
            assert [old.id for old in await world.entries(each, "Deprecated")] == [first[each].id]
        replacing = await world.shelf.associations_from([each.id for each in second.values()], (RPLC,))
        assert {each.object.source: each.object.target for each in replacing} == {
            second[each].id: first[each].id for each in studies[:3]
        }
        assert await world.records.get(OUTBOX, studies) == []

    opened.run(body())


def test_a_study_that_changes_before_it_is_held_leaves_the_others_together(opened: Opened) -> None:
    world, studies = opened.world, [f"{opened.study}.{number}" for number in range(3)]

    async def body() -> None:
        await world.publish()
        await world.store(*(opened.sent(1, study=each, patient=f"{each}P") for each in studies))
        counting = Together(world.documents, world.together)
        worker = counting.worker(world)
        worker.records = Announcing(world.records, studies[0])
        assert await worker.drain() == 4
        assert (counting.together, len(counting.alone)) == ([2], 1)
        assert [len(await world.entries(each, "Approved", "Deprecated")) for each in studies] == [1, 1, 1]

    opened.run(body())


@pytest.mark.parametrize("what", ["announced", "published", "provided"])
def test_studies_that_come_together_are_published_one_by_one_where_somebody_comes_between(
    opened: Opened, what: str
) -> None:
    world = opened.world

    async def body() -> None:
        await world.publish()
        await world.store(opened.sent(1), opened.sent(1, study=opened.other, patient=f"Q{opened.number}"))
        others = Between(world, opened.study, what)
        counting = Together(world.documents, others)
        assert await counting.worker(world).drain() == (3 if what == "announced" else 2)
        assert counting.together == [2]
        assert len(counting.alone) == (1 if what == "published" else 2)
        for each in (opened.study, opened.other):
            assert len(await world.entries(each, "Approved", "Deprecated")) == 1
        assert await world.records.get(OUTBOX, [opened.study, opened.other]) == []

    opened.run(body())


def test_studies_whose_publishing_was_interrupted_are_published_when_their_lease_ends(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.publish()
        await world.store(opened.sent(1), opened.sent(1, study=opened.other, patient=f"Q{opened.number}"))
        with pytest.raises(StoreUnavailable):
            await Together(world.documents, Gone()).worker(world).drain()
        assert await world.publish() == 0
        world.clock.moment += LEASE
        assert await world.publish() == 2
        for each in (opened.study, opened.other):
            assert len(await world.entries(each, "Approved", "Deprecated")) == 1

    opened.run(body())


def test_two_processes_publish_studies_that_come_together_once(opened: Opened) -> None:
    world, studies = opened.world, [f"{opened.study}.{number}" for number in range(4)]

    async def body() -> None:
        await world.store(*(opened.sent(1, study=each, patient=f"{each}P") for each in studies))
        other = ManifestWorld(opened.archive.open(), opened.folder, world.offload)
        await asyncio.gather(world.publisher.drain(), other.publisher.drain())
        assert [len(await world.entries(each, "Approved", "Deprecated")) for each in studies] == [1, 1, 1, 1]

    opened.run(body())
