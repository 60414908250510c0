"""A structured report as a page to read: its content tree as nested headings and lines (PS3.3 C.17.3, PS3.18 8.7.4).

Every text comes from a sender and is escaped; the page has no script, no link and nothing that loads.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from server.dicom.instance import DicomJson
from server.dicom.pixels.attributes import items, person_name, text, texts

SEQUENCE = "0040A730"

_DEEPEST = 32
_MOST_LINES = 20_000
_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}dt{font-weight:600}li{margin:.3em 0}"
)


def is_report(dataset: DicomJson) -> bool:
    return SEQUENCE in dataset or text(dataset, "0040A040") == "CONTAINER"


def as_html(dataset: DicomJson) -> bytes:
    title = escape(_concept(dataset) or "Structured report")
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _facts(dataset))
    page = (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1><dl>{facts}</dl>{''.join(_nested(dataset))}</body></html>"
    )
    return page.encode("utf-8", "replace")


def as_text(dataset: DicomJson) -> bytes:
    lines = [_concept(dataset) or "Structured report"]
    lines += [f"{name}: {value}" for name, value in _facts(dataset)]
    lines += ["", *("  " * depth + line for depth, line in _lines(dataset, 0))]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _facts(dataset: DicomJson) -> list[tuple[str, str]]:
    found = (
        ("Patient", person_name(dataset, "00100010")),
        ("Patient ID", text(dataset, "00100020")),
        ("Birth date", text(dataset, "00100030")),
        ("Study date", text(dataset, "00080020")),
        ("Study", text(dataset, "00081030")),
        ("Completion", text(dataset, "0040A491")),
        ("Verification", text(dataset, "0040A493")),
    )
    return [(name, value) for name, value in found if value]


def _nested(dataset: DicomJson) -> Iterator[str]:
    """The lines as nested lists."""
    depth = 0
    for level, line in _lines(dataset, 1):
        while depth < level:
            yield "<ul>"
            depth += 1
        while depth > level:
            yield "</ul>"
            depth -= 1
        yield f"<li>{escape(line)}</li>"
    yield "</ul>" * depth


def _lines(dataset: DicomJson, depth: int) -> Iterator[tuple[int, str]]:
    """The content items in order with their depth; without recursion, since a sender chooses how deep they lie."""
    waiting = [iter(items(dataset, SEQUENCE))]
    written = 0
    while waiting and written < _MOST_LINES:
        item = next(waiting[-1], None)
        if item is None:
            waiting.pop()
            continue
        yield depth + len(waiting) - 1, _line(item)
        written += 1
        if len(waiting) < _DEEPEST:
            waiting.append(iter(items(item, SEQUENCE)))


def _line(item: DicomJson) -> str:
    name, value = _concept(item), _value(item)
    return f"{name}: {value}" if name and value else name or value or (text(item, "0040A040") or "")


def _concept(item: DicomJson) -> str:
    return _code(item, "0040A043")


def _code(item: DicomJson, tag: str) -> str:
    found = items(item, tag)[:1]
    return next((text(each, "00080104") or text(each, "00080100") or "" for each in found), "")


_SIMPLE = {"TEXT": "0040A160", "DATE": "0040A121", "TIME": "0040A122", "DATETIME": "0040A120", "UIDREF": "0040A124"}


def _value(item: DicomJson) -> str:
    """What a content item says, by its Value Type."""
    kind = text(item, "0040A040") or ""
    if kind in _SIMPLE:
        return text(item, _SIMPLE[kind]) or ""
    match kind:
        case "CODE":
            return _code(item, "0040A168")
        case "PNAME":
            return person_name(item, "0040A123")
        case "NUM":
            measured = items(item, "0040A300")[:1]
            return " ".join(" ".join((*texts(each, "0040A30A"), _code(each, "004008EA"))) for each in measured).strip()
        case "IMAGE" | "COMPOSITE" | "WAVEFORM":
            referenced = items(item, "00081199")[:1]
            return next((text(each, "00081155") or "" for each in referenced), "")
        case "SCOORD" | "SCOORD3D":
            return text(item, "00700023") or ""
    return ""
