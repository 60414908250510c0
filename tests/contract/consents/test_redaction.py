"""What is hidden shows nowhere else, and what is shown in part is written back by nobody: by number of case."""

from __future__ import annotations

import pytest

from server.fhir.redaction import INLINE_LABEL
from tests.contract.consent_world import DR_A, DR_B, HOST, World, observation, the_patient
from tests.contract.consents.cases import ALL, Case, Json, agreed, found, numbered, reads, report
from tests.data.consents import TPO, deny, label, permit

CASES: dict[str, Case] = {}
case = numbered(CASES)


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


@pytest.mark.parametrize("name", CASES)
def test_case(world: World, name: str) -> None:
    CASES[name](world, name)
