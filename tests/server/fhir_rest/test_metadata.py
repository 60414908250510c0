"""The capability statement says what is served: all of it, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from profiles.definitions import definitions
from profiles.packages.source import Packages
from profiles.validator.validator import Validator
from tests.server.fhir_rest.served import BASE, JSON, XML, Served, served

VALUES = {
    "number": "1", "date": "2026-01-01", "string": "a", "token": "true", "reference": "Patient/1", "quantity": "1",
    "uri": "http://x.test/a", "special": "1|1",
}  # fmt: skip
"""A value that a parameter of each type can be searched by."""


@pytest.fixture(scope="module")
def statement(service: Served) -> dict[str, Any]:
    found: dict[str, Any] = service.get("/metadata").json
    return found


@pytest.fixture(scope="module")
def rest(statement: dict[str, Any]) -> dict[str, Any]:
    (only,) = statement["rest"]
    return dict(only)


class _Knows:
    def is_member(self, value_set: str, system: str | None, code: str) -> bool | None:
        return None


def test_the_head_says_what_must_be_said(statement: dict[str, Any]) -> None:
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["kind"] == "instance"
    assert statement["implementation"]["url"] == BASE
    assert {JSON, XML} <= set(statement["format"])
    assert "application/json-patch+json" in statement["patchFormat"]
    findings = Validator(Packages(), _Knows()).validate(statement)
    assert [each for each in findings if each.is_error] == []


def test_every_type_is_there_once(rest: dict[str, Any]) -> None:
    assert [each["type"] for each in rest["resource"]] == list(definitions().resource_types)
    for each in rest["resource"]:
        codes = [parameter["name"] for parameter in each["searchParam"]]
        assert len(codes) == len(set(codes))


def test_every_search_parameter_answers(service: Served, rest: dict[str, Any]) -> None:
    registry = service.services.fhir.knowledge.parameters.registry
    for each in rest["resource"]:
        for declared in each["searchParam"]:
            name, kind = declared["name"], declared["type"]
            parameter = registry.find(each["type"], name)
            assert parameter is not None
            parts = [VALUES[part.parameter.type] for part in parameter.components]
            got = service.get(
                f"/{each['type']}?{name}={VALUES.get(kind) or '$'.join(parts)}&_count=1", prefer="handling=strict"
            )
            assert got.status == 200, (each["type"], name, got.body)


def test_every_include_answers(service: Served, rest: dict[str, Any]) -> None:
    for each in rest["resource"]:
        pairs = [f"_include={value}" for value in each.get("searchInclude", ()) if value != "*"]
        pairs += [f"_revinclude={value}" for value in each.get("searchRevInclude", ())]
        for start in range(0, len(pairs), 100):
            query = "&".join(pairs[start : start + 100])
            got = service.get(f"/{each['type']}?_id=none&{query}", prefer="handling=strict")
            assert got.status == 200, (each["type"], got.body)


def test_every_interaction_answers_and_no_other(service: Served, rest: dict[str, Any]) -> None:
    asked = {
        "read": ("GET", "/{}/none", 404), "vread": ("GET", "/{}/none/_history/1", 404),
        "update": ("PUT", "/{}/none", 415), "patch": ("PATCH", "/{}/none", 415),
        "delete": ("DELETE", "/{}/none", 204), "history-instance": ("GET", "/{}/none/_history", 404),
        "history-type": ("GET", "/{}/_history", 200), "create": ("POST", "/{}", 415),
        "search-type": ("GET", "/{}?_count=1", 200),
    }  # fmt: skip
    for each in rest["resource"]:
        declared = [interaction["code"] for interaction in each["interaction"]]
        assert set(declared) == set(asked) - ({"patch"} if each["type"] == "Binary" else set())
        for code in declared:
            method, path, status = asked[code]
            assert service.ask(method, path.format(each["type"])).status == status, (each["type"], code)
    assert service.ask("PATCH", "/Binary/none", b"[]", content_type="application/json-patch+json").status in (404, 405)


def test_system_interactions_answer(service: Served, rest: dict[str, Any]) -> None:
    codes = {each["code"] for each in rest["interaction"]}
    assert codes == {"transaction", "batch", "search-system", "history-system"}
    for kind in ("transaction", "batch"):
        assert service.ask("POST", "", {"resourceType": "Bundle", "type": kind}).status == 200
    assert service.get("/?_id=none").status == 200
    assert service.get("/_history?_count=1").status == 200
    for parameter in rest["searchParam"]:
        got = service.get(f"/?{parameter['name']}={VALUES[parameter['type']]}&_count=1", prefer="handling=strict")
        assert got.status == 200, (parameter, got.body)


def test_every_operation_answers_and_is_declared(service: Served, rest: dict[str, Any]) -> None:
    catalogue = service.services.fhir_rest().catalogue
    for each in rest["resource"]:
        declared = {operation["name"] for operation in each.get("operation", ())}
        assert declared == {
            row.name[1:] for row in catalogue.rows if row.is_on(each["type"]) and set(row.levels) != {"system"}
        }
    for row in catalogue.rows:
        kind = sorted(row.types)[0] if row.types else "Patient"
        for level in row.levels:
            place = {
                "system": "",
                "type": f"/{kind}",
                "instance": f"/{kind}/none",
                "version": f"/{kind}/none/_history/1",
            }
            got = service.ask("POST", f"{place[level]}/{row.name}")
            assert got.status not in (405, 500), (row.name, level, got.body)
            assert "operation" not in got.body.decode() or got.status != 404, (row.name, level)


def test_compartments_are_served(service: Served, rest: dict[str, Any]) -> None:
    assert [each.rpartition("/")[2] for each in rest["compartment"]] == [
        "device", "encounter", "patient", "practitioner", "relatedperson",
    ]  # fmt: skip


def test_what_the_client_holds_is_not_sent_again(service: Served) -> None:
    got = service.get("/metadata")
    assert service.get("/metadata", if_none_match=got.headers["etag"]).status == 304
    assert service.get("/metadata", accept=XML).headers["etag"] != got.headers["etag"]


def test_modes_and_parts(service: Served) -> None:
    assert service.get("/metadata?mode=terminology").json["resourceType"] == "TerminologyCapabilities"
    normative = service.get("/metadata?mode=normative").json
    assert {each["type"] for each in normative["rest"][0]["resource"]} < set(definitions().resource_types)
    assert service.get("/metadata?mode=other").json["resourceType"] == "CapabilityStatement"
    assert "rest" not in service.get("/metadata?_elements=url").json
    assert service.get("/metadata", accept=XML).xml.tag.endswith("CapabilityStatement")


def test_references_and_deletes_are_as_configured(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("strict")
    with served(folder, references="enforced", conditional_deletes=5) as service:
        resource = service.get("/metadata").json["rest"][0]["resource"][0]
        assert "enforced" in resource["referencePolicy"]
        assert resource["conditionalDelete"] == "multiple"
        dangling = {"resourceType": "Basic", "code": {"text": "a"}, "subject": {"reference": "Patient/none"}}
        assert service.ask("POST", "/Basic", dangling).status in (409, 422)
