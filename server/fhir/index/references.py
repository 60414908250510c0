"""Reference parameters (R4 3.1.1.4.11): a key is `Type/id` for what is here, else the URL as it stands.

A versioned reference has both keys, with and without its version; a canonical both, with and without its `|version`.
What is contained is `Type/#id`, so that it counts as a value and is never taken for a resource of this server.
"""

from __future__ import annotations

import re
from functools import cache

from profiles.definitions import definitions
from server.fhir.index.bases import Bases
from server.fhir.index.facets import IDENTIFIER, LAST, Emitter, Found, Json
from server.fhir.index.parameters import Parameter
from server.fhir.index.reading import Reading, refused
from server.fhir.index.splitting import split_token, unescape
from server.fhir.index.token_terms import plain_term
from server.fhir.index.tokens import token_key
from storage.query import NOTHING, Any, Between, Equals, Like, OneOf, Predicate

_LOCAL = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")
_FOREIGN = re.compile(r"[a-z][a-z0-9+.\-]*://.*?/([A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/[^/]+)?")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LITERALS = frozenset({"uri", "url", "canonical", "oid", "uuid"})


@cache
def _types() -> frozenset[str]:
    return frozenset(definitions().resource_types)


def type_of(reference: str) -> str | None:
    """The type of resource that a literal reference names, where it tells."""
    match = _LOCAL.fullmatch(reference) or _FOREIGN.fullmatch(reference)
    return match[1] if match and match[1] in _types() else None


def emitter(name: str, kind: str, refers: str | None, bases: Bases) -> Emitter:
    """What writes the keys of values of a FHIR type; `refers` lets only references to a type count."""
    if kind in _LITERALS:
        return _literals(name, bases)
    if kind == "Reference":
        return _references(name, refers, bases)
    return _resources(name, refers)


def _references(name: str, refers: str | None, bases: Bases) -> Emitter:
    identifier_name = name + IDENTIFIER

    def emit(value: Json, found: Found) -> None:
        reference = value.get("reference")
        text = _key(reference, bases, found.contained) if reference else None
        if refers is not None and refers != ((text and _kept_type(text)) or value.get("type")):
            return
        if text is None:
            found.meet(name, value)
        else:
            found.add(name, text)
            if (version := text.find("/_history/")) > 0:
                found.add(name, text[:version])
        identifier = value.get("identifier")
        if identifier is not None and ("value" in identifier or "system" in identifier):
            found.add(identifier_name, token_key(identifier.get("value", ""), identifier.get("system", "")))

    return emit


def _key(reference: str, bases: Bases, contained: dict[str, str]) -> str | None:
    if reference[0] != "#":
        return bases.local(reference) if "://" in reference else reference
    kind = contained.get(reference[1:])
    return f"{kind}/{reference}" if kind else None


def _kept_type(key: str) -> str | None:
    kind, _, rest = key.partition("/")
    return kind if rest.startswith("#") else type_of(key)


def _literals(name: str, bases: Bases) -> Emitter:
    def emit(value: Json, found: Found) -> None:
        for key in canonical_keys(bases.local(value)):
            found.add(name, key)

    return emit


def canonical_keys(text: str) -> list[str]:
    """The text as it stands; without its fragment; and without its version."""
    plain = text.partition("#")[0]
    return [each for each in dict.fromkeys((text, plain, plain.partition("|")[0])) if each]


def _resources(name: str, refers: str | None) -> Emitter:
    """A resource in the place of a reference, as the first entry of a document."""

    def emit(value: Json, found: Found) -> None:
        is_resource = isinstance(value, dict)
        kind, own_id = (value.get("resourceType"), value.get("id")) if is_resource else (None, None)
        if refers is not None and kind != refers:
            return
        if kind and own_id:
            found.add(name, f"{kind}/{own_id}")
        else:
            found.meet(name, value)

    return emit


def term(
    parameter: Parameter, name: str, target: str | None, modifier: str | None, value: str, reading: Reading
) -> Predicate:
    """What one reference asks of the keys under `name`; `target` is the only type that counts."""
    targets = (target,) if target else parameter.targets
    match modifier:
        case None:
            return _named(parameter, name, targets, unescape(value), reading)
        case "identifier" if _is_reference(parameter):
            if len(split_token(value)) > 2:
                raise refused(parameter.code, "an identifier has at most a system and a value.")
            return plain_term(parameter, name + IDENTIFIER, value, reading)
        case "above" | "below" if parameter.kinds & _LITERALS:
            return canonical_term(parameter, name, modifier, unescape(value))
        case _ if modifier in _types() and _is_reference(parameter):
            if targets and modifier not in targets:
                raise refused(parameter.code, f"it never refers to a {modifier}.", "invalid")
            return _named(parameter, name, (modifier,), unescape(value), reading)
        case _:
            raise refused(parameter.code, f"no modifier ':{modifier}' on this reference parameter.", "invalid")


def _is_reference(parameter: Parameter) -> bool:
    return not parameter.kinds or bool(parameter.kinds - _LITERALS)


def _named(parameter: Parameter, name: str, targets: tuple[str, ...], value: str, reading: Reading) -> Predicate:
    """A bare id may be of any type the parameter refers to."""
    if not value:
        raise refused(parameter.code, "a reference is an id, Type/id or a URL.")
    text = Bases.of(reading.bases).local(value)
    if _ID.fullmatch(text):
        keys = tuple(f"{each}/{text}" for each in targets or sorted(_types()))
        keys += (text,) if parameter.kinds & _LITERALS else ()
        return Equals(name, keys[0]) if len(keys) == 1 else OneOf(name, keys)
    kind = type_of(text)
    if kind and targets and kind not in targets and not parameter.kinds & _LITERALS:
        return NOTHING
    return Equals(name, text)


def restricted(name: str, target: str) -> Predicate:
    """Whether there is a reference to a type, here or elsewhere."""
    return Any((Between(name, f"{target}/", f"{target}0"), Like(name, f"*://*/{target}/*")))


def canonical_term(parameter: Parameter, name: str, modifier: str, value: str) -> Predicate:
    """`url|version` with `:below` finds versions that begin so; without a version it is about paths of URLs."""
    url, _, version = value.partition("|")
    if not url:
        raise refused(parameter.code, "a canonical URL.")
    if version and modifier == "below":
        return Any((Equals(name, value), Between(name, f"{value}.", f"{value}.~")))
    if version:
        steps = version.split(".")
        return OneOf(name, tuple(f"{url}|{'.'.join(steps[:count])}" for count in range(len(steps), 0, -1)))
    return hierarchy(parameter, name, modifier, url)


def hierarchy(parameter: Parameter, name: str, modifier: str, url: str) -> Predicate:
    """URLs that begin with one, or those it begins with, step by step of its path; a URN has no path."""
    if "://" not in url:
        raise refused(parameter.code, f"':{modifier}' takes a URL.")
    if modifier == "below":
        return Between(name, url, url + LAST)
    scheme, _, rest = url.partition("://")
    steps = rest.rstrip("/").split("/")
    above = [f"{scheme}://{'/'.join(steps[:count])}" for count in range(len(steps), 0, -1)]
    return OneOf(name, tuple(dict.fromkeys(text for each in (url, *above) for text in (each, f"{each}/"))))
