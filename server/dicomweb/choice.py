"""Choosing a representation for each instance of an answer: negotiation is done per part (PS3.18 8.7.5).

Most requests send one of a few Accept texts, so choices are kept by that text and the stored transfer syntax. A choice
that means decoding is made again once the object is open: its samples may be too deep for a coding, or not decode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from server.archive.retrieve import ListedInstance
from server.dicom.transfer_syntax import OCTET_STREAM
from server.dicomweb import media
from server.http.negotiate import Offer, choose, not_acceptable, require

_LONGEST_CACHED = 1024


def chosen_for_instance(accept: tuple[str, str], stored: str, *, has_frames: bool) -> Offer:
    """What to send of one instance, or NOT_ACCEPTABLE."""
    if len(accept[0]) + len(accept[1]) > _LONGEST_CACHED:
        return require(accept, instance_offers(stored, has_frames))
    return _cached_for_instance(accept, stored, has_frames)


def chosen_for_pixels(accept: tuple[str, str], stored: str, *, single: bool) -> Offer:
    """What to send of frames, or NOT_ACCEPTABLE."""
    if len(accept[0]) + len(accept[1]) > _LONGEST_CACHED:
        return require(accept, media.pixel_offers(stored, single=single))
    return _cached_for_pixels(accept, stored, single)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The form of an answer of many instances, and what each is sent as; `left_out` fit no accepted type."""

    form: str
    """`application/dicom`, `application/zip`, or `application/octet-stream` for bulk data."""
    items: tuple[tuple[ListedInstance, Offer], ...]
    left_out: int


def chosen_for_all(accept: tuple[str, str], instances: Sequence[ListedInstance]) -> Chosen:
    """One form for the whole answer, and in it the best for each instance; NOT_ACCEPTABLE where nothing fits."""
    kinds = dict.fromkeys((each.transfer_syntax_uid, each.frame_count > 0) for each in instances)
    first = {kind: choose(accept, _study_offers(*kind)) for kind in kinds}
    form = next((form_of(found) for found in first.values() if found is not None), None)
    if form is None:
        raise not_acceptable(offer for kind in kinds for offer in _study_offers(*kind))
    choices = {kind: choose(accept, [each for each in _study_offers(*kind) if form_of(each) == form]) for kind in kinds}
    kept = ((each, choices[each.transfer_syntax_uid, each.frame_count > 0]) for each in instances)
    items = tuple((each, offer) for each, offer in kept if offer is not None)
    return Chosen(form, items, len(instances) - len(items))


def form_of(offer: Offer) -> str:
    return offer.media_type if offer.media_type in (media.DICOM, media.ZIP) else OCTET_STREAM


def first_that(works: Callable[[Offer], bool], accept: tuple[str, str], offers: Sequence[Offer]) -> Offer:
    """The best offer that also works for this very object, or NOT_ACCEPTABLE."""
    remaining = list(offers)
    while (found := choose(accept, remaining)) is not None:
        if works(found):
            return found
        remaining = [each for each in remaining if each.transfer_syntax != found.transfer_syntax]
    raise not_acceptable(offers)


@lru_cache(maxsize=256)
def instance_offers(stored: str, has_frames: bool) -> tuple[Offer, ...]:
    return *media.dicom_offers(stored, has_frames=has_frames, single=True), *_bulk(stored, has_frames)


@lru_cache(maxsize=256)
def _study_offers(stored: str, has_frames: bool) -> tuple[Offer, ...]:
    return *media.dicom_offers(stored, has_frames=has_frames, single=False), *_bulk(stored, has_frames)


def _bulk(stored: str, has_frames: bool) -> tuple[Offer, ...]:
    """Bulk data instead of the file, in the historical way of PS3.18 10.4.4; for those who ask for just that."""
    offers = media.pixel_offers(stored, single=False) if has_frames else media.bulk_offers()
    return tuple(each for each in offers if each.multipart)


@lru_cache(maxsize=2048)
def _cached_for_instance(accept: tuple[str, str], stored: str, has_frames: bool) -> Offer:
    return require(accept, instance_offers(stored, has_frames))


@lru_cache(maxsize=2048)
def _cached_for_pixels(accept: tuple[str, str], stored: str, single: bool) -> Offer:
    return require(accept, media.pixel_offers(stored, single=single))
