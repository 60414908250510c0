"""The consent decision table for documents (cases 48 to 51), asked through assertions on both stores.

What hides a document hides it from every transaction alike; the numbers are the table's.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from server.access.consent.policies import Policy
from server.fhir.json_form import decode
from server.fhir.stored import from_record
from server.kernel.context import INTERACTIONS, Actor, Context, Grant
from server.kernel.offload import Offload
from server.kernel.trail import Trail
from server.xds.bppc import Acknowledgements
from server.xds.metadata import Code
from storage.query import Equals
from tests.contract.asserted_world import CODES, GLN, AssertedWorld, asker, unique_ids
from tests.contract.conftest import Archive, opened_archive
from tests.contract.imaging_world import SERVER_CONTEXT
from tests.contract.manifest_world import COMMUNITY, asked_of
from tests.data.consents import TPO, consent, deny, permit
from tests.data.small_files import instance_file

T = TypeVar("T")
ORG_X = {"system": f"urn:oid:{CODES}", "value": "X-1"}
DR_A = AssertedWorld.holder("radiologist", "Practitioner/dr-a")


@dataclass
class Place:
    archive: Archive
    world: AssertedWorld
    strict: AssertedWorld
    """The same records where the custodian's policy is to deny."""
    numbers: Iterator[int] = field(default_factory=count)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.archive.run(work)

    def asker(self, **facts: str) -> str:
        return asker(next(self.numbers), **facts)


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("documents")
    with opened_archive(request, folder) as archive:
        made = _opened(archive, folder, archive.threads)
        archive.run(_staffed(made.world))
        archive.run(made.strict.prepare())
        yield made


def _opened(archive: Archive, folder: Path, offload: Offload) -> Place:
    records = archive.open()
    return Place(
        archive,
        AssertedWorld(records, folder, offload),
        AssertedWorld(records, folder, offload, Policy.DENY),
    )


async def _staffed(world: AssertedWorld) -> None:
    await world.prepare()
    await world.put(
        {"resourceType": "Organization", "id": "org-x", "name": "X", "identifier": [ORG_X]},
        *(
            {"resourceType": "Practitioner", "id": each, "identifier": [{"system": GLN, "value": each}]}
            for each in ("dr-a", "dr-b")
        ),
        {
            "resourceType": "Group", "id": "emergency", "type": "practitioner", "actual": True, "active": True,
            "member": [{"entity": {"reference": "Practitioner/dr-a"}}],
        },
    )  # fmt: skip


def test_case_48_a_query_leaves_out_what_is_labelled_otherwise(place: Place) -> None:
    world = place.world

    async def body() -> None:
        patient = await world.person("p48")
        normal, restricted = await world.document(patient), await world.document(patient, "R")
        assert unique_ids(await world.finds(place.asker(), patient)) == {normal, restricted}
        await world.put(consent(permit(TPO, labels=["N"]), "Patient/p48", id="c48"))
        found = await world.finds(place.asker(), patient)
        assert (unique_ids(found), found.status, found.errors) == ({normal}, "Success", [])
        references = await world.finds(place.asker(), patient, "ObjectRef")
        assert (len(list(references.body.iter("{*}ObjectRef"))), references.errors) == (1, [])
        assert await world.searches(DR_A, "Patient/p48") == {normal}

    place.run(body())


def test_case_49_a_retrieval_gives_the_others_and_says_no_more_than_of_what_is_not_there(place: Place) -> None:
    world = place.world

    async def body() -> None:
        patient = await world.person("p49")
        normal, restricted = await world.document(patient), await world.document(patient, "R")
        await world.put(consent(permit(TPO, labels=["N"]), "Patient/p49", id="c49"))
        for across in (False, True):
            got = await world.gets(place.asker(), normal, restricted, across=across)
            absent = await world.gets(place.asker(), normal, "1.2.3.404", across=across)
            assert (set(got.documents), got.status) == ({normal}, "PartialSuccess")
            assert (got.errors, got.status) == (absent.errors, absent.status)
        world.log.taken()
        await world.gets(place.asker(), normal, restricted)
        assert [(each.subtype, each.outcome) for each in world.log.taken()][:2] == [("ITI-43", 4), ("ITI-43", 0)]

    place.run(body())


SYSTEM = Context(Actor("s", "source", (Grant(INTERACTIONS),), frozenset({"system"})), "r", trail=Trail())
NURSE = Context(Actor("n", "nurse", (Grant(INTERACTIONS),), frozenset({"nurse"}), user="n"), "r", trail=Trail())
SIGNED: dict[str, Any] = {
    "format_code": Code("urn:ihe:iti:bppc-sd:2007", "1.3.6.1.4.1.19376.1.2.3"),
    "event_codes": (Code("1.2.3.4.5.6", "our policies"),),
    "service_start_time": "20200101",
    "service_stop_time": "",
}


def test_case_50_a_signature_under_a_policy_is_a_consent_in_every_dialect(place: Place) -> None:
    strict = place.strict

    async def body() -> None:
        patient = await strict.person("p50")
        document = await strict.document(patient)
        assert unique_ids(await strict.finds(place.asker(), patient)) == set()
        assert await strict.searches(DR_A, "Patient/p50") == set()
        signature = await strict.document(patient, context=SYSTEM, **SIGNED)
        assert unique_ids(await strict.finds(place.asker(), patient)) == {document, signature}
        assert await strict.searches(DR_A, "Patient/p50") == {document, signature}
        [kept] = await consents(strict, "p50")
        assert kept["policy"] == [{"uri": "urn:oid:1.2.3.4.5.6"}]
        assert kept["provision"] == {"type": "permit", "period": {"start": "2020-01-01"}}
        [entry] = await strict.shelf.documents_named([signature])
        await strict.registry.deprecate(SERVER_CONTEXT, [entry.object.id])
        assert unique_ids(await strict.finds(place.asker(), patient)) == set()
        assert [each["status"] for each in await consents(strict, "p50")] == ["inactive"]

    place.run(body())


async def consents(world: AssertedWorld, patient: str) -> list[dict[str, Any]]:
    page = await world.records.find("fhir-Consent", Equals("@patient", f"Patient/{patient}"), limit=10)
    return [decode(from_record("Consent", each).body) for each in page.records]


def test_a_policy_that_means_to_deny_denies_and_who_may_not_consent_does_not(place: Place) -> None:
    world = place.world

    async def body() -> None:
        patient = await world.person("p50-out")
        document = await world.document(patient)
        by_nurse = await world.document(patient, context=NURSE, **SIGNED)
        assert await consents(world, "p50-out") == []
        committer = world.registry.committer
        object.__setattr__(committer, "acknowledgements", Acknowledgements({"1.2.3.4.5.6": Policy.DENY}))
        assert unique_ids(await world.finds(place.asker(), patient)) == {document, by_nurse}
        await world.document(patient, context=SYSTEM, **SIGNED)
        assert unique_ids(await world.finds(place.asker(), patient)) == set()

    place.run(body())


def test_case_51_break_glass_is_for_whom_the_patient_left_it(place: Place) -> None:
    world = place.world

    async def body() -> None:
        patient = await world.person("p51")
        normal, restricted = await world.document(patient), await world.document(patient, "R")
        nested = permit(["BTG"], labels=["R"], actors=["Group/emergency"])
        await world.put(consent(permit(TPO, labels=["N"], nested=[nested]), "Patient/p51", id="c51"))
        world.log.taken()
        allowed = await world.finds(place.asker(purpose="BTG"), patient)
        assert unique_ids(allowed) == {normal, restricted}
        assert [(each.subtype, each.outcome, each.purpose) for each in world.log.taken()][:2] == [
            ("110127", 0, "BTG"), ("ITI-18", 0, "BTG"),
        ]  # fmt: skip
        for facts in ({"person": "dr-b"}, {"role": "patient"}):
            refused = await world.finds(place.asker(purpose="BTG", **facts), patient)
            assert refused.http == 400
            assert unique_ids(refused) == set()
            assert [(each.subtype, each.outcome) for each in world.log.taken()][:1] == [("110127", 4)]
        assert unique_ids(await world.finds(place.asker(person="dr-b"), patient)) == {normal}

    place.run(body())


def image(study: str, patient: str) -> bytes:
    more: dict[int, tuple[str, str | bytes]] = {
        0x00080050: ("SH", study), 0x00100010: ("PN", "Wang^Jianguo"), 0x00100020: ("LO", patient),
    }  # fmt: skip
    return instance_file(study, f"{study}.1", f"{study}.1.1", more=more)


@pytest.mark.parametrize("by", ["reference", "identifier"])
def test_an_organization_that_is_denied_sees_nothing_over_any_transaction(place: Place, by: str) -> None:
    """By an Organization here that carries the asserted identifier, and by the identifier of one that is not here."""
    world, strange = place.world, {"system": f"urn:oid:{CODES}", "value": "elsewhere"}
    is_here = by == "reference"
    code, named = ("X-1", {"reference": "Organization/org-x"}) if is_here else ("elsewhere", {"identifier": strange})
    study = f"1.2.840.{len(by)}"

    async def body() -> None:
        await world.store(image(study, f"image-{by}"))
        await world.publish()
        [manifest] = await world.entries(study)
        reference = await world.subject_of(study)
        patient = await world.number(reference)
        document = await world.document(patient)
        asked = asked_of(await world.manifest(manifest), COMMUNITY.home)
        both = {document, manifest.unique_id}
        refusing = consent(permit(TPO), reference, id=f"c-{study}")
        barred = deny(TPO, actors=["?"])
        barred["actor"][0]["reference"] = named
        refusing["provision"]["provision"] = [barred]
        await world.put(refusing)

        async def seen(organization: str) -> list[set[str]]:
            def who() -> str:
                return place.asker(organization=organization)

            actor = world.holder("radiologist", organizations=[f"urn:oid:{CODES}|{organization}"])
            return [
                unique_ids(await world.finds(who(), patient)),
                unique_ids(await world.finds(who(), patient, across=True)),
                set((await world.gets(who(), *both)).documents),
                set((await world.gets(who(), *both, across=True)).documents),
                await world.searches(actor, reference),
                set((await world.images(who(), asked)).documents),
                set((await world.images(who(), asked, across=True)).documents),
            ]

        images = {each.sop_instance_uid for each in asked}
        assert await seen("somebody else") == [both, both, both, both, both, images, images]
        assert await seen(code) == [set()] * 7

    place.run(body())
