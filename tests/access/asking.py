"""What is asked of every endpoint: at least once of each row, most often where something hidden could show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from server.bridge.imaging_study import resource_id
from server.http.surface import Endpoint
from tests.access.records import UIDS, Json, observation

LATER = {"prefer": "respond-async", "accept": "application/fhir+json"}
FORM = "application/x-www-form-urlencoded"
JSON_PATCH = "application/json-patch+json"


_OF_NOBODY = ("$expand", "$validate-code", "$lookup", "$subsumes", "$translate")
_WRITES = ("create", "update", "patch", "delete", "transaction", "stow", "operation.$meta-", "operation.$generate-")


@dataclass(frozen=True, eq=False)
class Ask:
    """One request of one row."""

    row: str
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    told: str = ""
    """What the snapshot calls it, where the path does not say enough."""

    @property
    def name(self) -> str:
        return self.told or f"{self.method} {self.path.replace('/fhir', '', 1)}"

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.row.startswith(_WRITES)

    @property
    def is_of_nobody(self) -> bool:
        """What codes mean concerns no patient, so no consent: it is asked under one only."""
        return any(each in self.row for each in _OF_NOBODY)

    @property
    def text(self) -> str:
        """All that the one who asks has said already."""
        body = self.body.decode("latin-1") if isinstance(self.body, bytes) else json.dumps(self.body or "")
        return f"{self.path} {body}"


def _get(row: str, *paths: str) -> Iterator[Ask]:
    for each in paths:
        yield Ask(row, "GET", f"/fhir/{each}")


def _form(row: str, path: str, text: str) -> Ask:
    return Ask(row, "POST", f"/fhir/{path}", text.encode(), {"content-type": FORM}, f"POST /{path} {text}")


PSY, LAB = "Observation/zzp-psy", "Observation/zzp-lab"
STUDY = f"ImagingStudy/{resource_id(UIDS['d-part'])}"
TYPES = (
    "Patient", "Encounter", "Condition", "DiagnosticReport", "DocumentReference", "Binary", "List", "Provenance",
    "Communication", "Task", "RelatedPerson", "Person", "Basic", "Bundle", "Group", "AuditEvent", "Subscription",
    "Consent", "ImagingStudy", "Practitioner", "ValueSet",
)  # fmt: skip


def reads() -> Iterator[Ask]:
    yield from _get("read", PSY, "Observation/zzp-gone", "Observation/zz-absent", "Observation/zzq-psy", STUDY)
    yield Ask("read", "GET", f"/fhir/{PSY}", None, {"if-none-match": 'W/"1"'}, f"GET /{PSY} (If-None-Match: 1)")
    yield from _get("vread", "Observation/zzp-turned/_history/1", "Observation/zzp-turned/_history/2")
    yield from _get("vread", f"{PSY}/_history/1", f"{PSY}/_history/9", "Observation/zzp-gone/_history/1")
    yield from _get("history.instance", "Observation/zzp-turned/_history", f"{PSY}/_history")
    yield from _get("history.instance", "Observation/zzp-gone/_history", "Observation/zz-absent/_history")
    yield from _get(
        "history.type", "Observation/_history", "Observation/_history?_count=4", "DiagnosticReport/_history"
    )
    yield from _get("history.system", "_history", "_history?_count=0")


def searches() -> Iterator[Ask]:
    psy = "SECRET-p-psy"
    yield from _get("search.type", "Observation", *TYPES)
    yield from _get(
        "search.type",
        "Observation?_id=zzp-psy,zzp-lab,zzq-psy",
        "Observation?_summary=count",
        "Observation?_total=accurate&_count=3&_sort=date",
        "Observation?_total=estimate&_count=3&_sort=-value-string",
        "Observation?code=psy",
        f"Observation?identifier=urn:id|{psy}",
        f"Observation?value-string={psy}",
        f"Observation?_content={psy}",
        f"Observation?_text={psy}",
        f"Observation?_filter=value-string eq {psy}",
        "Observation?_list=zzp-list",
        "Observation?_contained=both",
        "Observation?subject=Patient/zzp-self",
        "Observation?subject:Patient.name=SECRET-p-self",
        "Observation?subject.identifier=number-p",
        "Observation?code=psy&_include=*&_revinclude=*",
        "Observation?_security=PSY&_summary=count",
        "Observation?_sort=-_lastUpdated&_elements=id",
    )
    yield from _references()
    yield from _elsewhere()


def _references() -> Iterator[Ask]:
    """By what refers to something hidden, or is referred to by it."""
    yield from _get(
        "search.type",
        "Patient?_id=zzp-self&_revinclude=Observation:subject&_revinclude:iterate=Provenance:target",
        "Patient?_has:Observation:patient:code=psy",
        "Patient?_has:Observation:patient:_has:Provenance:target:agent=Practitioner/zzs-nurse",
        "Patient?name=SECRET-p&_summary=count",
        "Practitioner?_has:Observation:performer:code=psy",
        "Practitioner?_has:Observation:performer:patient.name=SECRET-p-self",
        "Practitioner?_id=zzs-nurse&_revinclude=Observation:performer",
        "DiagnosticReport?_include=*",
        "DiagnosticReport?result.code=psy",
        f"DiagnosticReport?result={PSY}",
        "List?_include=List:item",
        f"List?item={PSY}",
        f"Provenance?target={PSY}&_include=Provenance:target",
        "Provenance?target:Observation.code=psy",
        "Task?focus:Observation.code=psy",
        "Task?_include=Task:focus",
        "DocumentReference?_include=*",
        "Group?member=Patient/zzp-self&_include=Group:member",
        "Communication?_include=Communication:recipient&_include=Communication:subject",
        "ImagingStudy?_include=*",
        f"ImagingStudy?identifier=urn:dicom:uid|urn:oid:{UIDS['d-part']}",
        f"ImagingStudy?series={UIDS['e-psy']}",
        "ImagingStudy?modality=MR",
        f"ImagingStudy?instance={UIDS['i-psy']}",
        "Consent?patient=Patient/zzp-self",
    )


def _elsewhere() -> Iterator[Ask]:
    """Of several types, in compartments, and by forms."""
    yield _form("search.type.post", "Observation/_search", "code=psy&_summary=count")
    yield from _get(
        "search.system", "?_type=Observation,Patient,Practitioner", "?_type=DiagnosticReport&_content=SECRET"
    )
    yield _form("search.system.post", "_search", "_type=Observation,DocumentReference")
    yield from _get(
        "search.compartment",
        "Patient/zzp-self/Observation",
        "Patient/zzp-self/*",
        "Patient/zzq-self/Observation",
        "Encounter/zzp-visit/Condition",
        "Practitioner/zzs-nurse/Observation",
        "RelatedPerson/zzp-mother/Observation",
    )
    yield _form("search.compartment.post", "Patient/zzp-self/Observation/_search", "code=psy")


def operations(rows: tuple[Endpoint, ...]) -> Iterator[Ask]:
    """Each row once at least; by POST with what by GET stands in the query."""
    asked: dict[str, tuple[str, ...]] = {
        "operation.$validate.instance": (f"{PSY}/$validate?mode=update", "Observation/zz-absent/$validate?mode=update"),
        "operation.$validate.type": ("Observation/$validate?mode=create",),
        "operation.$meta.instance": (f"{PSY}/$meta", "Observation/zz-absent/$meta"),
        "operation.$meta.version": (f"{PSY}/_history/1/$meta", "Observation/zzp-turned/_history/1/$meta"),
        "operation.$everything.instance": (
            "Patient/zzp-self/$everything",
            "Patient/zzq-self/$everything",
            "Patient/zzp-self/$everything?_type=Observation,DocumentReference&_count=4",
            "Encounter/zzp-visit/$everything",
        ),
        "operation.$lastn.type": ("Observation/$lastn?patient=Patient/zzp-self&max=2", "Observation/$lastn?code=psy"),
        "operation.$timeline.instance": ("Patient/zzp-self/$timeline", "Patient/zzq-self/$timeline"),
        "operation.$expand.instance": ("ValueSet/zzs-values/$expand",),
        "operation.$expand.type": ("ValueSet/$expand?url=urn:values",),
        "operation.$validate-code.instance": ("ValueSet/zzs-values/$validate-code?code=psy&system=urn:codes",),
        "operation.$validate-code.type": ("ValueSet/$validate-code?url=urn:values&code=psy&system=urn:codes",),
        "operation.$lookup.type": ("CodeSystem/$lookup?system=urn:codes&code=psy",),
        "operation.$subsumes.instance": ("CodeSystem/zzs-codes/$subsumes?codeA=psy&codeB=psy",),
        "operation.$subsumes.type": ("CodeSystem/$subsumes?system=urn:codes&codeA=psy&codeB=psy",),
        "operation.$translate.instance": ("ConceptMap/zzs-map/$translate?code=vital&system=urn:codes",),
        "operation.$translate.type": ("ConceptMap/$translate?url=urn:map&code=vital&system=urn:codes",),
    }
    for row in rows:
        for path in asked.get(row.name, ())[: None if row.method == "GET" else 1]:
            if row.method == "GET":
                yield Ask(row.name, "GET", f"/fhir/{path}")
            else:
                yield Ask(row.name, "POST", f"/fhir/{path.partition('?')[0]}", _parameters(path.partition("?")[2]))


def _parameters(query: str) -> Json:
    pairs = [each.split("=", 1) for each in query.split("&") if each]
    kinds = {"url": "valueUri", "system": "valueUri", "code": "valueCode", "codeA": "valueCode", "codeB": "valueCode",
             "mode": "valueCode"}  # fmt: skip
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, kinds.get(name, "valueString"): value} for name, value in pairs],
    }


def writes() -> Iterator[Ask]:
    """What may change something. Of hidden resources nothing is changed, and nothing told by how it is refused."""
    psy, new = observation("p", "psy", "R", "PSY"), observation("p", "new", "N")
    del new["id"]
    yield from _conditional(psy, new)
    for target in ("zzp-psy", "zzp-lab", "zzq-psy"):
        kind = target[4:]
        labels = ("R", "PSY") if kind == "psy" else ("N",)
        same = observation(target[2], kind, *labels)
        yield Ask("update", "PUT", f"/fhir/Observation/{target}", same)
        yield Ask("patch", "PATCH", f"/fhir/Observation/{target}", _patch(f"SECRET-{target[2:]}"),
                  {"content-type": JSON_PATCH})  # fmt: skip
    stale = {"if-match": 'W/"99"'}
    yield Ask("update", "PUT", f"/fhir/{PSY}", psy, stale, f"PUT /{PSY} (If-Match: 99)")
    yield Ask("patch", "PATCH", f"/fhir/{PSY}", _patch("guessed wrongly"), {"content-type": JSON_PATCH},
              f"PATCH /{PSY} (test fails)")  # fmt: skip
    for row, call in (("$meta-add", "meta"), ("$meta-delete", "meta")):
        for level, path in (("instance", PSY), ("version", f"{PSY}/_history/1")):
            body = {"resourceType": "Parameters", "parameter": [{"name": call, "valueMeta": {"tag": [{"code": "t"}]}}]}
            yield Ask(f"operation.{row}.{level}", "POST", f"/fhir/{path}/{row}", body)
    for target in (PSY, LAB, "Observation/zz-absent", "Observation/zzp-gone", "Observation/zzq-psy"):
        yield Ask("delete", "DELETE", f"/fhir/{target}")
    yield from bundles(new)


def _conditional(psy: Json, new: Json) -> Iterator[Ask]:
    by_code = "identifier=urn:id|SECRET-p-psy"
    yield Ask("create", "POST", "/fhir/Observation", new, told="POST /Observation of p")
    other = observation("q", "new", "N")
    yield Ask("create", "POST", "/fhir/Observation", other, told="POST /Observation of q")
    yield Ask(
        "create", "POST", "/fhir/Observation", new, {"if-none-exist": by_code}, "POST /Observation (If-None-Exist psy)"
    )
    yield Ask("update.conditional", "PUT", f"/fhir/Observation?{by_code}", psy)
    yield Ask("patch.conditional", "PATCH", f"/fhir/Observation?{by_code}", _patch("SECRET-p-psy"),
              {"content-type": JSON_PATCH})  # fmt: skip
    yield Ask("delete.conditional", "DELETE", f"/fhir/Observation?{by_code}")
    yield Ask("delete.conditional", "DELETE", "/fhir/Observation?subject=Patient/zzp-self")


def bundles(new: Json) -> Iterator[Ask]:
    gets = ("Observation/zzp-psy", "Observation?code=psy&_summary=count", "Patient/zzp-self/Observation")
    asked = [{"request": {"method": "GET", "url": each}} for each in gets]
    yield Ask("transaction", "POST", "/fhir", _bundle("batch", *asked), told="batch of reads")
    yield Ask("transaction", "POST", "/fhir", _bundle("transaction", *asked[:2]), told="transaction of reads")
    found = {"method": "POST", "url": "Observation", "ifNoneExist": "identifier=urn:id|SECRET-p-psy"}
    yield Ask("transaction", "POST", "/fhir", _bundle("transaction", {"request": found, "resource": new}),
              told="transaction (ifNoneExist psy)")  # fmt: skip
    referring = new | {"subject": {"reference": "Patient?name=SECRET-q-self"}}
    post = {"method": "POST", "url": "Observation"}
    yield Ask("transaction", "POST", "/fhir", _bundle("transaction", {"request": post, "resource": referring}),
              told="transaction (conditional reference to q)")  # fmt: skip
    referring = new | {"hasMember": [{"reference": "Observation?code=psy&subject=Patient/zzp-self"}]}
    yield Ask("transaction", "POST", "/fhir", _bundle("transaction", {"request": post, "resource": referring}),
              told="transaction (conditional reference to psy)")  # fmt: skip
    deletion = {"request": {"method": "DELETE", "url": "Observation?identifier=urn:id|SECRET-p-psy"}}
    yield Ask("transaction", "POST", "/fhir", _bundle("batch", deletion), told="batch (conditional delete of psy)")


def _bundle(kind: str, *entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def _patch(value: str) -> bytes:
    """Which tells whether the value was guessed."""
    steps = [
        {"op": "test", "path": "/valueString", "value": value},
        {"op": "replace", "path": "/valueString", "value": value},
    ]
    return json.dumps(steps).encode()


EXPORTS = (
    Ask("operation.$export.system", "GET", "/fhir/$export?_type=Observation,Provenance"),
    Ask("operation.$export.system", "POST", "/fhir/$export", _parameters("_type=Consent")),
    Ask("operation.$export.type", "GET", "/fhir/Patient/$export?_type=ImagingStudy"),
    Ask("operation.$export.type", "POST", "/fhir/Patient/$export", _parameters("_type=Observation")),
    Ask("operation.$export.instance", "GET", "/fhir/Group/zzs-group/$export?_type=Observation"),
    Ask("operation.$export.instance", "POST", "/fhir/Group/zzs-group/$export", _parameters("_type=Observation")),
)
"""Each is waited for, and its files are read."""


def foreign_jobs(job: str) -> Iterator[Ask]:
    """Of an export that the server's own work asked for."""
    yield Ask("export.status", "GET", f"/fhir/$export/{job}", told="GET another's export")
    yield Ask("export.file", "GET", f"/fhir/$export/{job}/0", told="GET another's file")
    yield Ask("export.cancel", "DELETE", f"/fhir/$export/{job}", told="DELETE another's export")


def public() -> Iterator[Ask]:
    yield Ask("capabilities", "GET", "/fhir/metadata?_elements=status")
    yield Ask("capabilities", "OPTIONS", "/dicomweb/")
