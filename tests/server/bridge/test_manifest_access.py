"""A manifest is seen by who may see its whole study, few studies or many asked about."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from server.bridge.manifest_access import ManifestAccess
from server.kernel.context import Context, Grant
from server.kernel.offload import Offload
from server.kernel.trail import Trail
from server.xds.visibility import Sight
from storage.sqlite.records import SqliteRecords
from tests.contract.imaging_samples import clinician, consent, deny, image, patient, permit, server
from tests.contract.imaging_world import ImagingWorld

OPEN, SECRET, IN_PART, GONE, NEVER = "1.2.1", "1.2.2", "1.2.3", "1.2.4", "1.2.5"
ALL = (OPEN, SECRET, IN_PART, GONE, NEVER)


class Site:
    """One archive with studies of each kind, and what doctors may see of them."""

    def __init__(self, runner: asyncio.Runner, folder: Path) -> None:
        self.runner, self.offload = runner, Offload()
        self.records = SqliteRecords(folder / "records.sqlite", self.offload)
        self.world = ImagingWorld(self.records, folder, self.offload)
        self.access = ManifestAccess(self.records, self.world.access, self.world.imaging)
        runner.run(self._fill())

    async def _fill(self) -> None:
        world = self.world
        await world.prepare()
        await world.put(patient("p", "P"))
        files = [image("P", study, f"{study}.{number}") for study in ALL[:4] for number in (1, 2)]
        await world.store(*files)
        await world.label(SECRET, "R", "PSY")
        await world.label(IN_PART, "R", "PSY", series=f"{IN_PART}.2")
        await world.ask(server(), "DELETE", f"/studies/{GONE}")
        await world.bridge.drain()
        await world.put(consent("c", "p", permit(), deny("PSY")))

    def sight(self, who: Context, *studies: str) -> Sight:
        return self.runner.run(self.access.sight(who, studies))

    def close(self) -> None:
        self.runner.run(self.records.close())
        self.offload.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with asyncio.Runner() as runner:
        made = Site(runner, tmp_path_factory.mktemp("site"))
        yield made
        made.close()


@pytest.mark.parametrize("few", [0, 100], ids=["together", "singly"])
def test_what_may_not_be_seen_whole_is_hidden(site: Site, few: int) -> None:
    found = site.runner.run(replace(site.access, few=few).sight(clinician(), ALL))

    assert found == Sight(frozenset({SECRET, IN_PART}), frozenset({GONE, NEVER}))
    assert site.sight(clinician(), OPEN) == Sight()
    assert site.sight(server(), *ALL) == Sight(unknown=frozenset({GONE, NEVER}))


def test_who_has_no_right_to_images_sees_no_manifest_of_what_is_here(site: Site) -> None:
    reader = clinician("b", "radiologist", Grant(frozenset({"search"}), frozenset({"DocumentReference"})))

    assert site.sight(reader, *ALL) == Sight(frozenset({OPEN, SECRET, IN_PART}), frozenset({GONE, NEVER}))
    assert not site.runner.run(site.access.is_unlimited(reader))
    assert not site.runner.run(site.access.is_unlimited(clinician()))
    assert site.runner.run(site.access.is_unlimited(server()))


def test_asking_is_no_act_of_its_own(site: Site) -> None:
    trail = Trail()
    asking = clinician()
    site.sight(Context(asking.actor, "test", trail=trail), SECRET)

    assert (trail.notes, trail.reason) == ([], "")
