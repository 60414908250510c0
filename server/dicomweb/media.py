"""What can be offered of a stored instance, by category of media type (PS3.18 8.7.3, 8.7.4, 10.4.4).

Every function here is a table worked out once per transfer syntax and kept. Offers stand in order of preference: what
is stored comes before what must be made from it. The default transfer syntax is Explicit VR Little Endian; only where
nothing here decodes the stored one does the stored one take its place, as PS3.18 8.7.3.4 allows. Implicit VR and big
endian go out only to those who accept `*` or name them, never by default.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from server.dicom import transfer_syntax
from server.dicom.pixels.codecs import can_decode
from server.dicom.pixels.description import PixelDescription
from server.dicom.pixels.encode import TARGETS
from server.dicom.transfer_syntax import EXPLICIT_LITTLE, OCTET_STREAM
from server.http.negotiate import Offer

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
ZIP = "application/zip"
JSON = "application/json"

_PREFERRED = (
    *transfer_syntax.LOSSLESS_CODINGS,
    transfer_syntax.JPEG_LS_NEAR,
    transfer_syntax.JPEG_2000,
    transfer_syntax.HTJ2K,
    transfer_syntax.JPEG_BASELINE,
)
_MADE = tuple(each for each in _PREFERRED if each in TARGETS)
"""Codings made here, in the order they are preferred where a client takes several: lossless and quick ones first."""

_ANY_IMAGE = PixelDescription(
    rows=1, columns=1, samples=1, photometric="MONOCHROME2", planar=False,
    allocated=8, stored=8, high_bit=7, signed=False, frames=1,
)  # fmt: skip
"""What can be decoded of this can be decoded of most; whether of the very object is asked once it is opened."""

_FORMER_NAMES = {
    "image/dicom-rle": ("image/x-dicom-rle",),
    "image/jls": ("image/x-jls",),
    "video/mpeg": ("video/mpeg2",),
    "video/H265": ("video/h265",),
}


@lru_cache(maxsize=256)
def can_give(stored: str, wanted: str, *, has_frames: bool) -> bool:
    """Whether an instance stored so can be given so."""
    if stored == wanted:
        return True
    if wanted == EXPLICIT_LITTLE:
        return _can_be_native(stored, has_frames=has_frames)
    return has_frames and wanted in _MADE and _can_be_native(stored, has_frames=True)


@lru_cache(maxsize=512)
def dicom_offers(stored: str, *, has_frames: bool, single: bool) -> tuple[Offer, ...]:
    """An instance as a PS3.10 file: in multipart, and alone where the resource is one instance."""
    wanted = (stored, EXPLICIT_LITTLE, *_MADE)
    given = [each for each in dict.fromkeys(wanted) if can_give(stored, each, has_frames=has_frames)]
    default = EXPLICIT_LITTLE if EXPLICIT_LITTLE in given else stored
    several = [Offer(DICOM, True, each, each == default) for each in given]
    alone = [Offer(DICOM, False, each, each == default) for each in given] if single else []
    # A frameless object has no compressed form: asked for one, it goes out in the default transfer syntax.
    others = [] if has_frames else [Offer(DICOM, True, each, False) for each in _MADE if each not in given]
    return *several, *alone, *others, *zip_offers(stored, has_frames=has_frames)


@lru_cache(maxsize=512)
def dicom_offers_undecodable(stored: str, *, single: bool) -> tuple[Offer, ...]:
    """An instance whose pixels turned out not to decode: what is stored, or nothing (PS3.18 8.7.3.4)."""
    several = Offer(DICOM, True, stored)
    return (several, _alone(several)) if single else (several,)


@lru_cache(maxsize=512)
def zip_offers(stored: str, *, has_frames: bool) -> tuple[Offer, ...]:
    """In an archive to keep, the file is by default what was stored."""
    wanted = (stored, EXPLICIT_LITTLE, *_MADE)
    given = [each for each in dict.fromkeys(wanted) if can_give(stored, each, has_frames=has_frames)]
    return tuple(Offer(ZIP, False, each, each == stored) for each in given)


@lru_cache(maxsize=512)
def pixel_offers(stored: str, *, single: bool) -> tuple[Offer, ...]:
    """Frames or pixel data (PS3.18 tables 8.7.3-4 and -5): the stored coding, uncompressed, or another coding."""
    plain = _can_be_native(stored, has_frames=True)
    own = _stored_pixels(stored, plain=plain)
    # What is stored stands first for those who name a transfer syntax or take any, and last for those who do not.
    several = [replace(each, default=False) for each in own]
    if plain:
        several.append(Offer(OCTET_STREAM, True, EXPLICIT_LITTLE))
        several += [_made(each, own) for each in _MADE if each != stored]
    several += own
    return (*several, *map(_alone, several)) if single else tuple(several)


@lru_cache(maxsize=64)
def bulk_offers(own_type: str = OCTET_STREAM) -> tuple[Offer, ...]:
    """A value that is not pixels: octets, or under the type the object gives for it (an encapsulated document's)."""
    several = [Offer(name, True, EXPLICIT_LITTLE) for name in dict.fromkeys((OCTET_STREAM, own_type))]
    return *several, *(_alone(each) for each in several)


METADATA = (
    Offer(DICOM_JSON),
    Offer(JSON),
    Offer(DICOM_XML, multipart=True),
    Offer(ZIP),
)
"""Metadata (PS3.18 8.7.3.6): JSON is one array and never multipart; XML is one document for each instance."""

CAPABILITIES = (Offer("application/vnd.sun.wadl+xml", aliases=("application/xml", "text/xml")), Offer(JSON))


def _media_type(uid: str) -> str:
    syntax = transfer_syntax.get(uid)
    return syntax.media_type if syntax is not None else OCTET_STREAM


def is_decoded(stored: str) -> bool:
    """Whether pixel data stored so can be decoded at all."""
    return _can_be_native(stored, has_frames=True)


def _can_be_native(stored: str, *, has_frames: bool) -> bool:
    syntax = transfer_syntax.get(stored)
    if syntax is None:
        return False
    return not syntax.encapsulated or not has_frames or can_decode(stored, _ANY_IMAGE)


def _stored_pixels(stored: str, *, plain: bool) -> list[Offer]:
    """Encapsulated frames as they are. What cannot be had uncompressed is what there is for who asks for octets."""
    syntax = transfer_syntax.get(stored)
    if syntax is not None and not syntax.encapsulated:
        return []
    media_type = syntax.media_type if syntax is not None else OCTET_STREAM
    names = (*_FORMER_NAMES.get(media_type, ()), *(() if plain else (OCTET_STREAM,)))
    return [Offer(media_type, True, stored, aliases=names, by_syntax=(OCTET_STREAM,))]


def _made(uid: str, own: list[Offer]) -> Offer:
    """Frames coded here: the default of their media type, unless the stored ones go under it already."""
    media_type = _media_type(uid)
    default = uid == transfer_syntax.default_for(media_type) and all(each.media_type != media_type for each in own)
    return Offer(media_type, True, uid, default, _FORMER_NAMES.get(media_type, ()), (OCTET_STREAM,))


def _alone(offer: Offer) -> Offer:
    return replace(offer, multipart=False)
