"""For a moment, the nearest value of each item before and after it.

Distances are signed minutes: negative before, positive after, 0 where the interval of a value holds the moment. Of two
equally near the higher status counts, then the later issued. Nothing is made up where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from server.fusion.readings import Item, Measured, Reading
from server.fusion.spans import When
from server.fusion.windows import Reach
from server.kernel.clock import MINUTE


@dataclass(frozen=True, slots=True)
class Near:
    """A value near a moment."""

    measured: Measured
    reading: Reading
    distance: int
    """Microseconds, signed."""

    @property
    def minutes(self) -> Decimal:
        return minutes(self.distance)


@dataclass(frozen=True, slots=True)
class Nearest:
    before: Near | None = None
    after: Near | None = None


def nearest(moment: When, all_measured: Iterable[Measured], reach_of: Callable[[Item], Reach]) -> dict[Item, Nearest]:
    """By item, in the order of their codes; items without a value in their window are left out."""
    before: dict[Item, Near] = {}
    after: dict[Item, Near] = {}
    for each in all_measured:
        distance = _distance(moment, each.when)
        for reading in each.readings:
            reach = reach_of(reading.item)
            if not -reach[0] <= distance <= reach[1]:
                continue
            side = after if distance > 0 else before
            near = Near(each, reading, distance)
            if _is_better(near, side.get(reading.item)):
                side[reading.item] = near
    return {item: Nearest(before.get(item), after.get(item)) for item in sorted({*before, *after})}


def minutes(distance: int) -> Decimal:
    """To a hundredth, whole where it is whole."""
    value = (Decimal(distance) / MINUTE).quantize(Decimal("0.01"))
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()


def _distance(moment: When, when: When) -> int:
    if when.high < moment.low:
        return when.high - moment.low
    return when.low - moment.high if when.low > moment.high else 0


def _is_better(near: Near, than: Near | None) -> bool:
    if than is None:
        return True
    return (-abs(near.distance), near.measured.rank) > (-abs(than.distance), than.measured.rank)


def folded(all_measured: Iterable[Measured]) -> tuple[list[Measured], Mapping[str, list[str]]]:
    """Each reading once, the one stored first; and by its reference those folded into it."""
    kept: dict[object, Measured] = {}
    duplicates: dict[str, list[str]] = {}
    for each in sorted(all_measured, key=lambda one: (one.last_updated, one.reference)):
        first = kept.setdefault(each.identity or each.reference, each)
        if first is not each:
            duplicates.setdefault(first.reference, []).append(each.reference)
    return list(kept.values()), duplicates
