"""`_list` of a history: what a List names, resource by resource (FHIR R4 3.1.0.14).

A reference to a version means that version alone; one without means all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.fhir.reading import Reading
from server.fhir.stored import Stored, collection
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from storage.query import Equals

_MOST_NAMED = 1000
_VERSION = "/_history/"


@dataclass(frozen=True, slots=True)
class Listed:
    """`Type/id` and the versions meant; no versions: all."""

    named: Mapping[str, frozenset[str]]

    def of(self, resource_types: Sequence[str]) -> list[tuple[str, str]]:
        """Type and id of what is of these types."""
        pairs = [(kind, name) for kind, _, name in (each.partition("/") for each in self.named)]
        return [(kind, name) for kind, name in pairs if kind in resource_types]

    def means(self, stored: Stored) -> bool:
        versions = self.named.get(stored.reference)
        return versions is not None and (not versions or str(stored.version) in versions)


async def listed(reading: Reading, context: Context, list_id: str) -> Listed:
    """What the current version of a List names; `NOT_FOUND` where there is none that may be seen."""
    await reading.read(context, "List", list_id)
    values = await reading.records.values(collection("List"), "item", Equals("_id", list_id), at_most=_MOST_NAMED + 1)
    if len(values) > _MOST_NAMED:
        text = f"The history of a List of more than {_MOST_NAMED} items is not told."
        raise Problem(Kind.UNSUPPORTED, text, (Issue(text, "http._list", "too-costly"),))
    named: dict[str, set[str]] = {}
    for each in values:
        reference, _, version = str(each).partition(_VERSION)
        if reference.count("/") == 1:
            named.setdefault(reference, set()).update([version] if version else [])
    return Listed({reference: frozenset(versions) for reference, versions in named.items()})
