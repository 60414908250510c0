"""Create, update and delete of one resource at its own address (http.html#create, #update, #delete)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from conformance.kit.fhir.rest import path_of, tag_of
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import JSON, TAGS, Fhir, Resource, body_of, entries, expect_status, ids, refused
from conformance.kit.verdict import Skipped, expect

writes = Section()

_BROKEN = (
    {"active": "yes"},
    {"name": [{"family": ""}]},
    {"gender": "blue"},
    {"birthDate": "1980-02-30"},
    {"contact": [{"gender": "male"}]},
    {"unheardOf": 1},
)


def history_of(fhir: Fhir, path: str) -> list[Resource]:
    return entries(fhir.bundle(f"{path}/_history"))


@writes.check("C01", "http.html#create")
def chooses_id_and_version_itself_and_keeps_the_other_meta(fhir: Fhir) -> None:
    meta = {
        "versionId": "77",
        "lastUpdated": "2001-01-01T00:00:00Z",
        "source": "https://example.org/source",
        "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}],
        "tag": [{"system": TAGS, "code": "second"}],
    }
    id = fhir.unique()
    made = fhir.make("Patient", id=id, meta=meta)
    expect(made["id"] != id, "the client's id was taken over by a create")
    expect(made["meta"]["versionId"] != "77", "the client's versionId was taken over")
    expect(not made["meta"]["lastUpdated"].startswith("2001"), "the client's lastUpdated was taken over")
    for name in ("source", "security"):
        expect(made["meta"].get(name) == meta[name], f"meta.{name} is not kept")
    expect({each["code"] for each in made["meta"]["tag"]} == {"second", fhir.token}, "meta.tag is not kept")
    refused(fhir.get(f"/Patient/{id}"), 404)


@writes.check("C02", "http.html#transactional-integrity")
def gives_back_what_it_accepted(fhir: Fhir) -> None:
    sent = fhir.draft(
        "Observation",
        status="final",
        contained=[{"resourceType": "Patient", "id": "p", "name": [{"given": ["b", "a"], "family": "Ö 王"}]}],
        extension=[{"url": "https://example.org/x", "valueString": " kept \t\n"}],
        code={"coding": [{"code": "z"}, {"code": "a"}], "_text": {"extension": [{"url": "u:a", "valueCode": "c"}]}},
        subject={"reference": "#p"},
        effectiveDateTime="2020-02-29T23:59:59.120+05:30",
        valueQuantity={"value": 0.25, "unit": "mg"},
    )
    got = fhir.read(path_of(fhir.created(sent)))
    expect({**got, "id": "", "meta": ""} == {**sent, "id": "", "meta": ""}, "the resource comes back changed")


@writes.check("C03", "http.html#create")
def stores_nothing_invalid(fhir: Fhir) -> None:
    for members in _BROKEN:
        id = fhir.unique()
        refused(fhir.post("/Patient", fhir.draft("Patient", **members)), 400, 422)
        refused(fhir.put(f"/Patient/{id}", fhir.draft("Patient", id=id, **members)), 400, 422)
        refused(fhir.get(f"/Patient/{id}"), 404)


@writes.check("C04", "http.html#update")
def wants_the_id_of_the_address_in_the_body(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    refused(fhir.put(path_of(made), {**made, "id": fhir.unique()}), 400)
    refused(fhir.put(path_of(made), fhir.draft("Patient")), 400)
    expect(fhir.read(path_of(made)) == made, "a refused update changed the resource")


@writes.check("C05", "http.html#upsert")
def creates_by_update_and_brings_back_the_deleted(fhir: Fhir) -> None:
    id = fhir.unique()
    draft = fhir.draft("Patient", id=id)
    path = path_of(draft)
    answer = fhir.put(path, draft)
    if not fhir.offer("Patient").get("updateCreate"):
        refused(answer, 405)
        raise Skipped("updateCreate is not declared")
    expect_status(answer, 201)
    expect_status(fhir.delete(path), 200, 204)
    again = expect_status(fhir.put(path, draft), 201)
    expect_status(fhir.get(path), 200)
    versions = [each["response"]["etag"] for each in history_of(fhir, path)]
    expect(len(set(versions)) == 3, f"the versions of create, delete and revival are {versions}")
    expect(again.headers.get("etag") == versions[0], "the revived version is not the newest of the history")


@writes.check("C07", "http.html#update")
def makes_no_version_where_nothing_changes(fhir: Fhir) -> None:
    made = fhir.make("Patient", active=True)
    answer = expect_status(fhir.put(path_of(made), made, prefer="return=representation"), 200)
    expect(body_of(answer)["meta"] == made["meta"], "an update without change made a version")
    answer = fhir.put(path_of(made), {**made, "meta": {"tag": made["meta"]["tag"], "versionId": "99"}})
    expect(answer.headers.get("etag") == tag_of(made), "another meta.versionId counts as a change")
    expect(len(history_of(fhir, path_of(made))) == 1, "an update without change is in the history")


@writes.check("C08", "http.html#concurrency")
def updates_only_the_version_of_if_match(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    path = path_of(made)
    second = fhir.put(path, {**made, "active": True}, if_match=tag_of(made))
    expect_status(second, 200)
    refused(fhir.put(path, {**made, "active": False}, if_match=tag_of(made)), 412)
    refused(fhir.put(path, {**made, "active": False}, if_match="anything"), 400)
    expect(fhir.read(path)["active"] is True, "a refused update changed the resource")
    new = fhir.unique()
    refused(fhir.put(f"/Patient/{new}", fhir.draft("Patient", id=new), if_match='W/"1"'), 412)
    refused(fhir.get(f"/Patient/{new}"), 404)


@writes.check("C08", "http.html#concurrency")
def lets_one_of_two_concurrent_updates_win(fhir: Fhir) -> None:
    made = fhir.make("Patient")

    def update(name: str) -> int:
        return fhir.put(path_of(made), {**made, "name": [{"family": name}]}, if_match=tag_of(made)).status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(update, "abcdefgh"))
    expect(statuses == [200] + [412] * 7, f"eight updates of one version gave {statuses}")


@writes.check("C09", "http.html#concurrency")
def heeds_if_match_on_patch_and_delete(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    path = path_of(made)
    change = [{"op": "add", "path": "/active", "value": True}]
    refused(fhir.patch(path, change, if_match='W/"none"'), 412)
    refused(fhir.delete(path, if_match='W/"none"'), 412)
    expect(fhir.read(path) == made, "a refused write changed the resource")
    patched = expect_status(fhir.patch(path, change, if_match=f'W/"none", {tag_of(made)}'), 200)
    expect_status(fhir.delete(path, if_match=f'W/"none", {patched.headers["etag"]}'), 200, 204)


@writes.check("C10", "RFC 9110 13.1.2")
def creates_only_under_if_none_match(fhir: Fhir) -> None:
    draft = fhir.draft("Patient", id=fhir.unique())
    expect_status(fhir.put(path_of(draft), draft, if_none_match="*"), 201)
    refused(fhir.put(path_of(draft), {**draft, "active": True}, if_none_match="*"), 412)
    expect("active" not in fhir.read(path_of(draft)), "a refused update changed the resource")


@writes.check("C11", "http.html#concurrency")
def declares_how_it_treats_versions(fhir: Fhir) -> None:
    declared = fhir.offer("Patient").get("versioning")
    expect(declared in ("no-version", "versioned", "versioned-update"), f"versioning is declared as {declared}")
    made = fhir.make("Patient")
    answer = fhir.put(path_of(made), {**made, "active": True})
    expect_status(answer, 400 if declared == "versioned-update" else 200)


@writes.check("C21", "http.html#delete")
def deletes_once_and_takes_it_calmly_again(fhir: Fhir) -> None:
    path = path_of(fhir.make("Patient"))
    expect_status(fhir.delete(f"/Patient/{fhir.unique()}"), 200, 204)
    for _ in range(2):
        answer = expect_status(fhir.delete(path), 200, 204)
        expect((answer.status == 200) == bool(answer.body), "204 has a body, or 200 has none")
    methods = [each["request"]["method"] for each in history_of(fhir, path)]
    expect(methods == ["DELETE", "POST"], f"the history after two deletes is {methods}")


@writes.check("C22", "http.html#delete")
def finds_nothing_of_what_was_deleted(fhir: Fhir) -> None:
    patient = fhir.make("Patient", name=[{"family": fhir.unique()}])
    subject = {"reference": f"Patient/{patient['id']}"}
    pulse, other = (
        fhir.make("Observation", status="final", code={"text": "a"}, subject=subject, note=[{"text": each}])
        for each in "ab"
    )
    expect_status(fhir.delete(path_of(pulse)), 200, 204)
    by_patient = f"/Observation?subject=Patient/{patient['id']}"
    for query in (by_patient, f"/Patient/{patient['id']}/Observation", f"/Observation?_tag={fhir.tag}&_count=500"):
        found = ids(fhir.bundle(query))
        expect(pulse["id"] not in found and other["id"] in found, f"{query} finds the deleted, or not the other")
    expect(fhir.bundle(f"{by_patient}&_summary=count")["total"] == 1, "the deleted is counted")
    expect(fhir.bundle(f"/Observation?_id={pulse['id']}")["total"] == 0, "_id finds the deleted")
    back = fhir.bundle(f"/Patient?_id={patient['id']}&_revinclude=Observation:subject")
    expect(ids(back, "include") == [other["id"]], "_revinclude finds the deleted")
    expect_status(fhir.delete(path_of(other)), 200, 204)
    gone = fhir.bundle(f"/Patient?_id={patient['id']}&_has:Observation:subject:status=final")
    expect(not entries(gone), "_has finds the deleted")


@writes.check("C22", "http.html#delete")
def follows_no_reference_to_what_was_deleted(fhir: Fhir) -> None:
    patient = fhir.make("Patient", name=[{"family": fhir.unique()}])
    subject = {"reference": f"Patient/{patient['id']}"}
    pulse = fhir.make("Observation", status="final", code={"text": "a"}, subject=subject)
    if fhir.delete(path_of(patient)).status == 409:
        raise Skipped("references are enforced, so what is referred to cannot be deleted")
    chained = fhir.bundle(f"/Observation?_tag={fhir.tag}&subject:Patient.family={patient['name'][0]['family']}")
    expect(not entries(chained), "a chain finds by the deleted")
    found = fhir.bundle(f"/Observation?_id={pulse['id']}&_include=Observation:subject")
    expect(ids(found) == [pulse["id"]] and not entries(found, "include"), "the deleted is included")


@writes.check("C24", "valueset-reference-handling-policy.html")
def treats_dangling_references_as_declared(fhir: Fhir) -> None:
    policy = fhir.offer("Observation").get("referencePolicy", [])
    subject = {"reference": f"Patient/{fhir.unique()}"}
    answer = fhir.post("/Observation", fhir.draft("Observation", status="final", code={"text": "a"}, subject=subject))
    if "enforced" in policy:
        refused(answer, 400, 409, 422)
        patient = fhir.make("Patient")
        subject = {"reference": f"Patient/{patient['id']}"}
        fhir.make("Observation", status="final", code={"text": "a"}, subject=subject)
        refused(fhir.delete(path_of(patient)), 409)
    else:
        expect_status(answer, 201)


@writes.check("C25", "references.html")
def leaves_references_it_cannot_follow_alone(fhir: Fhir) -> None:
    subjects = (
        {"reference": "https://elsewhere.example/fhir/Patient/1"},
        {"identifier": {"system": "https://example.org/ids", "value": "1"}},
        {"display": "somebody"},
        {"reference": "#p"},
    )
    for subject in subjects:
        contained = {"contained": [{"resourceType": "Patient", "id": "p"}]} if subject.get("reference") == "#p" else {}
        made = fhir.make("Observation", status="final", code={"text": "a"}, subject=subject, **contained)
        expect(made["subject"] == subject, "a reference comes back changed")
    patient = fhir.make("Patient")
    subject = {"reference": f"Patient/{patient['id']}"}
    pulse = fhir.make("Observation", status="final", code={"text": "a"}, subject=subject)
    expect_status(fhir.delete(path_of(pulse)), 200, 204)
    expect_status(fhir.delete(path_of(patient)), 200, 204)


@writes.check("T23", "references.html#literal")
def keeps_the_version_of_a_reference(fhir: Fhir) -> None:
    patient = fhir.make("Patient")
    version = f"Patient/{patient['id']}/_history/{patient['meta']['versionId']}"
    fhir.updated({**patient, "active": True})
    for reference in (version, f"{fhir.base}/{version}"):
        made = fhir.make("Observation", status="final", code={"text": "a"}, subject={"reference": reference})
        got = made["subject"]["reference"]
        expect(got in (version, f"{fhir.base}/{version}"), f"the reference to a version comes back as {got}")
        found = fhir.bundle(f"/Observation?subject=Patient/{patient['id']}&_tag={fhir.tag}")
        expect(made["id"] in ids(found), "a reference to a version is not found by the resource")


@writes.check("C36", "binary.html")
def gives_binaries_raw_or_as_resources(fhir: Fhir) -> None:
    raw = bytes(range(256))
    answer = expect_status(fhir.post("/Binary", raw, "image/x-kit"), 201)
    path = fhir.client.path_of(answer.headers["location"]).split("/_history")[0]
    for accept in ("image/x-kit", "*/*;q=0.1, image/*"):
        got = expect_status(fhir.get(path, accept=accept), 200)
        expect((got.body, got.media_type) == (raw, "image/x-kit"), f"Accept: {accept} does not give the bytes")
    resource = fhir.read(path)
    expect(resource["contentType"] == "image/x-kit", f"contentType is {resource['contentType']}")
    expect_status(fhir.get(path, accept=JSON), 200)
    refused(fhir.patch(path, [{"op": "replace", "path": "/contentType", "value": "a/b"}]), 400, 405, 409, 415, 422)
    expect_status(fhir.put(path, b"second", "text/plain"), 200)
    expect(fhir.get(path, accept="text/plain").body == b"second", "a raw update does not come back")
