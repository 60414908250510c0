"""Structured reports as HTML or plain text (PS3.18 8.7.4.1, PS3.3 C.17.3).

Everything that comes from the data set is escaped, and the page holds no script, style or link of its own, so that a
report cannot act in a browser. Depth and number of content items are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from server.dicom.instance import DicomJson
from server.dicom.pixels.attributes import items, person_name, text, texts, values
from server.kernel.problem import Kind, Problem

TEXT_TYPES = ("text/html", "text/plain")
"""What a report may be rendered to; the first is the default."""

_DEEPEST = 32
_MOST_LINES = 20_000


@dataclass(frozen=True, slots=True)
class _Line:
    depth: int
    name: str
    value: str


def render_text(dataset: DicomJson, media_type: str) -> bytes:
    """The report in UTF-8."""
    title = _code(items(dataset, "0040A043")[:1]) or text(dataset, "0008103E") or "Report"
    header = [_Line(0, name, value) for name, value in _header(dataset) if value]
    lines = [*header, *_content(dataset, 0)][:_MOST_LINES]
    match media_type:
        case "text/html":
            return _html(title, lines).encode()
        case "text/plain":
            return _plain(title, lines).encode()
    raise Problem(Kind.NOT_ACCEPTABLE, "A report is rendered to text/html or text/plain.")


def _header(dataset: DicomJson) -> Iterator[tuple[str, str]]:
    yield "Patient", person_name(dataset, "00100010")
    yield "Patient ID", text(dataset, "00100020") or ""
    yield "Birth date", text(dataset, "00100030") or ""
    yield "Sex", text(dataset, "00100040") or ""
    yield "Content date", " ".join(filter(None, (text(dataset, "00080023"), text(dataset, "00080033"))))
    yield "Completion", text(dataset, "0040A491") or ""
    yield "Verification", text(dataset, "0040A493") or ""


def _content(item: DicomJson, depth: int) -> Iterator[_Line]:
    if depth > _DEEPEST:
        return
    for each in items(item, "0040A730"):
        yield _Line(depth, _code(items(each, "0040A043")[:1]), _value(each))
        yield from _content(each, depth + 1)


_PLAIN_VALUES = {"DATE": "0040A121", "TIME": "0040A122", "DATETIME": "0040A120", "UIDREF": "0040A124"}


def _value(item: DicomJson) -> str:
    """What a content item says, by its Value Type."""
    kind = text(item, "0040A040") or ""
    match kind:
        case "TEXT":
            return "\n".join(texts(item, "0040A160"))
        case "CODE":
            return _code(items(item, "0040A168")[:1])
        case "NUM":
            return _measure(item)
        case "PNAME":
            return person_name(item, "0040A123")
        case "IMAGE" | "COMPOSITE" | "WAVEFORM":
            return ", ".join(text(each, "00081155") or "" for each in items(item, "00081199"))
        case "SCOORD" | "SCOORD3D" | "TCOORD":
            return f"{text(item, '00700023') or ''} {len(values(item, '00700022'))} coordinates".strip()
    return text(item, _PLAIN_VALUES.get(kind, "")) or ""


def _measure(item: DicomJson) -> str:
    measured = items(item, "0040A300")[:1]
    if not measured:
        return ""
    unit = text(items(measured[0], "004008EA")[0], "00080100") if items(measured[0], "004008EA") else ""
    return " ".join(filter(None, (text(measured[0], "0040A30A"), unit)))


def _code(sequence: list[DicomJson]) -> str:
    return (text(sequence[0], "00080104") or text(sequence[0], "00080100") or "") if sequence else ""


def _html(title: str, lines: list[_Line]) -> str:
    rows = []
    depth = -1
    for line in lines:
        rows.append("<ul>" * (line.depth - depth) + "</ul>" * (depth - line.depth))
        depth = line.depth
        label = f"<b>{escape(line.name)}</b>" if line.name else ""
        value = escape(line.value).replace("\n", "<br>")
        rows.append(f"<li>{label}{': ' if label and value else ''}{value}</li>")
    body = "".join(rows) + "</ul>" * (depth + 1)
    head = f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
    return f"{head}<body><h1>{escape(title)}</h1>{body}</body></html>"


def _plain(title: str, lines: list[_Line]) -> str:
    written = (
        "  " * line.depth
        + ": ".join(filter(None, (line.name, line.value.replace("\n", "\n" + "  " * (line.depth + 1)))))
        for line in lines
    )
    return "\n".join((title, "", *written, ""))
