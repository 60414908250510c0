"""JSON Pointers (RFC 6901) into documents that are never changed: an edit copies the way to its place, no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Pointer: TypeAlias = tuple[str, ...]

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_WRONG_ESCAPE = re.compile(r"~(?![01])")


class NoSuchPlaceError(Exception):
    """The pointer leads nowhere in this document."""


def parse(text: str) -> Pointer:
    """The steps of a pointer; `ValueError` where it is none."""
    if not text:
        return ()
    if not text.startswith("/") or _WRONG_ESCAPE.search(text):
        raise ValueError("not a JSON Pointer")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/"))


def index_of(step: str, items: Sequence[Any], *, may_append: bool = False) -> int:
    """The place in an array; with `may_append` also the one after its end, which `-` names too."""
    if may_append and step == "-":
        return len(items)
    if not _INDEX.fullmatch(step) or int(step) >= len(items) + may_append:
        raise NoSuchPlaceError
    return int(step)


def value_at(document: Any, pointer: Pointer) -> Any:
    for step in pointer:
        document = _child(document, step)
    return document


def _child(container: Any, step: str) -> Any:
    if isinstance(container, list):
        return container[index_of(step, container)]
    if isinstance(container, dict) and step in container:
        return container[step]
    raise NoSuchPlaceError


def edited(document: Any, pointer: Pointer, edit: Callable[[Any, str], Any]) -> Any:
    """The document with the container of the last step put through `edit`, which gets a copy of it and that step."""
    first, *rest = pointer
    if not isinstance(document, dict | list):
        raise NoSuchPlaceError
    copy = document.copy()
    if not rest:
        return edit(copy, first)
    child = edited(_child(document, first), tuple(rest), edit)
    if isinstance(copy, list):
        copy[index_of(first, copy)] = child
    else:
        copy[first] = child
    return copy


def added(document: Any, pointer: Pointer, value: Any) -> Any:
    def edit(container: Any, step: str) -> Any:
        if isinstance(container, list):
            container.insert(index_of(step, container, may_append=True), value)
        else:
            container[step] = value
        return container

    return edited(document, pointer, edit) if pointer else value


def removed(document: Any, pointer: Pointer) -> Any:
    def edit(container: Any, step: str) -> Any:
        _child(container, step)
        del container[index_of(step, container) if isinstance(container, list) else step]
        return container

    return edited(document, pointer, edit)


def replaced(document: Any, pointer: Pointer, value: Any) -> Any:
    def edit(container: Any, step: str) -> Any:
        _child(container, step)
        container[index_of(step, container) if isinstance(container, list) else step] = value
        return container

    return edited(document, pointer, edit) if pointer else value
