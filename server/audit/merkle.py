"""Merkle trees over entries (RFC 6962 2.1): the root names all leaves in their order, and short proofs show one of them
in it, or one tree to be the beginning of another.

Leaves are hashed with a zero byte before them, inner nodes with a one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256(b"").digest()


def leaf(chain: str, head: bytes) -> bytes:
    """The hash of an entry: its head holds the hash of the body, so a dropped body changes no tree."""
    return hashlib.sha256(b"\x00%s\x00%s" % (chain.encode(), head)).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that leaves are added to: of what it holds only the roots of its full subtrees are kept."""

    __slots__ = ("_roots", "size")

    def __init__(self, size: int = 0, roots: Iterable[bytes] = ()) -> None:
        self.size = size
        self._roots = list(roots)

    @property
    def roots(self) -> tuple[bytes, ...]:
        """From the largest to the smallest: one for each bit of the size that is set."""
        return tuple(self._roots)

    def add(self, hashed: bytes) -> None:
        roots, size = self._roots, self.size
        while size & 1:
            hashed = node(roots.pop(), hashed)
            size >>= 1
        roots.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        if not self._roots:
            return EMPTY
        *others, top = self._roots
        for each in reversed(others):
            top = node(each, top)
        return top

    def copy(self) -> Frontier:
        return Frontier(self.size, self._roots)


def root_of(leaves: Sequence[bytes]) -> bytes:
    frontier = Frontier()
    for each in leaves:
        frontier.add(each)
    return frontier.root()


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of a leaf: the hashes to join it with, from the bottom up (RFC 6962 2.1.1)."""
    path = []
    low, high = 0, len(leaves)
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(root_of(leaves[middle:high]))
            high = middle
        else:
            path.append(root_of(leaves[low:middle]))
            low = middle
    return path[::-1]


def is_included(hashed: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the path leads from the leaf to the root."""
    if not 0 <= index < size:
        return False
    last = size - 1
    for each in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            hashed = node(each, hashed)
            while index & 1 == 0 and index:
                index, last = index >> 1, last >> 1
        else:
            hashed = node(hashed, each)
        index, last = index >> 1, last >> 1
    return last == 0 and hashed == root


def consistency(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """The proof that the tree over the first so many leaves is the beginning of the one over all (RFC 6962 2.1.2)."""
    if not 0 < first < len(leaves):
        return []
    path = []
    low, high, is_whole = 0, len(leaves), True
    while first != high:
        middle = low + _split(high - low)
        if first <= middle:
            path.append(root_of(leaves[middle:high]))
            high = middle
        else:
            path.append(root_of(leaves[low:middle]))
            low, is_whole = middle, False
    if not is_whole:
        path.append(root_of(leaves[low:high]))
    return path[::-1]


def is_consistent(first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the proof leads to both roots."""
    if first == second or first == 0:
        return not path and (first == 0 or first_root == second_root)
    if not 0 < first < second or not path:
        return False
    steps = list(path)
    index, last = first - 1, second - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    old = new = steps.pop(0) if index else first_root
    for each in steps:
        if last == 0:
            return False
        if index & 1 or index == last:
            old, new = node(each, old), node(each, new)
            while index & 1 == 0 and index:
                index, last = index >> 1, last >> 1
        else:
            new = node(new, each)
        index, last = index >> 1, last >> 1
    return last == 0 and (old, new) == (first_root, second_root)


def _split(size: int) -> int:
    """The greatest power of two less than `size`."""
    return 1 << ((size - 1).bit_length() - 1)
