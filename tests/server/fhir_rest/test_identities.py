"""Who is who over FHIR: $ihe-pix, $match, searches for demographics, and sources that feed (PIXm, PDQm)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from profiles.china import citizen
from profiles.packages.searches import MOTHERS_MAIDEN_NAME
from tests.server.fhir_rest.served import BASE, Got, Served, served

RED, BLUE = "urn:oid:1.2.3.4.1", "urn:oid:1.2.3.4.2"
ZHANG = "11010519491231002X"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        yield found


def patient(*numbers: tuple[str, str], **others: Any) -> dict[str, Any]:
    listed = [{"system": system, "value": value} for system, value in numbers]
    return {"resourceType": "Patient", "identifier": listed, "active": True, **others}


def feed(server: Served, system: str, value: str, sent: dict[str, Any]) -> Got:
    return server.ask("PUT", f"/Patient?identifier={quote(f'{system}|{value}')}", sent)


def pix(server: Served, system: str, value: str, *targets: str) -> Got:
    pairs = [("sourceIdentifier", f"{system}|{value}"), *(("targetSystem", each) for each in targets)]
    return server.get("/Patient/$ihe-pix?" + urlencode(pairs))


def told(got: Got) -> tuple[set[str], set[str]]:
    assert got.status == 200, got.body
    listed = got.json.get("parameter", ())
    values = {each["valueIdentifier"]["value"] for each in listed if each["name"] == "targetIdentifier"}
    return values, {each["valueReference"]["reference"] for each in listed if each["name"] == "targetId"}


def test_what_sources_feed_is_cross_referenced_and_merged(server: Served) -> None:
    family = [{"family": "MOHR", "given": ["ALICE"]}]
    red = feed(server, RED, "994", patient((RED, "994"), (citizen.SYSTEM, ZHANG), name=family))
    blue = feed(server, BLUE, "b-7", patient((BLUE, "b-7"), (citizen.SYSTEM, ZHANG), name=family))
    assert (red.status, blue.status) == (201, 201)
    assert red.headers["etag"] == server.get(f"/Patient/{red.json['id']}").headers["etag"]
    both = {f"Patient/{each.json['id']}" for each in (red, blue)}

    values, patients = told(pix(server, RED, "994"))
    assert patients == both
    assert {"b-7", ZHANG} < values
    assert "994" not in values
    assert told(pix(server, RED, "994", BLUE))[0] == {"b-7"}
    by_id = told(pix(server, BASE, f"Patient/{red.json['id']}", BLUE))
    assert by_id == ({"b-7"}, both - {f"Patient/{red.json['id']}"})
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "sourceIdentifier", "valueIdentifier": {"system": RED, "value": "994"}},
        {"name": "targetSystem", "valueUri": BLUE},
    ]}  # fmt: skip
    assert told(server.ask("POST", "/Patient/$ihe-pix", body))[0] == {"b-7"}

    feed(server, RED, "m94", patient((RED, "m94"), name=[{"family": "MAIDEN"}]))
    link = {"other": {"identifier": {"system": RED, "value": "994"}}, "type": "replaced-by"}
    duplicate = patient((RED, "m94"), name=[{"family": "MAIDEN"}], link=[link])
    merged = feed(server, RED, "m94", duplicate)
    assert merged.status == 200
    assert merged.json["active"] is False
    assert merged.json["link"][0]["other"]["reference"] == f"Patient/{red.json['id']}"
    assert len(told(pix(server, RED, "m94"))[1]) == 3
    unknown = {**link, "other": {"identifier": {"system": RED, "value": "none"}}}
    assert feed(server, RED, "m94", {**duplicate, "link": [unknown]}).status == 422
    cycle = {**link, "other": {"identifier": {"system": RED, "value": "m94"}}}
    assert feed(server, RED, "994", patient((RED, "994"), name=family, link=[cycle])).status == 409
    assert server.get(f"/Patient/{red.json['id']}").json["active"] is True

    assert server.ask("DELETE", f"/Patient?identifier={quote(f'{BLUE}|b-7')}").status == 204
    assert pix(server, BLUE, "b-7").status in (400, 404)


def test_a_merge_in_a_transaction_is_followed_too(server: Served) -> None:
    feed(server, RED, "1", patient((RED, "1")))
    two = feed(server, RED, "2", patient((RED, "2"))).json["id"]
    link = {"other": {"identifier": {"system": RED, "value": "1"}}, "type": "replaced-by"}
    entry = {
        "resource": patient((RED, "2"), link=[link]) | {"id": two},
        "request": {"method": "PUT", "url": f"Patient/{two}"},
    }
    got = server.ask("POST", "/", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert got.status == 200, got.body
    assert len(told(pix(server, RED, "2"))[1]) == 2


def test_what_is_not_known_is_told_as_the_profile_says(server: Served) -> None:
    feed(server, RED, "994", patient((RED, "994")))
    for got, status, code in (
        (pix(server, RED, "none"), 404, "not-found"),
        (pix(server, "urn:oid:9.9", "994"), 400, "code-invalid"),
        (pix(server, RED, "994", "urn:oid:9.9"), 403, "code-invalid"),
        (pix(server, RED, ""), 400, "invalid"),
        (server.get("/Patient/$ihe-pix"), 400, "required"),
    ):
        assert (got.status, got.issues[0][0]) == (status, code)


def test_whoever_may_be_meant_is_graded(server: Served) -> None:
    names = [{"family": "张", "given": ["伟"], "text": "张伟"}]
    sure = feed(server, RED, "1", patient((RED, "1"), (citizen.SYSTEM, ZHANG), name=names, gender="female")).json["id"]
    server.create(patient((BLUE, "2"), name=names, gender="female", birthDate="1949-12-31"))
    sought = patient((citizen.SYSTEM, ZHANG), name=names, gender="female", birthDate="1949-12-31")

    def ask(**others: Any) -> list[dict[str, Any]]:
        listed = [{"name": "resource", "resource": sought}, *({"name": n, **value} for n, value in others.items())]
        got = server.ask("POST", "/Patient/$match", {"resourceType": "Parameters", "parameter": listed})
        assert got.status == 200, got.body
        assert (got.json["resourceType"], got.json["type"]) == ("Bundle", "searchset")
        return list(got.json.get("entry", ()))

    found = ask()
    assert [each["search"]["mode"] for each in found] == ["match", "match"]
    assert found[0]["resource"]["id"] == sure
    assert found[0]["search"]["extension"][0]["valueCode"] == "certain"
    assert found[0]["search"]["score"] > 0.9 >= 0.5
    assert found[0]["search"]["score"] >= found[1]["search"]["score"]
    assert [each["resource"]["id"] for each in ask(onlyCertainMatches={"valueBoolean": True})] == [sure]
    assert len(ask(count={"valueInteger": 1})) == 1
    assert server.ask("POST", "/Patient/$match", {"resourceType": "Parameters"}).status == 400


@pytest.mark.parametrize(
    "query",
    [
        "family=mohr&gender=female",
        "family:exact=Mohr&birthdate=1958-01-30",
        "given=alice&active=true",
        f"identifier={RED}|994",
        f"identifier={RED}|",
        "identifier=urn:oid:9.9|,urn:oid:1.2.3.4.1|",
        "telecom=555-0100",
        "address=1%20main&address-city=Albany&address-postalcode=12205&address-country=US&address-state=NY",
        "mothersMaidenName=jones",
        "birthdate=ge1958-01-01&birthdate=lt1959-01-01",
    ],
)
def test_demographics_find(demographics: Served, query: str) -> None:
    got = demographics.get(f"/Patient?{query}", prefer="handling=strict")
    assert got.status == 200, got.body
    assert [each["resource"]["identifier"][0]["value"] for each in got.json.get("entry", ())] == ["994"]
    wrong = demographics.get(f"/Patient?{query}&_id=nobody", prefer="handling=strict")
    assert "entry" not in wrong.json


@pytest.fixture(scope="module")
def demographics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("pdqm")) as found:
        alice = patient(
            (RED, "994"),
            name=[{"family": "Mohr", "given": ["Alice"]}],
            gender="female",
            birthDate="1958-01-30",
            telecom=[{"system": "phone", "value": "555-0100"}],
            address=[{"line": ["1 Main"], "city": "Albany", "state": "NY", "postalCode": "12205", "country": "US"}],
            extension=[{"url": MOTHERS_MAIDEN_NAME, "valueString": "Jones"}],
        )
        found.create(alice)
        found.create(patient((BLUE, "1"), name=[{"family": "Mohr", "given": ["Bob"]}], gender="male", active=False))
        yield found
