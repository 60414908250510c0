"""Finds what there is to import below the paths given: lazily, in a stable order, following no links to folders.

A folder is walked with everything in it. A DICOMDIR given by name brings only the files it refers to (PS3.10 8.6), and
none outside its own folder, whatever it says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.dicom.media_directory import referenced_files
from server.importing.sources import FileSource, Found, Refused, members, reason_of
from server.kernel.problem import Problem

_DIRECTORY = "DICOMDIR"
_LONGEST_DIRECTORY = 256 << 20


@dataclass(frozen=True, slots=True)
class Total:
    files: int
    octets: int


def find(paths: Sequence[Path], archive: Path | None = None) -> Iterator[Found]:
    """Every source below the paths; what cannot be one comes as `Refused`. `archive`: a folder that is passed over."""
    own = None if archive is None else os.path.realpath(archive)
    for path in paths:
        if path.is_dir():
            yield from _walk(path, own)
        elif path.name.upper() == _DIRECTORY:
            yield from _referenced(path)
        else:
            yield from _file(path)


def count(paths: Sequence[Path], archive: Path | None = None) -> Total:
    """How much `find` will find: names and sizes only, no file but ZIP directories is opened."""
    files = octets = 0
    for found in find(paths, archive):
        files += 1
        octets += 0 if isinstance(found, Refused) else found.size
    return Total(files, octets)


def _file(path: Path, status: os.stat_result | None = None) -> Iterator[Found]:
    if path.suffix.lower() == ".zip":
        yield from members(path)
    else:
        yield FileSource.of(path, status)


def _walk(folder: Path, own: str | None) -> Iterator[Found]:
    """Depth first without recursion, entries by name; a directory file is not an instance and is passed over."""
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        if own is not None and os.path.realpath(place) == own:
            continue
        try:
            with os.scandir(place) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield Refused(str(place), reason_of(error))
            continue
        waiting += [Path(entry.path) for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]
        for entry in entries:
            yield from _entry(entry)


def _entry(entry: os.DirEntry[str]) -> Iterator[Found]:
    if entry.name.upper() == _DIRECTORY:
        return
    try:
        if entry.is_file():
            yield from _file(Path(entry.path), entry.stat())
        elif not entry.is_dir():
            yield Refused(entry.path, "not a regular file")
    except OSError as error:
        yield Refused(entry.path, reason_of(error))


def _referenced(directory: Path) -> Iterator[Found]:
    try:
        if directory.stat().st_size > _LONGEST_DIRECTORY:
            yield Refused(str(directory), "DICOMDIR of more than 256 MB")
            return
        file_ids = referenced_files(directory.read_bytes())
    except OSError as error:
        yield Refused(str(directory), reason_of(error))
        return
    except Problem as problem:
        yield Refused(str(directory), problem.text)
        return
    root = Path(os.path.realpath(directory.parent))
    for file_id in file_ids:
        yield _inside(root, file_id)


def _inside(root: Path, file_id: tuple[str, ...]) -> Found:
    """The file of a File ID, if it truly lies in the directory's folder: links are resolved before judging."""
    label = "/".join(file_id)
    if any(part in ("", ".", "..") or "/" in part or "\\" in part or "\0" in part for part in file_id):
        return Refused(f"{root}: {label}", "DICOMDIR refers to a place outside its folder")
    path = Path(os.path.realpath(root.joinpath(*file_id)))
    if not path.is_relative_to(root):
        return Refused(f"{root}: {label}", "DICOMDIR refers to a place outside its folder")
    return FileSource.of(path)
