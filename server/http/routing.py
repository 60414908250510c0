"""Which endpoint a path means: a tree of path segments built once from the rows.

A walk costs a dictionary look-up per segment, however many endpoints there are. A literal segment is preferred to a
`{name}`; `{name:path}` takes all that remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from server.http.surface import Endpoint


@dataclass(slots=True)
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    name: str = ""
    named: _Node | None = None
    rest: str = ""
    methods: dict[str, Endpoint] = field(default_factory=dict)
    rest_methods: dict[str, Endpoint] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """The endpoints at a path by method, and the values of its names."""

    methods: dict[str, Endpoint]
    path: dict[str, str]


class Router:
    """Finds endpoints by path; paths of endpoints begin with `/` and two rows may not claim one method and path."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._root = _Node()
        for endpoint in endpoints:
            self._add(endpoint)

    def find(self, path: str) -> Match | None:
        """The match for a decoded path below the surface, or `None`."""
        values: dict[str, str] = {}
        node = self._root
        segments = path.split("/")[1:]
        for position, segment in enumerate(segments):
            following = node.literal.get(segment)
            if following is None and node.rest:
                values[node.rest] = "/".join(segments[position:])
                return Match(node.rest_methods, values)
            if following is None:
                if node.named is None or not segment:
                    return None
                values[node.name] = segment
                following = node.named
            node = following
        return Match(node.methods, values) if node.methods else None

    def _add(self, endpoint: Endpoint) -> None:
        node = self._root
        methods = node.methods
        for segment in endpoint.path.split("/")[1:]:
            if segment.endswith(":path}"):
                node.rest = segment[1:-6]
                methods = node.rest_methods
                break
            node = _step(node, segment)
            methods = node.methods
        if endpoint.method in methods:
            raise ValueError(f"{endpoint.name} and {methods[endpoint.method].name} claim the same method and path")
        methods[endpoint.method] = endpoint


def _step(node: _Node, segment: str) -> _Node:
    if not segment.startswith("{"):
        return node.literal.setdefault(segment, _Node())
    name = segment[1:-1]
    if node.named is None:
        node.name, node.named = name, _Node()
    elif node.name != name:
        raise ValueError(f"one place in a path is called both {node.name} and {name}")
    return node.named
