"""Checks passed over for values that have passed them before.

Most of what records say is said over and over: the same codes, categories, references to one patient. Such a value is
known by its JSON, which says everything about it. What extensions and references to contained resources mean depends on
where they stand, so values that hold one are checked each time.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from profiles.validator.model import ItemCheck
from profiles.validator.place import Place
from profiles.validator.run import MAX_FINDINGS, Run

OBJECTS = frozenset({"CodeableConcept", "Coding", "Meta", "Period", "Quantity", "Money"})
"""Types whose values are often the same in many resources. None has a member of a whole number's type, of which JSON
would not tell 1 from 1 as a decimal."""
TEXTS = frozenset({"date", "dateTime", "instant"})
_LONGEST = 512
_SHORT = 256

_NUMBER = re.compile(rb'"value":-?[0-9]{1,12}(?:\.[0-9]{1,12})?(?=[,}])')
"""An amount as most are: one is as sound as another, wherever nothing but its type is looked at."""
_encode = msgspec.json.Encoder(decimal_format="number").encode


@cache
def remembered(check: ItemCheck) -> ItemCheck:
    """Of objects. Within a Bundle a reference means an entry, so nothing is remembered there."""

    def checked(item: Any, place: Place, run: Run) -> None:
        if run.scope.entry is not None or type(item) is not dict:
            check(item, place, run)
            return
        text = text_of(item)
        if text in run.memory.known[check]:
            return
        before = len(run.findings)
        check(item, place, run)
        if stands_alone(text) and is_sound(run, before):
            run.memory.add(check, text)

    return checked


def remembered_text(check: ItemCheck) -> ItemCheck:
    """Of primitives that are strings."""

    def checked(item: Any, place: Place, run: Run) -> None:
        is_text = type(item) is str
        if is_text and item in run.memory.known[check]:
            return
        before = len(run.findings)
        check(item, place, run)
        if is_text and len(item) <= _LONGEST and is_sound(run, before):
            run.memory.add(check, item)

    return checked


def remembered_reference(check: ItemCheck) -> ItemCheck:
    """Of references in the form `Type/id`, perhaps with a display: what there is to say follows from the type."""

    def checked(item: Any, place: Place, run: Run) -> None:
        kind = _plain_target(item) if run.scope.entry is None else None
        if kind is not None and kind in run.memory.known[check]:
            return
        before = len(run.findings)
        check(item, place, run)
        if kind is not None and len(kind) <= _SHORT and is_sound(run, before):
            run.memory.add(check, kind)

    return checked


def _plain_target(item: Any) -> str | None:
    text = item.get("reference") if type(item) is dict else None
    if type(text) is not str or not text.isascii() or not (len(item) == 1 or _has_plain_display(item)):
        return None
    kind, slash, identity = text.partition("/")
    is_plain = slash and len(identity) <= 64 and identity.replace("-", "").isalnum() and kind.isalpha()
    return kind if is_plain else None


def _has_plain_display(item: dict[str, Any]) -> bool:
    display = item.get("display")
    return len(item) == 2 and type(display) is str and is_plain_text(display)


def is_plain_text(text: str) -> bool:
    """Surely a string as FHIR has it, without markup. Nearly every one is, so this spares what takes longer."""
    is_plain = text.isascii() and text.isprintable() and "<" not in text and 0 < len(text) <= _LONGEST
    return is_plain and (text[0] != " " or not text.isspace())


def text_of(value: Any) -> bytes:
    """The JSON of a value; nothing where it is none."""
    try:
        return _encode(value)
    except (TypeError, ValueError):
        return b""


def text_without_numbers(value: Any) -> bytes:
    """With 0 for each amount that stands as a `value`; a string cannot be taken for one, its quotes are escaped."""
    return _NUMBER.sub(b'"value":0', text_of(value))


def stands_alone(text: bytes) -> bool:
    """Whether what the JSON says depends on nothing else, and is short enough to be kept."""
    return 0 < len(text) <= _LONGEST and b'xtension"' not in text and b'"#' not in text


def is_sound(run: Run, before: int) -> bool:
    """Whether nothing was found; a run that gave up, or has no room for findings, would not have said."""
    return len(run.findings) == before < MAX_FINDINGS and not run.has_given_up
