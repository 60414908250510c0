"""Suffixes of key names: what else is kept of a parameter's values beside the key under its own name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from storage.query import Key

PRESENT = ":present"
"""1 where there is a value that gives no other key, as a reference with a display only: `:missing` counts it."""
TEXT = ":text"
OF_TYPE = ":of-type"
IDENTIFIER = ":identifier"
END = ":end"
WORD = ":word"
MANY = ":many"
UNIT = ":unit"
CODED = ":coded"
UCUM = ":ucum"

SEPARATOR = "\x1f"
"""Between the parts of a key; no FHIR string may hold it."""
LAST = "\U0010ffff"
"""Above every character a key may go on with."""

Json: TypeAlias = Any
_HOLLOW = frozenset({"id", "extension", "modifierExtension"})


class Found:
    """The keys of one resource while they are gathered."""

    __slots__ = ("contained", "elements", "keys", "present", "spans")

    def __init__(self, contained: dict[str, str]) -> None:
        self.contained = contained
        """Type of each contained resource by its id."""
        self.keys: dict[str, set[Key]] = {}
        """By key name."""
        self.spans: dict[str, list[tuple[int, int]]] = {}
        """Start and end of each moment, by key name."""
        self.elements: dict[str, list[Json]] = {}
        """What a composite parameter is about."""
        self.present: set[str] = set()
        """Names of parameters that met a value without a key."""

    def add(self, name: str, key: Key) -> None:
        keys = self.keys.get(name)
        if keys is None:
            self.keys[name] = {key}
        else:
            keys.add(key)

    def meet(self, name: str, value: Json) -> None:
        """A value that may give no key; an element with extensions only is none at all."""
        if type(value) is not dict or not _HOLLOW.issuperset(each for each in value if each[0] != "_"):
            self.present.add(name)


Emitter: TypeAlias = Callable[[Json, Found], None]
"""Adds the keys of one value."""
