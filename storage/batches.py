"""What a batch does to the records it names, worked out in memory: the same for every adapter."""

from __future__ import annotations

from collections.abc import Callable

from storage.errors import VersionConflict
from storage.ports import Batch, Delete, Put
from storage.simplify import check_keys, check_text

Named = tuple[str, str]
"""Collection and id."""
State = tuple[int, Put | None]
"""A record's version and the put that makes it; version 0 where no record shall be."""


def check_batch(batch: Batch, longest_body: int) -> None:
    """`ValueError` for what a store cannot hold."""
    for act in batch:
        check_text(act.collection)
        check_text(act.id)
        if isinstance(act, Put):
            check_keys(act.keys)
            if len(act.body) > longest_body:
                raise ValueError(f"a record's body is longer than the {longest_body} bytes this store can hold")


def judge(batch: Batch, version_of: Callable[[Named], int]) -> tuple[list[int], dict[Named, State]]:
    """The versions the acts make and what finally becomes of each record; `VersionConflict` at the first mismatch."""
    states: dict[Named, State] = {}
    versions = []
    for act in batch:
        named = act.collection, act.id
        version = states[named][0] if named in states else version_of(named)
        if act.expected is not None and act.expected != version:
            raise VersionConflict(*named)
        states[named] = (0, None) if isinstance(act, Delete) else (version + 1, act)
        versions.append(states[named][0])
    return versions, states
