"""The consent decision table, case by case, asked over FHIR on both stores; the numbers are the table's.

What concerns DICOMweb alone is tried beside it (`test_imaging_cases`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from server.access.consent.policies import Site
from server.access.consent.rule import FLAWED, RULES
from server.access.consent.source import Consents
from server.access.roles import RADIOLOGIST
from server.documents import Documents
from server.fhir.export import exports as exporting
from server.fhir.redaction import INLINE_LABEL
from server.fhir.subscriptions.follower import Desk, Pace
from server.fhir.subscriptions.sending import Notification
from server.fhir.subscriptions.worker import SubscriptionWorker
from server.kernel.clock import SystemClock
from server.kernel.context import LOCAL_ACTOR, Actor, Context
from storage.ports import Record, Records
from storage.query import Exists
from tests.contract.conftest import opened_archive
from tests.contract.consent_world import (
    BACKEND,
    CLERK,
    DR_A,
    DR_B,
    HOST,
    KEEPER,
    RESEARCHING,
    World,
    observation,
    observations,
    opened_world,
    parent,
    patient,
    person,
    the_parent,
    the_patient,
    visit,
)
from tests.data.consents import TPO, consent, deny, label, permit
from tests.data.xds_objects import document, submission

Json = dict[str, Any]
Case = Callable[[World, str], None]
CASES: dict[str, Case] = {}
WHOLE = {"consent_purposes": "whole"}


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("consents")
    with opened_archive(request, folder) as archive, opened_world(folder, archive.url) as made:
        yield made


def case(number: int, variant: str = "") -> Callable[[Case], Case]:
    def register(work: Case) -> Case:
        CASES[f"case-{number}{variant}"] = work
        return work

    return register


def agreed(world: World, name: str, *roots: Json | None, data: Sequence[Json] = (), **others: Any) -> None:
    """A patient with the usual observations, these others, and a consent for each root."""
    consents = [
        consent(root, f"Patient/{name}", **{"id": f"{name}-{n}", **others}) for n, root in enumerate(roots, start=1)
    ]
    world.put(patient(name), *observations(name), *data, *consents)


def reads(world: World, actor: Actor, reference: str, **others: Any) -> bool:
    """Whether a read is answered; what is refused is refused without content."""
    got = world.get(actor, reference, **others)
    if got.status == 200:
        return True
    assert got.status in (403, 404), got.body
    assert got.json["issue"][0]["code"] in ("forbidden", "not-found")
    assert b"value of" not in got.body
    return False


def found(world: World, actor: Actor, name: str, resource_type: str = "Observation", **others: Any) -> set[str]:
    """The kinds a search for all of one patient finds; the total tells of no more."""
    got = world.get(actor, f"{resource_type}?patient={name}&_total=accurate", **others)
    assert got.status == 200, got.body
    kinds = {each["resource"]["id"].removeprefix(f"{name}-") for each in got.json.get("entry", ())}
    assert got.json["total"] == len(kinds)
    assert all(each["relation"] != "next" for each in got.json["link"])
    return kinds


ALL = {"n", "psy", "etoh", "22", "24"}


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


@case(7)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO))
    assert found(world, DR_A, name, purpose="HRESCH", site=WHOLE) == set()
    assert found(world, DR_A, name, purpose="HRESCH") == ALL
    assert found(world, DR_A, name, purpose="HRESCH", site={"consent_policy": "basic-normal"}) == set()


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


@case(11)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, actors=["Practitioner/dr-a"]))
    assert reads(world, DR_A, f"Observation/{name}-n")
    assert not reads(world, DR_B, f"Observation/{name}-n")


@case(12)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, actors=["Organization/org-x"]))
    assert reads(world, DR_B, f"Observation/{name}-n")
    assert not reads(world, DR_A, f"Observation/{name}-n")


@case(13)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, nested=[deny(actors=["Practitioner/dr-b"])]))
    assert found(world, DR_B, name) == set()
    assert found(world, DR_A, name) == ALL


@case(14)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(["HRESCH"]))
    assert found(world, RESEARCHING, name, purpose="CLINTRCH") == ALL
    assert found(world, RESEARCHING, name, purpose="HRESCH") == ALL


@case(15)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(["FooBar"], actors=["Organization/research-org"]))
    member = person("member", "technologist", "PractitionerRole/research")
    assert found(world, member, name, purpose="FooBar", site=WHOLE) == ALL
    assert found(world, member, name, site=WHOLE) == set()
    assert found(world, DR_A, name, purpose="FooBar", site=WHOLE) == set()


@case(16)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, within=("2022", "2022")))
    assert found(world, DR_A, name) == {"22"}
    assert not reads(world, DR_A, f"Observation/{name}-24")


@case(17)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, nested=[deny(within=("2022", "2022"))]))
    assert found(world, DR_A, name) == ALL - {"22"}
    assert not reads(world, DR_A, f"Observation/{name}-22")


@case(18)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, data=[("instance", f"Observation/{name}-n")]))
    assert found(world, DR_A, name) == {"n"}
    assert not reads(world, DR_A, f"Observation/{name}-24")


@case(19)
def _(world: World, name: str) -> None:
    summary = report(name, f"{name}-n", f"{name}-24")
    agreed(world, name, permit(TPO, nested=[deny(data=[("instance", f"Observation/{name}-n")])]), data=[summary])
    got = world.get(DR_A, f"Patient/{name}/$everything")
    assert got.status == 200
    assert f"Observation/{name}-n" not in got.names
    assert {f"Observation/{name}-24", f"DiagnosticReport/{name}-report"} <= got.names
    assert f"{name}-n".encode() not in got.body
    assert b"shown of" not in got.body.replace(f"shown of {name}-24".encode(), b"")


def report(name: str, *results: str, **others: Any) -> Json:
    made = {
        "resourceType": "DiagnosticReport",
        "id": f"{name}-report",
        "meta": {"security": [label("N")]},
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">all of it</div>'},
        "status": "final",
        "code": {"text": "summary"},
        "subject": {"reference": f"Patient/{name}"},
        "effectiveDateTime": "2024-06-01",
        "result": [{"reference": f"Observation/{each}", "display": f"shown of {each}"} for each in results],
    }
    return made | others


def by_author(name: str) -> list[Json]:
    return [observation(name, "by-b", "N", by="dr-b"), observation(name, "by-none", "N", by=None)]


@case(20)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, data=[("authoredby", "Practitioner/dr-a")]), data=by_author(name))
    assert found(world, DR_A, name) == ALL


@case(21)
def _(world: World, name: str) -> None:
    root = permit(TPO, nested=[deny(data=[("authoredby", "Practitioner/dr-a")])])
    agreed(world, name, root, data=by_author(name))
    assert found(world, DR_A, name) == {"by-b"}
    assert reads(world, DR_A, f"Patient/{name}")


@case(21, "-by-role")
def _(world: World, name: str) -> None:
    root = permit(TPO, nested=[deny(data=[("authoredby", "Practitioner/dr-b")])])
    made = observation(name, "by-role", "N") | {"performer": [{"reference": "PractitionerRole/b-at-x"}]}
    later = observation(name, "by-new", "N") | {"performer": [{"reference": f"PractitionerRole/{name}-new"}]}
    agreed(world, name, root, data=[made, later])
    assert found(world, DR_A, name) == ALL | {"by-new"}
    practitioner = {"reference": "Practitioner/dr-b"}
    world.put({"resourceType": "PractitionerRole", "id": f"{name}-new", "practitioner": practitioner})
    assert found(world, DR_A, name) == ALL
    assert not reads(world, DR_A, f"Observation/{name}-by-role")


@case(35, "-by-url-or-identifier")
def _(world: World, name: str) -> None:
    numbers = {kind: {"system": "urn:numbers", "value": f"{name}-{kind}"} for kind in ("psy", "n")}
    data = [observation(name, kind, *labels) for kind, labels in (("psy", ("R", "PSY")), ("n", ("N",)))]
    for each, number in zip(data, numbers.values(), strict=True):
        each["identifier"] = [number]
    urls = [f"http://{HOST}/fhir/Observation/{name}-{kind}" for kind in numbers]
    summary = report(name) | {
        "presentedForm": [{"url": each, "title": "shown"} for each in urls],
        "result": [{"identifier": number, "display": "shown"} for number in numbers.values()],
        "basedOn": [{"type": "ServiceRequest", "identifier": numbers["psy"]}],
        "extension": [{"url": "urn:x", "valueUri": each} for each in urls],
    }
    agreed(world, name, WITHOUT_PSY)
    world.put(*data, summary)
    shown = world.get(DR_A, f"DiagnosticReport/{name}-report")
    assert f"Observation/{name}-psy".encode() not in shown.body
    assert [each["url"] for each in shown.json["presentedForm"]] == [urls[1]]
    assert [each["identifier"] for each in shown.json["result"]] == [numbers["n"]]
    assert [each["valueUri"] for each in shown.json["extension"]] == [urls[1]]
    assert shown.json["basedOn"], "a request of that number is not hidden, and not there"


def without_visit(name: str) -> Json:
    return permit(TPO, nested=[deny(data=[("related", f"Encounter/{name}-enc1")])])


@case(22)
def _(world: World, name: str) -> None:
    agreed(world, name, without_visit(name), data=visit(name))
    got = world.get(DR_A, f"Condition?patient={name}&_include=Condition:encounter")
    assert got.names == set()
    for resource_type in ("Encounter", "Condition", "DiagnosticReport", "ImagingStudy"):
        assert found(world, DR_A, name, resource_type) == set()
    assert found(world, DR_A, name) == ALL
    assert not reads(world, DR_A, f"Encounter/{name}-enc1")


@case(23)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, labels=["N"]))
    assert found(world, DR_A, name) == ALL - {"psy", "etoh"}


@case(24)
def _(world: World, name: str) -> None:
    # Roles that see what is very restricted at all do so in an emergency.
    agreed(world, name, permit(TPO, labels=["N", "R"]), data=[observation(name, "v", "V")])
    assert found(world, DR_A, name, purpose="BTG") == ALL


@case(25)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, labels=["N"], nested=[permit(labels=["R"], actors=["Practitioner/dr-a"])]))
    assert reads(world, DR_A, f"Observation/{name}-psy")
    assert not reads(world, DR_B, f"Observation/{name}-psy")
    assert reads(world, DR_B, f"Observation/{name}-n")


@case(26)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, labels=["N"], nested=[permit(labels=["PSY"], actors=["Practitioner/dr-a"])]))
    assert found(world, DR_A, name) == ALL - {"etoh"}


@case(27)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, nested=[deny(labels=["ETH"])]))
    assert not reads(world, DR_A, f"Observation/{name}-etoh")
    assert found(world, DR_A, name) == ALL - {"etoh"}


def focused(purposes: Sequence[str] | None = TPO) -> Json:
    urgent = permit(["BTG"], labels=["R"], actors=["Group/emergency"])
    return permit(purposes, labels=["N"], nested=[urgent])


@case(28)
def _(world: World, name: str) -> None:
    agreed(world, name, focused())
    assert not reads(world, DR_A, f"Observation/{name}-psy")
    assert reads(world, DR_A, f"Observation/{name}-psy", purpose="BTG")
    assert found(world, DR_A, name, purpose="BTG") == ALL


@case(29)
def _(world: World, name: str) -> None:
    agreed(world, name, focused())
    assert not reads(world, DR_B, f"Observation/{name}-psy", purpose="BTG")
    assert found(world, DR_B, name, purpose="BTG") == ALL - {"psy", "etoh"}


@case(30)
def _(world: World, name: str) -> None:
    agreed(world, name, deny(nested=[permit(["BTG"], actors=["Group/emergency"])]))
    assert found(world, DR_A, name, purpose="BTG") == ALL
    assert found(world, DR_A, name) == set()
    assert found(world, DR_B, name, purpose="BTG") == set()


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


WITHOUT_PSY = permit(TPO, nested=[deny(labels=["PSY"])])


@case(34)
def _(world: World, name: str) -> None:
    agreed(world, name, WITHOUT_PSY, data=[report(name, f"{name}-psy", f"{name}-n")])
    code = "urn:codes|psy"
    assert world.get(DR_A, f"Observation?patient={name}&code={code}&_summary=count").json["total"] == 0
    for query in (
        f"Observation?patient={name}&code={code}&_total=accurate",
        f"Observation?_id={name}-psy&_total=accurate&_sort=-date",
        f"Patient?_id={name}&_has:Observation:patient:code={code}&_total=accurate",
        f"DiagnosticReport?patient={name}&result.code={code}&_total=accurate",
    ):
        got = world.get(DR_A, query)
        assert (got.status, got.names, got.json.get("total")) == (200, set(), 0), query
    back = world.get(DR_A, f"Patient?_id={name}&_revinclude=Observation:patient")
    assert f"Observation/{name}-psy" not in back.names
    assert f"Observation/{name}-n" in back.names
    forth = world.get(DR_A, f"DiagnosticReport?patient={name}&_include=DiagnosticReport:result")
    assert f"Observation/{name}-psy" not in forth.names
    ordered = world.get(DR_A, f"Observation?patient={name}&_sort=code&_count=2")
    assert len(ordered.json["entry"]) == 2
    assert ordered.json.get("total") in (None, 4)


def secret_report(name: str) -> Json:
    # What is contained has no labels of its own (dom-5), but may have one inline.
    inline = [{"url": INLINE_LABEL, "valueCoding": label("PSY")}]
    within = observation(name, "psy") | {"id": "within", "extension": inline}
    harmless = observation(name, "n") | {"id": "harmless"}
    made = report(name, f"{name}-psy", f"{name}-n", contained=[within, harmless])
    made["result"] += [{"reference": "#within", "display": "within"}, {"reference": "#harmless"}]
    return made


@case(35)
def _(world: World, name: str) -> None:
    agreed(world, name, WITHOUT_PSY, data=[secret_report(name)])
    whole = world.get(the_patient(name), f"DiagnosticReport/{name}-report").json
    assert len(whole["contained"]) == 2
    for path in (
        f"DiagnosticReport/{name}-report",
        f"DiagnosticReport/{name}-report/_history/1",
        f"DiagnosticReport?patient={name}",
        f"DiagnosticReport/{name}-report/_history",
        f"Patient/{name}/$everything?_type=DiagnosticReport",
    ):
        got = world.get(DR_A, path)
        assert got.status == 200, path
        assert b"psy" not in got.body, path
        bundled = "entry" in got.json
        shown = next(e["resource"] for e in got.json["entry"] if "result" in e["resource"]) if bundled else got.json
        assert [each["id"] for each in shown["contained"]] == ["harmless"]
        assert [each["reference"] for each in shown["result"]] == [f"Observation/{name}-n", "#harmless"]
        assert "text" not in shown
        assert "REDACTED" in {each["code"] for each in shown["meta"]["security"]}
        assert "SUBSETTED" in {each["code"] for each in shown["meta"]["tag"]}


@case(36)
def _(world: World, name: str) -> None:
    agreed(world, name, WITHOUT_PSY, data=[secret_report(name)])
    path = f"DiagnosticReport/{name}-report"
    seen = world.get(DR_A, path).json
    for method, body, headers in (
        ("PUT", seen | {"status": "amended"}, {}),
        (
            "PATCH",
            [{"op": "replace", "path": "/status", "value": "amended"}],
            {"content-type": "application/json-patch+json"},
        ),
    ):
        got = world.ask(DR_A, method, f"/fhir/{path}", body, headers=headers)
        assert got.status in (409, 412), got.body
    entry = {"request": {"method": "PUT", "url": path}, "resource": seen | {"status": "amended"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert world.ask(DR_A, "POST", "/fhir", bundle).status in (409, 412)
    whole = world.get(the_patient(name), path).json
    assert (whole["status"], len(whole["contained"]), len(whole["result"])) == ("final", 2, 4)


@case(37)
def _(world: World, name: str) -> None:
    agreed(world, name, WITHOUT_PSY)
    made = observation(name, "new", "R", "PSY")
    del made["id"]
    asked = {"prefer": "return=representation"}
    got = world.ask(DR_B, "POST", "/fhir/Observation", made, headers=asked)
    assert got.status == 201
    assert b"value of" not in got.body
    placed = world.ask(DR_B, "PUT", f"/fhir/Observation/{name}-put", made | {"id": f"{name}-put"}, headers=asked)
    assert placed.status == 201
    assert b"value of" not in placed.body
    entry = {"request": {"method": "POST", "url": "Observation"}, "resource": made}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    together = world.ask(DR_B, "POST", "/fhir", bundle, headers=asked)
    assert together.status == 200
    assert b"value of" not in together.body
    assert not reads(world, DR_B, f"Observation/{name}-put")
    assert found(world, DR_B, name) == ALL - {"psy"}
    assert len(found(world, the_patient(name), name)) == len(ALL) + 3


@case(38)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO))
    agreed(world, f"{name}-none")
    assert found(world, BACKEND, name, purpose="TREAT") == ALL
    assert found(world, BACKEND, name, purpose="") == set()
    assert found(world, BACKEND, f"{name}-none", purpose="") == ALL
    assert found(world, BACKEND, f"{name}-none", purpose="", site={"consent_policy": "basic-normal"}) == set()


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


def studies(name: str) -> list[Json]:
    """S-CT and S-US."""
    shared = {"resourceType": "ImagingStudy", "status": "available", "subject": {"reference": f"Patient/{name}"}}
    return [
        {**shared, "id": f"{name}-ct", "started": "2024-02-02", "meta": {"security": [label("N")]}},
        {**shared, "id": f"{name}-us", "started": "2022-02-02", "meta": {"security": [label("R"), label("SDV")]}},
    ]


@case(43)
def _(world: World, name: str) -> None:
    root = permit(TPO, nested=[deny(data=[("instance", f"ImagingStudy/{name}-ct")])])
    agreed(world, name, root, data=studies(name))
    assert found(world, DR_A, name, "ImagingStudy") == {"us"}


@case(44)
def _(world: World, name: str) -> None:
    inline = [{"url": INLINE_LABEL, "valueCoding": label("R")}]
    code = {"system": "http://dicom.nema.org/resources/ontology/DCM"}
    series = [
        {"uid": "2.25.1", "modality": code | {"code": "CT"}, "numberOfInstances": 3},
        {"uid": "2.25.2", "modality": code | {"code": "US"}, "numberOfInstances": 4, "extension": inline},
    ]
    counts = {"numberOfSeries": 2, "numberOfInstances": 7, "modality": [each["modality"] for each in series]}
    study = studies(name)[0] | counts | {"series": series}
    agreed(world, name, permit(TPO, nested=[deny(labels=["R"])]), data=[study])
    shown = world.get(DR_A, f"ImagingStudy/{name}-ct").json
    assert [each["uid"] for each in shown["series"]] == ["2.25.1"]
    assert (shown["numberOfSeries"], shown["numberOfInstances"]) == (1, 3)
    assert [each["code"] for each in shown["modality"]] == ["CT"]
    assert len(world.get(the_patient(name), f"ImagingStudy/{name}-ct").json["series"]) == 2


@case(45)
def _(world: World, name: str) -> None:
    undated = {"resourceType": "ImagingStudy", "id": f"{name}-undated", "status": "available"}
    undated |= {"subject": {"reference": f"Patient/{name}"}}
    agreed(world, name, permit(TPO, within=("2024", "2024")), data=[*studies(name), undated])
    assert found(world, DR_A, name, "ImagingStudy") == {"ct"}


@case(46)
def _(world: World, name: str) -> None:
    agreed(world, name, permit(TPO, nested=[deny(actors=["Organization/org-x"])]))
    made = observation(name, "new", "N")
    del made["id"]
    assert world.ask(BACKEND, "POST", "/fhir/Observation", made).status == 201
    assert found(world, BACKEND, name) == set()


@case(47)
def _(world: World, name: str) -> None:
    barred = deny(actors=[f"RelatedPerson/{name}-parent"], labels=["SDV"])
    agreed(world, name, barred, data=[parent(name), *studies(name)])
    assert found(world, the_parent(name), name, "ImagingStudy") == {"ct"}
    assert not reads(world, the_parent(name), f"ImagingStudy/{name}-us")
    assert found(world, DR_A, name, "ImagingStudy") == {"ct", "us"}


@case(52)
def _(world: World, name: str) -> None:
    document = {
        "resourceType": "DocumentReference",
        "id": f"{name}-document",
        "status": "current",
        "subject": {"reference": f"Patient/{name}"},
        "content": [{"attachment": {"contentType": "text/plain", "data": "aGlkZGVu"}}],
        "context": {"encounter": [{"reference": f"Encounter/{name}-enc1"}]},
    }
    agreed(world, name, without_visit(name), data=[*visit(name), document])
    assert found(world, DR_A, name, "DocumentReference") == set()
    assert not reads(world, DR_A, f"DocumentReference/{name}-document")
    assert found(world, the_patient(name), name, "DocumentReference") == {"document"}


@case(54)
def _(world: World, name: str) -> None:
    agreed(world, name, deny(), data=[parent(name)])
    for own in (the_patient(name), the_parent(name)):
        assert found(world, own, name) == ALL
        assert reads(world, own, f"Patient/{name}")
        assert found(world, own, name, site={"consent_policy": "deny"}) == ALL
    assert found(world, DR_A, name) == set()


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


def test_patients_that_are_linked_are_one_person(world: World) -> None:
    agreed(world, "kept", deny(TPO))
    agreed(world, "merged")
    assert found(world, DR_A, "merged") == ALL
    link = {"link": [{"other": {"reference": "Patient/kept"}, "type": "replaced-by"}]}
    world.put(patient("merged") | link)
    assert found(world, DR_A, "merged") == set()
    world.put(patient("merged"))
    assert found(world, DR_A, "merged") == set(), "the other still says that it replaces this one"
    world.put(patient("kept"))
    assert found(world, DR_A, "merged") == ALL


def test_a_membership_that_ended_counts_no_more(world: World) -> None:
    agreed(world, "teams", permit(TPO, actors=["CareTeam/teams-team"]))
    team = {
        "resourceType": "CareTeam",
        "id": "teams-team",
        "status": "active",
        "subject": {"reference": "Patient/teams"},
        "participant": [
            {"member": {"reference": "Practitioner/dr-a"}},
            {"member": {"reference": "Practitioner/dr-b"}, "period": {"end": "2020-01-01"}},
        ],
    }
    world.put(team)
    assert found(world, DR_A, "teams") == ALL
    assert found(world, DR_B, "teams") == set()


def test_case_38_as_an_export(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_SETTLED", 0)
    name = "case-38-export"
    agreed(world, name, permit(TPO), data=[report(name, f"{name}-n")])
    for purpose, expected in (("TREAT", True), ("", False)):
        manifest = exported(world, "_type=Observation", purpose)
        assert purpose or manifest["extension"]["patientsLeftOut"] > 0
        lines = b"".join(
            world.ask(BACKEND, "GET", path(each["url"]), purpose=purpose).body for each in manifest["output"]
        )
        assert (f"Observation/{name}-n".encode() in lines or f'"id":"{name}-n"'.encode() in lines) is expected


def test_an_export_ends_with_the_consents_it_was_made_under(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_SETTLED", 0)
    agreed(world, "exported", permit(TPO))
    [listed] = exported(world, "_type=Patient", "TREAT")["output"]
    assert world.ask(BACKEND, "GET", path(listed["url"])).status == 200
    world.put(consent(deny(TPO), "Patient/exported", id="exported-1"))
    assert world.ask(BACKEND, "GET", path(listed["url"])).status == 410


def exported(world: World, query: str, purpose: str) -> Json:
    """The manifest of a system export."""
    accepted = world.ask(BACKEND, "GET", f"/fhir/$export?{query}", purpose=purpose, headers={"prefer": "respond-async"})
    assert accepted.status == 202, accepted.body
    while world.runner.run(world.server().services.exports.step()):
        pass
    got = world.ask(BACKEND, "GET", path(accepted.headers["content-location"]), purpose=purpose)
    assert got.status == 200, got.body
    manifest: Json = got.json
    return manifest


def path(url: str) -> str:
    return "/fhir" + url.partition("/fhir")[2]


@dataclass
class Outbox:
    sent: list[Notification] = field(default_factory=list)
    has_some: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, notification: Notification) -> None:
        self.sent.append(notification)
        self.has_some.set()


@dataclass
class Hastened:
    """The real time, or some hours later."""

    hours: int = 0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=self.hours)


@pytest.mark.parametrize("payload", ["application/fhir+json", None])
def test_case_53(world: World, payload: str | None) -> None:
    name = f"case-53-{'full' if payload else 'empty'}"
    agreed(world, name, permit(TPO, labels=["N"]))
    channel = {"type": "rest-hook", "endpoint": "https://ward.example/told"} | ({"payload": payload} if payload else {})
    subscription = {"resourceType": "Subscription", "status": "requested", "reason": "news", "channel": channel}
    subscription |= {"criteria": f"Observation?patient={name}", "end": Hastened(1).now().isoformat()}
    made = world.ask(BACKEND, "POST", "/fhir/Subscription", subscription)
    assert made.status == 201, made.body
    sent = world.runner.run(_told(world, made.json["id"], name))
    assert len(sent) == 1
    assert b"psy" not in sent[0].body
    assert sent[0].url.endswith(f"/{name}-last" if payload else "told")


async def _told(world: World, subscription_id: str, name: str) -> list[Notification]:
    """What is sent of two Observations written while the subscription is served, the second one visible.

    The subscription ends by its own end: to be cancelled while it waits for MongoDB would take half a minute.
    """
    services, outbox, clock = world.server().services, Outbox(), Hastened()
    fhir, context = services.fhir, Context(LOCAL_ACTOR, "world")
    records, reading, pace = services.stores.records, fhir.repository.reading, Pace(poll=0.002, delays=(0, 0))
    desk = Desk(records, clock, fhir.offload, fhir.searcher, fhir.knowledge.parameters, outbox, pace, reading)
    async with asyncio.timeout(20):
        await SubscriptionWorker(desk, fhir.repository).look()
        for made in (observation(name, "psy-new", "R", "PSY"), observation(name, "last", "N")):
            await fhir.repository.update(context, "Observation", made["id"], made)
        await outbox.has_some.wait()
        clock.hours = 2
        while True:
            stored = await fhir.repository.read(context, "Subscription", subscription_id)
            if b'"status":"off"' in stored.body:
                return outbox.sent
            await asyncio.sleep(0)


@pytest.mark.parametrize("by", ["reference", "identifier"])
def test_an_asking_organization_that_is_denied_finds_and_reads_no_document(world: World, by: str) -> None:
    """What is registered over XDS is found (ITI-67), read and fetched (ITI-68) over FHIR by others alone."""
    name, codes = f"documents-{by}", "urn:oid:2.16.156.10011.1.5"
    number = {"system": codes, "value": name}
    denied = {"reference": f"Organization/{name}"} if by == "reference" else {"identifier": number}
    nested = deny(TPO, actors=["?"])
    nested["actor"][0]["reference"] = denied
    agreed(world, name, permit(TPO, nested=[nested]))
    if by == "reference":
        world.put({"resourceType": "Organization", "id": name, "name": "X", "identifier": [number]})
    services = world.server().services
    id_ = world.runner.run(_provided(services.documents, name))
    barred, other = (
        person(f"dr-{code}", RADIOLOGIST, organizations=frozenset((f"{codes}|{code}",))) for code in (name, "other")
    )
    for actor, is_seen in ((barred, False), (other, True)):
        assert found(world, actor, name, "DocumentReference") == ({id_} if is_seen else set())
        assert reads(world, actor, f"DocumentReference/{id_}") is is_seen
        assert world.get(actor, f"Binary/{id_}").status == (200 if is_seen else 404)
        assert (f"DocumentReference/{id_}" in world.get(actor, f"Patient/{name}/$everything").names) is is_seen


async def _provided(documents: Documents, patient: str) -> str:
    """Logical id of the document, made as a member of the community provides one (ITI-41)."""
    context = Context(LOCAL_ACTOR, "provided")
    identity = await documents.master.enroll(context, f"Patient/{patient}")
    number = f"{identity.number.value}^^^&{documents.community.patient_authority}&ISO"
    id_ = str(uuid4())
    entry = document(
        id=f"urn:uuid:{id_}", unique_id=f"2.25.{UUID(id_).int}", patient_id=number, hash="", size=None,
        repository_unique_id="",
    )  # fmt: skip
    sent = submission(entry, unique_id=f"2.25.{uuid4().int}", patient_id=number)
    await documents.repository.provide_bytes(context, sent, {entry.id: b"value of it"})
    return id_
