"""Over FHIR a manifest is seen by who may see its whole study too, also one made before a series of it was labelled."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from server.bridge.imaging_study import resource_id
from server.bridge.manifest_rights import ManifestRights
from server.fhir.json_form import decode
from server.fhir.search.request import SearchRequest
from server.kernel.context import Context, Grant
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.query import EVERYTHING
from tests.contract.conftest import Archive, opened_archive
from tests.contract.imaging_samples import ALL, by, clinician, consent, deny, image, patient, permit, person
from tests.contract.imaging_world import SERVER_CONTEXT
from tests.contract.manifest_world import ManifestWorld

T = TypeVar("T")


@dataclass
class Opened:
    archive: Archive
    world: ManifestWorld
    number: int

    @property
    def patient(self) -> str:
        return f"p{self.number}"

    @property
    def study(self) -> str:
        return f"1.2.841.{self.number}.1"

    @property
    def other(self) -> str:
        return f"1.2.841.{self.number}.2"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.archive.run(work)

    async def fill(self) -> None:
        """Two studies of one patient, each of two series, and their manifests."""
        world, number = self.world, f"P{self.number}"
        await world.put(patient(self.patient, number))
        studies = (self.study, self.other)
        await world.store(*(image(number, each, f"{each}.{series}") for each in studies for series in (1, 2)))
        await world.publish()

    async def found(self, who: Context) -> dict[str, list[str]]:
        """ITI-67: ids of what is found by the study it lists."""
        request = SearchRequest("DocumentReference", (("patient", f"Patient/{self.patient}"),), strict=True)
        by_study: dict[str, list[str]] = {}
        for each in (await self.world.searcher.search(who, request)).matches:
            related = decode(each.body)["context"]["related"]
            [study] = [one["identifier"]["value"] for one in related if one.get("type") == "ImagingStudy"]
            by_study.setdefault(study.removeprefix("urn:oid:"), []).append(each.id)
        return by_study

    async def reads(self, who: Context, id_: str) -> bool:
        """By read and by vread alike."""
        repository, found = self.world.repository, set()
        for work in (repository.read, partial(repository.vread, version="1")):
            try:
                await work(who, "DocumentReference", id_)
            except Problem as problem:
                found.add(problem.kind)
            else:
                found.add(None)
        assert found in ({None}, {Kind.NOT_FOUND})
        return found == {None}


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Archive, ManifestWorld]]:
    folder, offload = Path(tmp_path_factory.mktemp("rights")), Offload()
    with opened_archive(request, folder) as archive:
        world = ManifestWorld(archive.open(), folder, offload)
        archive.run(world.prepare())
        yield archive, world
    offload.close()


@pytest.fixture
def opened(place: tuple[Archive, ManifestWorld]) -> Opened:
    made = Opened(*place, next(_NUMBERS))
    made.run(made.fill())
    return made


_NUMBERS = count(1)


def test_a_superseded_manifest_is_hidden_with_a_series_labelled_later(opened: Opened) -> None:
    world, everyone = opened.world, clinician()
    own = person(opened.patient, Grant(ALL, patient=opened.patient))

    async def body() -> None:
        for who in (everyone, own, SERVER_CONTEXT):
            assert set(await opened.found(who)) == {opened.study, opened.other}
        await world.label(opened.study, "V", series=f"{opened.study}.2")
        await world.publish()
        kept = await opened.found(SERVER_CONTEXT)
        assert len(kept[opened.study]) == 2
        assert await opened.found(everyone) == {opened.other: kept[opened.other]}
        assert [await opened.reads(everyone, each) for each in kept[opened.study]] == [False, False]
        assert await opened.reads(everyone, kept[opened.other][0])
        await world.label(opened.study, series=f"{opened.study}.2")
        assert len((await opened.found(everyone))[opened.study]) == 1

    opened.run(body())


@pytest.mark.parametrize("whole", [True, False])
def test_consents_about_images_alone_hold_for_manifests(opened: Opened, *, whole: bool) -> None:
    """By name for the study, or for a label that only one of its series bears."""
    world, everyone = opened.world, clinician()
    own = person(opened.patient, Grant(ALL, patient=opened.patient))

    async def body() -> None:
        named = f"ImagingStudy/{resource_id(opened.study)}"
        barred = deny(data=[{"meaning": "instance", "reference": {"reference": named}}]) if whole else deny("PSY")
        if not whole:
            await world.label(opened.study, "N", "PSY", series=f"{opened.study}.2")
        await world.put(consent(f"c{opened.number}", opened.patient, permit(), barred))
        assert set(await opened.found(everyone)) == {opened.other}
        assert set(await opened.found(own)) == {opened.study, opened.other}
        barred["actor"] = by(f"Patient/{opened.patient}")
        await world.put(consent(f"c{opened.number}", opened.patient, permit(), barred))
        assert set(await opened.found(own)) == {opened.other}

    opened.run(body())


def test_a_manifest_goes_with_its_study_for_who_is_limited(opened: Opened) -> None:
    world = opened.world
    own = person(opened.patient, Grant(ALL, patient=opened.patient))

    async def body() -> None:
        [gone] = (await opened.found(clinician()))[opened.study]
        await world.ask(SERVER_CONTEXT, "DELETE", f"/studies/{opened.study}")
        await world.publish()
        assert (await opened.found(SERVER_CONTEXT))[opened.study] == [gone]
        for who in (clinician(), own):
            assert set(await opened.found(who)) == {opened.other}
            assert not await opened.reads(who, gone)

    opened.run(body())


def test_where_it_cannot_be_told_no_manifest_is_shown(opened: Opened) -> None:
    world = opened.world
    own = person(opened.patient, Grant(ALL, patient=opened.patient))
    reader = clinician("r", "radiologist", Grant(frozenset({"search", "read"}), frozenset({"DocumentReference"})))

    async def body() -> None:
        rights = world.access.manifests
        assert isinstance(rights, ManifestRights)
        assert await rights.narrowed(SERVER_CONTEXT, EVERYTHING, EVERYTHING) == EVERYTHING
        assert await opened.found(reader) == {}
        world.access.manifests = replace(rights, most=1)
        try:
            assert await opened.found(own) == {}
        finally:
            world.access.manifests = rights

    opened.run(body())
