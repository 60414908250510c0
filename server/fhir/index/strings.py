"""String parameters (R4 3.1.1.4.9): a key is the folded text, U+001F and the text itself.

One key answers all three: a start is a range, `:contains` a pattern before the U+001F, `:exact` the whole key. Each
part of a name or an address has a key of its own. The further words of a family name are kept beside it, where sorting
does not see them: so `Quinones` finds Carreno Quinones.
"""

from __future__ import annotations

from functools import lru_cache

from server.fhir.index.facets import LAST, SEPARATOR, WORD, Emitter, Found, Json
from server.fhir.index.folding import MAX_LENGTH, composed, fold
from server.fhir.index.parameters import Parameter
from server.fhir.index.reading import refused
from server.fhir.index.routes import FAMILY
from server.fhir.index.splitting import unescape
from storage.query import Any, Between, Equals, Like, Predicate

_NAME = ("text", "given", "prefix", "suffix")
_ADDRESS = ("text", "line", "city", "district", "state", "postalCode", "country")
_WORDED = frozenset({"HumanName", FAMILY})
_LONGEST = 4000
"""A pattern of a store has at most 4096 characters."""


@lru_cache(maxsize=1 << 14)
def string_key(text: str) -> str:
    original = composed(text).replace(SEPARATOR, " ")
    folded = fold(text)
    return f"{folded}{SEPARATOR}{'' if original == folded else original}"


def emitter(name: str, kind: str) -> Emitter:
    """What writes the keys of values of a FHIR type."""
    match kind:
        case "HumanName":
            return _name(name)
        case "Address":
            return _parts(name, _ADDRESS)
        case _ if kind == FAMILY:
            return lambda value, found: _add_family(name, value, found)
        case _:
            return _text(name)


def _text(name: str) -> Emitter:
    def emit(value: Json, found: Found) -> None:
        if isinstance(value, str):
            found.add(name, string_key(value))
        else:
            found.meet(name, value)

    return emit


def _name(name: str) -> Emitter:
    others = _parts(name, _NAME)

    def emit(value: Json, found: Found) -> None:
        others(value, found)
        if (family := value.get("family")) is not None:
            _add_family(name, family, found)

    return emit


def _add_family(name: str, family: str, found: Found) -> None:
    key = string_key(family)
    found.add(name, key)
    for word in key.partition(SEPARATOR)[0].split(" ")[1:]:
        found.add(name + WORD, word + SEPARATOR)


def _parts(name: str, members: tuple[str, ...]) -> Emitter:
    def emit(value: Json, found: Found) -> None:
        found.meet(name, value)
        for member in members:
            part = value.get(member)
            if isinstance(part, str):
                found.add(name, string_key(part))
            elif part is not None:
                for each in part:
                    if each is not None:
                        found.add(name, string_key(each))

    return emit


def term(parameter: Parameter, name: str, modifier: str | None, value: str) -> Predicate:
    """What one string value asks of the keys under `name`."""
    text = unescape(value)
    if len(text) > _LONGEST:
        raise refused(parameter.code, f"a text has at most {_LONGEST} characters.", "too-long")
    match modifier:
        case None if parameter.kinds & _WORDED:
            return Any((starting(parameter, name, value), starting(parameter, name + WORD, value)))
        case None:
            return starting(parameter, name, value)
        case "exact":
            return Equals(name, string_key(text))
        case "contains":
            return Like(name, f"*{_folded(parameter, text)}*{SEPARATOR}*")
        case _:
            raise refused(parameter.code, f"no modifier ':{modifier}' on a string parameter.", "invalid")


def starting(parameter: Parameter, name: str, value: str) -> Predicate:
    """Texts that begin so, folded."""
    folded = _folded(parameter, unescape(value))
    return Between(name, folded, folded + LAST)


def _folded(parameter: Parameter, text: str) -> str:
    folded = fold(text[:MAX_LENGTH])
    if not folded:
        raise refused(parameter.code, "a text needs a letter or a digit.")
    return folded
