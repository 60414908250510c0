"""Conditional create, update, patch and delete (http.html#ccreate, #cond-update, #cdelete)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from conformance.kit.client import Response
from conformance.kit.fhir.rest import path_of, tag_of
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, body_of, entries, expect_status, refused
from conformance.kit.verdict import expect

conditional = Section()

_CHANGE = [{"op": "add", "path": "/active", "value": True}]
_WITHOUT_CRITERIA = ("", "no-such-parameter=a", "family=", "_count=1", "_format=json", "_sort=family", "_summary=true")


def _named(fhir: Fhir, family: str, **members: object) -> Resource:
    return fhir.draft("Patient", name=[{"family": family}], **members)


def _count(fhir: Fhir, family: str) -> int:
    return int(fhir.bundle(f"/Patient?family:exact={family}&_summary=count")["total"])


@conditional.check("C13", "http.html#ccreate")
def creates_where_nothing_matches(fhir: Fhir) -> None:
    family = fhir.unique()
    first = expect_status(fhir.post("/Patient", _named(fhir, family), if_none_exist=f"family={family}"), 201)
    second = expect_status(fhir.post("/Patient", _named(fhir, family), if_none_exist=f"family={family}"), 200)
    for name in ("location", "etag"):
        expect(second.headers.get(name) == first.headers.get(name), f"{name} is not that of the match")
    expect(_count(fhir, family) == 1, "a match was written again")
    fhir.created(_named(fhir, family))
    refused(fhir.post("/Patient", _named(fhir, family), if_none_exist=f"family={family}"), 412)
    expect(_count(fhir, family) == 2, "an ambiguous conditional create wrote something")


@conditional.check("C14", "http.html#ccreate")
def takes_the_criteria_of_a_create_in_each_form(fhir: Fhir) -> None:
    family = fhir.unique()
    fhir.created(_named(fhir, family))
    for form in (f"family={family}", f"?family={family}", f"Patient?family={family}"):
        expect_status(fhir.post("/Patient", _named(fhir, family), if_none_exist=form), 200)
    refused(fhir.post("/Patient", _named(fhir, family), if_none_exist=" "), 400)
    refused(fhir.post("/Patient", _named(fhir, family), if_none_exist=f"Basic?_id={family}"), 400)


@conditional.check("C15", "http.html#ccreate")
def makes_one_resource_of_parallel_creates(fhir: Fhir) -> None:
    family = fhir.unique()
    answers = _at_once(
        lambda: fhir.post("/Patient", _named(fhir, family), if_none_exist=f"family={family}"),
    )
    expect(_count(fhir, family) == 1, f"eight conditional creates made {_count(fhir, family)}: {answers}")
    expect(answers == [200] * 7 + [201], f"eight conditional creates gave {answers}")


@conditional.check("C15", "http.html#cond-update")
def makes_one_resource_of_parallel_updates(fhir: Fhir) -> None:
    family = fhir.unique()
    answers = _at_once(lambda: fhir.put(f"/Patient?family={family}", _named(fhir, family)))
    expect(_count(fhir, family) == 1, f"eight conditional updates made {_count(fhir, family)}: {answers}")
    expect(answers == [200] * 7 + [201], f"eight conditional updates gave {answers}")


def _at_once(ask: Callable[[], Response]) -> list[int]:
    with ThreadPoolExecutor(8) as pool:
        return sorted(each.result().status for each in [pool.submit(ask) for _ in range(8)])


@conditional.check("C16", "http.html#cond-update")
def wants_real_criteria(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    for query in _WITHOUT_CRITERIA:
        if query:
            refused(fhir.post("/Patient", fhir.draft("Patient"), if_none_exist=query), 400, 412)
        refused(fhir.put(f"/Patient?{query}", fhir.draft("Patient")), 400, 404, 405, 412)
        refused(fhir.patch(f"/Patient?{query}", _CHANGE), 400, 404, 405, 412)
        refused(fhir.delete(f"/Patient?{query}"), 400, 404, 405, 412)
    refused(fhir.delete(f"/Patient?_id={made['id']}&no-such-parameter=a"), 400, 412)
    expect(fhir.read(path_of(made)) == made, "a refused write changed a resource")


@conditional.check("C17", "http.html#cond-update")
def updates_by_criteria(fhir: Fhir) -> None:
    family, other = fhir.unique(), fhir.unique()
    address = f"/Patient?family={family}"
    created = expect_status(fhir.put(address, _named(fhir, family), prefer="return=representation"), 201)
    made = body_of(created)
    expect(bool(created.headers.get("location")), "a conditional update that creates tells no Location")
    expect_status(fhir.put(address, _named(fhir, family, active=True)), 200)
    expect_status(fhir.put(address, _named(fhir, family, id=made["id"], active=False)), 200)
    expect(fhir.read(path_of(made))["active"] is False, "a conditional update did not update")
    refused(fhir.put(address, _named(fhir, family, id=fhir.unique())), 400)
    at_id = expect_status(fhir.put(f"/Patient?family={other}", _named(fhir, other, id=other)), 201)
    expect(f"/Patient/{other}/" in at_id.headers["location"], "with no match the id of the body is not taken")
    fhir.created(_named(fhir, family))
    refused(fhir.put(address, _named(fhir, family, gender="male")), 412)


@conditional.check("C09", "http.html#concurrency")
def heeds_if_match_where_criteria_find(fhir: Fhir) -> None:
    family = fhir.unique()
    made = fhir.created(_named(fhir, family))
    address = f"/Patient?family={family}"
    refused(fhir.put(address, _named(fhir, family, gender="male"), if_match='W/"none"'), 412)
    refused(fhir.patch(address, _CHANGE, if_match='W/"none"'), 412)
    refused(fhir.delete(address, if_match='W/"none"'), 412)
    expect(fhir.read(path_of(made)) == made, "a refused write changed the resource")
    changed = fhir.put(address, _named(fhir, family, gender="male"), if_match=tag_of(made))
    patched = fhir.patch(address, _CHANGE, if_match=expect_status(changed, 200).headers["etag"])
    expect_status(fhir.delete(address, if_match=expect_status(patched, 200).headers["etag"]), 200, 204)


@conditional.check("C19", "http.html#patch")
def patches_by_criteria(fhir: Fhir) -> None:
    family = fhir.unique()
    refused(fhir.patch(f"/Patient?family={family}", _CHANGE), 404)
    made = fhir.created(_named(fhir, family))
    expect_status(fhir.patch(f"/Patient?family={family}", _CHANGE), 200)
    expect(fhir.read(path_of(made))["active"] is True, "a conditional patch did not patch")
    fhir.created(_named(fhir, family))
    refused(fhir.patch(f"/Patient?family={family}", [{"op": "remove", "path": "/active"}]), 412)


@conditional.check("C20", "http.html#delete")
def deletes_by_criteria(fhir: Fhir) -> None:
    family = fhir.unique()
    address = f"/Patient?family={family}"
    expect_status(fhir.delete(address), 200, 204)
    made = fhir.created(_named(fhir, family))
    expect_status(fhir.delete(address), 200, 204)
    refused(fhir.get(path_of(made)), 410)
    for _ in range(2):
        fhir.created(_named(fhir, family))
    declared = fhir.offer("Patient").get("conditionalDelete")
    answer = fhir.delete(address)
    if declared == "multiple":
        expect_status(answer, 200, 204)
    else:
        refused(answer, 412)
    left = len(entries(fhir.bundle(address)))
    expect(left == (0 if declared == "multiple" else 2), f"conditionalDelete={declared} left {left} of 2")
