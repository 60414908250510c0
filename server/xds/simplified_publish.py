"""Simplified Publish (MHD ITI-105): one DocumentReference that carries its document, as the bundle it is short for."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from server.fhir.bundle.entries import Entry
from server.fhir.json_form import Resource
from server.kernel.problem import Issue, Problem
from server.xds.fhir_identifiers import URI
from server.xds.lists import DESIGNATION, LIST_TYPES, SOURCE_ID

_PROFILE = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.SimplifiedPublish.DocumentReference"
_PLACE = re.compile(r"Bundle\.entry\[\d\](?:\.resource)?")
DOCUMENT = 1
"""Number of the entry that is the DocumentReference."""


def is_simplified(resource: Resource) -> bool:
    profiles = resource.get("meta", {}).get("profile", ())
    named = any(isinstance(each, str) and each.partition("|")[0] == _PROFILE for each in profiles)
    return named and resource.get("resourceType") == "DocumentReference"


def as_entries(resource: Resource, source_id: str, now: str) -> list[Entry]:
    """`source_id`: OID of who submits; `now`: a dateTime."""
    url, reference = f"urn:uuid:{uuid4()}", f"urn:uuid:{uuid4()}"
    content, *others = resource["content"]
    attachment = {name: value for name, value in content["attachment"].items() if name != "data"}
    pointing = {**resource, "content": [{**content, "attachment": {**attachment, "url": url}}, *others]}
    binary = {
        "resourceType": "Binary",
        "contentType": attachment.get("contentType", "application/octet-stream"),
        "data": content["attachment"].get("data", ""),
    }
    package = _package(resource, source_id, now, reference)
    made = ((package, None), (pointing, reference), (binary, url))
    return [_post(number, each, full_url) for number, (each, full_url) in enumerate(made)]


def _package(resource: Resource, source_id: str, now: str, member: str) -> Resource:
    made: dict[str, Any] = {
        "resourceType": "List",
        "extension": [{"url": SOURCE_ID, "valueIdentifier": {"system": URI, "value": f"urn:oid:{source_id}"}}],
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": LIST_TYPES, "code": "submissionset"}]},
        "date": now,
        "entry": [{"item": {"reference": member}}],
    }
    if "type" in resource:
        made["extension"].append({"url": DESIGNATION, "valueCodeableConcept": resource["type"]})
    return made | ({"subject": resource["subject"]} if "subject" in resource else {})


def _post(number: int, made: Resource, full_url: str | None) -> Entry:
    kind = made["resourceType"]
    return Entry(number, "POST", kind, kind, None, None, made, full_url, None, None, None, None)


def told(problem: Problem) -> Problem:
    """Places as they are in the DocumentReference that was sent."""
    issues = tuple(Issue(each.text, _moved(each.location), each.code) for each in problem.issues)
    return Problem(problem.kind, problem.text, issues, problem.retry_after, problem.headers)


def _moved(place: str | None) -> str | None:
    return _PLACE.sub("DocumentReference", place, count=1) if place else None
