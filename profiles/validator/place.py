"""Where in a resource a check stands: linked steps, rendered as FHIRPath only when there is something to say."""

from __future__ import annotations

from typing import Any, TypeAlias

Place: TypeAlias = tuple[Any, str, int | None]
"""(place of the parent or `None`, label, index in its list or `None`)."""


def root(label: str) -> Place:
    return (None, label, None)


def render(place: Place) -> str:
    """FHIRPath with indexes: `Bundle.entry[0].resource.value.ofType(Quantity)`."""
    steps = []
    step: Place | None = place
    while step is not None:
        parent, label, index = step
        steps.append(label if index is None else f"{label}[{index}]")
        step = parent
    return ".".join(reversed(steps))
