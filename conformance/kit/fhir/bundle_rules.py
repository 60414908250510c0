"""What entries do to each other: order, identity, conditions, all or nothing (http.html#trules, #brules)."""

from __future__ import annotations

from conformance.kit.fhir.bundles import batch, entry, patient, send, statuses, transaction
from conformance.kit.fhir.rest import path_of, tag_of
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, entries, refused
from conformance.kit.verdict import expect

bundle_rules = Section()


@bundle_rules.check("B05", "http.html#trules")
def acts_in_the_order_of_the_standard_whatever_that_of_the_entries(fhir: Fhir) -> None:
    family = fhir.unique()
    old = fhir.make("Patient", name=[{"family": family}])
    kept = fhir.make("Patient")
    steps = [
        entry("GET", f"Patient?family={family}"),
        entry("PUT", path_of(kept)[1:], {**kept, "active": True}),
        entry("GET", path_of(kept)[1:]),
        entry("POST", "Patient", patient(fhir, name=[{"family": family}]), ifNoneExist=f"family={family}"),
        entry("DELETE", path_of(old)[1:]),
    ]
    search, _, read, created, _ = transaction(fhir, *steps)
    expect(read["resource"]["active"] is True, "a GET does not see what the transaction wrote")
    expect(statuses([created]) == [201], "a DELETE does not come before the POST")
    found = [each["resource"]["id"] for each in entries(search["resource"])]
    expect(found == [created["resource"]["id"]], "a search does not see what the transaction wrote and deleted")


@bundle_rules.check("B07", "http.html#trules")
def writes_nothing_twice(fhir: Fhir) -> None:
    made = fhir.make("Patient", name=[{"family": fhir.unique()}])
    path, family = path_of(made)[1:], made["name"][0]["family"]
    twice = (
        (entry("PUT", path, {**made, "active": True}), entry("PUT", path, {**made, "active": False})),
        (entry("PUT", path, {**made, "active": True}), entry("DELETE", path)),
        (entry("PUT", path, {**made, "active": True}), entry("PUT", f"Patient?family={family}", made)),
        (entry("DELETE", f"Patient?family={family}"), entry("DELETE", path)),
    )
    for pair in twice:
        refused(send(fhir, "transaction", *pair), 400, 422)
    expect(fhir.read(f"/{path}") == made, "a refused transaction changed the resource")
    id = fhir.unique()
    both = transaction(
        fhir,
        entry("PUT", f"Patient/{id}", patient(fhir, id=id)),
        entry("PUT", f"Basic/{id}", fhir.draft("Basic", id=id, code={"text": "a"})),
    )
    expect(statuses(both) == [201, 201], "one id in two types is refused")


@bundle_rules.check("B08", "bundle.html#bdl-7")
def refuses_one_full_url_twice(fhir: Fhir) -> None:
    urn = "urn:uuid:6b5c1c5e-6f3c-4a6e-9a35-4f4b0c4f0c11"
    pair = [entry("POST", "Patient", patient(fhir), urn) for _ in range(2)]
    refused(send(fhir, "transaction", *pair), 400, 422)


@bundle_rules.check("B09", "http.html#ccreate")
def makes_one_of_two_equal_conditional_creates(fhir: Fhir) -> None:
    family = fhir.unique()
    urns = [f"urn:uuid:6b5c1c5e-6f3c-4a6e-9a35-4f4b0c4f0c0{number}" for number in range(2)]
    create = [
        entry("POST", "Patient", patient(fhir, name=[{"family": family}]), urn, ifNoneExist=f"family={family}")
        for urn in urns
    ]
    refer = [
        entry("POST", "Basic", fhir.draft("Basic", code={"text": "a"}, subject={"reference": urn})) for urn in urns
    ]
    answer = transaction(fhir, *create, *refer)
    expect(len(entries(fhir.bundle(f"/Patient?family={family}"))) == 1, "two equal conditional creates made two")
    subjects = {each["resource"]["subject"]["reference"] for each in answer[2:]}
    expect(len(subjects) == 1 and "Patient/" in subjects.pop(), "the two full URLs do not lead to the one resource")


@bundle_rules.check("B16", "http.html#transaction")
def heeds_the_conditions_of_entries(fhir: Fhir) -> None:
    made = fhir.make("Patient", name=[{"family": fhir.unique()}])
    path, family = path_of(made)[1:], made["name"][0]["family"]
    changed = {**made, "active": True}
    failing = (
        (entry("PUT", path, changed, ifMatch='W/"none"'), 412),
        (entry("PUT", path, changed, ifNoneMatch="*"), 412),
        (entry("DELETE", path, ifMatch='W/"none"'), 412),
    )
    for each, status in failing:
        refused(send(fhir, "transaction", each), status)
        expect(statuses(batch(fhir, each)) == [status], "a batch does not heed the condition")
    expect(fhir.read(f"/{path}") == made, "a refused write changed the resource")
    unchanged = (
        entry("GET", path, ifNoneMatch=tag_of(made)),
        entry("GET", path, ifModifiedSince=made["meta"]["lastUpdated"]),
        entry("POST", "Patient", patient(fhir), ifNoneExist=f"family={family}"),
        entry("PUT", path, changed, ifMatch=tag_of(made)),
    )
    for ask, each, status in zip((batch, batch, batch, transaction), unchanged, (304, 304, 200, 200), strict=True):
        expect(statuses(ask(fhir, each)) == [status], f"{each['request']} did not give {status}")


@bundle_rules.check("B17", "http.html#patch")
def patches_within_bundles(fhir: Fhir) -> None:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.active"},
        {"name": "value", "valueBoolean": True},
    ]
    change = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    for ask in (batch, transaction):
        made = fhir.make("Patient", active=False)
        found = ask(fhir, entry("PATCH", path_of(made)[1:], change))
        expect(statuses(found) == [200], f"a PATCH entry gave {statuses(found)}")
        expect(fhir.read(path_of(made))["active"] is True, "a PATCH entry changed nothing")
    refused(send(fhir, "transaction", entry("PATCH", f"Patient/{fhir.unique()}", change)), 404)


@bundle_rules.check("B18", "http.html#trules")
def keeps_all_of_a_transaction_or_nothing(fhir: Fhir) -> None:
    since = fhir.bundle(f"/Patient?_tag={fhir.tag}&_summary=count")["total"]
    made = fhir.make("Patient")
    id = fhir.unique()
    good = (
        entry("POST", "Patient", patient(fhir)),
        entry("PUT", path_of(made)[1:], {**made, "active": True}),
        entry("PUT", f"Patient/{id}", patient(fhir, id=id)),
    )
    failing = (
        (entry("POST", "Patient", patient(fhir, active="yes")), (400, 422)),
        (entry("POST", "Patient", patient(fhir, gender="blue")), (400, 422)),
        (entry("PUT", f"Patient/{id}x", patient(fhir, id=id)), (400, 422)),
        (entry("PUT", path_of(made)[1:] + "x", patient(fhir, id=f"{made['id']}x"), ifMatch='W/"1"'), (412,)),
        (entry("GET", f"Patient/{fhir.unique()}"), (404,)),
    )
    for bad, expected in failing:
        issues = refused(send(fhir, "transaction", *good, bad), *expected)
        places = [each for issue in issues for each in issue.get("expression", [])]
        expect(any(each.startswith("Bundle.entry[3]") for each in places), f"expression is {places}")
    expect(fhir.read(path_of(made)) == made, "a part of a failed transaction is kept")
    expect(fhir.bundle(f"/Patient?_tag={fhir.tag}&_summary=count")["total"] == since + 1, "a part is kept")


@bundle_rules.check("B19", "http.html#brules")
def lets_the_entries_of_a_batch_stand_alone(fhir: Fhir) -> None:
    urn = "urn:uuid:6b5c1c5e-6f3c-4a6e-9a35-4f4b0c4f0c21"
    found = batch(
        fhir,
        entry("POST", "Patient", patient(fhir), urn),
        entry("POST", "Patient", patient(fhir, gender="blue")),
        entry("GET", f"Patient/{fhir.unique()}"),
        entry("POST", "Basic", fhir.draft("Basic", code={"text": "a"}, subject={"reference": urn})),
        entry("GET", "Nothing/1"),
        entry("POST", "Patient", patient(fhir)),
    )
    told = statuses(found)
    expect(told[0] == told[5] == 201 and told[1] in (400, 422) and told[2] == told[4] == 404, f"a batch gave {told}")
    for number in (1, 2, 4):
        outcome = found[number]["response"].get("outcome", {})
        expect(outcome.get("resourceType") == "OperationOutcome", "a failed entry has no OperationOutcome")
    if told[3] == 201:
        expect(found[3]["resource"]["subject"]["reference"] == urn, "a batch rewrote a reference between its entries")
