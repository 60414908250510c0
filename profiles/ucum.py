"""Units of measure as UCUM writes them: whether a code is valid, and exact conversion (UCUM 2.2, case-sensitive form).

A unit is a factor, kept as a fraction, and the exponents of what it is measured in: UCUM's seven base units, and
besides each arbitrary unit (`[IU]`, `[CFU]`) and each scale that is no ratio (`[pH]`, `B`), which convert into nothing
else. Temperatures have a zero point of their own, so a product with one is valid but has no conversion. Rejected: the
libraries on PyPI, which build on pint's floating-point registry and take seconds to load.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, DecimalException, InvalidOperation
from fractions import Fraction
from functools import cache, lru_cache

from profiles.ucum_units import (
    ARBITRARY,
    BASE,
    METRIC,
    METRIC_ARBITRARY,
    METRIC_SCALES,
    OFFSETS,
    OTHER,
    PREFIXES,
    SCALES,
)  # fmt: skip

DIGITS = 14
"""Significant digits of a converted value: fewer than the constants of nature have, more than any device."""

_LONGEST = 256
_DEEPEST = 16
_HIGHEST_EXPONENT = 64
_MOST_DIGITS = 32

_Dimensions = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Unit:
    factor: Fraction
    dimensions: _Dimensions
    """By name, sorted, none with exponent zero."""
    zero: Fraction = Fraction(0)
    """What must be added once multiplied: of temperature scales."""
    can_convert: bool = True

    def times(self, other: _Unit, exponent: int) -> _Unit:
        powers = dict(self.dimensions)
        for name, power in other.dimensions:
            powers[name] = powers.get(name, 0) + power * exponent
        kept = tuple(sorted((name, power) for name, power in powers.items() if power))
        can_convert = self.can_convert and other.can_convert and not (self.zero or other.zero)
        return _Unit(self.factor * other.factor**exponent, kept, can_convert=can_convert)


_ONE = _Unit(Fraction(1), ())


def is_valid(code: str) -> bool:
    """Whether the code is an expression of UCUM."""
    return _unit(code) is not None


def canonical_unit(code: str) -> str | None:
    """The base units of a code, in UCUM's writing: `m-1.s-2.g` for `mm[Hg]`."""
    conversion = _conversion(code)
    return conversion.unit if conversion else None


def canonical(value: Decimal, code: str) -> tuple[Decimal, str] | None:
    """A value in base units, to 14 significant digits; `None` where the code is invalid or cannot be converted."""
    conversion = _conversion(code)
    if conversion is None:
        return None
    try:
        product = _WIDE.add(_WIDE.multiply(value, conversion.numerator), conversion.zero)
        return _NARROW.divide(product, conversion.denominator), conversion.unit
    except DecimalException:
        return None


def convert(value: Decimal, from_code: str, to_code: str) -> Decimal | None:
    """A value in another unit of the same kind, to 14 significant digits; `None` where the kinds differ."""
    source, target = _conversion(from_code), _conversion(to_code)
    if source is None or target is None or source.unit != target.unit:
        return None
    try:
        product = _WIDE.add(_WIDE.multiply(value, source.numerator), source.zero)
        shifted = _WIDE.subtract(_WIDE.multiply(product, target.denominator), target.scaled_zero(source))
        return _NARROW.divide(shifted, _WIDE.multiply(source.denominator, target.numerator))
    except DecimalException:
        return None


_WIDE = Context(prec=400, rounding=ROUND_HALF_EVEN, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[InvalidOperation])
_NARROW = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[InvalidOperation])


@dataclass(frozen=True, slots=True)
class _Conversion:
    """base = (value x numerator + zero) / denominator, all whole numbers."""

    numerator: Decimal
    denominator: Decimal
    zero: Decimal
    unit: str

    def scaled_zero(self, source: _Conversion) -> Decimal:
        return _WIDE.multiply(self.zero, source.denominator)


@lru_cache(maxsize=4096)
def _conversion(code: str) -> _Conversion | None:
    unit = _unit(code)
    if unit is None or not unit.can_convert:
        return None
    denominator = unit.factor.denominator * unit.zero.denominator
    return _Conversion(
        numerator=Decimal(unit.factor.numerator * unit.zero.denominator),
        denominator=Decimal(denominator),
        zero=Decimal(unit.zero.numerator * unit.factor.denominator),
        unit=".".join(f"{name}{power if power != 1 else ''}" for name, power in _ordered(unit.dimensions)) or "1",
    )


def _ordered(dimensions: _Dimensions) -> Iterator[tuple[str, int]]:
    powers = dict(dimensions)
    for name in dict.fromkeys((*BASE, *powers)):
        if name in powers:
            yield name, powers[name]


@lru_cache(maxsize=4096)
def _unit(code: str) -> _Unit | None:
    if not 0 < len(code) <= _LONGEST:
        return None
    try:
        return _Reader(code).read()
    except _BadUnit:
        return None


class _BadUnit(Exception):
    """The code is no expression of UCUM."""


_TOKEN = re.compile(
    r"(?P<annotation>\{[!-z|~]*\})|(?P<operator>[./])|(?P<open>\()|(?P<close>\))|(?P<number>[0-9]+(?![0-9*^]))"
    r"|(?P<symbol>(?:10[*^]|(?:[!#-'*,:-Z\\^-z|~]|\[[!-Z\\^-~]*\])+))(?P<exponent>[+-]?[0-9]+)?"
)


class _Reader:
    """Reads one expression from left to right; `.` and `/` bind alike and to the left."""

    def __init__(self, code: str) -> None:
        self._tokens = list(_tokens(code))
        self._at = 0
        self._depth = 0

    def read(self) -> _Unit:
        found = self._term()
        if self._at < len(self._tokens):
            raise _BadUnit
        return found

    def _kind(self) -> str | None:
        return self._tokens[self._at].kind if self._at < len(self._tokens) else None

    def _term(self) -> _Unit:
        """A leading `/` divides one."""
        found = _ONE.times(self._component(), -1) if self._taken("/") else self._component()
        while self._kind() == "operator":
            exponent = 1 if self._next().text == "." else -1
            found = found.times(self._component(), exponent)
        return found

    def _component(self) -> _Unit:
        token = self._next()
        match token.kind:
            case "annotation":
                return _ONE
            case "number":
                found = _number(token.text)
            case "symbol":
                found = _simple(token.text, token.exponent)
            case "open":
                found = self._group()
            case _:
                raise _BadUnit
        if self._kind() == "annotation":
            self._next()
        return found

    def _group(self) -> _Unit:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _BadUnit
        found = self._term()
        if self._next().kind != "close":
            raise _BadUnit
        self._depth -= 1
        return found

    def _next(self) -> _Token:
        if self._at >= len(self._tokens):
            raise _BadUnit
        self._at += 1
        return self._tokens[self._at - 1]

    def _taken(self, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].text == text:
            self._at += 1
            return True
        return False


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    exponent: int = 1


def _tokens(code: str) -> Iterator[_Token]:
    at = 0
    while at < len(code):
        found = _TOKEN.match(code, at)
        if found is None:
            raise _BadUnit
        kind = next(name for name in ("annotation", "operator", "open", "close", "number", "symbol") if found[name])
        yield _Token(kind, found[kind], _exponent(found["exponent"]))
        at = found.end()


def _exponent(text: str | None) -> int:
    if text is None:
        return 1
    if len(text) > 4 or abs(int(text)) > _HIGHEST_EXPONENT:
        raise _BadUnit
    return int(text)


def _number(text: str) -> _Unit:
    if len(text) > _MOST_DIGITS or int(text) == 0:
        raise _BadUnit
    return _Unit(Fraction(int(text)), ())


def _simple(symbol: str, exponent: int) -> _Unit:
    unit = _symbol(symbol)
    if exponent == 1:
        return unit
    return _ONE.times(unit, exponent)


@lru_cache(maxsize=2048)
def _symbol(symbol: str) -> _Unit:
    """An atom, or a prefix and a metric atom."""
    if symbol in _atoms():
        return _atom(symbol)
    for length in (2, 1):
        prefix, atom = symbol[:length], symbol[length:]
        if prefix in PREFIXES and atom in _atoms() and _atoms()[atom][0]:
            unit = _atom(atom)
            return _Unit(unit.factor * Fraction(PREFIXES[prefix]), unit.dimensions, unit.zero, unit.can_convert)
    raise _BadUnit


@cache
def _atom(symbol: str) -> _Unit:
    if symbol in OFFSETS:
        factor, zero = (Fraction(each) for each in OFFSETS[symbol])
        return _Unit(factor, (("K", 1),), zero)
    described = _atoms()[symbol][1]
    if described is None:
        return _Unit(Fraction(1), ((symbol, 1),))
    value, _, unit = described.partition(" ")
    found = _Reader(unit).read()
    return _Unit(Fraction(value) * found.factor, found.dimensions)


@cache
def _atoms() -> Mapping[str, tuple[bool, str | None]]:
    """Each atom: whether it takes prefixes, and what it is in terms of others (`None`: of nothing but itself)."""
    found: dict[str, tuple[bool, str | None]] = dict.fromkeys(BASE, (True, None))
    for is_metric, table in ((True, METRIC), (False, OTHER)):
        for entry in table.split(";"):
            name, found_sign, described = entry.strip().partition("=")
            if found_sign:
                found[name] = (is_metric, described)
    found |= {name: (name in METRIC_ARBITRARY, None) for name in ARBITRARY.split()}
    found |= {name: (name in METRIC_SCALES, None) for name in SCALES.split()}
    found |= {name: (name == "Cel", None) for name in OFFSETS}
    return found
