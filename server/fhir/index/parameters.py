"""A search parameter as one resource type has it, with what its expression says of the values to come."""

from __future__ import annotations

from dataclasses import dataclass

from server.fhir.index.routes import Route


@dataclass(frozen=True, slots=True)
class Source:
    """Where the keys of a parameter lie: most have one of their own name.

    A parameter that another covers is not indexed twice. `patient` of Observation reads the keys of `subject` that
    name a Patient; `combo-code` reads those of `code` and of `component-code`.
    """

    name: str
    target: str | None = None
    """The only type of resource that counts, of references."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite parameter."""

    definition: str
    """Canonical URL of the parameter that says how the part is read."""
    expression: str
    """Within one element of the composite's own expression."""
    parameter: Parameter
    """How the part is read; of a composite of the whole resource also where its keys are."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one resource type."""

    code: str
    type: str
    """`number`, `date`, `string`, `token`, `reference`, `composite`, `quantity`, `uri` or `special`."""
    url: str
    resource_type: str
    base: tuple[str, ...]
    expression: str | None
    """The part of the definition's expression that is about `resource_type`."""
    targets: tuple[str, ...] = ()
    """Of references: types of resource a value may name; empty for any."""
    components: tuple[Component, ...] = ()
    kinds: frozenset[str] = frozenset()
    """FHIR types its values may have; empty where only evaluation tells."""
    value_sets: tuple[str, ...] = ()
    """Bindings of the `code` elements among its values: they imply a code's system."""
    is_repeating: bool = False
    """Whether one resource may have several values."""
    sources: tuple[Source, ...] = ()
    """Where its keys are; none for a composite of the whole resource."""
    union: tuple[Parameter, ...] = ()
    """Of a composite that is several in one: those."""
    routes: tuple[Route, ...] = ()
    """How its values are reached; empty where the expression is evaluated by FHIRPath."""

    @property
    def is_indexed(self) -> bool:
        """Whether keys are written under its own name."""
        return self.sources == (Source(self.code),)
