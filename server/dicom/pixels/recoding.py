"""How the frames of one instance are recoded, and what its header then says of them (PS3.3 C.7.6.1.1.5, C.7.6.3).

A copy coded with loss keeps its SOP Instance UID. PS3.3 C.12.4.1.1.4 wants a new one for a *derived* instance that is
kept; a copy made for one answer is not kept, and a client that asks for an instance must get that instance back. The
loss is stated in Lossy Image Compression, its ratio and its method.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from server.dicom import transfer_syntax as ts
from server.dicom.instance import DicomJson
from server.dicom.pixels import attributes, codecs, elements, native
from server.dicom.pixels.codecs import Frame
from server.dicom.pixels.description import PixelDescription, SampleKind
from server.dicom.pixels.encode import (
    DEFAULT_FIDELITY,
    TARGETS,
    Fidelity,
    can_encode,
    codes_with_loss,
    deflate,
    encode_frame,
    encoded_photometric,
)
from server.dicom.pixels.header import Changes, rewrite_head, rewrite_tail
from server.kernel.problem import Kind, Problem

_LONGEST_NATIVE = 0xFFFFFFFE
NATIVE = frozenset({ts.IMPLICIT_LITTLE, ts.EXPLICIT_LITTLE, ts.EXPLICIT_BIG, ts.DEFLATED})
_UNCOMPRESSED = NATIVE | {ts.ENCAPSULATED_UNCOMPRESSED}
_KEEPS_NATIVE = frozenset({ts.EXPLICIT_LITTLE, ts.ENCAPSULATED_UNCOMPRESSED, ts.DEFLATED_FRAME})

_PHOTOMETRIC, _PLANAR = 0x00280004, 0x00280006
_LOSSY, _LOSSY_RATIO, _LOSSY_METHOD = 0x00282110, 0x00282112, 0x00282114
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002, 0x7FE00003)

_METHODS = {
    "image/jpeg": "ISO_10918_1",
    "image/jls": "ISO_14495_1",
    "image/jp2": "ISO_15444_1",
    "image/jphc": "ISO_15444_15",
    "image/jxl": "ISO_18181_1",
}


@dataclass(frozen=True, slots=True)
class RecodedFrame:
    data: bytes
    photometric: str
    """What Photometric Interpretation must say of it."""
    source_length: int


@dataclass(frozen=True, slots=True)
class Transcoding:
    """How one instance becomes another; made by `plan`."""

    description: PixelDescription
    source: str
    target: str
    frame_count: int
    lossy_before: bool
    """The data set already says that its pixels lost something."""
    ratios: tuple[str, ...]
    methods: tuple[str, ...]
    fidelity: Fidelity
    max_pixels: int
    threads: int

    @property
    def copies_native(self) -> bool:
        """Frames are not decoded, so what describes them stays as it is."""
        return self.source in _UNCOMPRESSED and self.target in _KEEPS_NATIVE

    def frame(self, stored: bytes, *, bit_offset: int = 0) -> RecodedFrame:
        """One frame recoded; pure and safe to run in several threads. `bit_offset` as in `native.frame_range`."""
        if self.copies_native:
            data = native.little_endian_frame(stored, self.description, self.source, bit_offset=bit_offset)
            data = deflate(data) if self.target == ts.DEFLATED_FRAME else data
            return RecodedFrame(data, self.description.photometric, len(stored))
        decoded = codecs.decode(
            stored,
            self.description,
            self.source,
            max_pixels=self.max_pixels,
            bit_offset=bit_offset,
            threads=self.threads,
        )
        frame = Frame(native.within_bits_stored(decoded.samples, self.description), decoded.photometric)
        coded = encode_frame(frame, self.description, self.target, fidelity=self.fidelity, threads=self.threads)
        photometric = encoded_photometric(decoded.photometric, self.target, self.description)
        return RecodedFrame(coded, photometric, len(stored))

    def head(self, head: bytes, dataset_start: int, frames: Iterable[RecodedFrame]) -> bytes:
        """The new file up to its Pixel Data; `frames` are those known by now, for what the header says of them."""
        return rewrite_head(head, dataset_start, self.source, self.target, self._changes(list(frames)))

    def tail(self, tail: bytes) -> bytes:
        return rewrite_tail(tail, self.source)

    def _changes(self, frames: list[RecodedFrame]) -> Changes:
        changes: dict[int, bytes | None] = dict.fromkeys(_OFFSET_TABLES)
        if frames and not self.copies_native:
            changes[_PHOTOMETRIC] = elements.encode(_PHOTOMETRIC, b"CS", frames[0].photometric.encode())
            if self.description.samples > 1:
                changes[_PLANAR] = elements.encode(_PLANAR, b"US", b"\0\0")
        if frames:
            changes.update(self._loss(frames))
        return changes

    def _loss(self, frames: list[RecodedFrame]) -> dict[int, bytes | None]:
        """Lossy Image Compression (PS3.3 C.7.6.1.1.5): once lossy, always lossy, and each step adds its ratio."""
        ratios, methods = list(self.ratios), list(self.methods)
        if not self.lossy_before and _always_loses(self.source):
            ratios.append(self._ratio(each.source_length for each in frames))
            methods.append(_method(self.source))
        if codes_with_loss(self.target, self.description):
            ratios.append(self._ratio(len(each.data) for each in frames))
            methods.append(_method(self.target))
        if ratios == list(self.ratios) and methods == list(self.methods):
            return {}
        return {
            _LOSSY: elements.encode(_LOSSY, b"CS", b"01"),
            _LOSSY_RATIO: elements.encode(_LOSSY_RATIO, b"DS", "\\".join(ratios).encode()),
            _LOSSY_METHOD: elements.encode(_LOSSY_METHOD, b"CS", "\\".join(methods).encode()),
        }

    def _ratio(self, lengths: Iterable[int]) -> str:
        each = list(lengths)
        return f"{self.description.frame_bytes * len(each) / max(1, sum(each)):.2f}"


def plan(
    dataset: DicomJson,
    source_uid: str,
    target_uid: str,
    *,
    frame_count: int,
    fidelity: Fidelity = DEFAULT_FIDELITY,
    max_pixels: int = codecs.DEFAULT_MAX_PIXELS,
    threads: int = 1,
) -> Transcoding:
    """How to transcode an instance with pixel data, or `Problem` NOT_ACCEPTABLE."""
    description = PixelDescription.of(dataset, source_uid)
    if not can_transcode(source_uid, target_uid, description):
        raise Problem(Kind.NOT_ACCEPTABLE, f"The instance cannot be transcoded to {target_uid}.")
    if target_uid in NATIVE and description.decoded_bits * frame_count > 8 * _LONGEST_NATIVE:
        raise Problem(Kind.NOT_ACCEPTABLE, "The pixel data is too long to be sent uncompressed (PS3.18 8.7.3.4).")
    return Transcoding(
        description=description,
        source=source_uid,
        target=target_uid,
        frame_count=frame_count,
        lossy_before=attributes.text(dataset, "00282110") == "01",
        ratios=tuple(attributes.texts(dataset, "00282112")),
        methods=tuple(attributes.texts(dataset, "00282114")),
        fidelity=fidelity,
        max_pixels=max_pixels,
        threads=threads,
    )


def can_transcode(source_uid: str, target_uid: str, description: PixelDescription) -> bool:
    """Whether frames of the source can be given in the target; one syntax to itself is no transcoding."""
    if target_uid not in TARGETS or not codecs.can_decode(source_uid, description):
        return False
    if source_uid in _UNCOMPRESSED and target_uid in _KEEPS_NATIVE:
        return target_uid not in (ts.ENCAPSULATED_UNCOMPRESSED, ts.DEFLATED_FRAME) or (
            description.kind is SampleKind.INTEGER
        )
    photometric = {"YBR_FULL_422": "YBR_FULL", "YBR_RCT": "RGB", "YBR_ICT": "RGB"}.get(
        description.photometric, description.photometric
    )
    return can_encode(target_uid, description, photometric)


def _always_loses(uid: str) -> bool:
    syntax = ts.get(uid)
    return syntax is not None and syntax.loss is ts.Loss.LOSSY


def _method(uid: str) -> str:
    syntax = ts.get(uid)
    return _METHODS[syntax.media_type] if syntax else ""
