"""Addresses, reading, versions and refusals of the RESTful API (http.html)."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime

from conformance.kit.client import Response
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, body_of, expect_status, link, refused, told
from conformance.kit.verdict import Skipped, expect

rest = Section()

_LOCATION = re.compile(r"/_history/[A-Za-z0-9\-.]{1,64}$")
_TOO_LONG = 1 << 42


def tag_of(resource: Resource) -> str:
    return f'W/"{resource["meta"]["versionId"]}"'


def path_of(resource: Resource) -> str:
    return f"/{resource['resourceType']}/{resource['id']}"


def add_gender(fhir: Fhir, path: str, **headers: str) -> Response:
    return fhir.patch(path, [{"op": "add", "path": "/gender", "value": "female"}], **headers)


@rest.check("R01", "http.html#general")
def tells_upper_from_lower_case_in_addresses(fhir: Fhir) -> None:
    upper = fhir.unique("A")
    fhir.updated(fhir.draft("Patient", id=upper))
    refused(fhir.get(f"/Patient/{upper.lower()}"), 404)
    refused(fhir.get(f"/patient/{upper}"), 404)
    refused(fhir.get("/patient?_count=1"), 404)


@rest.check("R02", "datatypes.html#id")
def refuses_what_is_no_id(fhir: Fhir) -> None:
    for id in ("a_b", "x" * 65, "a%20b", "%C3%A4"):
        refused(fhir.get(f"/Patient/{id}"), 400, 404)
        refused(fhir.get(f"/Patient/a/_history/{id}"), 400, 404)
        refused(fhir.put(f"/Patient/{id}", fhir.draft("Patient", id=id)), 400)


@rest.check("R03", "http.html#create")
def answers_unknown_types_and_wrong_methods(fhir: Fhir) -> None:
    for method in ("GET", "POST"):
        refused(fhir.send(method, "/Nothing", b'{"resourceType":"Nothing"}', content_type="application/fhir+json"), 404)
    refused(fhir.get("/Nothing/1"), 404)
    for method, path in (("POST", "/Patient/1"), ("PUT", "/metadata"), ("DELETE", "/Patient/_search")):
        answer = fhir.send(method, path, b"{}", content_type="application/fhir+json")
        refused(answer, 405)
        expect(bool(answer.headers.get("allow")), f"{method} {path} gave 405 without Allow")


@rest.check("R04", "http.html#update")
def refuses_bodies_of_another_type_and_none_at_all(fhir: Fhir) -> None:
    id = fhir.unique()
    for method, path in (("POST", "/Patient"), ("PUT", f"/Patient/{id}")):
        wrong = fhir.draft("Basic", id=id, code={"text": "a"})
        refused(fhir.send(method, path, wrong, content_type="application/fhir+json"), 400)
        for body in (b"", b"{", b"[]", b"null", b"<Patient/>"):
            refused(fhir.send(method, path, body, content_type="application/fhir+json"), 400)
    refused(fhir.get(f"/Patient/{id}"), 404)


@rest.check("R05", "http.html#versioning")
def tells_version_and_time_in_headers(fhir: Fhir) -> None:
    created = fhir.post("/Patient", fhir.draft("Patient"), prefer="return=representation")
    _expect_version(created)
    path = path_of(body_of(created))
    _expect_version(fhir.get(path))
    _expect_version(fhir.get(f"{path}/_history/{body_of(created)['meta']['versionId']}"))
    changed = {**body_of(created), "active": True}
    _expect_version(fhir.put(path, changed, prefer="return=representation"))
    _expect_version(add_gender(fhir, path, prefer="return=representation"))
    found = fhir.get(f"/Patient?_tag={fhir.tag}&_id={body_of(created)['id']}")
    expect("etag" not in found.headers, "a searchset carries an ETag")
    expect("versionId" in body_of(found)["entry"][0]["resource"]["meta"], "a resource of a Bundle has no versionId")


def _expect_version(answer: Response) -> None:
    expect_status(answer, 200, 201)
    meta = body_of(answer)["meta"]
    expect(answer.headers.get("etag") == f'W/"{meta["versionId"]}"', f"ETag is {answer.headers.get('etag')}")
    modified = parsedate_to_datetime(answer.headers["last-modified"])
    updated = datetime.fromisoformat(meta["lastUpdated"])
    expect(modified == updated.replace(microsecond=0), f"Last-Modified {modified} is not lastUpdated {updated}")


@rest.check("R07", "http.html#create")
def tells_where_it_put_what_it_created(fhir: Fhir) -> None:
    id = fhir.unique()
    by_post = fhir.post("/Patient", fhir.draft("Patient"))
    by_put = fhir.put(f"/Patient/{id}", fhir.draft("Patient", id=id))
    for answer in (by_post, by_put):
        location = expect_status(answer, 201).headers.get("location", "")
        expect(location.startswith(f"{fhir.base}/Patient/"), f"Location is {location!r}")
        expect(bool(_LOCATION.search(location)), f"Location {location!r} names no version")
        expect_status(fhir.get(fhir.client.path_of(location)), 200)
    expect(f"/Patient/{id}/" in by_put.headers["location"], "Location of an update is not its address")


@rest.check("R09", "http.html#cread")
def reads_conditionally(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    read = fhir.get(path_of(made))
    for headers in ({"if_none_match": read.headers["etag"]}, {"if_modified_since": read.headers["last-modified"]}):
        answer = expect_status(fhir.get(path_of(made), **headers), 304)
        expect(not answer.body, "a 304 has a body")
        expect(answer.headers.get("etag") == read.headers["etag"], "a 304 lacks the ETag")
    expect_status(fhir.get(path_of(made), if_none_match='W/"none"'), 200)
    expect_status(fhir.get(path_of(made), if_modified_since="Thu, 01 Jan 2015 00:00:00 GMT"), 200)
    declared = fhir.offer("Patient").get("conditionalRead")
    expect(declared == "full-support", f"conditionalRead is declared as {declared}")


@rest.check("R10", "RFC 9110 13.1.2")
def takes_lists_and_strong_tags_in_if_none_match(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    version = made["meta"]["versionId"]
    for value in (f'"{version}"', f'W/"none", W/"{version}"', f'"none","{version}"', "*"):
        expect_status(fhir.get(path_of(made), if_none_match=value), 304)


@rest.check("R11", "http.html#head")
def answers_head_as_get_without_a_body(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    path = path_of(made)
    search = f"/Patient?_id={made['id']}"
    for each in (path, f"{path}/_history/{made['meta']['versionId']}", f"{path}/_history", search, "/metadata"):
        got, head = fhir.get(each), fhir.send("HEAD", each)
        expect(head.status == got.status == 200, f"HEAD {each} gave {head.status}, GET {got.status}")
        expect(not head.body, f"HEAD {each} has a body")
        for name in ("etag", "last-modified", "content-type"):
            expect(head.headers.get(name) == got.headers.get(name), f"HEAD {each}: {name} differs from GET's")
    expect(fhir.send("HEAD", f"/Patient/{fhir.unique()}").status == 404, "HEAD of nothing is not 404")


@rest.check("R12", "http.html#read")
def tells_deleted_from_never_there(fhir: Fhir) -> None:
    path = path_of(fhir.make("Patient"))
    expect_status(fhir.delete(path), 200, 204)
    issues = refused(fhir.get(path), 410)
    expect(issues[0]["code"] == "deleted", f"the issue's code is {issues[0]['code']}")
    issues = refused(fhir.get(f"/Patient/{fhir.unique()}"), 404)
    expect(issues[0]["code"] == "not-found", f"the issue's code is {issues[0]['code']}")


@rest.check("R13", "http.html#vread")
def reads_versions_before_and_after_a_delete(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    path, first = path_of(made), made["meta"]["versionId"]
    refused(fhir.get(f"{path}/_history/no-such"), 404)
    refused(fhir.get(f"/Patient/{fhir.unique()}/_history/{first}"), 404)
    expect_status(fhir.delete(path), 200, 204)
    expect(fhir.read(f"{path}/_history/{first}") == made, "the version before the deletion reads otherwise now")
    deletion = next(each for each in fhir.bundle(f"{path}/_history")["entry"] if each["request"]["method"] == "DELETE")
    version = deletion["response"]["etag"].removeprefix('W/"').rstrip('"')
    refused(fhir.get(f"{path}/_history/{version}"), 410)


@rest.check("R31", "http.html#custom")
def echoes_the_request_id(fhir: Fhir) -> None:
    id = fhir.unique("request-")
    answer = fhir.get("/metadata", x_request_id=id)
    told_back = (answer.headers.get("x-request-id"), answer.headers.get("x-correlation-id"))
    expect(id in told_back, f"X-Request-Id and X-Correlation-Id are {told_back}")


@rest.check("R32", "http.html#general")
def writes_links_for_the_address_it_was_called_by(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    searched = fhir.bundle(f"/Patient?_id={made['id']}")
    own = link(searched, "self") or ""
    expect(own.startswith(f"{fhir.base}/Patient?"), f"self is {own!r}")
    expect(searched["entry"][0]["fullUrl"] == fhir.base + path_of(made), "fullUrl is not [base]/Patient/[id]")
    foreign = fhir.get(f"/Patient?_id={made['id']}", x_forwarded_host="elsewhere.example:8443:8443")
    expect(b":8443:8443" not in foreign.body, "an untrusted X-Forwarded-Host is taken over as it is")


@rest.check("T26", "http.html#paging")
def writes_links_that_can_be_followed(fhir: Fhir) -> None:
    made = [fhir.make("Patient") for _ in range(2)]
    listed = ",".join(each["id"] for each in made)
    for tag in (fhir.tag, fhir.tag.replace("%7C", "|")):
        first = fhir.bundle(f"/Patient?_tag={tag}&_id={listed}&_count=1")
        for relation in ("self", "next"):
            url = link(first, relation) or ""
            expect(url.startswith(fhir.base) and "|" not in url, f"{relation} is {url!r}")
            expect(len(fhir.bundle(fhir.client.path_of(url))["entry"]) == 1, f"{relation} finds something else")


@rest.check("R33", "operationoutcome.html")
def uses_the_issue_codes_of_the_value_set(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    asked = {
        "structure invalid value required": fhir.post("/Patient", b"{"),
        "structure invalid value": fhir.post("/Patient", fhir.draft("Patient", active="yes")),
        "not-found": fhir.get(f"/Patient/{fhir.unique()}"),
        "not-supported": fhir.send("POST", path_of(made), b"{}", content_type="application/fhir+json"),
        "not-supported ": fhir.get(path_of(made), accept="text/csv"),
        " not-supported": fhir.post("/Patient", b"a", "text/csv"),
        "conflict": fhir.put(path_of(made), made, if_match='W/"none"'),
        "conflict multiple-matches": _several(fhir),
    }
    for codes, answer in asked.items():
        code = refused(answer, answer.status)[0]["code"]
        expect(answer.status >= 400 and code in codes.split(), f"{answer.status} has the code {code}, not {codes}")


def _several(fhir: Fhir) -> Response:
    family = fhir.unique()
    for _ in range(2):
        fhir.make("Patient", name=[{"family": family}])
    return fhir.put(f"/Patient?family={family}", fhir.draft("Patient"))


@rest.check("R34", "operationoutcome.html")
def names_the_place_of_a_fault_without_repeating_the_value(fhir: Fhir) -> None:
    secret = fhir.unique("secret")
    answer = fhir.post("/Patient", fhir.draft("Patient", name=[{"family": "a"}, {"family": "b", "period": secret}]))
    issues = refused(answer, 400, 422)
    places = [each for issue in issues for each in issue.get("expression", [])]
    expect(any(each.startswith("Patient.name[1].period") for each in places), f"expression is {places}")
    expect(secret.encode() not in answer.body, "the refusal repeats the value")
    expect(b"Traceback" not in answer.body and b'.py"' not in answer.body, "the refusal shows a trace")


@rest.check("R35", "http.html#create")
def refuses_what_is_too_long_before_reading_it(fhir: Fhir) -> None:
    answer = fhir.post("/Patient", b"{}", content_length=str(_TOO_LONG))
    refused(answer, 413)


@rest.check("R36", "http.html#security")
def lets_pages_of_other_origins_read_its_headers(fhir: Fhir) -> None:
    origin = "http://localhost:3000"
    path = path_of(fhir.make("Patient"))
    asked = {"origin": origin, "access_control_request_method": "PUT"}
    preflight = fhir.send("OPTIONS", path, access_control_request_headers="content-type,if-match,prefer", **asked)
    if "access-control-allow-origin" not in preflight.headers:
        raise Skipped("cross-origin requests are not allowed by this server")
    expect_status(preflight, 200, 204)
    expect("PUT" in preflight.headers.get("access-control-allow-methods", ""), f"PUT is not allowed: {told(preflight)}")
    exposed = fhir.get(path, origin=origin).headers.get("access-control-expose-headers", "").lower()
    missing = {"etag", "location", "content-location", "last-modified"} - set(re.split(r",\s*", exposed))
    expect(not missing, f"not exposed: {', '.join(sorted(missing))}")
