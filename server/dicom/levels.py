"""Which attributes belong to which level of the query model, and what QIDO-RS returns at each (PS3.18 10.6.3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from storage.query import Key


class Level(StrEnum):
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


def attributes_of(level: Level, dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a data set that belongs to the level: Patient and Study, Series, or all the rest."""
    raise NotImplementedError


def in_order(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Tags ascending, as PS3.18 F.2.2 demands."""
    return dict(sorted(attributes.items()))


def computed_study(
    *, url: str, modalities: Sequence[str], sop_classes: Sequence[str], series: int, instances: int
) -> dict[str, Any]:
    """Attributes of a study that no instance carries: Modalities in Study, counts, Retrieve URL (PS3.4 C.3.4)."""
    raise NotImplementedError


def computed_series(*, url: str, study: str, instances: int) -> dict[str, Any]:
    raise NotImplementedError


def computed_instance(*, url: str, study: str, series: str, transfer_syntax: str) -> dict[str, Any]:
    raise NotImplementedError


def without_computed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    raise NotImplementedError


def default_row(level: Level, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What is returned when no includefield is given; a required attribute that is unknown comes empty."""
    raise NotImplementedError


def keys_of(level: Level, attributes: Mapping[str, Any]) -> dict[str, frozenset[Key]]:
    """The index keys of a row; `query.compile_query` compiles to predicates over these same names."""
    raise NotImplementedError
