"""Which types there are, and which of them a reference parameter may lead to."""

from __future__ import annotations

from profiles.definitions import definitions
from server.fhir.index.parameters import Parameter


def all_types() -> tuple[str, ...]:
    return definitions().resource_types


def targets(parameter: Parameter) -> tuple[str, ...]:
    """Types the parameter may refer to; every type where its definition names none."""
    only = {each.target for each in parameter.sources}
    if None not in only and only:
        return tuple(sorted(each for each in only if each is not None))
    return tuple(each for each in parameter.targets if each in all_types()) or all_types()
