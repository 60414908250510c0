"""What a FHIR file asks for, as a bundle that can be carried out.

A transaction or batch is carried out as it is. A collection or searchset is stored resource by resource, each under the
id it has; so is a lone resource. Other bundles (documents, messages) are resources themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from server.fhir.identity import is_id
from server.fhir.json_form import Resource, malformed

_REQUESTS = ("transaction", "batch")
_COLLECTIONS = ("collection", "searchset")


def request_of(resource: Resource) -> Resource:
    """A Bundle of type transaction or batch."""
    if resource.get("resourceType") == "Bundle" and resource.get("type") in _REQUESTS:
        return resource
    if resource.get("resourceType") == "Bundle" and resource.get("type") in _COLLECTIONS:
        return transaction(_collected(resource))
    return transaction([entry_of(resource)])


def transaction(entries: Sequence[Resource]) -> Resource:
    return bundle("transaction", entries)


def bundle(kind: str, entries: Sequence[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry_of(resource: Resource, full_url: str | None = None) -> Resource:
    """The request that stores a resource: under its id, where it has one."""
    resource_type, resource_id = resource.get("resourceType"), resource.get("id")
    if not isinstance(resource_type, str):
        raise malformed("There is no resource.", "resourceType")
    if is_id(resource_id):
        request = {"method": "PUT", "url": f"{quote(resource_type)}/{resource_id}"}
    else:
        request = {"method": "POST", "url": quote(resource_type)}
    made: Resource = {"resource": resource, "request": request}
    return made if full_url is None else {"fullUrl": full_url, **made}


def _collected(collection: Resource) -> list[Resource]:
    entries = collection.get("entry", [])
    if not isinstance(entries, list):
        raise malformed("Bundle.entry is not a list.", "Bundle.entry")
    found = []
    for number, each in enumerate(entries):
        resource = each.get("resource") if isinstance(each, dict) else None
        if not isinstance(resource, dict):
            raise malformed("An entry has no resource.", f"Bundle.entry[{number}]")
        if resource.get("resourceType") != "OperationOutcome":
            found.append(entry_of(resource, each.get("fullUrl")))
    return found
