"""JSON Patch (RFC 6902), FHIRPath Patch (fhirpatch.html) and XML Patch, and what no patch may do."""

from __future__ import annotations

import json
from typing import Any

from conformance.kit.client import Response
from conformance.kit.fhir.rest import path_of
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import JSON, JSON_PATCH, Fhir, Resource, body_of, expect_status, refused
from conformance.kit.fhir.writes import history_of
from conformance.kit.verdict import Skipped, expect

patches = Section()

_EXTENSION = {"part": [{"name": "url", "valueUri": "https://example.org/x"}, {"name": "value", "valueCode": "x"}]}
_BASE = {"name": [{"family": "A", "given": ["b", "c"]}], "gender": "male", "birthDate": "1980-01-02"}


def operation(kind: str, **parts: Any) -> Resource:
    """An operation of a FHIRPath Patch; each part is a whole parameter without its name, or a plain string."""
    named = []
    for name, value in {"type": {"valueCode": kind}, **parts}.items():
        content = {"valueInteger": value} if isinstance(value, int) else value
        named.append({"name": name, **({"valueString": content} if isinstance(content, str) else content)})
    return {"name": "operation", "part": named}


def fhirpath_patch(fhir: Fhir, path: str, *operations: Resource) -> Response:
    body = {"resourceType": "Parameters", "parameter": list(operations)}
    return fhir.patch(path, body, JSON, prefer="return=representation")


def _patched(answer: Response) -> Resource:
    return body_of(expect_status(answer, 200))


def _json_patch(fhir: Fhir, path: str, *changes: Resource) -> Response:
    return fhir.patch(path, list(changes), prefer="return=representation")


@patches.check("C26", "http.html#patch")
def offers_the_patches_it_declares(fhir: Fhir) -> None:
    declared = set(fhir.capabilities.get("patchFormat", []))
    path = path_of(fhir.make("Patient", **_BASE))
    expect(JSON_PATCH in declared, f"patchFormat is {sorted(declared)}")
    merge = fhir.patch(path, {"active": True}, "application/merge-patch+json")
    if "application/merge-patch+json" in declared:
        expect_status(merge, 200)
    else:
        refused(merge, 415)
    refused(fhir.patch(path, b"[]", "text/plain"), 415)


@patches.check("C26", "RFC 5261")
def patches_xml(fhir: Fhir) -> None:
    made = fhir.make("Patient", **_BASE)
    diff = b"""<diff xmlns:f="http://hl7.org/fhir"><replace sel="f:Patient/f:gender/@value">female</replace></diff>"""
    answer = fhir.patch(path_of(made), diff, "application/xml-patch+xml", prefer="return=representation")
    if answer.status == 415 and "application/xml-patch+xml" not in fhir.capabilities.get("patchFormat", []):
        raise Skipped("XML Patch is not offered")
    expect(_patched(answer)["gender"] == "female", "the XML Patch changed nothing")
    entity = b'<!DOCTYPE diff [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + diff.replace(b"female", b"&x;")
    refused(fhir.patch(path_of(made), entity, "application/xml-patch+xml"), 400)


@patches.check("C27", "http.html#patch")
def makes_no_version_of_a_patch_without_change(fhir: Fhir) -> None:
    made = fhir.make("Patient", **_BASE)
    answer = _json_patch(fhir, path_of(made), {"op": "replace", "path": "/gender", "value": "male"})
    expect(_patched(answer) == made, "a patch without change made a version")
    expect(len(history_of(fhir, path_of(made))) == 1, "a patch without change is in the history")
    for content_type in (JSON_PATCH, JSON):
        refused(fhir.patch(path_of(made), b"", content_type), 400)


@patches.check("C28", "RFC 6902")
def carries_out_every_json_patch_operation(fhir: Fhir) -> None:
    made = fhir.make("Patient", **_BASE)
    answer = _json_patch(
        fhir,
        path_of(made),
        {"op": "test", "path": "/gender", "value": "male"},
        {"op": "add", "path": "/name/0/given/-", "value": "d"},
        {"op": "add", "path": "/name/0/given/0", "value": "a"},
        {"op": "remove", "path": "/birthDate"},
        {"op": "replace", "path": "/gender", "value": "female"},
        {"op": "copy", "from": "/name/0/given/0", "path": "/name/0/text"},
        {"op": "move", "from": "/name/0/given/1", "path": "/name/0/family"},
    )
    got = _patched(answer)
    expect(got["name"] == [{"family": "b", "given": ["a", "c", "d"], "text": "a"}], f"name is {got['name']}")
    expect("birthDate" not in got and got["gender"] == "female", "remove or replace did not work")


@patches.check("C28", "RFC 6902")
def patches_all_or_nothing(fhir: Fhir) -> None:
    made = fhir.make("Patient", **_BASE)
    fine = {"op": "add", "path": "/active", "value": True}
    bad: tuple[Resource, ...] = (
        {"op": "test", "path": "/gender", "value": "female"},
        {"op": "remove", "path": "/maritalStatus"},
        {"op": "replace", "path": "/name/7/family", "value": "a"},
        {"op": "add", "path": "/name/7", "value": {"family": "a"}},
        {"op": "add", "path": "gender", "value": "male"},
        {"op": "swap", "path": "/gender", "value": "male"},
        {"op": "add", "path": "/gender"},
        {"path": "/gender", "value": "male"},
        {"op": "move", "from": "/name", "path": "/name/0"},
    )
    for each in bad:
        refused(_json_patch(fhir, path_of(made), fine, each), 400, 409, 422)
    for body in (b"{}", b"[1]", b"[{]", b"null"):
        refused(fhir.patch(path_of(made), body), 400)
    expect(fhir.read(path_of(made)) == made, "a refused patch changed the resource")


@patches.check("C28", "RFC 6901")
def leaves_what_a_patch_does_not_name_untouched(fhir: Fhir) -> None:
    moment = "2020-01-01T10:00:00.00+08:00"
    extension = [{"url": "https://example.org/a~b/c", "valueDecimal": 1}]
    sent = fhir.draft("Observation", status="final", code={"text": "a"}, effectiveDateTime=moment, extension=extension)
    raw = json.dumps({**sent, "valueQuantity": {"value": 0}}).replace('"value": 0}', '"value": 1.500}').encode()
    path = fhir.client.path_of(expect_status(fhir.post("/Observation", raw), 201).headers["location"])
    path = path.split("/_history")[0]
    expect_status(_json_patch(fhir, path, {"op": "replace", "path": "/status", "value": "amended"}), 200)
    body = fhir.get(path).body
    expect(b"1.500" in body and moment.encode() in body, "a decimal or a date was rewritten")
    renamed = {"op": "replace", "path": "/extension/0/valueDecimal", "value": 2}
    expect_status(
        _json_patch(fhir, path, {"op": "test", "path": "/extension/0/url", "value": extension[0]["url"]}), 200
    )
    expect_status(_json_patch(fhir, path, renamed), 200)
    refused(_json_patch(fhir, path, {"op": "remove", "path": "/a~1b~0"}), 400, 422)


@patches.check("C29", "fhirpatch.html")
def protects_identity_and_validity(fhir: Fhir) -> None:
    made = fhir.make("Patient", **_BASE)
    path = path_of(made)
    for pointer, changed in (
        ("/id", "other"),
        ("/resourceType", "Basic"),
        ("/meta/versionId", "99"),
        ("/meta/lastUpdated", "2001-01-01T00:00:00Z"),
    ):
        refused(_json_patch(fhir, path, {"op": "replace", "path": pointer, "value": changed}), 400)
    refused(_json_patch(fhir, path, {"op": "remove", "path": "/id"}), 400)
    replaced_id = operation("replace", path="Patient.id", value={"valueId": "other"})
    refused(fhirpath_patch(fhir, path, replaced_id), 400)
    for value in ("blue", 7, ["male"]):
        refused(_json_patch(fhir, path, {"op": "replace", "path": "/gender", "value": value}), 400, 422)
    expect(fhir.read(path) == made, "a refused patch changed the resource")


@patches.check("C31", "fhirpatch.html")
def carries_out_every_fhirpath_patch_operation(fhir: Fhir) -> None:
    made = fhir.make("Patient", **_BASE)
    answer = fhirpath_patch(
        fhir,
        path_of(made),
        operation("add", path="Patient", name="active", value={"valueBoolean": True}),
        operation("insert", path="Patient.name[0].given", value={"valueString": "a"}, index=0),
        operation("insert", path="Patient.name[0].given", value={"valueString": "d"}, index=3),
        operation("replace", path="Patient.gender", value={"valueCode": "female"}),
        operation("move", path="Patient.name[0].given", source=0, destination=3),
        operation("delete", path="Patient.birthDate"),
        operation("delete", path="Patient.maritalStatus"),
    )
    got = _patched(answer)
    expect(got["active"] is True and got["gender"] == "female", "add or replace did not work")
    expect(got["name"][0]["given"] == ["b", "c", "d", "a"], f"given is {got['name'][0]['given']}")
    expect("birthDate" not in got, "delete did not work")


@patches.check("C32", "fhirpatch.html")
def wants_a_path_to_exactly_one_element(fhir: Fhir) -> None:
    made = fhir.make("Patient", **_BASE)
    text = {"valueString": "x"}
    for bad in (
        operation("replace", path="Patient.maritalStatus", value={"valueCodeableConcept": {"text": "a"}}),
        operation("replace", path="Patient.name[0].given", value=text),
        operation("delete", path="Patient.name[0].given"),
        operation("add", path="Patient.contact", name="name", value={"valueHumanName": {"family": "a"}}),
        operation("insert", path="Patient.name[0].given", value=text, index=9),
        operation("move", path="Patient.name[0].given", source=0, destination=9),
        operation("replace", path="Patient.managingOrganization.resolve().name", value=text),
    ):
        refused(fhirpath_patch(fhir, path_of(made), bad), 400, 409, 422)
    expect(fhir.read(path_of(made)) == made, "a refused patch changed the resource")


@patches.check("C32", "fhirpatch.html")
def runs_operations_in_order_on_the_last_result(fhir: Fhir) -> None:
    made = fhir.make("Patient", **_BASE)
    answer = fhirpath_patch(
        fhir,
        path_of(made),
        operation("add", path="Patient", name="name", value={"valueHumanName": {"family": "Second"}}),
        operation("add", path="Patient.name[1]", name="given", value={"valueString": "x"}),
        operation("replace", path="Patient.name.where(family='Second').given", value={"valueString": "y"}),
    )
    expect(
        _patched(answer)["name"][1] == {"family": "Second", "given": ["y"]}, "the operations do not build on each other"
    )


@patches.check("C33", "fhirpatch.html")
def adds_to_lists_and_not_over_single_values(fhir: Fhir) -> None:
    made = fhir.make("Patient", **_BASE)
    refused(
        fhirpath_patch(
            fhir, path_of(made), operation("add", path="Patient", name="gender", value={"valueCode": "other"})
        ),
        *(400, 409, 422),
    )
    answer = fhirpath_patch(
        fhir, path_of(made), operation("add", path="Patient.name[0]", name="given", value={"valueString": "d"})
    )
    expect(_patched(answer)["name"][0]["given"] == ["b", "c", "d"], "add on a list does not append")


@patches.check("C34", "fhirpatch.html")
def takes_values_that_fit_and_nested_parts(fhir: Fhir) -> None:
    patient = fhir.make("Patient", **_BASE)
    wrong = operation("replace", path="Patient.birthDate", value={"valueBoolean": True})
    refused(fhirpath_patch(fhir, path_of(patient), wrong), 400, 422)
    kin = {"part": [{"name": "name", "valueHumanName": {"family": "Kin"}}, {"name": "gender", "valueCode": "other"}]}
    got = _patched(fhirpath_patch(fhir, path_of(patient), operation("add", path="Patient", name="contact", value=kin)))
    expect(got["contact"] == [{"name": {"family": "Kin"}, "gender": "other"}], f"contact is {got.get('contact')}")
    pulse = fhir.make("Observation", status="final", code={"text": "a"}, valueString="x")
    quantity = {"value": {"valueQuantity": {"value": 3, "unit": "mg"}}}
    got = _patched(fhirpath_patch(fhir, path_of(pulse), operation("replace", path="Observation.value", **quantity)))
    expect("valueString" not in got and got["valueQuantity"]["unit"] == "mg", "a choice cannot change its type")
    fhir_added = fhirpath_patch(
        fhir,
        path_of(pulse),
        operation("delete", path="Observation.value"),
        operation("add", path="Observation", name="value", value={"valueBoolean": True}),
    )
    expect(_patched(fhir_added)["valueBoolean"] is True, "a choice named without its type is not added")


@patches.check("T24", "fhirpatch.html")
def reaches_nested_choices_and_primitives(fhir: Fhir) -> None:
    component = [{"code": {"text": each}, "valueString": each} for each in "ab"]
    pulse = fhir.make("Observation", status="final", code={"text": "a"}, component=component)
    second = "Observation.component.where(code.text='b')"
    got = _patched(
        fhirpath_patch(
            fhir,
            path_of(pulse),
            operation("replace", path=f"{second}.value", value={"valueInteger": 0}),
            operation("replace", path="Observation.component[0].code.text", value={"valueString": "c"}),
            operation("add", path="Observation.status", name="extension", value=_EXTENSION),
        )
    )
    expect(got["component"][1] == {"code": {"text": "b"}, "valueInteger": 0}, f"component is {got['component']}")
    expect(got["component"][0]["code"]["text"] == "c", "an element of a list is not replaced")
    expect(got["_status"]["extension"][0]["valueCode"] == "x", "a primitive gets no extension")


@patches.check("C35", "fhirpatch.html")
def refuses_patches_that_are_none(fhir: Fhir) -> None:
    made = fhir.make("Patient", **_BASE)
    for bad in (
        operation("swap", path="Patient.gender"),
        operation("replace", value={"valueCode": "male"}),
        operation("replace", path="Patient.gender"),
        operation("add", path="Patient", value={"valueBoolean": True}),
        operation("replace", path="Patient.gender..", value={"valueCode": "male"}),
        operation("replace", path="Patient.repeat(descendants())", value={"valueCode": "male"}),
        operation("replace", path="(" * 2000 + "Patient" + ")" * 2000, value={"valueCode": "male"}),
        {"name": "operation"},
        {"name": "other", "valueString": "a"},
    ):
        refused(fhirpath_patch(fhir, path_of(made), bad), 400, 422)
    expect(_patched(fhirpath_patch(fhir, path_of(made))) == made, "a patch without operations made a version")
    expect(fhir.read(path_of(made)) == made, "a refused patch changed the resource")


@patches.check("C37", "http.html#patch")
def keeps_no_narrative_that_a_patch_contradicts(fhir: Fhir) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">male</div>'
    made = fhir.make("Patient", **_BASE, text={"status": "generated", "div": div})
    got = _patched(_json_patch(fhir, path_of(made), {"op": "replace", "path": "/gender", "value": "female"}))
    expect(got.get("text", {}).get("div") != div, "the narrative generated before the patch is kept")
