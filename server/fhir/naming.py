"""What elements of a resource name: by reference, by an address of ours, or by an identifier alone (R4 2.3.0.1).

An Attachment's `url`, and any other text that is an absolute URL on this server, names a resource as much as a
reference does. One that has an identifier and no literal reference means whatever has that identifier: of the type it
states, or else of the types that are usually named so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from server.access.classes import Class, class_of
from server.fhir.held_back import hidden_values
from server.fhir.identity import is_id
from server.fhir.index.tokens import token_key
from storage.ports import Records
from storage.query import EVERYTHING, Predicate

_RELATIVE = frozenset({"reference", "url"})
_LOGICAL = frozenset({"id", "extension", "type", "identifier", "display"})
"""What is beside an identifier in a Reference, and in no other element with one."""
_USUAL = (
    "ServiceRequest", "ImagingStudy", "DiagnosticReport", "Observation", "DocumentReference", "Encounter", "Procedure",
    "Condition", "Specimen",
)  # fmt: skip
_NEVER_HIDDEN = (Class.DIRECTORY, Class.DEFINITION)
_LONGEST, _MOST = 2048, 1000

Names = tuple[str, str]
"""Type and token of what is named by an identifier."""


def addressed(element: Mapping[str, Any], local: Callable[[str], str]) -> Iterator[str]:
    """`Type/id` of each resource of ours that texts of the element itself name."""
    for name, text in element.items():
        if type(text) is str and len(text) <= _LONGEST and (name in _RELATIVE or "://" in text):
            found = local(text).partition("/_history/")[0]
            resource_type, _, resource_id = found.partition("/")
            if resource_type.isalpha() and is_id(resource_id):
                yield found


def identified(element: Mapping[str, Any]) -> Iterator[Names]:
    """What a Reference without a literal one may mean; a patient is no secret of what is shown of them."""
    identifier = element.get("identifier")
    if type(identifier) is not dict or not element.keys() <= _LOGICAL or not identifier.get("value"):
        return
    token = token_key(identifier["value"], identifier.get("system", ""))
    stated = element.get("type")
    for each in (stated,) if isinstance(stated, str) and stated.isalpha() else _USUAL:
        if each != "Patient" and class_of(each) not in _NEVER_HIDDEN:
            yield each, token


async def hidden_identifiers(
    records: Records, named: Mapping[str, Collection[str]], predicates: Mapping[str, Predicate]
) -> frozenset[Names]:
    """Of tokens by type those that something has which may not be seen; all, where there are too many to tell."""
    found: set[Names] = set()
    for each, tokens in named.items():
        predicate = predicates[each]
        if predicate == EVERYTHING:
            continue
        known = await hidden_values(records, each, "identifier", tokens, predicate, at_most=_MOST)
        found.update(
            (each, token) for token in (tokens if len(known) == _MOST else set(tokens).intersection(map(str, known)))
        )
    return frozenset(found)
