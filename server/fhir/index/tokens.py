"""Token parameters (R4 3.1.1.4.10): a key is `code|system`, folded to lower case but for UCUM's codes.

So a code in any system is a run of keys, and a code with its system one key. A `code` element has no system of its
own: what its binding implies is asked of terminology when a search names a system, and is not in the key.
A `|` within a code, and what a pattern would read as a wildcard in a system, stand as control characters.
"""

from __future__ import annotations

import re
from functools import lru_cache

from server.fhir.index.facets import OF_TYPE, TEXT, Emitter, Found, Json
from server.fhir.index.folding import fold

UCUM_SYSTEM = "http://unitsofmeasure.org"
CODE_MARKS = str.maketrans({"|": "\x1e"})
_SYSTEM_MARKS = str.maketrans({"*": "\x1c", "?": "\x1d"})
_PHONE_MARKS = re.compile(r"[\s().\-/]+")
_PHONES = frozenset({"phone", "fax", "pager", "sms"})
EXACT = frozenset({"uri", "url", "canonical", "oid", "uuid", "id"})
"""Types of which case tells values apart."""


@lru_cache(maxsize=1 << 15)
def token_key(code: str, system: str = "") -> str:
    """The key of a code in a system; without one the system is empty."""
    return f"{folded_code(code, system)}|{marked_system(system)}"


def marked_system(system: str) -> str:
    return system.translate(_SYSTEM_MARKS)


def folded_code(code: str, system: str) -> str:
    return (code if system == UCUM_SYSTEM else code.casefold()).translate(CODE_MARKS)


def emitter(name: str, kind: str) -> Emitter:
    """What writes the keys of values of a FHIR type."""
    match kind:
        case "CodeableConcept":
            return _concepts(name)
        case "Coding":
            return _codings(name)
        case "Identifier":
            return _identifiers(name)
        case "ContactPoint":
            return _contacts(name)
        case "boolean":
            return lambda value, found: found.add(name, "true|" if value else "false|")
        case _ if kind in EXACT:
            return _exact(name)
        case _:
            return _plain(name)


def _coding(name: str, value: Json, found: Found) -> bool:
    code = value.get("code")
    system = value.get("system")
    if code is None and system is None:
        return False
    found.add(name, token_key(code or "", system or ""))
    return True


def _text(name: str, text: str | None, found: Found) -> None:
    if text and (folded := fold(text)):
        found.add(name, folded)


def _concepts(name: str) -> Emitter:
    text_name = name + TEXT

    def emit(value: Json, found: Found) -> None:
        has_key = False
        for each in value.get("coding", ()):
            has_key = _coding(name, each, found) or has_key
            _text(text_name, each.get("display"), found)
        _text(text_name, value.get("text"), found)
        if not has_key:
            found.meet(name, value)

    return emit


def _codings(name: str) -> Emitter:
    text_name = name + TEXT

    def emit(value: Json, found: Found) -> None:
        if not _coding(name, value, found):
            found.meet(name, value)
        _text(text_name, value.get("display"), found)

    return emit


def _identifiers(name: str) -> Emitter:
    text_name, type_name = name + TEXT, name + OF_TYPE

    def emit(value: Json, found: Found) -> None:
        number, system, kind = value.get("value"), value.get("system"), value.get("type")
        if number is None and system is None:
            found.meet(name, value)
        else:
            found.add(name, token_key(number or "", system or ""))
        if kind is None:
            return
        _text(text_name, kind.get("text"), found)
        for each in kind.get("coding", ()) if number is not None else ():
            found.add(type_name, of_type_key(each.get("system", ""), each.get("code", ""), number))

    return emit


def of_type_key(system: str, code: str, number: str) -> str:
    return f"{number.casefold().translate(CODE_MARKS)}|{token_key(code, system)}"


def _contacts(name: str) -> Emitter:
    def emit(value: Json, found: Found) -> None:
        text = value.get("value")
        if text is None:
            found.meet(name, value)
        else:
            found.add(name, token_key(dialled(text) if value.get("system") in _PHONES else text))

    return emit


def dialled(number: str) -> str:
    return _PHONE_MARKS.sub("", number)


def _exact(name: str) -> Emitter:
    return lambda value, found: found.add(name, f"{value.translate(CODE_MARKS)}|")


def _plain(name: str) -> Emitter:
    def emit(value: Json, found: Found) -> None:
        if isinstance(value, str):
            found.add(name, token_key(value))
        else:
            found.meet(name, value)

    return emit
