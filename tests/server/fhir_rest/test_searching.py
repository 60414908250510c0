"""Searches over HTTP: links, forms, parts, compartments, what is said of what was not understood."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.server.fhir_rest.served import BASE, FORM, JSON, XML, Served

NS = {"f": "http://hl7.org/fhir"}


@pytest.fixture(scope="module")
def ward(service: Served) -> str:
    """Id of a patient with seven observations; the other tests of the module know them by a tag."""
    tag = [{"system": "http://x.test", "code": "ward"}]
    patient = service.create({"resourceType": "Patient", "meta": {"tag": tag}, "name": [{"family": "Ward|One"}]})
    for day in range(1, 8):
        service.create({
            "resourceType": "Observation",
            "meta": {"tag": tag},
            "status": "final",
            "code": {"text": "pulse"},
            "subject": {"reference": f"Patient/{patient['id']}"},
            "effectiveDateTime": f"2026-01-0{day}",
            "valueInteger": day,
        })  # fmt: skip
    return str(patient["id"])


def links(bundle: dict[str, Any]) -> dict[str, str]:
    return {each["relation"]: each["url"] for each in bundle["link"]}


def values(bundle: dict[str, Any]) -> list[int]:
    return [each["resource"]["valueInteger"] for each in bundle.get("entry", [])]


def below(url: str) -> str:
    assert url.startswith(BASE)
    return url.removeprefix(BASE)


def test_a_page_and_the_next(service: Served, ward: str) -> None:
    first = service.get(f"/Observation?patient={ward}&_sort=date&_count=3&_total=accurate").json
    assert (first["type"], first["total"], values(first)) == ("searchset", 7, [1, 2, 3])
    assert parse_qsl(urlsplit(links(first)["self"]).query) == [
        ("patient", ward), ("_sort", "date"), ("_count", "3"), ("_total", "accurate"),
    ]  # fmt: skip
    entry = first["entry"][0]
    assert entry["fullUrl"] == f"{BASE}/Observation/{entry['resource']['id']}"
    assert entry["search"] == {"mode": "match"}
    second = service.get(below(links(first)["next"])).json
    assert (second["total"], values(second)) == (7, [4, 5, 6])
    third = service.get(below(links(second)["next"])).json
    assert values(third) == [7]
    assert "next" not in links(third)


def test_a_page_keeps_its_form_and_part(service: Served, ward: str) -> None:
    query = f"/Observation?patient={ward}&_count=5&_format=xml&_elements=status"
    first = service.get(query).xml
    after = first.findall("f:link/f:url", NS)[1].get("value")
    second = service.get(below(after))
    assert second.media_type == XML
    found = second.xml.findall("f:entry/f:resource/f:Observation", NS)
    assert len(found) == 2
    assert all(each.find("f:valueInteger", NS) is None for each in found)
    assert service.get(below(after) + "&_format=json").media_type == JSON


def test_a_link_of_another_search_leads_nowhere(service: Served, ward: str) -> None:
    after = below(links(service.get(f"/Observation?patient={ward}&_count=5").json)["next"])
    assert service.get(after.replace("/Observation", "/Patient")).status == 400
    assert service.get("/Observation?_page=nonsense").status == 400
    assert service.get("/Observation?_page=a&_page=b").status == 400


def test_a_search_may_be_posted(service: Served, ward: str) -> None:
    form = f"patient={ward}&_count=2".encode()
    got = service.ask("POST", "/Observation/_search?_sort=-date", form, content_type=FORM)
    assert values(got.json) == [7, 6]
    after = links(got.json)["next"]
    assert ward not in after
    assert values(service.get(below(after)).json) == [5, 4]
    formatted = service.ask("POST", "/Observation/_search", b"_format=xml&_count=1", content_type=FORM)
    assert formatted.media_type == XML
    assert service.ask("POST", "/Observation/_search", form, content_type=JSON).status == 415
    assert service.ask("POST", "/Observation/_search").status == 200


def test_nothing_found_is_an_empty_bundle(service: Served) -> None:
    got = service.get("/Patient?name=nobody-of-this-name").json
    assert got["total"] == 0
    assert "entry" not in got
    assert links(got)["self"]


def test_links_are_escaped(service: Served, ward: str) -> None:
    found = service.get("/Patient?family:exact=Ward%5C%7COne&_tag=http://x.test%7Cward").json
    assert [each["resource"]["id"] for each in found["entry"]] == [ward]
    assert links(found)["self"] == f"{BASE}/Patient?family:exact=Ward%5C%7COne&_tag=http://x.test%7Cward"


def test_what_is_not_known_is_said_or_refused(service: Served, ward: str) -> None:
    got = service.get(f"/Observation?patient={ward}&colour=red&_count=1").json
    match, remark = got["entry"]
    assert (match["search"]["mode"], remark["search"]["mode"]) == ("match", "outcome")
    assert remark["resource"]["issue"][0]["severity"] == "warning"
    assert "colour" not in links(got)["self"]
    refused = service.get("/Observation?colour=red", prefer="handling=strict")
    assert (refused.status, refused.issues) == (400, [("not-supported", "http.colour")])
    assert service.get("/Observation?date=yesterday").status == 400
    assert service.get("/Observation?_summary=maybe").status == 400


def test_counts_without_entries(service: Served, ward: str) -> None:
    for query in ("_summary=count", "_count=0"):
        got = service.get(f"/Observation?patient={ward}&{query}").json
        assert got["total"] == 7
        assert "entry" not in got
        assert set(links(got)) == {"self"}


def test_parts_are_of_matches_and_summaries_of_all(service: Served, ward: str) -> None:
    query = f"/Observation?patient={ward}&_count=1&_include=Observation:patient"
    match, included = service.get(query + "&_elements=status").json["entry"]
    assert set(match["resource"]) == {"resourceType", "id", "meta", "status", "code"}
    assert included["resource"]["name"] == [{"family": "Ward|One"}]
    assert included["search"]["mode"] == "include"
    _, included = service.get(query + "&_summary=data").json["entry"]
    assert any(each["code"] == "SUBSETTED" for each in included["resource"]["meta"]["tag"])


def test_compartments(service: Served, ward: str) -> None:
    assert len(values(service.get(f"/Patient/{ward}/Observation").json)) == 7
    assert values(service.get(f"/Patient/{ward}/Observation?date=2026-01-03").json) == [3]
    every = service.get(f"/Patient/{ward}/*?_type=Observation").json
    assert len(every["entry"]) == 7
    posted = service.ask("POST", f"/Patient/{ward}/Observation/_search", b"date=2026-01-04", content_type=FORM)
    assert values(posted.json) == [4]
    assert service.get("/Patient/none/Observation").status == 404
    after = links(service.get(f"/Patient/{ward}/Observation?_count=4").json)["next"]
    assert len(values(service.get(below(after)).json)) == 3


def test_everything_that_has_a_tag(service: Served, ward: str) -> None:
    found = service.get("/?_tag=http://x.test%7Cward&_type=Patient,Observation").json
    assert len(found["entry"]) == 8
    posted = service.ask("POST", "/_search", b"_tag=ward&_type=Patient", content_type=FORM).json
    assert len(posted["entry"]) == 1


def test_a_kept_page_is_dropped_when_something_is_written(service: Served, ward: str) -> None:
    query = f"/Observation?patient={ward}&_sort=-date&_count=2&_elements=value"
    assert [values(service.get(query).json) for _ in range(4)] == [[7, 6]] * 4
    found = service.get(f"/Observation?patient={ward}&date=2026-01-07").json["entry"][0]["resource"]
    changed = service.ask("PUT", f"/Observation/{found['id']}", {**found, "valueInteger": 70})
    assert changed.status == 200
    assert values(service.get(query).json) == [70, 6]
    assert service.get(query, accept=XML).media_type == XML
    assert service.ask("PUT", f"/Observation/{found['id']}", found).status == 200
    assert [values(service.get(query).json) for _ in range(4)] == [[7, 6]] * 4


def test_xml_and_json_pages_say_the_same(service: Served, ward: str) -> None:
    query = f"/Observation?patient={ward}&_sort=date"
    found = service.get(query, accept=XML).xml
    assert [each.get("value") for each in found.findall(".//f:valueInteger", NS)] == [str(day) for day in range(1, 8)]
    assert service.ask("HEAD", query).body == b""
