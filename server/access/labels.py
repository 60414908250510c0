"""Security labels as an order and a hierarchy: confidentiality U < L < M < N < R < V, and codes of sensitivity.

HL7 v3 Confidentiality and v3 ActCode (_InformationSensitivityPolicy). The published hierarchy keeps alcohol and opioid
use apart from ETH, substance abuse; here they are under it as well, so that a rule about ETH covers them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

LEVELS = "ULMNRV"
"""From unrestricted to very restricted: a level is a place in this text."""
NORMAL, RESTRICTED = LEVELS.index("N"), LEVELS.index("R")

_CONFIDENTIALITY = frozenset({
    "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "http://hl7.org/fhir/v3/Confidentiality",
    "urn:oid:2.16.840.1.113883.5.25", "",
})  # fmt: skip
_ABOVE: Mapping[str, tuple[str, ...]] = {
    "BH": ("SPI",), "COGN": ("BH",), "DVD": ("BH",), "EMOTDIS": ("BH",),
    "MH": ("SPI",), "PSY": ("SPI",), "PSYTHPN": ("SPI",), "SUD": ("SPI",),
    "ETHUD": ("ETH", "SUD"), "OPIOIDUD": ("ETH", "SUD"),
    **dict.fromkeys(
        ("ETH", "GDIS", "HIV", "MST", "SCA", "SDV", "SEX", "SICKLE", "SPI", "STD", "TBOO", "VIO",
         "ADOL", "CEL", "DIA", "DRGIS", "EMP", "PDS", "PHY", "PRS"),
        (),
    ),
}  # fmt: skip
"""Each code of sensitivity and the codes right above it."""


@cache
def with_ancestors(code: str) -> frozenset[str]:
    """The code and all codes that cover it."""
    return frozenset((code,)).union(*(with_ancestors(each) for each in _ABOVE.get(code, ())))


def level_of(codings: Iterable[Mapping[str, Any]]) -> int | None:
    """The highest confidentiality told; a sensitivity alone means restricted, and no label at all nothing."""
    highest: int | None = None
    sensitive = False
    for each in codings:
        code = each.get("code", "")
        sensitive = sensitive or code in _ABOVE
        if len(code) == 1 and code in LEVELS and each.get("system", "") in _CONFIDENTIALITY:
            highest = max(LEVELS.index(code), highest or 0)
    return RESTRICTED if highest is None and sensitive else highest


def labels_of(codings: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Every code and what covers it."""
    return frozenset().union(*(with_ancestors(code) for each in codings if (code := each.get("code"))))
