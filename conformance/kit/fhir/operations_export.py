"""Bulk data export: kick-off, status, manifest, files, end (Bulk Data Access, export.md)."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from urllib.parse import quote

from conformance.kit.client import Response
from conformance.kit.fhir.operations import parameters
from conformance.kit.fhir.search_chains import person, seen
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import TAGS, Fhir, Resource, body_of, expect_status, refused
from conformance.kit.fhir.shelf import Shelf, encoded
from conformance.kit.verdict import Failed, Skipped, expect

export = Section()

_CLAUSE = "Bulk Data Access export.html"
_NDJSON = "application/fhir+ndjson"
_SECONDS = 120


@dataclass(frozen=True)
class Job:
    """An export that was accepted."""

    fhir: Fhir
    path: str

    def status(self) -> Response:
        return self.fhir.get(self.path, accept="application/json")

    def manifest(self) -> Resource:
        deadline = time.monotonic() + _SECONDS
        while (answer := self.status()).status == 202:
            expect(time.monotonic() < deadline, f"the export takes more than {_SECONDS} s")
            time.sleep(0.2)
        expect_status(answer, 200)
        found = answer.json()
        if not isinstance(found, dict):
            raise Failed("the manifest is no object")
        return found

    def resources(self, manifest: Resource, kind: str = "output") -> list[Resource]:
        return [each for item in manifest.get(kind, []) for each in self.file(item)]

    def file(self, item: Resource) -> list[Resource]:
        answer = self.fhir.get(self.fhir.client.path_of(item["url"]), accept=_NDJSON)
        expect(answer.status == 200, f"a file of the manifest gave {answer.status}")
        expect(answer.media_type == _NDJSON, f"a file of the manifest is {answer.media_type}")
        lines = answer.body.decode().split("\n")
        expect(lines[-1] == "" and "" not in lines[:-1], "a file of the manifest has blank lines")
        found = [json.loads(each) for each in lines[:-1]]
        expect({each["resourceType"] for each in found} <= {item["type"]}, "a file holds resources of other types")
        return found

    def end(self) -> None:
        self.fhir.delete(self.path)


def kicked_off(fhir: Fhir, path: str) -> Response:
    return fhir.get(path, prefer="respond-async")


def begun(fhir: Fhir, path: str) -> Job:
    answer = kicked_off(fhir, path)
    if answer.status in (404, 405, 501):
        raise Skipped(f"{path.partition('?')[0]} is not offered ({answer.status})")
    return job_of(fhir, answer)


def job_of(fhir: Fhir, answer: Response) -> Job:
    expect_status(answer, 202)
    place = answer.headers.get("content-location", "")
    expect(place.startswith(("http://", "https://")), f"Content-Location is {place!r}, no absolute URL")
    return Job(fhir, fhir.client.path_of(place))


def _practice(fhir: Fhir) -> Shelf:
    shelf = Shelf(fhir, anna=person("Quell"), otto=person("Strom"))
    shelf.add("annas", seen(shelf["anna"]))
    shelf.add("ottos", seen(shelf["otto"]))
    shelf.add("doctor", {"resourceType": "Practitioner", "name": [{"family": "Wert"}]})
    return shelf


def _names(shelf: Shelf, resources: list[Resource]) -> list[str]:
    """Short names of those that are of the shelf."""
    return sorted(shelf.names({"entry": [{"resource": each} for each in resources if shelf.has(each)]}))


def _is(found: list[str], names: str) -> None:
    expect(found == sorted(names.split()), f"exported: {' '.join(found)}, expected {names}")


@export.check("O60", _CLAUSE)
def exports_everything(fhir: Fhir) -> None:
    shelf = _practice(fhir)
    job = begun(fhir, "/$export?_type=Patient,Observation,Practitioner")
    manifest = job.manifest()
    _is(_names(shelf, job.resources(manifest)), "anna otto annas ottos doctor")
    job.end()


@export.check("O68", _CLAUSE)
def exports_what_belongs_to_patients(fhir: Fhir) -> None:
    shelf = _practice(fhir)
    job = begun(fhir, "/Patient/$export?_type=Patient,Observation")
    _is(_names(shelf, job.resources(job.manifest())), "anna otto annas ottos")
    job.end()


@export.check("O60", _CLAUSE)
def exports_what_belongs_to_a_group(fhir: Fhir) -> None:
    shelf = _practice(fhir)
    members = [{"entity": {"reference": shelf["anna"]}}]
    shelf.add("ward", {"resourceType": "Group", "type": "person", "actual": True, "member": members})
    job = begun(fhir, f"/{shelf['ward']}/$export?_type=Patient,Observation")
    _is(_names(shelf, job.resources(job.manifest())), "anna annas")
    job.end()


@export.check("O62", _CLAUSE)
def refuses_exports_it_cannot_make(fhir: Fhir) -> None:
    begun(fhir, "/$export?_type=Basic").end()
    refused(kicked_off(fhir, "/Group/nobody-of-that-name/$export"), 404)
    refused(kicked_off(fhir, "/$export?_outputFormat=text/csv"), 400)
    refused(kicked_off(fhir, "/$export?_since=yesterday"), 400)
    refused(kicked_off(fhir, "/$export?_type=Sofa"), 400)


@export.check("O63", _CLAUSE)
def takes_every_name_of_the_format(fhir: Fhir) -> None:
    begun(fhir, "/$export?_type=Basic").end()
    for name in ("application/fhir%2Bndjson", "application/ndjson", "ndjson"):
        job_of(fhir, kicked_off(fhir, f"/$export?_type=Basic&_outputFormat={name}")).end()


@export.check("O60", _CLAUSE)
def takes_the_kick_off_by_post(fhir: Fhir) -> None:
    begun(fhir, "/$export?_type=Basic").end()
    answer = fhir.post("/$export", parameters({"name": "_type", "valueString": "Basic"}), prefer="respond-async")
    if answer.status in (404, 405):
        raise Skipped("exports are not begun by POST")
    job_of(fhir, answer).end()


@export.check("O61", _CLAUSE)
def takes_or_refuses_a_kick_off_without_prefer(fhir: Fhir) -> None:
    begun(fhir, "/$export?_type=Basic").end()
    answer = fhir.get("/$export?_type=Basic")
    if answer.status == 202:
        job_of(fhir, answer).end()
    else:
        refused(answer, 400, 406, 412, 428)


@export.check("O73", _CLAUSE)
def gives_files_compressed_where_asked(fhir: Fhir) -> None:
    shelf = Shelf(fhir, **{f"b{each}": {"resourceType": "Basic", "code": {"text": "x" * 200}} for each in range(20)})
    job = begun(fhir, "/$export?_type=Basic")
    item = job.manifest()["output"][0]
    plain = fhir.get(fhir.client.path_of(item["url"]), accept=_NDJSON)
    zipped = fhir.get(fhir.client.path_of(item["url"]), accept=_NDJSON, accept_encoding="gzip")
    expect(plain.body == zipped.body, "a file differs when it is compressed")
    expect(len(_names(shelf, job.file(item))) == 20, "a file is not whole")
    job.end()
    if zipped.headers.get("content-encoding") != "gzip":
        raise Skipped("files are not compressed")


@export.check("O68", _CLAUSE)
def exports_the_provenance_of_what_belongs_to_patients(fhir: Fhir) -> None:
    shelf = _practice(fhir)
    origin = {"resourceType": "Provenance", "recorded": "2024-05-02T00:00:00Z", "agent": [{"who": {"display": "x"}}]}
    shelf.add("origin", {**origin, "target": [{"reference": shelf["annas"]}]})
    shelf.add("aside", {**origin, "target": [{"reference": shelf["doctor"]}]})
    job = begun(fhir, "/Patient/$export?_type=Provenance")
    found = _names(shelf, job.resources(job.manifest()))
    job.end()
    if "origin" not in found:
        raise Skipped("only what is in a compartment itself is exported")


@export.check("T29", _CLAUSE)
def resolves_or_refuses_groups_within_groups(fhir: Fhir) -> None:
    shelf = _practice(fhir)
    group = {"resourceType": "Group", "type": "person", "actual": True}
    shelf.add("inner", {**group, "member": [{"entity": {"reference": shelf["anna"]}}]})
    shelf.add("outer", {**group, "member": [{"entity": {"reference": shelf["inner"]}}]})
    begun(fhir, f"/{shelf['inner']}/$export?_type=Patient").end()
    answer = kicked_off(fhir, f"/{shelf['outer']}/$export?_type=Patient")
    if answer.status != 202:
        refused(answer, 400, 422)
        return
    job = job_of(fhir, answer)
    _is(_names(shelf, job.resources(job.manifest())), "anna")
    job.end()


@export.check("O65", _CLAUSE)
def leaves_out_types_it_does_not_know_where_told_to(fhir: Fhir) -> None:
    begun(fhir, "/$export?_type=Basic").end()
    answer = fhir.get("/$export?_type=Basic,Sofa", prefer="respond-async, handling=lenient")
    if answer.status == 400:
        raise Skipped("lenient handling of exports is not offered")
    job = job_of(fhir, answer)
    manifest = job.manifest()
    expect(bool(job.resources(manifest, "error")), "nothing tells of the type that was left out")
    job.end()


@export.check("O64", _CLAUSE)
def exports_what_changed_since(fhir: Fhir) -> None:
    shelf = _practice(fhir)
    since = quote(fhir.read(f"/{shelf['doctor']}")["meta"]["lastUpdated"])
    shelf.put("otto", person("Changed", id=shelf.id("otto")))
    shelf.remove("ottos")
    job = begun(fhir, f"/$export?_type=Patient,Observation&_since={since}")
    manifest = job.manifest()
    _is(_names(shelf, job.resources(manifest)), "otto")
    deleted = job.resources(manifest, "deleted")
    listed = [entry["request"] for bundle in deleted for entry in bundle.get("entry", [])]
    gone = [each for each in listed if each["url"].endswith(shelf["ottos"])]
    expect(bool(gone) and gone[0]["method"] == "DELETE", "what was deleted since is not among the deleted")
    types = {bundle.get("type") for bundle in deleted}
    expect(types == {"transaction"}, f"what was deleted is told in Bundles of type {types}")
    job.end()


@export.check("O66", _CLAUSE)
def exports_what_a_filter_lets_through(fhir: Fhir) -> None:
    shelf = _practice(fhir)
    criteria = quote(f"Patient?family=quell&_tag={TAGS}|{shelf.token}", safe="")
    job = begun(fhir, f"/$export?_type=Patient,Practitioner&_typeFilter={criteria}")
    _is(_names(shelf, job.resources(job.manifest())), "anna doctor")
    job.end()


@export.check("O67", _CLAUSE)
def exports_some_elements_only(fhir: Fhir) -> None:
    shelf = _practice(fhir)
    answer = kicked_off(fhir, encoded("/$export?_type=Patient&_elements=gender"))
    if answer.status == 400:
        raise Skipped("_elements is not offered")
    job = job_of(fhir, answer)
    own = [each for each in job.resources(job.manifest()) if shelf.has(each)]
    expect(len(own) == 2 and all("name" not in each for each in own), "elements are there that were not asked for")
    tags = {tag["code"] for each in own for tag in each["meta"]["tag"]}
    expect("SUBSETTED" in tags, "what is cut is not marked SUBSETTED")
    job.end()


@export.check("O69", _CLAUSE)
def tells_how_an_export_stands(fhir: Fhir) -> None:
    job = begun(fhir, "/$export?_type=Basic")
    answer = job.status()
    expect_status(answer, 200, 202)
    if answer.status == 202:
        expect(len(answer.headers.get("x-progress", "")) < 100, "X-Progress is of 100 characters or more")
    job.manifest()
    done = job.status()
    expect(done.media_type == "application/json", f"the manifest is {done.media_type}")
    job.end()


@export.check("O70", _CLAUSE)
def describes_an_export_in_its_manifest(fhir: Fhir) -> None:
    _practice(fhir)
    before = fhir.make("Basic", code={"text": "before"})
    job = begun(fhir, "/$export?_type=Patient,Basic,SubstanceProtein")
    manifest = job.manifest()
    missing = {"transactionTime", "request", "requiresAccessToken", "output", "error"} - set(manifest)
    expect(not missing, f"the manifest lacks {' '.join(sorted(missing))}")
    expect("$export" in manifest["request"], "the manifest does not name the request")
    types = {each["type"] for each in manifest["output"]}
    expect({"Patient", "Basic"} <= types, "types are missing in the manifest")
    expect(all(job.file(each) for each in manifest["output"]), "there is a file of nothing")
    expect(manifest["transactionTime"] >= before["meta"]["lastUpdated"][:19], "transactionTime is before the kick-off")
    counts = [(each["count"], len(job.file(each))) for each in manifest["output"] if "count" in each]
    expect(all(told == held for told, held in counts), "a count of the manifest is wrong")
    job.end()


@export.check("T29", _CLAUSE)
def exports_nothing_written_after_the_kick_off(fhir: Fhir) -> None:
    shelf = Shelf(fhir, early={"resourceType": "Basic", "code": {"text": "early"}})
    job = begun(fhir, "/$export?_type=Basic")
    manifest = job.manifest()
    shelf.add("late", {"resourceType": "Basic", "code": {"text": "late"}})
    _is(_names(shelf, job.resources(manifest)), "early")
    late = fhir.read(f"/{shelf['late']}")["meta"]["lastUpdated"]
    expect(manifest["transactionTime"][:19] <= late[:19], "transactionTime is after what is not in the export")
    job.end()


@export.check("O74", _CLAUSE)
def ends_exports(fhir: Fhir) -> None:
    job = begun(fhir, "/$export?_type=Basic")
    fhir.make("Basic", code={"text": "something"})
    manifest = job.manifest()
    expect_status(fhir.delete(job.path), 202)
    refused(job.status(), 404)
    for each in manifest["output"]:
        expect_status(fhir.get(fhir.client.path_of(each["url"]), accept=_NDJSON), 404, 410)
    refused(fhir.delete(job.path), 404)
    running = begun(fhir, "/$export?_type=Basic")
    expect_status(fhir.delete(running.path), 202)
    expect(body_of(running.status())["resourceType"] == "OperationOutcome", "an export that was ended is not refused")
