"""How strict a validator is where the specification leaves it open; the defaults are those of a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from profiles.findings import Severity


@dataclass(frozen=True, slots=True)
class Options:
    unknown_extensions: Severity | None = None
    """What to say of an extension whose definition is not known; `None` says nothing."""
    known_domains: tuple[str, ...] = ()
    """URLs that begin so may be unknown even when others may not."""
    allow_examples: bool = True
    """Whether URLs of example.org may stand in a resource."""
    refuse_markup: bool = False
    """Whether what looks like an HTML tag in a plain string is an error."""
    refuse_markup_in_markdown: bool = False
    refuse_experimental: bool = False
    targets: Severity | None = Severity.WARNING
    """What to say where the URL of a reference tells a type that is not allowed; `None` does not look."""
    doubtful: Severity = Severity.WARNING
    """What to say of rules that HL7's own examples break: narrative without content, fullUrl of another id."""
    check_contained: bool = True
    follow_references: bool = False
    """Whether what a reference means is to be found within the resource and its bundle where profiles are claimed."""
    enforce_aggregation: bool = True
    profiles_of_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Profiles that every resource of a type must meet, as `ImplementationGuide.global` names them."""
    profiles_of_entries: tuple[tuple[str, int, str], ...] = ()
    """(type, number among those of the type in a bundle from 0, profile that this one must meet)."""
    seconds: float = 5.0
    """After this time no expression is begun any more, and the resource is not known to be valid."""
    advise: bool = True
    """Whether best practice (`dom-6`) is told, as warnings."""
