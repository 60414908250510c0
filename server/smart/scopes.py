"""SMART scopes, both versions: what a client asks for, narrowed to what it may have and told as grants.

Scopes are compared by meaning and never by their text: `patient/*.rs` contains `patient/Observation.read`, and a query
with more conditions is contained in one with fewer (SMART App Launch 2.2, scopes for requesting FHIR resources).
What is not understood gives no right and is left out. What was asked in version 1 is answered in version 1 wherever
that can say it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from profiles.definitions import definitions
from server.kernel.context import Grant
from server.kernel.problem import Issue, Kind, Problem

_LONGEST, _MOST, _MOST_CONDITIONS = 16_384, 300, 8
_RESOURCE = re.compile(r"(patient|user|system)/([A-Z][A-Za-z]{1,63}|\*)\.([a-z*]{1,5})(?:\?(.{1,1024}))?", re.ASCII)
_LAUNCH = re.compile(r"launch/[a-z]{1,64}(\?role=[^\s]{1,256})?", re.ASCII)
_LETTERS = re.compile(r"c?r?u?d?s?")
_PLAIN = frozenset({"launch", "openid", "fhirUser", "profile", "offline_access", "online_access"})
_OWN = frozenset({"__launch", "__introspect", "__register"})
"""Of our own endpoints: create EHR launches, introspect any token, register clients."""
_FHIR_USER = "fhirUser"
_FIRST_VERSION = {"read": "rs", "write": "cud", "*": "cruds"}
_FIRST_WORDS = {letters: word for word, letters in _FIRST_VERSION.items()}
_INTERACTIONS = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}
_SHOWING = frozenset({"read", "search"})
_OTHER = "other"

Condition = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope; `other` is what names no resources: `openid`, `launch/patient`, `offline_access`, …"""

    context: str
    """`patient`, `user`, `system` or `other`."""
    resource_type: str
    """`*` for every type; empty for `other`."""
    letters: str
    """Of `cruds`, in that order."""
    criteria: tuple[Condition, ...]
    text: str
    version: int = 2

    @property
    def is_resource(self) -> bool:
        return self.context != _OTHER

    def contains(self, other: Scope) -> bool:
        """Whether whatever the other allows is allowed by this one too."""
        if not self.is_resource or not other.is_resource:
            return self.is_resource == other.is_resource and _name(self.text) == _name(other.text)
        return (
            self._reaches(other)
            and set(other.letters) <= set(self.letters)
            and self.resource_type in ("*", other.resource_type)
        )

    def _reaches(self, other: Scope) -> bool:
        return self.context == other.context and set(self.criteria) <= set(other.criteria)

    def meets(self, other: Scope) -> Scope | None:
        """What both allow, told in the words of this one; `None` where that is nothing."""
        if not self.is_resource:
            return self if other.contains(self) else None
        letters = "".join(each for each in self.letters if each in other.letters)
        types = {self.resource_type, other.resource_type} - {"*"}
        if self.context != other.context or not letters or len(types) > 1:
            return None
        criteria = self.criteria + tuple(each for each in other.criteria if each not in self.criteria)
        return _made(self.context, types.pop() if types else "*", letters, criteria, self.version)


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """The scopes that are understood, each once, in the order given; `invalid_scope` for what is absurdly long."""
    words = text.split()
    if len(text) > _LONGEST or len(words) > _MOST:
        raise Problem(Kind.INVALID, "The scope is too long.", (Issue("The scope is too long.", None, "invalid_scope"),))
    return tuple(scope for word in dict.fromkeys(words) if (scope := parse_scope(word)) is not None)


@lru_cache(maxsize=1024)
def parse_scope(word: str) -> Scope | None:
    """One scope; `None` where it is none that can be granted here."""
    if word in _PLAIN or word in _OWN or _LAUNCH.fullmatch(word):
        return Scope(_OTHER, "", "", (), word)
    found = _RESOURCE.fullmatch(word)
    if found is None:
        return None
    context, resource_type, rights, query = found.groups()
    if resource_type != "*" and resource_type not in definitions().resource_types:
        return None
    if rights in _FIRST_VERSION:
        return Scope(context, resource_type, _FIRST_VERSION[rights], (), word, 1) if query is None else None
    criteria = _criteria(resource_type, query)
    return (
        None if criteria is None or not _is_ordered(rights) else Scope(context, resource_type, rights, criteria, word)
    )


def narrow(asked: Iterable[Scope], allowed: Sequence[Scope]) -> tuple[Scope, ...]:
    """What of the scopes asked for may be granted: each as it was asked where all of it is allowed, else its parts."""
    granted: dict[str, Scope] = {}
    for scope in asked:
        for each in (scope,) if is_subset((scope,), allowed) else _parts(scope, allowed):
            granted.setdefault(each.text, each)
    return tuple(granted.values())


def is_subset(asked: Iterable[Scope], granted: Sequence[Scope]) -> bool:
    """Whether nothing is asked that was not granted; rights of one type may come from several scopes."""
    return all(any(each.contains(part) for each in granted) for scope in asked for part in _single(scope))


def grants(
    scopes: Iterable[Scope], patient: str = "", own_patients: Collection[str] | None = None, fhir_user: str = ""
) -> tuple[Grant, ...]:
    """One grant for each scope that names resources, and one to read who is signed in for `fhirUser`.

    What gives ImagingStudies gives the Endpoints they are had from as well: without these nobody gets at the images.

    `patient` is the launch context's logical id: without it `patient/` scopes give nothing. `own_patients` are those
    the user or client is limited to, `None` where there is no such limit: a context outside them gives nothing, and
    neither does a `system/` scope where they are none at all.
    """
    is_own = own_patients is None or patient in own_patients
    made: list[Grant] = []
    for scope in scopes:
        if scope.context == "patient" and patient and is_own:
            made += _grants(scope, patient)
        elif scope.context == "user" or (scope.context == "system" and (own_patients is None or own_patients)):
            made += _grants(scope, None)
        elif scope.text == _FHIR_USER and "/" in fhir_user:
            resource_type, _, resource_id = fhir_user.partition("/")
            made.append(Grant(frozenset(("read",)), frozenset((resource_type,)), None, (("_id", resource_id),)))
    return tuple(made)


def _grants(scope: Scope, patient: str | None) -> list[Grant]:
    interactions = frozenset(_INTERACTIONS[each] for each in scope.letters)
    types = None if scope.resource_type == "*" else frozenset((scope.resource_type,))
    made = [Grant(interactions, types, patient, scope.criteria)]
    if scope.resource_type == "ImagingStudy" and interactions & _SHOWING:
        made.append(Grant(interactions & _SHOWING, frozenset(("Endpoint",)), patient))
    return made


def _single(scope: Scope) -> Iterable[Scope]:
    """The scope letter by letter."""
    if not scope.is_resource:
        return (scope,)
    return [Scope(scope.context, scope.resource_type, each, scope.criteria, "") for each in scope.letters]


def _parts(scope: Scope, allowed: Sequence[Scope]) -> list[Scope]:
    """What the scope and each of those allowed have in common; what is contained in another part is left out."""
    parts = list(dict.fromkeys(part for each in allowed if (part := scope.meets(each)) is not None))
    return [part for part in parts if not any(each.contains(part) and each != part for each in parts)]


def _made(context: str, resource_type: str, letters: str, criteria: tuple[Condition, ...], version: int) -> Scope:
    if version == 1 and not criteria and letters in _FIRST_WORDS:
        return Scope(context, resource_type, letters, (), f"{context}/{resource_type}.{_FIRST_WORDS[letters]}", 1)
    query = "&".join(f"{name}={quote(value, safe=_KEPT)}" for name, value in criteria)
    text = f"{context}/{resource_type}.{letters}" + (f"?{query}" if query else "")
    return Scope(context, resource_type, letters, criteria, text)


_KEPT = "/:|,.-_~$"
"""Characters of a search value that stand in a scope as they are."""


def _name(text: str) -> str:
    """`launch/patient` of `launch/patient?role=...`: the role changes nothing that is given."""
    return text.partition("?")[0]


def _is_ordered(rights: str) -> bool:
    return bool(rights) and _LETTERS.fullmatch(rights) is not None


def _criteria(resource_type: str, query: str | None) -> tuple[Condition, ...] | None:
    """The conditions of a query; `None` where one is not a plain parameter of that type."""
    if query is None:
        return ()
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
    except (ValueError, UnicodeDecodeError):
        return None
    known = _codes().get(resource_type, frozenset())
    understood = all(name.partition(":")[0] in known and value.strip(",") for name, value in pairs)
    return tuple(dict.fromkeys(pairs)) if understood and len(pairs) <= _MOST_CONDITIONS else None


@lru_cache(maxsize=1)
def _codes() -> dict[str, frozenset[str]]:
    """Search parameters of each type. Chains, `_has` and controls are not among them."""
    found: dict[str, set[str]] = {each: set() for each in definitions().resource_types}
    for parameter in definitions().parameters:
        for base in parameter["base"]:
            for name in (base,) if base in found else found if base in ("Resource", "DomainResource") else ():
                found[name].add(parameter["code"])
    return {name: frozenset(codes - _UNINDEXED) for name, codes in found.items()}


_UNINDEXED = frozenset({"_text", "_content", "_query"})
