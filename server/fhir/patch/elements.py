"""Elements of resources by the model rather than by JSON: where they are, and resources with them changed.

A primitive lies in JSON at two places, its value under the name and its extensions under `_name`; here it is one
`Element`. Editing copies the way from the root to the element and shares all else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Step: TypeAlias = tuple[str, int | None]
"""A JSON property, and the index where that holds an array."""
Path: TypeAlias = tuple[Step, ...]
Object: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Element:
    """A value with what JSON keeps beside it."""

    value: Any
    extended: Object | None = None

    @property
    def is_empty(self) -> bool:
        return self.value in (None, {}, []) and not self.extended


def read(owner: Object, name: str) -> list[Element]:
    """The elements a property holds, whether it is an array or not."""
    values, extended = _as_list(owner.get(name)), _as_list(owner.get(f"_{name}"))
    length = max(len(values), len(extended))
    values += [None] * (length - len(values))
    extended += [None] * (length - len(extended))
    return [Element(value, beside) for value, beside in zip(values, extended, strict=True)]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def write(owner: Object, name: str, elements: Sequence[Element], *, is_list: bool, at: str | None = None) -> Object:
    """The object with these elements under the name; the place of `at` (or of the name) among the members is kept."""
    kept = [each for each in elements if not each.is_empty]
    values, extended = [each.value for each in kept], [each.extended for each in kept]
    fresh: Object = {}
    if any(value is not None for value in values):
        fresh[name] = values if is_list else values[0]
    if any(extended):
        fresh[f"_{name}"] = extended if is_list else extended[0]
    return _spliced(owner, {name, f"_{name}"} | ({at, f"_{at}"} if at else set()), fresh)


def _spliced(owner: Object, replaced: set[str], fresh: Object) -> Object:
    result: Object = {}
    is_placed = False
    for key, value in owner.items():
        if key not in replaced:
            result[key] = value
        elif not is_placed:
            result.update(fresh)
            is_placed = True
    return result if is_placed else result | fresh


def edited(owner: Object, path: Path, edit: Callable[[Object], Object]) -> Object:
    """The object with that at the end of the path put through `edit`; what becomes empty on the way is taken out."""
    if not path:
        return edit(owner)
    (name, index), *rest = path
    held = owner.get(name)
    if index is None:
        child = edited(held or {}, tuple(rest), edit)
        return owner | {name: child} if child else {key: value for key, value in owner.items() if key != name}
    items = _as_list(held)
    items += [None] * (index + 1 - len(items))
    child = edited(items[index] or {}, tuple(rest), edit)
    if name.startswith("_"):
        items[index] = child or None
    else:
        items[index : index + 1] = [child] if child else []
    is_left = any(item is not None for item in items)
    return owner | {name: items} if is_left else {key: value for key, value in owner.items() if key != name}
