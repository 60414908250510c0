"""One validation as it goes on: what was found, and the resource that stands in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

from profiles.findings import Finding, Severity
from profiles.validator.memory import Memory
from profiles.validator.options import Options
from profiles.validator.place import Place, render

MAX_FINDINGS = 500
"""Beyond this many no more warnings are kept, and beyond twice as many no more errors: so warnings hide no error."""


class Terminology(Protocol):
    """What the validator asks of terminology."""

    def is_member(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether a code is in a value set; `None` where that cannot be known here."""
        ...

    def is_code(self, system: str, code: str) -> bool | None:
        """Whether a code system has a code; `None` where the system is not held, or not as a whole."""
        ...


class Structures(Protocol):
    """Where StructureDefinitions are found by canonical URL, which may carry `|version`."""

    def find(self, url: str) -> dict[str, Any] | None: ...


@dataclass(eq=False, slots=True)
class Scope:
    """A resource and what it stands in."""

    resource: dict[str, Any]
    place: Place
    container: Scope | None = None
    """The resource that contains this one."""
    entry: Entry | None = None
    """The entry of a bundle that holds it or its container."""

    @property
    def root(self) -> dict[str, Any]:
        """`%rootResource`: the container, or the resource itself."""
        return self.container.resource if self.container else self.resource


@dataclass(eq=False, slots=True)
class Entry:
    """An entry of a bundle, as references start from it."""

    bundle: dict[str, Any]
    url: str | None
    place: Place
    outer: Scope
    cache: dict[str, Any] = field(default_factory=dict)
    """What was gathered of the bundle, shared by its entries."""


class Run:
    """The state of one `validate` call."""

    __slots__ = (
        "active", "bundles", "check_declared", "done", "environment", "environment_of", "findings", "options", "scope",
        "validator", "deadline", "has_given_up", "memory",
    )  # fmt: skip

    def __init__(
        self, validator: Any, options: Options, scope: Scope, check_declared: bool, memory: Memory | None = None
    ) -> None:
        """`memory`: what runs of the same validator and options have found sound."""
        self.validator = validator
        self.memory = memory or Memory()
        self.check_declared = check_declared
        self.bundles: dict[int, dict[str, Any]] = {}
        """What was gathered of each bundle, by its identity."""
        self.environment: Any = None
        self.environment_of: Scope | None = None
        self.options = options
        self.findings: list[Finding] = []
        self.scope = scope
        self.active: set[tuple[int, str]] = set()
        """Profiles being applied to objects right now: what comes round again is taken to hold."""
        self.deadline = monotonic() + options.seconds
        self.has_given_up = False
        self.done: dict[tuple[int, str], bool] = {}

    def error(self, code: str, place: Place, text: str, rule: str | None = None) -> None:
        self.add(Severity.ERROR, code, place, text, rule)

    def add(self, severity: Severity, code: str, place: Place, text: str, rule: str | None = None) -> None:
        most = MAX_FINDINGS if severity in (Severity.WARNING, Severity.INFORMATION) else 2 * MAX_FINDINGS
        if len(self.findings) < most:
            self.findings.append(Finding(severity, code, render(place), text, rule))

    def give_up(self) -> None:
        """Say once that not everything could be checked: such a resource is not known to be valid."""
        if not self.has_given_up:
            self.has_given_up = True
            self.error("too-costly", self.scope.place, "The rules of its profiles take too much work to check.")

    @contextmanager
    def within(self, scope: Scope) -> Iterator[None]:
        before = self.scope
        self.scope = scope
        try:
            yield
        finally:
            self.scope = before

    @contextmanager
    def aside(self) -> Iterator[list[Finding]]:
        """Gathers what is found meanwhile without keeping it."""
        before = self.findings
        found: list[Finding] = []
        self.findings = found
        try:
            yield found
        finally:
            self.findings = before
