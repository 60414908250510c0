"""From what a sender sent to an instance ready to be entered: read once, hashed, its rows' material at hand.

What fits in memory is examined in one piece; what does not goes through scanner, hash and blob store together, as it
arrives. The bytes are kept as they came, preamble included, since retrieval must give back the very same file; that a
preamble may also make the file a program (PS3.10 7.5) is met where files are served, by `nosniff`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from server.archive.rows import FRAMES_INLINE, StoredInstance
from server.dicom import levels, part10, stored_json
from server.dicom.frames import EncapsulatedFrames
from server.dicom.instance import DicomJson, Instance, Irregularity
from server.dicom.levels import Level
from server.dicom.uid import is_uid
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import BlobRef, Blobs, Bytes
from storage.query import Key

_BATCH = 1 << 20
"""How much of a long instance is scanned and hashed at a time."""

_DEFAULT = frozenset(levels.ALWAYS[Level.INSTANCE]) | levels.WHERE_KNOWN[Level.INSTANCE]

STUDY_MISMATCH = "study-mismatch"
_log = logging.getLogger("weft.archive")


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """What became of one instance sent: stored, or `failure` says why not. UIDs are `None` where they are unknown."""

    number: int
    """Its place in the request, from 1."""
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    failure: Problem | None = None
    warnings: tuple[Irregularity, ...] = ()
    was_there: bool = False
    """The same bytes were stored before; nothing was written."""

    def __post_init__(self) -> None:
        if self.failure is not None:
            # Its traceback would keep every refused file in memory until the request ends.
            self.failure.__traceback__ = self.failure.__context__ = self.failure.__cause__ = None

    @property
    def path(self) -> str:
        """From the surface's base to the instance."""
        return f"/studies/{self.study_instance_uid}/series/{self.series_instance_uid}/instances/{self.sop_instance_uid}"


@dataclass(frozen=True, slots=True)
class Staged:
    """An instance read and understood, its bytes in memory or already in a blob."""

    number: int
    instance: Instance
    sha256: str
    content: bytes | BlobRef
    study: Mapping[str, Any]
    """Patient and study level attributes; likewise the two that follow."""
    series: Mapping[str, Any]
    attributes: Mapping[str, Any]
    """Those of the instance level that its default row shows."""
    keys: Mapping[str, frozenset[Key]]
    """Of the instance."""
    metadata: bytes

    @property
    def size(self) -> int:
        return self.content.size if isinstance(self.content, BlobRef) else len(self.content)

    @property
    def held(self) -> int:
        """Bytes of the file that are in memory."""
        return 0 if isinstance(self.content, BlobRef) else len(self.content)

    def outcome(self, failure: Problem | None = None, *, was_there: bool = False) -> StoreOutcome:
        return StoreOutcome(
            self.number,
            self.instance.study_instance_uid,
            self.instance.series_instance_uid,
            self.instance.sop_class_uid,
            self.instance.sop_instance_uid,
            failure,
            self.instance.irregularities,
            was_there,
        )


Examined: TypeAlias = Staged | StoreOutcome


def examine_all(contents: Sequence[tuple[int, bytes]]) -> list[Examined]:
    """Read several instances held in memory: number and bytes of each."""
    return [_examine(number, content) for number, content in contents]


def _examine(number: int, content: bytes) -> Examined:
    try:
        return _staged(number, part10.scan(content), hashlib.sha256(content).hexdigest(), content)
    except Problem as problem:
        return _refused(number, problem, content)
    except Exception:
        # A mistake of ours in reading one instance must not cost those that came with it.
        _log.exception("fault while examining an instance")
        return _refused(number, _fault(), content)


def _refused(number: int, problem: Problem, content: bytes) -> StoreOutcome:
    """The outcome names the instance if at least the file's group 0002 does; `content` may be its beginning only."""
    try:
        meta = part10.file_meta(content)
    except Problem:
        return StoreOutcome(number, failure=problem)
    sop_class, uid = (uid if is_uid(uid) else None for uid in (meta.sop_class, meta.sop_instance))
    return StoreOutcome(number, sop_class_uid=sop_class, sop_instance_uid=uid, failure=problem)


def _fault() -> Problem:
    return Problem(Kind.FAULT, "Weft failed on this instance; its log tells why.")


async def stage_stream(number: int, chunks: AsyncIterator[Bytes], blobs: Blobs, offload: Offload) -> Examined:
    """Read an instance too long for memory while it is written; when it is refused nothing stays behind."""
    scanner = part10.Scanner()
    digest = hashlib.sha256()
    staged: list[Staged] = []
    beginning = b""

    def feed(batch: bytes) -> None:
        scanner.feed(batch)
        digest.update(batch)

    def finish() -> None:
        staged.append(_staged(number, scanner.finish(), digest.hexdigest(), b""))

    async def examined() -> AsyncIterator[Bytes]:
        nonlocal beginning
        async for batch in _batches(chunks):
            beginning = beginning or batch
            feeding = asyncio.create_task(offload.cpu(_guarded, feed, batch))
            try:
                yield batch
            finally:
                [failure] = await asyncio.gather(feeding, return_exceptions=True)
            if failure is not None:
                raise failure
        await offload.cpu(_guarded, finish)

    try:
        ref = await blobs.put(examined())
    except Problem as problem:
        return await offload.cpu(_refused, number, problem, beginning)
    return replace(staged[0], content=ref)


def _guarded(step: Callable[..., None], *args: Any) -> None:
    try:
        step(*args)
    except Problem:
        raise
    except Exception as error:
        _log.exception("fault while examining an instance")
        raise _fault() from error


async def _batches(chunks: AsyncIterator[Bytes]) -> AsyncIterator[bytes]:
    held: list[Bytes] = []
    length = 0
    async for chunk in chunks:
        held.append(chunk)
        length += len(chunk)
        if length >= _BATCH:
            yield b"".join(held)
            held, length = [], 0
    if held:
        yield b"".join(held)


def _staged(number: int, instance: Instance, sha256: str, content: bytes | BlobRef) -> Staged:
    uids = (instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid)
    if not all(is_uid(uid) for uid in uids):
        raise Problem(Kind.INVALID, "A Study, Series or SOP Instance UID is not a UID (PS3.5 9.1).")
    root = "/studies/{}/series/{}/instances/{}/bulkdata".format(*uids)
    dataset = instance.dataset
    # A slide scan's data set takes hundreds of megabytes as a dictionary: it is let go of once it is encoded.
    slim = replace(instance, dataset={})
    return Staged(
        number,
        slim,
        sha256,
        content,
        levels.attributes_of(Level.STUDY, dataset),
        levels.attributes_of(Level.SERIES, dataset),
        {tag: dataset[tag] for tag in _DEFAULT if tag in dataset and "BulkDataURI" not in dataset[tag]},
        stored_instance(slim, sha256, BlobRef("", 0)).keys(dataset),
        stored_json.encode(_served(dataset, instance.transfer_syntax_uid), bulk_root=root),
    )


def _served(dataset: DicomJson, transfer_syntax_uid: str) -> DicomJson:
    """The data set with Available Transfer Syntax UID, without which viewers try one syntax after another."""
    return levels.in_order({**dataset, "00083002": {"vr": "UI", "Value": [transfer_syntax_uid]}})


def check_study(staged: Staged, study: str | None) -> None:
    """Raise unless the instance belongs to the study whose URL it was sent to (PS3.18 10.5.1)."""
    if study is None or staged.instance.study_instance_uid == study:
        return
    text = "Study Instance UID is not that of the URL the instance was sent to."
    raise Problem(Kind.CONFLICT, text, (Issue(text, "0020000D", STUDY_MISMATCH),))


def stored_instance(instance: Instance, sha256: str, ref: BlobRef) -> StoredInstance:
    """The row of an instance whose bytes lie in the blob."""
    frames = instance.frames
    is_long = isinstance(frames, EncapsulatedFrames) and frames.count > FRAMES_INLINE
    return StoredInstance(
        study_instance_uid=instance.study_instance_uid,
        series_instance_uid=instance.series_instance_uid,
        sop_instance_uid=instance.sop_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        blob=ref,
        sha256=sha256,
        dataset_start=instance.dataset_start,
        pixel_data_start=instance.pixel_data_start,
        inflated=instance.inflated,
        frame_count=frames.count if frames else 0,
        frames=None if is_long else frames,
        bulk=instance.bulk,
    )
