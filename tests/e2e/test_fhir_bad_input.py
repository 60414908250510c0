"""Whatever is sent to the FHIR service, it answers with an OperationOutcome of the right status and goes on."""

from __future__ import annotations

import gzip
import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.fhir import JSON, XML, Fhir, Got
from tests.e2e.running import Server, running

FORM = "application/x-www-form-urlencoded"
PATIENT = b'{"resourceType":"Patient","id":"a","name":[{"family":"Bad"}]}'
NAMESPACE = 'xmlns="http://hl7.org/fhir"'


@pytest.fixture(scope="module")
def fhir(server: Server) -> Iterator[Fhir]:
    each = Fhir(server)
    yield each
    each.close()


def refused(got: Got, *statuses: int) -> list[dict[str, Any]]:
    assert got.status in statuses, (got.status, got.body[:300])
    outcome = got.json
    assert outcome["resourceType"] == "OperationOutcome"
    assert all(each["severity"] and each["code"] for each in outcome["issue"])
    return list(outcome["issue"])


def patient(**members: Any) -> bytes:
    return json.dumps({"resourceType": "Patient", **members}).encode()


BROKEN_JSON = [
    b"", b" ", b"{", b"}", b"null", b"[]", b"1", b'"a"', b"\xff\xfe", b"{'a':1}", b'{"resourceType":}',
    b'{"resourceType":"Patient",}', b'{"resourceType":"Patient" /* no */}', b'{"resourceType":"Patient","active":tru}',
    b'{"resourceType":"Patient","active":true,"active":true}', b'{"resourceType":"Patient","name":NaN}',
    b'{"resourceType":"Patient","name":[{"family":"\\ud800"}]}', b'{"resourceType":"Patient"}{}', b"[" * 100_000,
    b'{"a":' * 50_000, b'{"resourceType":"Patient","contained":' + b"[" * 60 + b"]" * 60 + b"}",
    b'{"resourceType":"Patient","multipleBirthInteger":' + b"9" * 5000 + b"}",
    b'{"resourceType":"Patient","multipleBirthInteger":1e999999999}', b"\x00" * 100, b'{"resourceType":"Patient"\x00}',
]  # fmt: skip


@pytest.mark.parametrize("body", BROKEN_JSON, ids=range(len(BROKEN_JSON)))
def test_broken_json(fhir: Fhir, body: bytes) -> None:
    refused(fhir.ask("POST", "/Patient", body, Content_Type=JSON), 400)


BROKEN_XML = [
    "", "<", "<Patient>", f"<Patient {NAMESPACE}>", "<Patient/>", f"<Nothing {NAMESPACE}/>", f"<patient {NAMESPACE}/>",
    f"<Patient {NAMESPACE}>text</Patient>", f"<Patient {NAMESPACE}><colour value='red'/></Patient>",
    f"<Patient {NAMESPACE}><active value='yes'/></Patient>", f"<Patient {NAMESPACE}><active/></Patient>",
    f"<Patient {NAMESPACE}><gender value='male'/><active value='true'/></Patient>",
    f"<!DOCTYPE Patient [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><Patient {NAMESPACE}><id value='&x;'/></Patient>",
    "<!DOCTYPE lolz [<!ENTITY a 'aa'><!ENTITY b '&a;&a;&a;'>]><lolz>&b;</lolz>",
    f"<Patient {NAMESPACE}>" + "<extension url='a'>" * 5000, f"<Patient {NAMESPACE}>" + "<contained><Patient>" * 500,
    f"<?xml version='1.0' encoding='UTF-16'?><Patient {NAMESPACE}/>", f"<Patient {NAMESPACE}>&nbsp;</Patient>",
    f"<Patient {NAMESPACE} " + " ".join(f"a{n}='1'" for n in range(5000)) + "/>",
]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN_XML, ids=range(len(BROKEN_XML)))
def test_broken_xml(fhir: Fhir, text: str) -> None:
    refused(fhir.ask("POST", "/Patient", text.encode(), Content_Type=XML, Accept=JSON), 400)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"active": "true"}, "Patient.active"),
        ({"active": None}, "Patient.active"),
        ({"name": {"family": "a"}}, "Patient.name"),
        ({"name": []}, "Patient.name"),
        ({"name": [{}]}, "Patient.name[0]"),
        ({"name": [{"family": ""}]}, "Patient.name[0].family"),
        ({"name": [{"family": ["a"]}]}, "Patient.name[0].family"),
        ({"name": [None]}, "Patient.name"),
        ({"birthDate": "2020-02-30"}, "Patient.birthDate"),
        ({"birthDate": "yesterday"}, "Patient.birthDate"),
        ({"birthDate": 1980}, "Patient.birthDate"),
        ({"gender": "blue"}, "Patient.gender"),
        ({"gender": " male"}, "Patient.gender"),
        ({"colour": "red"}, "Patient"),
        ({"Name": [{"family": "a"}]}, "Patient"),
        ({"deceasedBoolean": True, "deceasedDateTime": "2020"}, "Patient"),
        ({"multipleBirthInteger": 1.5}, "Patient.multipleBirth"),
        ({"multipleBirthInteger": 2**40}, "Patient.multipleBirth"),
        ({"contained": [{"resourceType": "Nothing"}]}, "Patient.contained[0]"),
        ({"contained": ["a"]}, "Patient.contained[0]"),
        ({"extension": [{"valueString": "a"}]}, "Patient.extension[0]"),
        ({"text": {"status": "generated", "div": "<div><script>alert(1)</script></div>"}}, "Patient.text"),
        ({"meta": "a"}, "Patient.meta"),
        ({"managingOrganization": {"reference": 5}}, "Patient.managingOrganization.reference"),
    ],
)
def test_what_is_no_patient_is_refused_at_its_place(fhir: Fhir, members: dict[str, Any], place: str) -> None:
    issues = refused(fhir.ask("POST", "/Patient", patient(**members), Content_Type=JSON), 400, 422)
    assert any(str((each.get("expression") or [""])[0]).startswith(place) for each in issues), issues


PATHS = [
    "/Patient/%00", "/Patient/a%2Fb", "/Patient/%FF", "/Patient/..%2F..%2Fetc", "/%2e%2e/%2e%2e/etc/passwd",
    "/Patient/" + "a" * 5000, "//", "///Patient", "/Patient//_history", "/Patient/a/_history/", "/$", "/Patient/$",
    "/Patient/a/$", "/Patient/a/_history/x/y", "/_history/1", "/metadata/x", "/Patient/_history/1", "/%F0%9F%98%80",
    "/Patient?_page=" + "a" * 2000, "/Patient?_page=%F0%9F%98%80", "/Patient/a/_history?_page=AAAA",
    "/_history?_page=e30", "/Patient/a/_history?_since=2020", "/_history?_count=-1", "/_history?_since=a&_since=b",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_strange_paths(fhir: Fhir, path: str) -> None:
    got = fhir.ask("GET", path)
    assert got.status < 500, (path, got.status)
    if got.status >= 400:
        refused(got, 400, 404, 405, 406)


QUERIES = [
    "name:colour=a", "birthdate=xx1980", "birthdate=1980-13", "birthdate=gt", "_lastUpdated=a", "_count=a", "_count=-1",
    "_count=99999999999999999999", "_sort=:", "_sort=-", "_sort=name:a", "_total=some", "_include=a", "_include=:::",
    "_revinclude=Patient", "_has:a", "_has:::=1", "_has:Observation:patient:colour=1", "_has:Nothing:patient:code=1",
    "link.link.link.link.link.link.link.link.link.link.link.link.name=a", "general-practitioner:Nothing.name=a",
    "identifier=a|b|c", "identifier:of-type=a", "name=a\\", "name=\\x", "address=" + "a" * 5000, "_list=$current",
    "_summary=text&_include=Patient:link", "_query=a", "_filter=name eq a", "_elements=%22", "_type=Nothing",
    "phone=a|b", "name:missing=maybe", "birthdate=2020-02-30", "%00=a", "name=%00", "name=" + quote("\U0001f600"),
    "_id=" + ",".join("a" * 5 for _ in range(3000)), "a=b&" * 999 + "a=b", "a=b&" * 1500,
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_strange_searches(fhir: Fhir, query: str) -> None:
    path = "/Patient?" + query.replace(" ", "%20")
    for strict in ("lenient", "strict"):
        got = fhir.ask("GET", path, Prefer=f"handling={strict}")
        assert got.status < 500, got.body
        if got.status != 200:
            refused(got, 400, 404, 413, 414, 422)
    got = fhir.ask("POST", "/Patient/_search", query.replace(" ", "+").encode(), Content_Type=FORM)
    assert got.status < 500, got.body


def test_unknown_parameters_are_told_or_refused(fhir: Fhir) -> None:
    told = fhir.ask("GET", "/Patient?colour=red&_count=1")
    assert told.status == 200
    assert told.json["entry"][-1]["search"]["mode"] == "outcome"
    (issue,) = refused(fhir.ask("GET", "/Patient?colour=red", Prefer="handling=strict"), 400)
    assert issue["expression"] == ["http.colour"]


def test_versions_and_deletions(fhir: Fhir) -> None:
    path = "/Patient/versions"
    body = patient(id="versions")
    fhir.ask("DELETE", path)
    assert fhir.ask("PUT", path, body, Content_Type=JSON).status == 201
    (issue,) = refused(fhir.ask("PUT", path, body, Content_Type=JSON, If_Match='W/"77"'), 412)
    assert issue["code"] == "conflict"
    fhir.ask("DELETE", path)
    (issue,) = refused(fhir.ask("GET", path), 410)
    assert issue["code"] == "deleted"
    refused(fhir.ask("PUT", path, body, Content_Type=JSON, If_Match='W/"1"'), 412)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({}, 415),
        ({"Content_Type": JSON + "; charset=utf-16"}, 415),
        ({"Content_Type": JSON + "; fhirVersion=1.0"}, 415),
        ({"Content_Type": JSON, "Content_Encoding": "br"}, 415),
        ({"Content_Type": JSON, "Content_Encoding": "gzip"}, 400),
        ({"Content_Type": JSON, "Accept": "image/png"}, 406),
        ({"Content_Type": JSON, "If_Match": "nonsense"}, 400),
        ({"Content_Type": JSON, "If_Match": 'W/"1"' * 1000}, 400),
        ({"Content_Type": ";" * 3000}, 415),
    ],
)
def test_headers_that_cannot_be(fhir: Fhir, headers: dict[str, str], status: int) -> None:
    refused(fhir.ask("PUT", "/Patient/a", PATIENT, **headers), status)


def test_packed_bombs_are_not_unpacked(fhir: Fhir) -> None:
    bomb = gzip.compress(b'{"a":"' + b" " * (80 << 20))
    refused(fhir.ask("POST", "/Patient", bomb, Content_Type=JSON, Content_Encoding="gzip"), 413)


def test_a_body_over_the_limit_is_refused_unread(small_place: Any) -> None:
    with running(small_place, max_resource="10k") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            head = ("POST /fhir/Patient HTTP/1.1", "Host: localhost", f"Content-Type: {JSON}", "Content-Length: 99999")
            connection.sendall("\r\n".join((*head, "", "")).encode())
            assert connection.recv(12) == b"HTTP/1.1 413"
        fhir = Fhir(server)
        refused(fhir.ask("POST", "/Patient", patient(name=[{"family": "a" * 11_000}]), Content_Type=JSON), 413)
        assert fhir.ask("POST", "/Patient", PATIENT, Content_Type=JSON).status == 201
        fhir.close()


def test_bundles_that_cannot_be(fhir: Fhir) -> None:
    def send(kind: str, *entries: Any) -> Got:
        return fhir.ask(
            "POST",
            "",
            json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode(),
            Content_Type=JSON,
        )

    post = {"method": "POST", "url": "Patient"}
    refused(send("transaction", "a"), 400)
    refused(send("transaction", {"request": post, "resource": []}), 400)
    refused(send("transaction", {"request": {"method": "BREW", "url": "Patient"}}), 400)
    refused(send("transaction", {"request": {"method": "GET", "url": "http://elsewhere.test/Patient/1"}}), 400)
    refused(send("collection"), 400)
    both = [
        {"fullUrl": f"urn:uuid:{name}", "request": {**post, "url": "Basic", "ifNoneExist": f"code={name}"},
         "resource": {"resourceType": "Basic", "code": {"text": name}, "subject": {"reference": f"Basic?code={other}"}}}
        for name, other in (("one", "two"), ("two", "one"))
    ]  # fmt: skip
    refused(send("transaction", *both), 400, 412)
    garbage = {"resourceType": "Basic", "code": 5, "subject": {"reference": "Basic?code=one"}}
    refused(send("transaction", {"request": {**post, "url": "Basic"}, "resource": garbage}), 400, 412)
    answers = send("batch", "a", {"request": post}, {"request": {"method": "GET", "url": "Patient/%00"}}).json
    assert [each["response"]["status"][:1] for each in answers["entry"]] == ["4", "4", "4"]


def test_random_damage_never_breaks_the_server(fhir: Fhir) -> None:
    chance = random.Random(7)
    whole = json.dumps({
        "resourceType": "Observation", "id": "damage", "status": "final", "code": {"coding": [{"code": "a"}]},
        "valueQuantity": {"value": 1.5, "unit": "kg"}, "effectivePeriod": {"start": "2020-01-01T00:00:00Z"},
        "component": [{"code": {"text": "x"}, "valueInteger": 1}],
    }).encode()  # fmt: skip
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(damaged))
            damaged[place : place + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        got = fhir.ask("PUT", "/Observation/damage", bytes(damaged), Content_Type=JSON)
        assert got.status < 500, (bytes(damaged), got.body)


def test_the_server_is_well_afterwards(fhir: Fhir, tmp_path: Path) -> None:
    assert fhir.ask("GET", "/metadata").status == 200
    assert fhir.ask("PUT", "/Patient/a", PATIENT, Content_Type=JSON).status in (200, 201)
