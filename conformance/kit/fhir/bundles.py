"""Batches and transactions: shape, answers, addresses, limits (http.html#transaction, bundle.html)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.kit.client import Response
from conformance.kit.fhir.rest import path_of
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, body_of, entries, expect_status, refused
from conformance.kit.verdict import expect

bundles = Section()


def entry(method: str, url: str, resource: Resource | None = None, full_url: str = "", **request: str) -> Resource:
    made: Resource = {"request": {"method": method, "url": url, **request}}
    if full_url:
        made["fullUrl"] = full_url
    return made if resource is None else {**made, "resource": resource}


def bundle_of(kind: str, listed: Sequence[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": kind, **({"entry": list(listed)} if listed else {})}


def send(fhir: Fhir, kind: str, *listed: Resource, **headers: str) -> Response:
    return fhir.post("", bundle_of(kind, listed), **headers)


def answered(answer: Response) -> list[Resource]:
    """The entries of the answer to a batch or transaction that must have gone well."""
    return entries(body_of(expect_status(answer, 200), "Bundle"))


def transaction(fhir: Fhir, *listed: Resource) -> list[Resource]:
    found = answered(send(fhir, "transaction", *listed, prefer="return=representation"))
    expect(len(found) == len(listed), f"{len(listed)} entries are answered by {len(found)}")
    return found


def batch(fhir: Fhir, *listed: Resource) -> list[Resource]:
    found = answered(send(fhir, "batch", *listed, prefer="return=representation"))
    expect(len(found) == len(listed), f"{len(listed)} entries are answered by {len(found)}")
    return found


def statuses(listed: Sequence[Resource]) -> list[int]:
    return [int(each["response"]["status"][:3]) for each in listed]


def patient(fhir: Fhir, **members: Any) -> Resource:
    return fhir.draft("Patient", **members)


@bundles.check("B01", "http.html#transaction")
def takes_batches_and_transactions_only(fhir: Fhir) -> None:
    create = entry("POST", "Patient", patient(fhir))
    for kind in ("batch", "transaction"):
        answer = body_of(expect_status(send(fhir, kind, create), 200), "Bundle")
        expect(answer["type"] == f"{kind}-response", f"the answer to a {kind} is of type {answer['type']}")
    for body in (
        patient(fhir),
        {"resourceType": "Bundle", "entry": [create]},
        bundle_of("searchset", []),
        bundle_of("nonsense", []),
        {"resourceType": "Bundle", "type": "transaction", "entry": [{}]},
    ):
        refused(fhir.post("", body), 400, 422)


@bundles.check("B02", "bundle.html#bdl-3")
def wants_a_request_and_its_resource(fhir: Fhir) -> None:
    good = entry("POST", "Patient", patient(fhir))
    for bad in (
        {"resource": patient(fhir)},
        {"request": {"method": "POST"}, "resource": patient(fhir)},
        {"request": {"url": "Patient"}, "resource": patient(fhir)},
        entry("POST", "Patient"),
        entry("PUT", f"Patient/{fhir.unique()}"),
    ):
        refused(send(fhir, "transaction", good, bad), 400, 422)
        answer = send(fhir, "batch", good, bad)
        if answer.status == 200:
            found = statuses(answered(answer))
            expect(found[0] == 201 and found[1] in (400, 422), f"a batch with a bad entry gave {found}")
        else:
            refused(answer, 400, 422)


@bundles.check("B03", "http.html#transaction-response")
def answers_each_entry_in_order(fhir: Fhir) -> None:
    there = fhir.make("Patient")
    listed = (
        entry("GET", path_of(there)[1:]),
        entry("GET", f"Patient?_id={there['id']}"),
        entry("POST", "Patient", patient(fhir)),
        entry("PUT", path_of(there)[1:], {**there, "active": True}),
        entry("DELETE", f"Patient/{fhir.unique()}"),
    )
    for ask in (batch, transaction):
        read, found, created, updated, deleted = ask(fhir, *listed)
        expect(read["resource"]["resourceType"] == "Patient", "a GET is not answered by the resource")
        expect(found["resource"]["type"] == "searchset", "a search is not answered by a searchset")
        expect(found["resource"]["entry"][0]["resource"]["id"] == there["id"], "the searchset finds something else")
        expect(statuses([read, found, created, updated, deleted])[:4] == [200, 200, 201, 200], "a status is wrong")
        for each in (created, updated):
            meta = each["resource"]["meta"]
            expect(each["response"]["etag"] == f'W/"{meta["versionId"]}"', "etag is not of the resource")
            expect(each["response"]["lastModified"] == meta["lastUpdated"], "lastModified is not lastUpdated")
        location = created["response"]["location"]
        expect("Patient/" in location and "/_history/" in location, f"location is {location}")
        expect_status(fhir.get(fhir.client.path_of(location) if "://" in location else f"/{location}"), 200)


@bundles.check("B04", "http.html#trules")
def takes_an_empty_bundle(fhir: Fhir) -> None:
    for kind in ("batch", "transaction"):
        expect(not answered(send(fhir, kind)), f"an empty {kind} has entries")


@bundles.check("B21", "http.html#transaction")
def refuses_a_bundle_within_a_bundle(fhir: Fhir) -> None:
    inner = bundle_of("batch", [entry("POST", "Patient", patient(fhir))])
    for url in ("", "/", fhir.base):
        nested = entry("POST", url, inner) if url else {"request": {"method": "POST", "url": "."}, "resource": inner}
        refused(send(fhir, "transaction", nested), 400, 403, 404, 405, 422)
        expect(statuses(batch(fhir, nested))[0] in (400, 403, 404, 405, 422), "a nested batch was carried out")


@bundles.check("B21", "http.html#transaction")
def bounds_the_number_of_entries(fhir: Fhir) -> None:
    many = [entry("GET", "Patient/a")] * 20_000
    refused(fhir.post("", bundle_of("batch", many)), 413, 422)


@bundles.check("B23", "http.html#transaction")
def takes_addresses_in_every_form(fhir: Fhir) -> None:
    family = f"{fhir.unique()} ö"
    made = fhir.make("Patient", name=[{"family": family}])
    quoted = family.replace(" ", "%20").replace("ö", "%C3%B6")
    for url in (path_of(made)[1:], path_of(made), fhir.base + path_of(made)):
        expect(statuses(batch(fhir, entry("GET", url))) == [200], f"GET {url} does not read")
        expect(statuses(transaction(fhir, entry("PUT", url, {**made, "active": True}))) == [200], f"PUT {url} fails")
    for url in (f"Patient?family={quoted}", f"/Patient?family={quoted}", f"{fhir.base}/Patient?family={quoted}"):
        [found] = batch(fhir, entry("GET", url))
        expect([each["resource"]["id"] for each in entries(found["resource"])] == [made["id"]], f"{url} finds others")


@bundles.check("B25", "bundle.html#invs")
def checks_the_rules_of_bundles_it_stores(fhir: Fhir) -> None:
    patient = {"resourceType": "Patient", "id": "a"}
    full = "https://example.org/fhir/Patient/a"
    for bad in (
        {"type": "collection", "total": 1},
        {"type": "collection", "entry": [{"fullUrl": full, "resource": patient, "search": {"mode": "match"}}]},
        {"type": "collection", "entry": [{"fullUrl": full}]},
        {"type": "collection", "entry": [{"fullUrl": f"{full}/_history/1", "resource": patient}]},
        {"type": "document", "entry": [{"fullUrl": full, "resource": patient}]},
        {"type": "message", "entry": [{"fullUrl": full, "resource": patient}]},
        {"type": "collection", "entry": [{"fullUrl": full, "resource": patient}] * 2},
    ):
        refused(fhir.post("/Bundle", fhir.draft("Bundle", **bad)), 400, 422)
    fhir.make("Bundle", type="collection", entry=[{"fullUrl": full, "resource": patient}])
