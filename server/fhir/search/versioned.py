"""The warning that a chain went through references to a version (FHIR R4 3.1.1.5.8): it saw the current one.

It is given by the page, of what is on it: the references of those few resources, out of the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.fhir.search.clauses import Chain, Clause, Search
from server.fhir.search.scope import Scope
from server.fhir.stored import Stored, collection
from server.kernel.problem import Issue
from storage.query import OneOf

_TEXT = "Some resources refer to a version of another; the chain used its current version."
_MOST = 10_000
_VERSION = "/_history/"


async def versions_passed_over(scope: Scope, search: Search, matches: Sequence[Stored]) -> tuple[Issue, ...]:
    """One remark where the first link of some chain names a version in any of the matches."""
    for resource_type, clauses in search.clauses.items():
        ids = OneOf("_id", tuple(each.id for each in matches if each.type == resource_type))
        for name in _links(clauses) if ids.values else ():
            texts = await scope.records.values(collection(resource_type), name, ids, at_most=_MOST)
            if any(_VERSION in str(each) for each in texts):
                return (Issue(_TEXT, None, "informational"),)
    return ()


def _links(clauses: Iterable[Clause]) -> list[str]:
    """Names of the keys that chains begin with."""
    return sorted({source.name for each in clauses if isinstance(each, Chain) for source in each.link.sources})
