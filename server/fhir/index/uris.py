"""URI parameters (R4 3.1.1.4.13): the key is the text, compared whole; canonical URLs also without their version."""

from __future__ import annotations

from server.fhir.index.facets import Emitter, Found, Json
from server.fhir.index.parameters import Parameter
from server.fhir.index.reading import refused
from server.fhir.index.references import canonical_keys, canonical_term, hierarchy
from server.fhir.index.splitting import unescape
from server.fhir.index.tokens import token_key
from storage.query import All, Any, Between, Equals, Predicate

_CANONICAL = frozenset({"canonical"})


def emitter(name: str, kind: str) -> Emitter:
    """What writes the keys of values of a FHIR type."""

    def emit(value: Json, found: Found) -> None:
        if not isinstance(value, str):
            found.meet(name, value)
            return
        for key in canonical_keys(value) if kind in _CANONICAL else (value,):
            found.add(name, key)

    return emit


def term(parameter: Parameter, name: str, modifier: str | None, value: str) -> Predicate:
    """What one URI asks of the keys under `name`."""
    text = unescape(value)
    match modifier:
        case None if "|" in text and parameter.code == "url":
            return _versioned(name, text)
        case None:
            return Equals(name, text)
        case "below" if "|" in text and parameter.code == "url":
            return _versioned(name, text, is_start=True)
        case "above" | "below" if parameter.kinds & _CANONICAL:
            return canonical_term(parameter, name, modifier, text)
        case "above" | "below":
            return hierarchy(parameter, name, modifier, text)
        case _:
            raise refused(parameter.code, f"no modifier ':{modifier}' on a uri parameter.", "invalid")


def _versioned(name: str, text: str, *, is_start: bool = False) -> Predicate:
    """A resource that is defined under a URL states its version beside it."""
    url, _, version = text.partition("|")
    if not is_start:
        return All((Equals(name, url), Equals("version", token_key(version))))
    key = version.casefold()
    return All(
        (Equals(name, url), Any((Equals("version", token_key(version)), Between("version", f"{key}.", f"{key}.~"))))
    )
