"""FHIR among what is imported: told by its name, unpacked within bounds, read as a resource or line by line.

JSON, XML and NDJSON, each as it is or packed by gzip or bzip2. Names decide, because a DICOM file has any name but
these; a file that belies its name is refused like any other that cannot be read.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from server.fhir import json_form, xml_form
from server.fhir.json_form import Resource
from server.importing.sources import Source, Unreadable

LONGEST = 512 << 20
"""Bytes of a resource or bundle, unpacked."""
LONGEST_LINE = 64 << 20
MOST_TIMES = 250
"""What unpacking may make of a file; text packs some thirty times, and only a trap more than this."""
_FREELY = 64 << 20
_PIECE = 1 << 20


class Form(StrEnum):
    JSON = ".json"
    XML = ".xml"
    NDJSON = ".ndjson"


@dataclass(frozen=True, slots=True)
class FhirFile:
    """What a name says of a file."""

    form: Form
    packing: str
    """`.gz`, `.bz2` or nothing."""


def fhir_file(label: str) -> FhirFile | None:
    """What a file of this name holds, `None` where it is no FHIR."""
    name = PurePath(label.replace("!", "/")).name.lower()
    packing = next((each for each in (".gz", ".bz2") if name.endswith(each)), "")
    bare = name.removesuffix(packing)
    form = next((each for each in (Form.NDJSON, Form.JSON, Form.XML) if bare.endswith(each)), None)
    return None if form is None else FhirFile(form, packing)


def is_first(label: str) -> bool:
    """Whether others may refer to what a file holds: those named so that they sort before all else."""
    return PurePath(label.replace("!", "/")).name.startswith("0-")


def read_whole(source: Source, file: FhirFile) -> tuple[Resource, bytes]:
    """The one resource of a file and its text; `Unreadable` or a `Problem` where there is none."""
    pieces: list[bytes] = []
    length = 0
    for piece in unpacked(source, file.packing):
        length += len(piece)
        if length > LONGEST:
            raise Unreadable(f"longer than {LONGEST >> 20} MB")
        pieces.append(piece)
    text = b"".join(pieces)
    return xml_form.decode(text) if file.form is Form.XML else json_form.decode(text), text


def read_lines(source: Source, file: FhirFile) -> Iterator[tuple[int, bytes]]:
    """Number from 1 and text of each line that is not blank."""
    rest = b""
    number = 0
    for piece in unpacked(source, file.packing):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            number += 1
            if line.strip():
                yield number, line
        if len(rest) > LONGEST_LINE:
            raise Unreadable(f"a line of more than {LONGEST_LINE >> 20} MB")
    if rest.strip():
        yield number + 1, rest


def unpacked(source: Source, packing: str) -> Iterator[bytes]:
    """The bytes of a source, in pieces; no more of them than a file of its size can honestly hold."""
    left = max(_FREELY, MOST_TIMES * source.size)
    chunks = source.chunks(_PIECE)
    try:
        for piece in _inflated(chunks) if packing == ".gz" else _bunzipped(chunks) if packing == ".bz2" else chunks:
            left -= len(piece)
            if left < 0:
                raise Unreadable("packed more tightly than text can be")
            yield piece
    except (zlib.error, OSError, EOFError, ValueError) as error:
        raise Unreadable("damaged archive") from error


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Of gzip, also of several members one after another."""
    inflating = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for chunk in chunks:
        waiting = chunk
        while waiting:
            yield inflating.decompress(waiting, _PIECE)
            if inflating.eof:
                waiting = inflating.unused_data.lstrip(b"\0")
                inflating = zlib.decompressobj(zlib.MAX_WBITS | 16)
            else:
                waiting = inflating.unconsumed_tail
    yield inflating.flush()


def _bunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    inflating = bz2.BZ2Decompressor()
    for chunk in chunks:
        waiting = chunk
        while waiting or not (inflating.needs_input or inflating.eof):
            yield inflating.decompress(waiting, _PIECE)
            waiting = b""
            if inflating.eof:
                waiting = inflating.unused_data
                inflating = bz2.BZ2Decompressor()
