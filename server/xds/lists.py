"""Submission sets and folders as the Lists that FHIR finds them by (MHD 4.2 3:4.5.2 and 3:4.5.3).

A List has room for one author: of a submission set with several the first is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from server.fhir.json_form import Resource
from server.xds.document_reference import local_id
from server.xds.fhir_codes import coding, concept
from server.xds.fhir_identifiers import URI, date_time, entry_uuid, home_extension, unique_id
from server.xds.fhir_people import AUTHOR_ORGANIZATION, Contained, authors, organization, practitioner, telecom
from server.xds.fhir_texts import tidied
from server.xds.metadata import Code, Folder, SubmissionSet, plain
from server.xds.vocabulary import APPROVED

_STRUCTURES = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
DESIGNATION = _STRUCTURES + "ihe-designationType"
SOURCE_ID = _STRUCTURES + "ihe-sourceId"
RECIPIENT = _STRUCTURES + "ihe-intendedRecipient"
LIST_TYPES = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"


def submission_list(
    submission_set: SubmissionSet, subject: str, members: Sequence[str] = (), labels: Sequence[Code] = ()
) -> Resource:
    """`members`: `DocumentReference/<id>` and `List/<id>`, in order; `labels`: how secret they all are."""
    contained = Contained()
    code = submission_set.content_type_code
    extensions = [
        *home_extension(submission_set.home),
        *([_designation(code)] if code else []),
        {"url": SOURCE_ID, "valueIdentifier": _source_id(submission_set.source_id)},
        *_recipients(submission_set, contained),
    ]
    made = _list(submission_set, "submissionset", subject, members, submission_set.submission_time)
    made["meta"]["security"] = list(map(coding, labels))
    made |= {"extension": extensions, "source": _source(submission_set, contained), "contained": contained.resources}
    return tidied(made)


def folder_list(folder: Folder, subject: str, members: Sequence[str] = (), labels: Sequence[Code] = ()) -> Resource:
    """`members`: `DocumentReference/<id>`, in order."""
    made = _list(folder, "folder", subject, members, folder.last_update_time)
    made["meta"]["security"] = list(map(coding, labels))
    made["extension"] = [*home_extension(folder.home), *map(_designation, folder.codes)]
    return tidied(made)


def _list(of: SubmissionSet | Folder, kind: str, subject: str, members: Sequence[str], moment: str) -> dict[str, Any]:
    level = "Minimal" if of.is_limited else "Comprehensive"
    profile = "SubmissionSet" if isinstance(of, SubmissionSet) else "Folder"
    return {
        "resourceType": "List",
        "id": local_id(of.id),
        "meta": {"profile": [f"{_STRUCTURES}IHE.MHD.{level}.{profile}"]},
        "identifier": [unique_id(of.unique_id), entry_uuid(of.id)],
        "status": "current" if of.status == APPROVED else "retired",
        "mode": "working",
        "title": plain(of.title),
        "code": {"coding": [{"system": LIST_TYPES, "code": kind}]},
        "subject": {"reference": subject},
        "date": date_time(moment),
        "note": [{"text": plain(of.comments)}],
        "entry": [{"item": {"reference": each}} for each in members],
    }


def _designation(code: Code) -> Resource:
    return {"url": DESIGNATION, "valueCodeableConcept": concept(code)}


def _source_id(oid: str) -> Resource:
    return {"system": URI, "value": f"urn:oid:{oid}"}


def _source(submission_set: SubmissionSet, contained: Contained) -> Resource | None:
    """One author with one institution. An Organization cannot be the source of a List: MHD names it beside."""
    told = [replace(each, institutions=each.institutions[:1]) for each in submission_set.authors[:1]]
    found = authors(told, contained)
    if not found:
        return None
    kinds = {f"#{each['id']}": each["resourceType"] for each in contained.resources}
    first = found[0]
    if kinds[first["reference"]] == "Organization":
        return {"extension": [{"url": AUTHOR_ORGANIZATION, "valueReference": first}]}
    return first


def _recipients(submission_set: SubmissionSet, contained: Contained) -> list[Resource]:
    """`organization|person|telecommunication`: the person where one is named."""
    found = []
    for number, each in enumerate(submission_set.intended_recipients, 1):
        institution, person, point = [*each.split("|"), "", ""][:3]
        who = practitioner(person) or (organization(institution) if institution else None)
        reach = telecom(point) if point else {}
        if who is None and "value" in reach:
            who = {"resourceType": "Organization", "name": reach["value"]}
        if who is not None:
            made = who | ({"telecom": [reach]} if "value" in reach else {})
            name = contained.add(made, f"recipient{number}")
            found.append({"url": RECIPIENT, "valueReference": {"reference": name}})
    return found
