"""The snapshot of a StructureDefinition that has only a differential (FHIR R4 profiling, 5.1.0.9), the common cases.

Elements are merged by id over those of the base. What the base does not have yet is opened up: the children of a type,
a slice as a copy of what it slices. What cannot be placed is a `SnapshotError`, as the differential is wrong then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from profiles.definitions import CANONICAL
from profiles.validator.shapes import type_code

Definition: TypeAlias = dict[str, Any]
Find: TypeAlias = Callable[[str], Mapping[str, Any] | None]

_SLICES = re.compile(r":[^.]+")
MAX_ELEMENTS = 20_000
_MAX_BASES = 24
_CHOICES = ("fixed", "pattern", "minValue", "maxValue", "defaultValue")


class SnapshotError(ValueError):
    """Why there is none; the text names paths of definitions only."""


def snapshot(structure: Mapping[str, Any], find: Find, bases: int = 0) -> list[Definition]:
    """The elements of its snapshot: its own, or generated from its base. Raises `SnapshotError`."""
    own = _elements(structure, "snapshot")
    return own if own else generate(structure, find, bases)


def generate(structure: Mapping[str, Any], find: Find, bases: int = 0) -> list[Definition]:
    """Its differential over the snapshot of its base. Raises `SnapshotError`."""
    base_url = structure.get("baseDefinition")
    base = find(base_url) if isinstance(base_url, str) else None
    if base is None or bases > _MAX_BASES:
        raise SnapshotError("The base definition is not known.")
    builder = _Builder(snapshot(base, find, bases + 1), find)
    for each in _elements(structure, "differential"):
        builder.merge(each)
    return builder.elements()


def _elements(structure: Mapping[str, Any], form: str) -> list[Definition]:
    """The elements of a form, each with an id."""
    held = structure.get(form)
    listed = held.get("element") if isinstance(held, Mapping) else None
    if not isinstance(listed, list):
        return []
    if not all(isinstance(each, dict) and isinstance(each.get("path"), str) for each in listed):
        raise SnapshotError("An element has no path.")
    return with_ids(listed)


def with_ids(elements: Iterable[Definition]) -> list[Definition]:
    """Elements with ids that follow from paths and slice names; a given id is kept where it agrees with these."""
    found: list[Definition] = []
    latest: dict[str, str] = {}
    for each in elements:
        path, slice_name = each["path"], each.get("sliceName")
        identity = _given_id(each) or _nearest(path, latest) + (f":{slice_name}" if slice_name else "")
        latest = {known: id_ for known, id_ in latest.items() if not known.startswith(path + ".")}
        latest[path] = identity
        found.append({**each, "id": identity})
    return found


def _given_id(element: Definition) -> str | None:
    identity, slice_name = element.get("id"), element.get("sliceName")
    if not isinstance(identity, str) or _SLICES.sub("", identity) != element["path"]:
        return None
    return identity if slice_name is None or identity.endswith(f":{slice_name}") else None


def _nearest(path: str, latest: Mapping[str, str]) -> str:
    """The path below the id that the closest element above it got."""
    above = path.rpartition(".")[0]
    while above and above not in latest:
        above = above.rpartition(".")[0]
    return latest[above] + path.removeprefix(above) if above else path


class _Builder:
    def __init__(self, elements: list[Definition], find: Find) -> None:
        self._by_id: dict[str, Definition] = {each["id"]: each for each in elements}
        self._base = dict(self._by_id)
        self._find = find

    def elements(self) -> list[Definition]:
        """In order: each element, its children, then its slices."""
        children: dict[str, list[str]] = {}
        for identity in self._by_id:
            children.setdefault(_holder(identity), []).append(identity)
        ordered: list[Definition] = []
        pending = [next(iter(self._by_id))]
        while pending:
            identity = pending.pop()
            ordered.append(self._by_id[identity])
            listed = children.get(identity, [])
            inner = [each for each in listed if each.rpartition(".")[0] == identity]
            slices = [each for each in listed if each.rpartition(".")[0] != identity]
            pending.extend(reversed(inner + slices))
        return ordered

    def merge(self, differential: Definition) -> None:
        identity = self._opened(differential["id"], differential["path"])
        base = self._by_id[identity]
        is_new_slice = bool(differential.get("sliceName")) and base.get("sliceName") != differential["sliceName"]
        self._by_id[identity] = merged(base, differential, identity, is_new_slice)
        if len(self._by_id) > MAX_ELEMENTS:
            raise SnapshotError("The snapshot would have too many elements.")

    def _opened(self, identity: str, path: str) -> str:
        """The id under which an element is held, after making it."""
        if identity in self._by_id:
            return identity
        parent_id, _, last = identity.rpartition(".")
        if not parent_id:
            raise SnapshotError(f"The path {path} does not belong to the type of the base.")
        parent = self._opened(parent_id, path.rpartition(".")[0])
        name, _, slice_name = last.partition(":")
        element_id = self._child(parent, name, path)
        if not slice_name:
            return element_id
        return self._slice(element_id, slice_name)

    def _child(self, parent: str, name: str, path: str) -> str:
        for each in (f"{parent}.{name}", f"{parent}.{name}[x]"):
            if each in self._by_id:
                return each
        self._open(parent)
        if f"{parent}.{name}" in self._by_id:
            return f"{parent}.{name}"
        chosen = self._choice(parent, name)
        if chosen is None:
            raise SnapshotError(f"The path {path} is not one of the base.")
        return chosen

    def _choice(self, parent: str, name: str) -> str | None:
        """`valueQuantity` as the slice of `value[x]` that it stands for."""
        for identity, each in list(self._by_id.items()):
            stem = identity.removeprefix(parent + ".")
            if not identity.startswith(parent + ".") or not stem.endswith("[x]") or "." in stem:
                continue
            code = name.removeprefix(stem[:-3])
            codes = {type_code(kind) for kind in each.get("type", ())}
            if code != name and any(code == known[:1].upper() + known[1:] for known in codes):
                return self._typed_slice(identity, name, code, codes)
        return None

    def _typed_slice(self, identity: str, name: str, code: str, codes: set[str]) -> str:
        base = self._by_id[identity]
        kinds = [kind for kind in base["type"] if type_code(kind)[:1].upper() + type_code(kind)[1:] == code]
        slicing = base.get("slicing") or {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}
        self._by_id[identity] = {**base, "slicing": slicing}
        slice_id = f"{identity}:{name}"
        if slice_id not in self._by_id:
            made = {key: value for key, value in base.items() if key != "slicing"}
            self._by_id[slice_id] = {**made, "id": slice_id, "sliceName": name, "type": kinds, "min": 0}
        return slice_id

    def _slice(self, element_id: str, slice_name: str) -> str:
        """A slice as a copy of the element it is of, or of the slice that it slices again."""
        slice_id = f"{element_id}:{slice_name}"
        if slice_id not in self._by_id:
            outer = slice_name.rpartition("/")[0]
            source = f"{element_id}:{outer}" if f"{element_id}:{outer}" in self._by_id else element_id
            made = {key: value for key, value in self._by_id[source].items() if key not in ("slicing", "sliceName")}
            self._by_id[slice_id] = {**made, "id": slice_id, "min": 0}
        return slice_id

    def _open(self, identity: str) -> None:
        """Put the children of an element's type below it."""
        element = self._by_id[identity]
        if element.get("sliceName") and self._copied(identity):
            return
        source = self._source(element)
        if source is None:
            return
        path = source[0]["path"]
        for each in source[1:]:
            made = identity + each["id"].removeprefix(source[0]["id"])
            self._by_id.setdefault(
                made, {**each, "id": made, "path": element["path"] + each["path"].removeprefix(path)}
            )

    def _copied(self, identity: str) -> bool:
        """The children that the sliced element has, copied below its slice."""
        whole = _holder(identity)
        below = [(each, value) for each, value in self._by_id.items() if each.startswith(whole + ".")]
        for each, value in below:
            made = identity + each.removeprefix(whole)
            self._by_id.setdefault(made, {**value, "id": made})
        return bool(below)

    def _source(self, element: Definition) -> list[Definition] | None:
        """Where the children of an element come from: its contentReference, the profile of its type, or its type."""
        reference = element.get("contentReference")
        if isinstance(reference, str):
            root = reference.partition("#")[2]
            return [each for key, each in self._base.items() if key == root or key.startswith(root + ".")] or None
        for kind in element.get("type", ()):
            profiles = kind.get("profile", ())
            structure = self._find(profiles[0]) if len(profiles) == 1 else None
            structure = structure or self._find(CANONICAL + type_code(kind))
            if structure is not None:
                return snapshot(structure, self._find, 1)
        return None


def _holder(identity: str) -> str:
    """What an element is listed below: the element a slice is of, else its parent."""
    parent, _, last = identity.rpartition(".")
    name, colon, slice_name = last.partition(":")
    if not colon:
        return parent
    outer = slice_name.rpartition("/")[0]
    prefix = f"{parent}.{name}" if parent else name
    return f"{prefix}:{outer}" if outer else prefix


def merged(base: Definition, differential: Definition, identity: str, is_new_slice: bool) -> Definition:
    """One element: what the differential says, over what the base does."""
    made = {
        **base,
        **{key: value for key, value in differential.items() if key not in ("constraint", "path", "slicing")},
    }
    made |= {"id": identity, "path": base["path"]}
    constraints = [*base.get("constraint", ()), *differential.get("constraint", ())]
    if constraints:
        made["constraint"] = list({each.get("key"): each for each in constraints if isinstance(each, dict)}.values())
    if "slicing" in differential:
        made["slicing"] = {**base.get("slicing", {}), **differential["slicing"]}
    if is_new_slice:
        made.pop("slicing", None) if "slicing" not in differential else None
    if any(key.startswith(_CHOICES) for key in differential):
        _drop_outdone(made, differential)
    return made


def _drop_outdone(made: Definition, differential: Definition) -> None:
    """A new fixed value or pattern stands instead of the old one, whatever its type was called."""
    for stem in _CHOICES:
        given = [key for key in differential if key.startswith(stem) and key[len(stem) :][:1].isupper()]
        if given:
            for key in [
                key for key in made if key.startswith(stem) and key not in given and key[len(stem) :][:1].isupper()
            ]:
                del made[key]
