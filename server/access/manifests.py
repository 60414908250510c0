"""Documents that list images, for which rights over images count beside those over documents.

A manifest names every series of a study and tells their modalities, also one that was superseded before a series was
labelled: so its DocumentReference is seen by whoever may see the whole study, whatever its own labels are.
"""

from __future__ import annotations

from typing import Protocol

from server.kernel.context import Context
from storage.query import Predicate

LISTING, IMAGES = "DocumentReference", "ImagingStudy"
"""The type of which some are such, and that of what they list."""


class Manifests(Protocol):
    async def narrowed(self, context: Context, right: Predicate, images: Predicate) -> Predicate:
        """`right`: what else an actor may see of DocumentReference; `images`: what of ImagingStudy."""
        ...


class NoManifests:
    """No document lists images."""

    async def narrowed(self, context: Context, right: Predicate, images: Predicate) -> Predicate:
        return right
