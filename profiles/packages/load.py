"""All conformance resources of ours, made once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from profiles.packages import (
    documents,
    imaging,
    imaging_index,
    nursing,
    patient,
    scales,
    searches,
    terminology,
    timeline,
)


@cache
def resources() -> tuple[dict[str, Any], ...]:
    """Profiles, extensions, terminology, search parameters and the operations; nobody may change them."""
    makers = (terminology, patient, imaging, nursing, scales, searches, documents, timeline, imaging_index)
    return tuple(each for maker in makers for each in maker.resources())


@cache
def by_url() -> Mapping[str, dict[str, Any]]:
    """The same, by canonical URL: what a validator asks for the structures and value sets it does not know."""
    return MappingProxyType({each["url"]: each for each in resources()})
