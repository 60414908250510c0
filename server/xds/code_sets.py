"""Which codes an affinity domain allows for an attribute; any where none are configured (IHE ITI TF-3 4.2.3.1.2).

Code and scheme decide, a display name never does. The sets lie in one record, so that every process sees the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from server.xds.metadata import Code
from storage.ports import Put, Records

_COLLECTION, _ID = "xds-codes", "own"


@dataclass(frozen=True, slots=True)
class CodeSets:
    by_attribute: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """`code^^scheme` of those allowed, by the attribute's name (`classCode`); `mimeType` has plain values."""
    version: int = 0
    """Of their record."""

    def allows(self, attribute: str, code: Code) -> bool:
        return self.allows_text(attribute, code.key)

    def allows_text(self, attribute: str, text: str) -> bool:
        allowed = self.by_attribute.get(attribute)
        return allowed is None or text in allowed


OPEN = CodeSets()
"""Any code of any attribute."""


async def load_code_sets(records: Records) -> CodeSets:
    found = await records.get(_COLLECTION, [_ID])
    if not found:
        return OPEN
    sets = {name: frozenset(allowed) for name, allowed in orjson.loads(found[0].body).items()}
    return CodeSets(sets, found[0].version)


async def keep_code_sets(
    records: Records, sets: Mapping[str, Iterable[str]], beside: Sequence[Put] = (), expected: int | None = None
) -> None:
    """In place of those kept, of this version if one is named; an attribute that is not named is open."""
    body = orjson.dumps({name: sorted(set(allowed)) for name, allowed in sets.items()})
    await records.commit([Put(_COLLECTION, _ID, body, expected=expected), *beside])
