"""A search as it was understood: conditions that all must hold, and what governs the answer (FHIR R4 3.1.1).

Parameters are resolved, values are not: they are read when a clause is compiled, and keep their backslashes until then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from server.fhir.index.parameters import Parameter


@dataclass(frozen=True, slots=True)
class Filter:
    """`parameter:modifier=a,b`: some alternative holds."""

    parameter: Parameter
    modifier: str | None
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """`link.rest`: the resource that `link` refers to satisfies the rest, read for each type it may be of."""

    link: Parameter
    ends: tuple[tuple[str, Clause], ...]
    contained: Filter | None = None
    """What tells of contained resources, where a parameter of the type itself does."""


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:source:link:rest`: some resource of the source type refers here by `link` and satisfies the rest."""

    source: str
    link: Parameter
    end: Clause


@dataclass(frozen=True, slots=True)
class Listed:
    """`_list`: the resource is an entry of one of these Lists."""

    lists: tuple[str, ...]


Clause: TypeAlias = Filter | Chain | Has | Listed


@dataclass(frozen=True, slots=True)
class Include:
    """`_include` and, reverse, `_revinclude`."""

    reverse: bool
    iterate: bool
    source: str | None
    """`None` for every type."""
    parameter: str | None
    """Its code; `None` for every reference parameter of the source."""
    target: str | None


@dataclass(frozen=True, slots=True)
class Sort:
    parameter: Parameter
    descending: bool


@dataclass(frozen=True, slots=True)
class Search:
    """A whole search. Of a search over several types, each has its own reading of the clauses."""

    clauses: Mapping[str, tuple[Clause, ...]]
    includes: tuple[Include, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int = 0
    only_count: bool = False
    wants_total: bool | None = None
    """`None` where the client does not say."""
