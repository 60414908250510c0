"""Data sets in DICOM JSON by chance, for properties of what converts them."""

from __future__ import annotations

import base64
import struct
from typing import Any

from hypothesis import strategies as st

from server.dicom.values import number_of

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="\\^="), min_size=1)
_NAME = st.lists(_TEXT, min_size=1, max_size=5).map("^".join)


def _value_of(vr: str, one: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(one, max_size=most).map(lambda values: {"vr": vr, "Value": values} if values else {"vr": vr})


def _or_null(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Several values of which some are empty; all empty would be no value at all."""
    return st.one_of(one, st.none())


def _float32(number: float) -> float:
    value: float = struct.unpack("<f", struct.pack("<f", number))[0]
    return value


def _binary(vr: str) -> st.SearchStrategy[dict[str, Any]]:
    raw = st.binary(min_size=1, max_size=8).map(lambda value: value * 8)
    return raw.map(lambda value: {"vr": vr, "InlineBinary": base64.b64encode(value).decode()})


def _text_of(vr: str, one: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.tuples(one, st.lists(_or_null(one), max_size=2)).map(
        lambda both: {"vr": vr, "Value": [both[0], *both[1]]}
    )
    return st.one_of(several, st.just({"vr": vr}))


names = st.dictionaries(st.sampled_from(["Alphabetic", "Ideographic", "Phonetic"]), _NAME, min_size=1)
decimals = st.one_of(st.integers(-(10**14), 10**14), st.from_regex(r"-?[0-9]{1,5}\.[0-9]{1,6}", fullmatch=True))

ATTRIBUTES = {
    "LO": _text_of("LO", _TEXT.map(str.strip)),
    "CS": _text_of("CS", st.from_regex("[A-Z0-9_]{1,16}", fullmatch=True)),
    "UI": _text_of("UI", st.from_regex(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}", fullmatch=True)),
    "UT": _value_of("UT", _TEXT, 1),
    "PN": _value_of("PN", names, 2),
    "DS": _value_of("DS", decimals.map(lambda value: number_of(str(value)))),
    "IS": _value_of("IS", st.integers(-(2**31), 2**31)),
    "US": _value_of("US", st.integers(0, 65535)),
    "SL": _value_of("SL", st.integers(-(2**31), 2**31 - 1)),
    "UV": _value_of("UV", st.one_of(st.integers(0, 2**53), st.integers(2**53 + 1, 2**64 - 1).map(str))),
    "FL": _value_of("FL", st.floats(-1e30, 1e30).map(_float32)),
    "FD": _value_of("FD", st.floats(allow_nan=False, allow_infinity=False)),
    "AT": _value_of("AT", st.from_regex("[0-9A-F]{8}", fullmatch=True)),
    "OB": _binary("OB"),
    "OW": _binary("OW"),
    "UN": _binary("UN"),
}

_TAGS = st.from_regex("00(11|19|29)(10|11)[0-9A-F]{2}|0054[0-9A-F]{3}[1-9]|0072[0-9A-F]{3}[1-9]", fullmatch=True)
_CREATORS = {
    f"{group}00{block}": {"vr": "LO", "Value": [f"CREATOR {block}"]}
    for group in ("0011", "0019", "0029")
    for block in ("10", "11")
}


def _with_creators(attributes: dict[str, Any]) -> dict[str, Any]:
    """A public attribute sent as UN is read as what the dictionary says it is, so only private ones are."""
    told = {tag: each for tag, each in attributes.items() if each["vr"] != "UN" or int(tag[3], 16) % 2}
    return dict(sorted({**_CREATORS, **told}.items()))


def _items(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    datasets = st.dictionaries(_TAGS, inner, max_size=3).map(_with_creators)
    sequences = st.lists(st.one_of(datasets, st.just({})), max_size=2)
    return sequences.map(lambda items: {"vr": "SQ", "Value": items} if items else {"vr": "SQ"})


attributes = st.recursive(st.one_of(*ATTRIBUTES.values()), _items, max_leaves=6)
datasets = st.dictionaries(_TAGS, attributes, max_size=8).map(_with_creators)
"""Any attributes, private ones with their creators; no identifiers."""
