"""What an answer discloses, noted on the trail of its request: which resource, or whose on a page of many."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from server.fhir.json_form import Resource, encode
from server.fhir.search.request import Pairs, SearchResult
from server.fhir.stored import Stored
from server.kernel.trail import SILENT, Trail

_LONGEST = 8 << 10


def note(trail: Trail, stored: Stored) -> None:
    trail.add(stored.versioned, stored.patients)


def note_page(trail: Trail, page: Iterable[Stored]) -> None:
    """What was found is not kept, only of whom it told."""
    if trail is not SILENT:
        for each in page:
            trail.touch(each.patients)


def note_result(trail: Trail, result: SearchResult) -> tuple[str, ...]:
    """Gives the patients, to be kept beside a page that is kept."""
    if trail is SILENT:
        return ()
    found: dict[str, None] = {}
    for page in (result.matches, result.included):
        for each in page:
            for patient in each.patients:
                found[patient] = None
    trail.touch(found)
    return tuple(found)


def note_form(trail: Trail, pairs: Pairs) -> None:
    """A query that came as a form."""
    if trail is not SILENT:
        trail.ask(urlencode(pairs))


def note_parameters(trail: Trail, parameters: Resource) -> None:
    """A query that came as a Parameters resource."""
    if trail is not SILENT:
        trail.ask(encode(parameters)[:_LONGEST].decode("utf-8", "replace"))
