"""What a token value asks of its keys (R4 3.1.1.4.10), with each of its modifiers."""

from __future__ import annotations

from collections.abc import Collection

from server.fhir.index.bases import Bases
from server.fhir.index.facets import OF_TYPE, TEXT
from server.fhir.index.parameters import Parameter
from server.fhir.index.reading import Coded, Reading, refused
from server.fhir.index.splitting import split_token
from server.fhir.index.strings import starting
from server.fhir.index.tokens import (
    CODE_MARKS,
    EXACT,
    UCUM_SYSTEM,
    dialled,
    folded_code,
    marked_system,
    of_type_key,
    token_key,
)  # fmt: skip
from storage.query import NOTHING, Any, Between, Equals, Like, OneOf, Predicate

_MIME = "http://hl7.org/fhir/ValueSet/mimetypes"
_MEDIA_TYPES = "urn:ietf:bcp:13"
_UNCODED = frozenset({"boolean", "ContactPoint", "uri", "url", "canonical", "oid", "uuid"})
"""Types whose values have no system, so that a search for one with `|` is an error."""
_SYSTEMLESS = frozenset({"code", "boolean", "string", "ContactPoint"}) | EXACT
_MOST_CODES = 20_000


def term(parameter: Parameter, name: str, modifier: str | None, value: str, reading: Reading) -> Predicate:
    """What one token value asks of the keys under `name`."""
    match modifier:
        case None | "not":
            return plain_term(parameter, name, value, reading)
        case "text":
            return starting(parameter, name + TEXT, value)
        case "of-type" if "Identifier" in parameter.kinds or not parameter.kinds:
            return _of_type(parameter, name + OF_TYPE, value)
        case "in" | "not-in":
            return _within(parameter, name, value, reading)
        case "above" | "below":
            return _subsumed(parameter, name, modifier, value, reading)
        case _:
            raise refused(parameter.code, f"no modifier ':{modifier}' on this token parameter.", "invalid")


def plain_term(parameter: Parameter, name: str, value: str, reading: Reading) -> Predicate:
    """`code`, `system|code`, `|code` and `system|`."""
    parts = split_token(value)
    if len(parts) == 1:
        return _any_system(parameter, name, parts[0])
    if len(parts) > 2:
        raise refused(parameter.code, "a token has at most a system and a code.")
    system, code = parts
    if parameter.kinds and parameter.kinds <= _UNCODED:
        raise refused(parameter.code, "its values have no system.")
    if not system and not code:
        raise refused(parameter.code, "a token names a system or a code.")
    if not system:
        # Of a `code` element this is the code itself, whatever system its binding implies.
        return Equals(name, token_key(code))
    return _coded_term(parameter, name, system, code, reading)


def _any_system(parameter: Parameter, name: str, code: str) -> Predicate:
    if parameter.kinds == {"boolean"} and code not in ("true", "false"):
        raise refused(parameter.code, "'true' or 'false'.")
    exact, folded = code.translate(CODE_MARKS), folded_code(code, "")
    if parameter.kinds and parameter.kinds <= EXACT:
        return Equals(name, f"{exact}|")
    terms: list[Predicate] = [run(name, folded)]
    if exact != folded and not _is_systemless(parameter):
        terms.append(Equals(name, token_key(code, UCUM_SYSTEM)))
    if exact != folded and parameter.kinds & EXACT:
        terms.append(Equals(name, f"{exact}|"))
    if "ContactPoint" in parameter.kinds and (bare := dialled(folded)) != folded and bare:
        terms.append(Equals(name, f"{bare}|"))
    return terms[0] if len(terms) == 1 else Any(tuple(terms))


def _is_systemless(parameter: Parameter) -> bool:
    return bool(parameter.kinds) and parameter.kinds <= _SYSTEMLESS


def run(name: str, code: str) -> Between:
    """All keys of a (folded) code: `}` is the character after `|`."""
    return Between(name, f"{code}|", f"{code}}}")


def _coded_term(parameter: Parameter, name: str, system: str, code: str, reading: Reading) -> Predicate:
    pattern = f"*|{marked_system(system)}"
    own: Predicate = Equals(name, token_key(code, system)) if code else Like(name, pattern)
    implied = [token_key(each) for each in _implied(parameter, system, code, reading)]
    if not implied:
        return own
    also = Equals(name, implied[0]) if len(implied) == 1 else OneOf(name, tuple(implied))
    return also if parameter.kinds == {"code"} else Any((own, also))


def _implied(parameter: Parameter, system: str, code: str, reading: Reading) -> list[str]:
    """Codes that values of `code` elements would have, were their system this one.

    Where terminology does not know the binding, HL7's habit of naming system and value set alike decides.
    """
    found: dict[str, None] = {}
    for value_set in parameter.value_sets:
        known = reading.codes.codes_of(value_set)
        if known is not None:
            found.update({each: None for owner, each in known if owner == system and code in ("", each)})
        elif code and system == (_MEDIA_TYPES if value_set == _MIME else value_set.replace("/ValueSet/", "/")):
            found[code] = None
    return list(found)


def _of_type(parameter: Parameter, name: str, value: str) -> Predicate:
    parts = split_token(value)
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise refused(parameter.code, "':of-type' takes system|code|value.")
    return Equals(name, of_type_key(*parts))


def _within(parameter: Parameter, name: str, value: str, reading: Reading) -> Predicate:
    """`:in`, with a canonical URL or the place of a set that is kept here; the caller negates it for `:not-in`."""
    url = Bases.of(reading.bases).local("|".join(split_token(value)))
    known = reading.codes.codes_of(url)
    if known is None:
        raise refused(parameter.code, "the value set is not known here or cannot be expanded.", "not-found")
    return _one_of(parameter, name, known)


def _one_of(parameter: Parameter, name: str, coded: Collection[Coded]) -> Predicate:
    if len(coded) > _MOST_CODES:
        raise refused(parameter.code, "the value set has too many codes to search by.", "too-costly")
    keys = {token_key(code, system): None for system, code in coded}
    if "code" in parameter.kinds:
        keys |= {token_key(code): None for _, code in coded}
    return OneOf(name, tuple(keys)) if keys else NOTHING


def _subsumed(parameter: Parameter, name: str, modifier: str, value: str, reading: Reading) -> Predicate:
    parts = split_token(value)
    if len(parts) == 1 and _MIME in parameter.value_sets:
        return _mime(name, parts[0], modifier)
    if len(parts) != 2 or not parts[0] or not parts[1]:
        raise refused(parameter.code, f"':{modifier}' takes system|code.")
    system, code = parts
    ask = reading.codes.ancestors if modifier == "above" else reading.codes.descendants
    known = ask(system, code)
    # A code stands above and below itself, also where its system is not known here.
    return _one_of(parameter, name, [(system, each) for each in dict.fromkeys((code, *(known or ())))])


def _mime(name: str, kind: str, modifier: str) -> Predicate:
    """A media type stands above itself with parameters, and `text` above `text/xml`."""
    folded = folded_code(kind, "")
    if modifier == "below":
        separator = ";" if "/" in folded else "/"
        return Any((Equals(name, f"{folded}|"), Between(name, folded + separator, folded + separator + "~")))
    media = folded.partition(";")[0]
    above = dict.fromkeys((folded, media, media.partition("/")[0]))
    return OneOf(name, tuple(f"{each}|" for each in above))
