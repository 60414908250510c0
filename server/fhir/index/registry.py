"""Every search parameter by resource type: HL7's R4 ones, and custom SearchParameter resources over them.

A registry never changes; a new one takes its place when custom parameters do. The parameters of a type are worked out
when the type is first asked for.

A parameter whose values another one already covers has no keys of its own, which saves a third of an Observation's
rows: the same routes restricted to a type (`patient` within `subject`), or a union of others (`combo-code`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from profiles.definitions import definitions
from profiles.fhirpath.engine import compile_expression
from profiles.fhirpath.errors import FhirPathError
from server.fhir.index.composing import composites
from server.fhir.index.drafts import Definition, Draft, draft
from server.fhir.index.parameters import Component, Parameter, Source
from server.fhir.index.sharing import sources_of

__all__ = ["Component", "Parameter", "Registry", "Source"]

_NOT_HERE = frozenset({"_query"})
_TYPES = frozenset({"number", "date", "string", "token", "reference", "composite", "quantity", "uri"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A custom parameter that cannot be used, and why."""

    url: str
    reason: str


@cache
def _published() -> tuple[Definition, ...]:
    return tuple(each for each in definitions().parameters if each["code"] not in _NOT_HERE)


class Registry:
    """Search parameters by type and code; `custom` are SearchParameter resources, of which the active ones count."""

    def __init__(self, custom: Sequence[Definition] = ()) -> None:
        self.refused: list[Refusal] = []
        self._custom = tuple(each for each in custom if self._is_usable(each))
        self._by_url = {each["url"]: each for each in (*_published(), *self._custom)}
        self._types: dict[str, dict[str, Parameter]] = {}

    def find(self, resource_type: str, code: str) -> Parameter | None:
        """The parameter of a type by its code, without modifier."""
        return self._of(resource_type).get(code)

    def of(self, resource_type: str) -> tuple[Parameter, ...]:
        """All parameters of a type, those common to all types among them."""
        return tuple(self._of(resource_type).values())

    def complete(self) -> None:
        """Work out all types now, which takes a third of a second; from any thread."""
        for each in definitions().resource_types:
            self._of(each)

    def named(self, url: str) -> Definition | None:
        """A definition by its canonical URL."""
        return self._by_url.get(url)

    @property
    def custom(self) -> tuple[Definition, ...]:
        """The custom parameters in use."""
        return self._custom

    def _of(self, resource_type: str) -> dict[str, Parameter]:
        found = self._types.get(resource_type)
        if found is None:
            known = resource_type in definitions().resource_types
            found = self._types[resource_type] = self._worked_out(resource_type) if known else {}
        return found

    def _worked_out(self, resource_type: str) -> dict[str, Parameter]:
        drafts = {each.code: each for each in self._drafts(resource_type)}
        sources = sources_of(drafts.values())
        plain = {code: _plain(each, sources[code]) for code, each in drafts.items() if each.type != "composite"}
        found = plain | composites(drafts, plain, self.named)
        return {code: found[code] for code in sorted(found)}

    def _drafts(self, resource_type: str) -> list[Draft]:
        """HL7's first, so that no custom parameter ever becomes the owner of their keys."""
        replaced = {each["code"] for each in self._custom if _is_about(each, resource_type)}
        own = [each for each in _published() if _is_about(each, resource_type) and each["code"] not in replaced]
        added = [each for each in self._custom if _is_about(each, resource_type)]
        return [draft(each, resource_type) for each in (*own, *added)]

    def _is_usable(self, definition: Definition) -> bool:
        reason = _unusable(definition)
        if reason:
            self.refused.append(Refusal(str(definition.get("url", "")), reason))
        return not reason


def _is_about(definition: Definition, resource_type: str) -> bool:
    base: str | None = resource_type
    while base:
        if base in definition["base"]:
            return True
        base = definitions().base_of(base)
    return False


def _unusable(definition: Definition) -> str | None:
    """Why a custom SearchParameter cannot be used; `None` where it can."""
    if definition.get("status") != "active":
        return "its status is not active"
    if not (definition.get("code") and definition.get("url") and definition.get("base")):
        return "it lacks a code, a url or a base"
    if definition.get("type") not in _TYPES:
        return "its type is not known here"
    if not definition.get("expression"):
        return "it has no expression"
    try:
        compile_expression(definition["expression"])
    except FhirPathError:
        return "its expression is no FHIRPath"
    return None


def _plain(draft: Draft, sources: tuple[Source, ...]) -> Parameter:
    return replace(
        draft.bare,
        targets=draft.targets,
        kinds=frozenset(each.type for each in draft.routes),
        value_sets=tuple(dict.fromkeys(each.value_set for each in draft.routes if each.value_set)),
        is_repeating=draft.is_repeating,
        sources=sources,
        routes=draft.routes,
    )
