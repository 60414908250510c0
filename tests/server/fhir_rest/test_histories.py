"""Histories over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.server.fhir_rest.served import BASE, XML, Served


def storied(service: Served) -> tuple[str, list[str]]:
    """Path of a resource created, updated, deleted and made again; and its moments, oldest first."""
    stored = service.create({"resourceType": "Basic", "code": {"text": "a"}})
    path = f"/Basic/{stored['id']}"
    moments = [stored["meta"]["lastUpdated"]]
    for text in ("b", None, "c"):
        if text is None:
            service.ask("DELETE", path)
        else:
            got = service.ask("PUT", path, {**stored, "code": {"text": text}})
            moments.append(got.json["meta"]["lastUpdated"])
    return path, moments


def acts(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["request"]["method"], each["response"]["status"][:3]) for each in bundle.get("entry", [])]


def test_every_version_newest_first(service: Served) -> None:
    path, _ = storied(service)
    got = service.get(path + "/_history").json
    assert (got["type"], got["total"]) == ("history", 4)
    assert acts(got) == [("PUT", "200"), ("DELETE", "204"), ("PUT", "200"), ("POST", "201")]
    created, deleted = got["entry"][3], got["entry"][1]
    assert created["fullUrl"] == BASE + path
    assert created["request"]["url"] == "Basic"
    assert created["response"]["etag"] == 'W/"1"'
    assert created["response"]["lastModified"] == created["resource"]["meta"]["lastUpdated"]
    assert "resource" not in deleted
    assert deleted["request"]["url"] == path[1:]


def test_pages_of_a_history(service: Served) -> None:
    path, _ = storied(service)
    first = service.get(path + "/_history?_count=3").json
    after = next(each["url"] for each in first["link"] if each["relation"] == "next")
    service.ask("DELETE", path)
    second = service.get(after.removeprefix(BASE)).json
    assert (len(first["entry"]), acts(second), second["total"]) == (3, [("POST", "201")], 4)
    assert all(each["relation"] != "next" for each in second["link"])


def test_since(service: Served) -> None:
    path, moments = storied(service)
    got = service.get(f"{path}/_history?_since={quote(moments[-1])}").json
    assert [each["resource"]["code"]["text"] for each in got["entry"]] == ["c"]
    assert service.get(f"{path}/_history?_since=2100-01-01T00:00:00Z").json["total"] == 0
    assert service.get(f"{path}/_history?_since=yesterday").status == 400
    assert service.get(f"{path}/_history?_since=2100-01-01").status == 400


def test_of_a_type_and_of_everything(service: Served) -> None:
    path, moments = storied(service)
    since = quote(moments[0])
    for place in ("/Basic", ""):
        got = service.get(f"{place}/_history?_since={since}&_count=2").json
        assert got["total"] == 4
        assert all(each["fullUrl"] == BASE + path for each in got["entry"])
        after = next(each["url"] for each in got["link"] if each["relation"] == "next")
        assert len(service.get(after.removeprefix(BASE)).json["entry"]) == 2


def test_a_count_has_no_entries(service: Served) -> None:
    path, _ = storied(service)
    for query in ("_summary=count", "_count=0"):
        got = service.get(f"{path}/_history?{query}").json
        assert got["total"] == 4
        assert "entry" not in got


def test_forms_and_parts(service: Served) -> None:
    path, _ = storied(service)
    root = service.get(path + "/_history", accept=XML).xml
    assert len(root.findall("{http://hl7.org/fhir}entry")) == 4
    got = service.get(path + "/_history?_elements=id").json
    assert all("SUBSETTED" in str(each["resource"]["meta"]) for each in got["entry"] if "resource" in each)


def test_of_what_a_list_names(service: Served) -> None:
    path, _ = storied(service)
    other = service.create({"resourceType": "Basic", "code": {"text": "other"}})
    changed = service.ask("PUT", f"/Basic/{other['id']}", {**other, "code": {"text": "changed"}}).json
    items = (path[1:], f"Basic/{other['id']}/_history/2", "https://elsewhere.example/Basic/1")
    entries = [{"item": {"reference": each}} for each in items]
    members = {"status": "current", "mode": "working", "entry": entries}
    name = service.create({"resourceType": "List", **members})["id"]
    for place in ("/Basic", ""):
        first = service.get(f"{place}/_history?_list={name}&_count=2").json
        assert (first["total"], first["entry"][0]["resource"]) == (5, changed)
        after = next(each["url"] for each in first["link"] if each["relation"] == "next")
        second = service.get(after.removeprefix(BASE)).json
        assert acts(second) == [("DELETE", "204"), ("PUT", "200")]
    assert service.get(f"{path}/_history?_list=List/{name}").json["total"] == 4
    assert service.get(f"/Basic/{other['id']}/_history?_list={name}").json["total"] == 1
    assert service.get(f"/Patient/_history?_list={name}").json["total"] == 0
    assert service.get("/Basic/_history?_list=none").status == 404
    for bad in ("$current-problems", f"{name}&_list={name}", "a_b"):
        assert service.get(f"/Basic/_history?_list={bad}").status == 400
