"""RFC 6962 2.1: known roots, and proofs that hold for what is so and for nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audit.merkle import (
    EMPTY,
    Frontier,
    consistency,
    inclusion,
    is_consistent,
    is_included,
    node,
    root_of,
)

LEAVES = [hashlib.sha256(b"\x00%d" % number).digest() for number in range(40)]
FOREIGN = hashlib.sha256(b"foreign").digest()
SIZES = st.integers(1, len(LEAVES))


def by_definition(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY
    half = 1
    while 2 * half < len(leaves):
        half *= 2
    return node(by_definition(leaves[:half]), by_definition(leaves[half:]))


def test_known_roots() -> None:
    """Those of the test data that implementations of RFC 6962 share."""
    known = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [hashlib.sha256(b"\x00" + bytes.fromhex(each)).digest() for each in known]
    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root_of(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("size", range(len(LEAVES) + 1))
def test_the_root_is_that_of_the_definition(size: int) -> None:
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        frontier.add(leaf)
    assert frontier.root() == root_of(LEAVES[:size]) == by_definition(LEAVES[:size])
    assert Frontier(size, frontier.roots).root() == frontier.root()


@given(SIZES, st.data())
def test_a_leaf_is_shown_to_be_included(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path, root = inclusion(LEAVES[:size], index), root_of(LEAVES[:size])
    assert is_included(LEAVES[index], index, size, path, root)
    assert not is_included(FOREIGN, index, size, path, root)
    assert not is_included(LEAVES[index], index, size, [*path, FOREIGN], root)
    assert not is_included(LEAVES[index], size, size, path, root)
    if path:
        assert not is_included(LEAVES[index], index, size, path[:-1], root)
        assert not is_included(LEAVES[index], (index + 1) % size, size, path, root)


@given(SIZES, st.data())
def test_a_tree_is_shown_to_begin_another(second: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, second))
    path = consistency(LEAVES[:second], first)
    old, new = root_of(LEAVES[:first]), root_of(LEAVES[:second])
    assert is_consistent(first, second, old, new, path)
    if 0 < first < second:
        assert not is_consistent(first, second, FOREIGN, new, path)
        assert not is_consistent(first, second, old, FOREIGN, path)
        assert not is_consistent(first, second, old, new, path[:-1])
        assert not is_consistent(first, second, old, new, [*path, FOREIGN])
