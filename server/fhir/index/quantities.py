"""Number and quantity parameters (R4 3.1.1.4.5, 3.1.1.4.11): texts that sort as the numbers do.

A quantity has its bare number under its name; under `name:unit` the number after its code and after its unit; under
`name:ucum` the number in UCUM's base units, so that milligrams meet grams; and under `name:coded` the number after
`code|system` where UCUM has no say. A bare number asks for the stated value, whatever its unit.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from profiles.ucum import canonical
from server.fhir.index.dates import split_prefix
from server.fhir.index.facets import CODED, SEPARATOR, UCUM, UNIT, Emitter, Found, Json
from server.fhir.index.numbers import Stated, compared, number_text, stated
from server.fhir.index.parameters import Parameter
from server.fhir.index.reading import refused
from server.fhir.index.splitting import split_token, unescape
from server.fhir.index.tokens import UCUM_SYSTEM, marked_system, token_key
from storage.query import All, Any, Exists, Like, Predicate

CURRENCIES = "urn:iso:std:iso:4217"
_INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt"})


def number_emitter(name: str, kind: str) -> Emitter:
    """What writes the keys of plain numbers; of a range both ends count."""
    if kind == "Range":
        return _ends(number_emitter(name, "Quantity"))

    def emit(value: Json, found: Found) -> None:
        number = value.get("value") if isinstance(value, dict) else value
        if isinstance(number, int | Decimal):
            found.add(name, number_text(Decimal(number)))
        else:
            found.meet(name, value)

    return emit


def _ends(emit: Emitter) -> Emitter:
    def emit_ends(value: Json, found: Found) -> None:
        for end in ("low", "high"):
            if end in value:
                emit(value[end], found)

    return emit_ends


def quantity_emitter(name: str, kind: str) -> Emitter:
    """What writes the keys of quantities and amounts of money; of a range both ends count."""
    if kind == "Range":
        return _ends(quantity_emitter(name, "Quantity"))
    is_money = kind == "Money"
    unit_name, coded_name, ucum_name = name + UNIT, name + CODED, name + UCUM

    def emit(value: Json, found: Found) -> None:
        number = value.get("value") if isinstance(value, dict) else None
        if number is None:
            found.meet(name, value)
            return
        if is_money:
            unit, system, code = None, CURRENCIES, value.get("currency")
        else:
            unit, system, code = value.get("unit"), value.get("system"), value.get("code")
        text, units, coded, ucum = _keys(Decimal(number), unit, system, code)
        found.add(name, text)
        for each in units:
            found.add(unit_name, each)
        if ucum:
            found.add(ucum_name, ucum)
        elif coded:
            found.add(coded_name, coded)

    return emit


@lru_cache(maxsize=1 << 14)
def _keys(
    number: Decimal, unit: str | None, system: str | None, code: str | None
) -> tuple[str, tuple[str, ...], str | None, str | None]:
    text = number_text(number)
    units = tuple(f"{each}{SEPARATOR}{text}" for each in dict.fromkeys((code, unit)) if each)
    if not code or not system:
        return text, units, None, None
    common = canonical(number, code) if system == UCUM_SYSTEM else None
    if common:
        return text, units, None, f"{common[1]}{SEPARATOR}{number_text(common[0])}"
    return text, units, f"{token_key(code, system)}{SEPARATOR}{text}", None


def number_term(parameter: Parameter, name: str, modifier: str | None, value: str) -> Predicate:
    """What one number asks of the keys under `name`; whole numbers compare exactly."""
    _check_modifier(parameter, modifier)
    prefix, number = _number(parameter, unescape(value))
    return compared(name, prefix, number, is_exact=bool(parameter.kinds) and parameter.kinds <= _INTEGERS)


def quantity_term(parameter: Parameter, name: str, modifier: str | None, value: str) -> Predicate:
    """What `number`, `number|system|code`, `number||code` or `number|system` asks of the keys under `name`."""
    _check_modifier(parameter, modifier)
    parts = split_token(value)
    if len(parts) > 3:
        raise refused(parameter.code, "a quantity is number|system|code.")
    prefix, number = _number(parameter, parts[0])
    system, code = (*parts[1:], "", "")[:2]
    if not code:
        plain = compared(name, prefix, number)
        return All((plain, _of_system(name, system))) if system else plain
    if not system:
        return compared(name + UNIT, prefix, number, code + SEPARATOR)
    if system == UCUM_SYSTEM and (converted := _converted(number, code)):
        common, unit = converted
        return compared(name + UCUM, prefix, common, unit + SEPARATOR)
    return compared(name + CODED, prefix, number, token_key(code, system) + SEPARATOR)


def _of_system(name: str, system: str) -> Predicate:
    """Some value has a code of the system."""
    coded = Like(name + CODED, f"*|{marked_system(system)}{SEPARATOR}*")
    return Any((coded, Exists(name + UCUM))) if system == UCUM_SYSTEM else coded


def _converted(number: Stated, code: str) -> tuple[Stated, str] | None:
    """A stated number and what it stands for in base units."""
    value, low, high = (canonical(each, code) for each in (number.value, number.low, number.high))
    if value is None or low is None or high is None:
        return None
    return Stated(value[0], min(low[0], high[0]), max(low[0], high[0])), value[1]


def _number(parameter: Parameter, text: str) -> tuple[str, Stated]:
    prefix, digits = split_prefix(text)
    number = stated(digits)
    if number is None:
        raise refused(parameter.code, "not a number.")
    return prefix, number


def _check_modifier(parameter: Parameter, modifier: str | None) -> None:
    if modifier is not None:
        raise refused(parameter.code, f"no modifier ':{modifier}' on a {parameter.type} parameter.", "invalid")
