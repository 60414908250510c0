"""Whether a resource may be stored: R4 always, and the profiles it claims, as errors or as warnings by choice.

What cannot be read as the type it claims is invalid (400); what breaks a rule, a profile or a binding is unprocessable
(422). Every issue names its place as FHIRPath and, where there is one, the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from profiles.findings import Finding, Severity
from profiles.validator.validator import Validator
from server.fhir.json_form import Resource
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem

MAX_ISSUES = 100
_UNREADABLE = frozenset({"structure", "value", "required", "too-costly", "too-long", "invalid"})
_INLINE_WEIGHT = 150
"""Values a resource may hold at most to be checked on the loop: about half a millisecond."""


class StructureSource(Protocol):
    """Gives a StructureDefinition by canonical URL, which may carry `|version`."""

    def find(self, url: str) -> Resource | None: ...


class Structures:
    """Several sources as one: the first that knows a structure gives it."""

    def __init__(self, *sources: StructureSource) -> None:
        self._sources = sources

    def find(self, url: str) -> Resource | None:
        return next((found for each in self._sources if (found := each.find(url)) is not None), None)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to."""

    problem: Problem | None
    warnings: tuple[Issue, ...]


class Validation:
    """The validator as the repository and `$validate` use it; from the event loop."""

    def __init__(self, validator: Validator, offload: Offload, *, declared: Severity = Severity.ERROR) -> None:
        """`declared`: what breaking a profile named in meta.profile amounts to, error or warning."""
        self._validator = validator
        self._offload = offload
        self._declared = declared

    def forget(self) -> None:
        """To be called when stored structures or value sets have changed."""
        self._validator.forget()

    async def check_all(self, resources: Sequence[Resource]) -> list[Problem | None]:
        """For each resource why it is refused; `None` where it may be stored."""
        if len(resources) == 1 and is_light(resources[0]):
            return self._problems(resources)
        return await self._offload.cpu(self._problems, resources)

    async def checked(self, resources: Sequence[Resource]) -> list[Checked]:
        if len(resources) == 1 and is_light(resources[0]):
            return self._checked(resources)
        return await self._offload.cpu(self._checked, resources)

    async def findings(self, resource: Any, profiles: Sequence[str] = ()) -> list[Finding]:
        """Everything there is to say of a resource, also against profiles it does not claim."""
        return await self._offload.cpu(self._found, resource, profiles)

    def _problems(self, resources: Sequence[Resource]) -> list[Problem | None]:
        return [_problem(self._found(each)) for each in resources]

    def _checked(self, resources: Sequence[Resource]) -> list[Checked]:
        return [verdict(self._found(each)) for each in resources]

    def _found(self, resource: Any, profiles: Sequence[str] = ()) -> list[Finding]:
        if self._declared is Severity.ERROR:
            return self._validator.validate(resource, profiles=profiles)
        asked = self._validator.validate(resource, profiles=profiles, check_declared=False)
        known = set(asked)
        declared = (each for each in self._validator.validate(resource, profiles=profiles) if each not in known)
        return asked + [replace(each, severity=self._declared) if each.is_error else each for each in declared]


def is_light(resource: Resource) -> bool:
    """Whether checking is too little work to leave the loop for."""
    weight = 0
    pending: list[Any] = [resource]
    while pending:
        each = pending.pop()
        weight += len(each)
        if weight > _INLINE_WEIGHT:
            return False
        children = each.values() if isinstance(each, dict) else each
        pending.extend(child for child in children if isinstance(child, dict | list))
    return True


def verdict(findings: Sequence[Finding]) -> Checked:
    warnings = tuple(_issue(each) for each in findings if each.severity is Severity.WARNING)
    return Checked(_problem(findings), warnings)


def _problem(findings: Sequence[Finding]) -> Problem | None:
    errors = [each for each in findings if each.is_error]
    if not errors:
        return None
    kind = Kind.INVALID if any(_is_unreadable(each) for each in errors) else Kind.UNSUPPORTED
    text = (
        "The resource is not valid R4." if kind is Kind.INVALID else "The resource breaks a rule, profile or binding."
    )
    return Problem(kind, text, tuple(_issue(each) for each in errors[:MAX_ISSUES]))


def _is_unreadable(finding: Finding) -> bool:
    """Whether the base definition itself is broken, not a rule or profile on top of it."""
    return finding.code in _UNREADABLE and (finding.rule is None or "://" not in finding.rule)


def _issue(finding: Finding) -> Issue:
    text = f"{finding.text} ({finding.rule})" if finding.rule and finding.rule not in finding.text else finding.text
    return Issue(text, finding.expression, finding.code)
