"""Search expressions of the shapes the R4 definitions use, read into steps (FHIRPath, the part that is plain paths).

Paths, `(x as T).y`, `.as(T)`, `.ofType(T)`, `.where(k = 'v')`, `.extension('url')`, `.where(resolve() is T)`, `[n]`
and unions of them; what else there is goes to the FHIRPath engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Child:
    name: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Only values of a type."""

    type: str


@dataclass(frozen=True, slots=True)
class Having:
    """Only elements whose member has this value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Referring:
    """Only references to a type."""

    type: str


@dataclass(frozen=True, slots=True)
class Item:
    number: int


Step: TypeAlias = Child | Cast | Having | Referring | Item


@dataclass(frozen=True, slots=True)
class Path:
    """`root`: the resource type it begins with, `%resource`, or empty for wherever it is evaluated."""

    root: str
    steps: tuple[Step, ...]


_TOLD = re.compile(r"(?P<path>[\w.]+)\.exists\(\)\s+and\s+(?P=path)\s*!=\s*false")
_STEP = re.compile(
    r"""\.?(?:
      (?:as|ofType)\(\s*(?P<cast>[\w.]+)\s*\)
    | where\(\s*resolve\(\)\s+is\s+(?P<refers>[\w.]+)\s*\)
    | where\(\s*(?P<key>\w+)\s*=\s*'(?P<value>[^'\\]*)'\s*\)
    | extension\(\s*'(?P<url>[^'\\]*)'\s*\)
    | \[\s*(?P<item>\d{1,4})\s*\]
    | (?P<child>[A-Za-z_]\w*)(?!\s*\()
    )""",
    re.VERBOSE,
)
_CAST_IN_FRONT = re.compile(r"\((?P<inner>[^()|]*?)\s+as\s+(?P<type>[\w.]+)\s*\)(?P<rest>.*)", re.DOTALL)
_CAST_BEHIND = re.compile(r"(?P<inner>[^()|]*?)\s+as\s+(?P<type>[\w.]+)", re.DOTALL)
_QUALIFIERS = ("FHIR.", "System.")


def parts(expression: str) -> list[str]:
    """The members of a union; a `|` within quotes or brackets does not part."""
    found, depth, start, quoted = [], 0, 0, False
    for place, character in enumerate(expression):
        if character == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "|" and depth == 0:
            found.append(expression[start:place])
            start = place + 1
    return [text for each in (*found, expression[start:]) if (text := each.strip())]


def told(expression: str) -> Path | None:
    """The path of `x.exists() and x != false`, which is true or false of every resource."""
    match = _TOLD.fullmatch(expression.strip())
    return parse(match["path"]) if match else None


def parse(part: str) -> Path | None:
    """One member of a union, or `None` where it is no plain path."""
    text = part.strip()
    if text.startswith("("):
        front = _CAST_IN_FRONT.fullmatch(text)
        return _cast(front["inner"], front["type"], front["rest"]) if front else None
    if behind := _CAST_BEHIND.fullmatch(text):
        return _cast(behind["inner"], behind["type"], "")
    rooted = text.startswith("%resource")
    steps = _steps(text.removeprefix("%resource"))
    if not steps:
        return Path("%resource", ()) if rooted and steps is not None else None
    match steps[0]:
        case Child(name) if not rooted and name[0].isupper():
            return Path(name, steps[1:])
        case _:
            return Path("%resource" if rooted else "", steps)


def _cast(inner: str, type_name: str, rest: str) -> Path | None:
    path, more = parse(inner), _steps(rest)
    if path is None or more is None:
        return None
    return Path(path.root, (*path.steps, Cast(_plain(type_name)), *more))


def _steps(text: str) -> tuple[Step, ...] | None:
    found: list[Step] = []
    place, text = 0, text.strip()
    while place < len(text):
        match = _STEP.match(text, place)
        if match is None:
            return None
        found += _step(match)
        place = match.end()
    return tuple(found)


def _step(match: re.Match[str]) -> list[Step]:
    if (child := match["child"]) is not None:
        return [Child(child)]
    if (cast := match["cast"]) is not None:
        return [Cast(_plain(cast))]
    if (refers := match["refers"]) is not None:
        return [Referring(_plain(refers))]
    if (key := match["key"]) is not None:
        return [Having(key, match["value"])]
    if (url := match["url"]) is not None:
        return [Child("extension"), Having("url", url)]
    return [Item(int(match["item"]))]


def _plain(type_name: str) -> str:
    for qualifier in _QUALIFIERS:
        type_name = type_name.removeprefix(qualifier)
    return type_name
