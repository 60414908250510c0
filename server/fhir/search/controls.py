"""What governs the answer and not what is found: counts, totals, includes, types (FHIR R4 3.1.1.5)."""

from __future__ import annotations

from collections.abc import Sequence

from server.fhir.index.registry import Registry
from server.fhir.search.clauses import Include
from server.fhir.search.conditions import alternatives
from server.fhir.search.request import invalid, shown
from server.fhir.search.targets import all_types

PASSED_ON = frozenset(("_format", "_pretty", "_elements"))
"""The surface's to act upon; they belong to what was used."""
INCLUDES = {
    f"{kind}{how}": (kind == "_revinclude", how != "")
    for kind in ("_include", "_revinclude")
    for how in ("", ":iterate", ":recurse")
}
"""By name: whether it goes against the references, and whether it goes on from what it found."""


class Unknown(Exception):
    """A name that nothing bears; the text says which."""


def count_of(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise invalid("_count is a whole number from 0.", "_count")
    return int(value)


def wants_total(value: str) -> bool:
    if value not in ("none", "estimate", "accurate"):
        raise invalid("_total is none, estimate or accurate.", "_total")
    return value != "none"


def include_of(registry: Registry, name: str, value: str) -> Include:
    """`Type:parameter`, `Type:parameter:Target`, `Type:*` or `*`."""
    reverse, iterate = INCLUDES[name]
    if value == "*":
        return Include(reverse, iterate, None, None, None)
    source, code, target = (*value.split(":", 2), "", "")[:3]
    if source not in all_types() or not code:
        raise Unknown("An include names a type and a reference parameter of it: Type:parameter.")
    if target and target not in all_types():
        raise Unknown(f"An include names {shown(target)}, which is no type.")
    if code == "*":
        return Include(reverse, iterate, source, None, target or None)
    parameter = registry.find(source, code)
    if parameter is None or parameter.type != "reference":
        raise Unknown(f"{source} has no reference parameter {shown(code)}.")
    return Include(reverse, iterate, source, code, target or None)


def types_of(pairs: Sequence[tuple[str, str]], known: Sequence[str]) -> tuple[str, ...] | None:
    """The types that `_type` names; `None` where it is not there."""
    named = [alternatives(name, value) for name, value in pairs if name == "_type" and value]
    if not named:
        return None
    for each in {one for listed in named for one in listed}:
        if each not in known:
            raise invalid(f"{shown(each)} is no resource type.", "_type")
    return tuple(each for each in named[0] if all(each in listed for listed in named))
