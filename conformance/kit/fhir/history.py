"""Histories of a resource, a type and the server (http.html#history)."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from urllib.parse import quote

from conformance.kit.fhir.rest import path_of
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, entries, expect_status, link, refused
from conformance.kit.verdict import expect

history = Section()


def _moment(resource: Resource) -> datetime:
    return datetime.fromisoformat(resource["meta"]["lastUpdated"])


def _instant(moment: datetime) -> str:
    return quote(moment.isoformat(timespec="milliseconds"))


def _before(fhir: Fhir) -> str:
    """A moment just before what is written next; the clock is the server's own."""
    made = _moment(fhir.make("Basic", code={"text": "a"}))
    time.sleep(0.005)
    return _instant(made + timedelta(milliseconds=1))


def _written(fhir: Fhir) -> tuple[str, list[str]]:
    """A patient made by PUT, changed twice and deleted, with its address and the methods, newest first."""
    draft = fhir.draft("Patient", id=fhir.unique())
    path = path_of(draft)
    fhir.updated(draft)
    fhir.updated({**draft, "active": True})
    fhir.patch(path, [{"op": "add", "path": "/gender", "value": "other"}])
    expect_status(fhir.delete(path), 200, 204)
    return path, ["DELETE", "PUT", "PUT", "PUT"]


def _methods(listed: list[Resource]) -> list[str]:
    return [each["request"]["method"] for each in listed]


@history.check("Y01", "http.html#history")
def tells_every_version_newest_first(fhir: Fhir) -> None:
    since = _before(fhir)
    path, methods = _written(fhir)
    for address in (f"{path}/_history", f"/Patient/_history?_since={since}", f"/_history?_since={since}"):
        bundle = fhir.bundle(address)
        expect(bundle["type"] == "history", f"{address}: type is {bundle['type']}")
        own = [each for each in entries(bundle) if each["fullUrl"] == fhir.base + path]
        expect(_methods(own) == methods, f"{address}: the methods are {_methods(own)}")
        moments = [each["response"]["lastModified"] for each in entries(bundle)]
        expect(moments == sorted(moments, key=datetime.fromisoformat, reverse=True), f"{address}: not newest first")
        expect((link(bundle, "self") or "").startswith(f"{fhir.base}{address.split('?')[0]}"), f"{address}: no self")


@history.check("Y02", "http.html#history")
def keeps_the_history_of_the_deleted(fhir: Fhir) -> None:
    refused(fhir.get(f"/Patient/{fhir.unique()}/_history"), 404)
    path, methods = _written(fhir)
    expect(_methods(entries(fhir.bundle(f"{path}/_history"))) == methods, "the history after a deletion is not whole")


@history.check("Y03", "bundle.html")
def tells_request_and_response_of_each_version(fhir: Fhir) -> None:
    path, _ = _written(fhir)
    deletion, third, second, first = entries(fhir.bundle(f"{path}/_history"))
    [created] = entries(fhir.bundle(f"{path_of(fhir.make('Patient'))}/_history"))
    expected = ((deletion, "204"), (third, "200"), (second, "200"), (first, "201"), (created, "201"))
    for entry, status in expected:
        expect(entry["response"]["status"].startswith(status), f"{entry['request']} has {entry['response']['status']}")
        expect(entry["fullUrl"].startswith(fhir.base), f"fullUrl is {entry['fullUrl']}")
        expect(("resource" in entry) == (entry is not deletion), "a deletion has a resource, or another entry has none")
        if "resource" in entry:
            meta = entry["resource"]["meta"]
            expect(entry["response"]["etag"] == f'W/"{meta["versionId"]}"', f"etag is {entry['response']['etag']}")
            expect(entry["response"]["lastModified"] == meta["lastUpdated"], "lastModified is not lastUpdated")
        expect(bool(entry["response"].get("etag") and entry["response"].get("lastModified")), "etag or time is missing")
    expect((created["request"]["method"], created["request"]["url"]) == ("POST", "Patient"), "a create is no POST")
    expect(all(each["request"]["url"] == path[1:] for each in (deletion, third, second, first)), "a url is wrong")


@history.check("Y04", "http.html#history")
def tells_conditional_writes_as_plain_ones(fhir: Fhir) -> None:
    family = fhir.unique()
    address, draft = f"/Patient?family={family}", fhir.draft("Patient", name=[{"family": family}])
    made = fhir.created(draft)
    expect_status(fhir.post("/Patient", draft, if_none_exist=f"family={family}"), 200)
    expect_status(fhir.put(address, {**draft, "active": True}), 200)
    expect_status(fhir.patch(address, [{"op": "add", "path": "/gender", "value": "other"}]), 200)
    expect_status(fhir.delete(address), 200, 204)
    listed = entries(fhir.bundle(f"{path_of(made)}/_history"))
    expect(_methods(listed) == ["DELETE", "PUT", "PUT", "POST"], f"the methods are {_methods(listed)}")
    expect(not any("?" in each["request"]["url"] for each in listed), "a criterion is in a url")


@history.check("Y05", "http.html#history")
def starts_where_since_says(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    path = path_of(made)
    time.sleep(0.005)
    changed = fhir.updated({**made, "active": True})
    listed = entries(fhir.bundle(f"{path}/_history?_since={quote(changed['meta']['lastUpdated'])}"))
    expect([each["resource"] for each in listed] == [changed], "_since does not begin with that very moment")
    future = _instant(_moment(changed) + timedelta(days=1))
    for address in (f"{path}/_history", "/Patient/_history", "/_history"):
        bundle = fhir.bundle(f"{address}?_since={future}")
        expect(not entries(bundle) and bundle.get("total", 0) == 0, f"{address} since tomorrow is not empty")
        for bad in ("2020", "2020-01-01", "2020-01-01T00:00:00", "yesterday"):
            refused(fhir.get(f"{address}?_since={bad}"), 400)


@history.check("Y05", "http.html#history")
def tells_what_was_current_at_a_time(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    path = path_of(made)
    time.sleep(0.01)
    between = _instant(_moment(made) + timedelta(milliseconds=3))
    changed = fhir.updated({**made, "active": True})
    at_once = entries(fhir.bundle(f"{path}/_history?_at={between}"))
    expect([each["resource"] for each in at_once] == [made], "_at between two versions is not the first of them")
    today = changed["meta"]["lastUpdated"][:4]
    in_year = entries(fhir.bundle(f"{path}/_history?_at={today}"))
    expect([each["resource"] for each in in_year] == [changed, made], "_at of a year does not give both versions")
    expect(not entries(fhir.bundle(f"{path}/_history?_at=2001-01")), "_at long before gives a version")


@history.check("Y05", "http.html#history")
def tells_the_history_of_what_a_list_names(fhir: Fhir) -> None:
    patient = fhir.make("Patient")
    path, methods = path_of(patient), ["PUT", "POST"]
    fhir.updated({**patient, "active": True})
    fhir.make("Patient")
    item = {"item": {"reference": path[1:]}}
    made = fhir.make("List", status="current", mode="working", entry=[item])
    for address in (f"{path}/_history", "/Patient/_history", "/_history"):
        listed = entries(fhir.bundle(f"{address}?_list={made['id']}"))
        expect(_methods(listed) == methods, f"{address} of a list is {_methods(listed)}")
        expect(all(each["fullUrl"] == fhir.base + path for each in listed), f"{address} of a list tells of others")


@history.check("Y05", "http.html#history")
def refuses_parameters_given_twice(fhir: Fhir) -> None:
    path = path_of(fhir.make("Patient"))
    instant = "2020-01-01T00:00:00Z"
    for address in (f"{path}/_history", "/Patient/_history", "/_history"):
        for name, value in (("_since", instant), ("_at", "2020"), ("_count", "3"), ("_list", "1")):
            refused(fhir.get(f"{address}?{name}={value}&{name}={value}"), 400)
        for count in ("-1", "many"):
            refused(fhir.get(f"{address}?_count={count}"), 400)


@history.check("Y07", "http.html#paging")
def pages_without_loss_while_others_write(fhir: Fhir) -> None:
    since = _before(fhir)
    made = [fhir.make("Basic", code={"text": str(number)}) for number in range(7)]
    for address, expected in ((f"/Basic/_history?_since={since}", 7), (f"{path_of(made[0])}/_history", 5)):
        if expected == 5:
            for number in range(4):
                fhir.updated({**made[0], "code": {"text": f"change {number}"}})
        pages = [fhir.bundle(address + ("&" if "?" in address else "?") + "_count=2")]
        while (following := link(pages[-1], "next")) is not None:
            fhir.make("Basic", code={"text": "written meanwhile"})
            pages.append(fhir.bundle(fhir.client.path_of(following)))
        listed = [each for page in pages for each in entries(page)]
        versions = {(each["fullUrl"], each["response"]["etag"]) for each in listed}
        expect(len(listed) == len(versions), "a version is told of twice")
        told_of = [each for each in listed if each["resource"]["code"]["text"] != "written meanwhile"]
        expect(len(told_of) == expected, f"{len(told_of)} of {expected} versions are told of")
        expect(all(len(entries(page)) <= 2 for page in pages), "_count is not kept on later pages")
        expect(len({page.get("total") for page in pages}) == 1, "the total changes from page to page")
        expect(pages[0].get("total") == expected, f"the total is {pages[0].get('total')}, not {expected}")


@history.check("Y07", "http.html#paging")
def loses_nothing_of_one_moment_at_the_end_of_a_page(fhir: Fhir) -> None:
    since = _before(fhir)
    entry = {"request": {"method": "POST", "url": "Basic"}, "resource": fhir.draft("Basic", code={"text": "a"})}
    answer = fhir.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * 9})
    expect_status(answer, 200)
    pages = fhir.pages(f"/Basic/_history?_since={since}&_count=2")
    found = [each["fullUrl"] for page in pages for each in entries(page)]
    expect(len(found) == len(set(found)) == 9, f"{len(found)} of 9 of one moment are told of")
