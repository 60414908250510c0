"""Which consents count, and what holds where none does: cases of the decision table by number.

They are asked over FHIR on both stores; what concerns DICOMweb alone is tried beside them (`test_imaging_consents`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from server.access.consent.policies import Site
from server.access.consent.rule import FLAWED, RULES
from server.access.consent.source import Consents
from server.kernel.clock import SystemClock
from storage.ports import Record, Records
from storage.query import Exists
from tests.contract.consent_world import CLERK, DR_A, KEEPER, World, person, the_patient
from tests.contract.consents.cases import ALL, Case, agreed, found, numbered, reads
from tests.data.consents import TPO, consent, deny, permit

CASES: dict[str, Case] = {}
case = numbered(CASES)


@case(1)
def _(world: World, name: str) -> None:
    agreed(world, name)
    assert reads(world, DR_A, f"Observation/{name}-n")


@case(2)
def _(world: World, name: str) -> None:
    agreed(world, name)
    basic = {"consent_policy": "basic-normal"}
    assert found(world, CLERK, name, purpose="HPAYMT", site=basic) == set()
    assert not reads(world, CLERK, f"Observation/{name}-n", purpose="HPAYMT", site=basic)
    assert found(world, CLERK, name, site=basic) == ALL


@case(3)
def _(world: World, name: str) -> None:
    agreed(world, name)
    urgent = {"consent_policy": "break-glass-only"}
    got = world.get(DR_A, f"Observation/{name}-n", site=urgent)
    assert got.status == 403
    assert "mergency" in got.json["issue"][0]["diagnostics"]
    other = world.get(person("technologist", "technologist"), f"Observation/{name}-n", site=urgent)
    assert other.status == 403
    assert b"mergency" not in other.body


@case(4)
def _(world: World, name: str) -> None:
    agreed(world, name)
    assert reads(world, DR_A, f"Observation/{name}-n", purpose="BTG", site={"consent_policy": "break-glass-only"})


@case(5)
def _(world: World, name: str) -> None:
    agreed(world, name)
    assert not reads(world, DR_A, f"Observation/{name}-n", purpose="BTG", site={"consent_policy": "deny"})
    assert found(world, DR_A, name, purpose="BTG", site={"consent_policy": "deny"}) == set()


@case(6)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO))
    assert reads(world, DR_A, f"Observation/{name}-n")
    assert reads(world, DR_A, f"Observation/{name}-n", site={"consent_policy": "deny"})
    assert found(world, DR_A, name, site={"consent_policy": "deny"}) == ALL


@case(8)
def _(world: World, name: str) -> None:
    agreed(world, name, deny(TPO))
    assert not reads(world, DR_A, f"Observation/{name}-n")
    assert not reads(world, DR_A, f"Patient/{name}")
    assert found(world, DR_A, name) == set()


@case(9)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, period={"end": "2025-01-01"}))
    assert reads(world, DR_A, f"Observation/{name}-n")
    assert not reads(world, DR_A, f"Observation/{name}-n", site={"consent_policy": "deny"})


@case(10)
def _(world: World, name: str) -> None:
    for status in ("inactive", "draft", "entered-in-error"):
        agreed(world, name, permit(TPO), status=status)
        assert reads(world, DR_A, f"Observation/{name}-n")
        assert not reads(world, DR_A, f"Observation/{name}-n", site={"consent_policy": "deny"})
        agreed(world, name, deny(TPO), status=status)
        assert reads(world, DR_A, f"Observation/{name}-n")


@case(31)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO), deny(["HPAYMT"]))
    assert found(world, CLERK, name, purpose="HPAYMT") == set()
    assert found(world, DR_A, name) == ALL


@case(32)
def _(world: World, name: str) -> None:
    elsewhere = [{"reference": "Organization/org-x"}]
    here = {"custodian": "Organization/here"}
    agreed(world, name, deny(TPO), organization=elsewhere)
    assert found(world, DR_A, name, site=here) == ALL
    assert found(world, DR_A, name, site={"custodian": "Organization/org-x"}) == set()
    agreed(world, name, permit(TPO), organization=elsewhere)
    assert found(world, DR_A, name, site=here | {"consent_policy": "deny"}) == set()


@case(33)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, nested=[permit(nested=[permit()])]))
    assert found(world, DR_A, name) == set()
    records = world.server().services.stores.records
    flawed = world.runner.run(records.find(RULES, Exists(FLAWED), limit=100))
    assert f"Consent/{name}-1" in {each.id for each in flawed.records}


@case(33, "-modifier")
def _(world: World, name: str) -> None:
    changed = [{"url": "https://extensions.example/not-known", "valueBoolean": True}]
    agreed(world, name, permit(TPO), modifierExtension=changed)
    assert found(world, DR_A, name) == set()
    assert found(world, the_patient(name), name) == ALL


@case(39)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO))
    other = {"consent_policy": "deny"}
    assert reads(world, DR_A, f"Observation/{name}-n", site=other)
    written = world.get(KEEPER, f"Consent/{name}-1").json
    assert world.ask(KEEPER, "PUT", f"/fhir/Consent/{name}-1", written | {"status": "inactive"}).status == 200
    assert not reads(world, DR_A, f"Observation/{name}-n", site=other)
    agreed(world, name, deny(TPO))
    assert not reads(world, DR_A, f"Observation/{name}-n")
    assert world.ask(KEEPER, "DELETE", f"/fhir/Consent/{name}-1").status in (200, 204)
    assert reads(world, DR_A, f"Observation/{name}-n")


@case(40)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO))
    first = world.get(DR_A, f"Observation?patient={name}&_sort=code&_count=2").json
    following = next(each["url"] for each in first["link"] if each["relation"] == "next").partition("/fhir")[2]
    world.put(consent(permit(TPO, nested=[deny(labels=["PSY"])]), f"Patient/{name}", id=f"{name}-1"))
    second = world.ask(DR_A, "GET", f"/fhir{following}")
    assert second.status == 200
    assert f"Observation/{name}-psy" not in second.names
    world.put(consent(deny(TPO), f"Patient/{name}", id=f"{name}-1"))
    assert world.ask(DR_A, "GET", f"/fhir{following}").names == set()


@case(55)
def _(world: World, name: str) -> None:
    agreed(world, name, deny(), deny(TPO, actors=["Organization/org-x"]))
    assert found(world, KEEPER, name, "Consent") == {"1", "2"}
    assert reads(world, KEEPER, f"Consent/{name}-1")
    assert found(world, DR_A, name, "Consent") == set()
    searches = (f"patient=Patient/{name}", f"patient.identifier=urn:mrn|{name}", f"patient={name}&status=active")
    by_form = {"content-type": "application/x-www-form-urlencoded"}
    for query in searches:
        posted = world.ask(KEEPER, "POST", "/fhir/Consent/_search", query.encode(), headers=by_form)
        assert world.get(KEEPER, f"Consent?{query}").names == posted.names
        assert posted.names == {f"Consent/{name}-1", f"Consent/{name}-2"}
    by_actor = world.get(KEEPER, f"Consent?actor=Organization/org-x&patient={name}")
    assert by_actor.names == {f"Consent/{name}-2"}


class Failing:
    """Records that cannot tell of consents."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    async def revision(self) -> int | None:
        return None

    async def get(self, collection: str, ids: Sequence[str]) -> list[Record]:
        raise TimeoutError


@case(56)
def _(world: World, name: str) -> None:
    agreed(world, name)
    faulty = {"consent_fault_roles": "radiologist"}
    server = world.server(**faulty)
    site = Site(emergency_roles=frozenset(("radiologist",)))
    failing: Any = Failing(server.services.stores.records)
    server.services.access.consents = Consents(failing, SystemClock(), site)
    got = world.get(DR_A, f"Observation/{name}-n", site=faulty)
    assert got.status == 403
    assert (bool(got.trail.reason), got.trail.hidden["fault"]) == (True, 1)
    assert not reads(world, CLERK, f"Observation/{name}-n", purpose="BTG", site=faulty)
    assert reads(world, DR_A, f"Observation/{name}-n", purpose="BTG", site=faulty)


@pytest.mark.parametrize("name", CASES)
def test_case(world: World, name: str) -> None:
    CASES[name](world, name)
