"""`Location.near`: latitude and longitude in millionths of a degree, asked by a bounding box (R4, Location-near).

The box holds the circle of the distance asked, so its corners find places up to 1.42 times as far; and a millionth of
a degree is 11 cm. No distance means fifty kilometres.
"""

from __future__ import annotations

from decimal import Decimal
from math import cos, radians

from server.fhir.index.facets import Emitter, Found, Json
from server.fhir.index.parameters import Parameter
from server.fhir.index.reading import refused
from server.fhir.index.splitting import split_token
from storage.query import All, Any, Between, Predicate

LATITUDE, LONGITUDE = ":latitude", ":longitude"

_MICRO = 1_000_000
_KILOMETRES_OF_A_DEGREE = 111.195
_KILOMETRES = {"km": 1.0, "": 1.0, "m": 0.001, "cm": 0.00001, "[mi_i]": 1.609344, "mi": 1.609344, "[ft_i]": 0.0003048}
_DEFAULT_DISTANCE = 50.0
_HALF_CIRCLE = 180 * _MICRO


def emitter(name: str) -> Emitter:
    def emit(value: Json, found: Found) -> None:
        latitude, longitude = value.get("latitude"), value.get("longitude")
        if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
            found.meet(name, value)
            return
        found.add(name + LATITUDE, int(Decimal(latitude) * _MICRO))
        found.add(name + LONGITUDE, int(Decimal(longitude) * _MICRO))

    return emit


def term(parameter: Parameter, name: str, modifier: str | None, value: str) -> Predicate:
    """What `latitude|longitude|distance|units` asks."""
    if modifier is not None:
        raise refused(parameter.code, f"no modifier ':{modifier}' here.", "invalid")
    parts = split_token(value)
    if not 2 <= len(parts) <= 4:
        raise refused(parameter.code, "latitude|longitude|distance|units.")
    latitude, longitude = _degrees(parameter, parts[0], 90), _degrees(parameter, parts[1], 180)
    reach = _kilometres(parameter, parts[2:]) / _KILOMETRES_OF_A_DEGREE
    tall = Between(name + LATITUDE, _micro(latitude - reach), _micro(latitude + reach))
    narrowest = cos(radians(min(abs(latitude) + reach, 90)))
    if narrowest * 180 <= reach:
        return tall
    return All((tall, _around(name + LONGITUDE, _micro(longitude), _micro(reach / narrowest))))


def _around(name: str, middle: int, reach: int) -> Predicate:
    """Across the meridian where longitudes turn over, two ranges."""
    west, east = middle - reach, middle + reach
    if west < -_HALF_CIRCLE:
        return Any((Between(name, west + 2 * _HALF_CIRCLE, None), Between(name, None, east)))
    if east > _HALF_CIRCLE:
        return Any((Between(name, west, None), Between(name, None, east - 2 * _HALF_CIRCLE)))
    return Between(name, west, east)


def _micro(degrees: float) -> int:
    return round(degrees * _MICRO)


def _degrees(parameter: Parameter, text: str, most: int) -> float:
    number = _number(parameter, text)
    if abs(number) > most:
        raise refused(parameter.code, f"degrees from -{most} to {most}.")
    return number


def _kilometres(parameter: Parameter, parts: list[str]) -> float:
    text, unit = (*parts, "", "")[:2]
    factor = _KILOMETRES.get(unit)
    if factor is None:
        raise refused(parameter.code, "a distance is in km, m, cm, [mi_i] or [ft_i].")
    distance = _number(parameter, text) * factor if text else _DEFAULT_DISTANCE
    if distance < 0:
        raise refused(parameter.code, "a distance is not negative.")
    return min(distance, 40_000.0)


def _number(parameter: Parameter, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number != number or number in (float("inf"), float("-inf")):
        raise refused(parameter.code, "not a number.")
    return number
