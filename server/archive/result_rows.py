"""The rows of a search answer made from records: bytes as they were stored wherever that is all that was asked.

Only a query that includes further attributes, or that finds series or instances without naming their study in the
path, costs parsing: then rows carry the attributes of the levels above too (PS3.18 10.6.3.3).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from server.archive import rows
from server.archive.metadata import Rows, load_metadata
from server.dicom import stored_json
from server.dicom.dictionary import vr_of
from server.dicom.levels import ALWAYS, UPPER, WHERE_KNOWN, Level, in_order
from server.dicom.matching import matching_items
from server.dicom.query import Match, Query
from storage.ports import Blobs, Record

_PARSED_AT_ONCE = 50
_EMPTY = re.compile(rb'"([0-9A-F]{8})":\{"vr":"[A-Z]{2}"\}')

_IN_INSTANCE_ROW = ALWAYS[Level.INSTANCE].keys() | WHERE_KNOWN[Level.INSTANCE]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """What each row of an answer consists of."""

    query: Query
    in_path: frozenset[Level]
    """Levels the path names: their attributes the client knows, and gets only those it asks for."""

    @property
    def level(self) -> Level:
        return self.query.level

    @property
    def above(self) -> tuple[Level, ...]:
        """The levels above that contribute attributes."""
        return tuple(level for level in UPPER[self.level] if level not in self.in_path or self.query.returned(level))

    @property
    def is_ready(self) -> bool:
        """Whether the default rows are the answer."""
        return (
            not self.query.include_all
            and not self.above
            and self.query.returned(self.level) <= ALWAYS[self.level].keys()
        )

    @property
    def is_full(self) -> bool:
        """Whether the stored attributes of the level, whole, are the answer."""
        return (
            self.query.include_all
            and self.level is not Level.INSTANCE
            and not self.above
            and not any(len(match.path) > 1 for match in self.query.matches)
        )

    @property
    def is_joined(self) -> bool:
        """Whether each row is its default row with the default rows of the levels above, all of them whole."""
        return (
            not self.query.include_all
            and self.in_path.isdisjoint(self.above)
            and all(self.query.returned(level) <= ALWAYS[level].keys() for level in (self.level, *self.above))
        )


async def render(shape: Shape, found: Sequence[Record], records: Rows, blobs: Blobs) -> list[bytes]:
    """One stored JSON object per record, in their order."""
    if shape.is_ready:
        return [rows.default_json(record.body) for record in found]
    if shape.is_full:
        return [_full(record.body) for record in found]
    if shape.is_joined:
        return await _join(shape, found, records)
    above = await _rows_above(shape, found, records)
    rendered: list[bytes] = []
    for start in range(0, len(found), _PARSED_AT_ONCE):
        some = found[start : start + _PARSED_AT_ONCE]
        details = await _details(shape, some, records, blobs)
        rendered += [_merged(shape, record, details.get(record.id), above) for record in some]
        await asyncio.sleep(0)
    return rendered


async def datasets(
    level: Level, matches: Sequence[Match], found: Sequence[Record], records: Rows, blobs: Blobs
) -> list[Row]:
    """What is stored of each record as far as these matches look at it: at most, of instances, the whole data set."""
    if level is not Level.INSTANCE:
        return [stored_json.decode(rows.full_json(record.body)) for record in found]
    short = [stored_json.decode(rows.default_json(record.body)) for record in found]
    if {match.path[0] for match in matches} <= _IN_INSTANCE_ROW:
        return short
    details = await _metadata(found, records, blobs)
    return [{**details.get(record.id, {}), **row} for record, row in zip(found, short, strict=True)]


def parents(body: bytes) -> tuple[str, str]:
    """The study and series a series or instance row belongs to: the first two texts of its head."""
    _, study, _, series, _ = body.split(b'"', 4)
    return study.decode(), series.decode()


def _full(body: bytes) -> bytes:
    """All stored attributes, and those always returned even where nothing is known of them."""
    _, default, full = body.split(b"\n", 2)
    if all(b'"%b":' % tag in full for tag in _EMPTY.findall(default)):
        return full
    return stored_json.encode(in_order({**stored_json.decode(default), **stored_json.decode(full)}))


async def _details(shape: Shape, found: Sequence[Record], records: Rows, blobs: Blobs) -> Mapping[str, Row]:
    """What is asked of these records beyond their default rows, by record id."""
    wanted = shape.query.returned(shape.level) - ALWAYS[shape.level].keys()
    if shape.level is not Level.INSTANCE:
        if not wanted and not shape.query.include_all:
            return {}
        return {record.id: stored_json.decode(rows.full_json(record.body)) for record in found}
    if not shape.query.include_all and wanted <= WHERE_KNOWN[Level.INSTANCE]:
        return {}
    return await _metadata(found, records, blobs)


async def _metadata(found: Sequence[Record], records: Rows, blobs: Blobs) -> Mapping[str, Row]:
    whole = [stored_json.decode(each) for each in await load_metadata(records, blobs, [each.id for each in found])]
    return {str(dataset["00080018"]["Value"][0]): dataset for dataset in whole}


async def _join(shape: Shape, found: Sequence[Record], records: Rows) -> list[bytes]:
    ready: dict[tuple[Level, str], bytes] = {}
    for level, uids in _uids_above(shape, found):
        ready.update(((level, each.id), rows.default_json(each.body)) for each in await records.get(level.value, uids))
    joined: list[bytes] = []
    for record in found:
        study, series = parents(record.body)
        above = (ready.get((level, study if level is Level.STUDY else series), b"{}") for level in shape.above)
        joined.append(_joined(*above, rows.default_json(record.body)))
    return joined


@lru_cache(maxsize=4096)
def _joined(*stored: bytes) -> bytes:
    """One object of all their attributes. Remembered, because a series keeps its row and pages are asked for again."""
    merged: Row = {}
    for each in stored:
        merged.update(stored_json.decode(each))
    return stored_json.encode(in_order(merged))


def _uids_above(shape: Shape, found: Sequence[Record]) -> Iterator[tuple[Level, list[str]]]:
    for level in shape.above:
        place = 0 if level is Level.STUDY else 1
        yield level, list(dict.fromkeys(parents(record.body)[place] for record in found))


async def _rows_above(shape: Shape, found: Sequence[Record], records: Rows) -> dict[tuple[Level, str], Row]:
    """What each study and series contributes to the rows below it."""
    contributed: dict[tuple[Level, str], Row] = {}
    for level, uids in _uids_above(shape, found):
        for record in await records.get(level.value, uids):
            contributed[level, record.id] = _contribution(shape, level, record.body)
    return contributed


def _contribution(shape: Shape, level: Level, body: bytes) -> Row:
    named = level in shape.in_path
    row = {} if named else stored_json.decode(rows.default_json(body))
    wanted = shape.query.returned(level)
    if not (wanted <= row.keys()) or shape.query.include_all:
        full = stored_json.decode(rows.full_json(body))
        if shape.query.include_all and not named:
            row.update(full)
        _add(row, wanted, full)
    return _only_matching_items(shape, row)


def _merged(shape: Shape, record: Record, details: Row | None, above: Mapping[tuple[Level, str], Row]) -> bytes:
    merged: Row = {}
    if shape.above:
        study, series = parents(record.body)
        for level in shape.above:
            merged.update(above.get((level, study if level is Level.STUDY else series), {}))
    own = stored_json.decode(rows.default_json(record.body))
    details = details or {}
    if shape.query.include_all:
        own = {**details, **own}
    _add(own, shape.query.returned(shape.level), details)
    merged.update(_only_matching_items(shape, own))
    return stored_json.encode(in_order(merged))


def _add(row: Row, wanted: frozenset[str], source: Row) -> None:
    """Attributes asked for, empty where they are unknown; of an unknown private one not even the VR is known."""
    for tag in wanted - row.keys():
        vr = vr_of(tag)
        if tag in source:
            row[tag] = source[tag]
        elif vr is not None:
            row[tag] = {"vr": vr}


def _only_matching_items(shape: Shape, row: Row) -> Row:
    for tag in {match.path[0] for match in shape.query.matches if len(match.path) > 1} & row.keys():
        row[tag] = matching_items(shape.query.matches, tag, row[tag])
    return row
