"""Purposes of use as a hierarchy: HL7 v3 ActReason, everything below PurposeOfUse.

Break-glass lies below emergency treatment and so below treatment: whoever declares it may at least what treatment may,
and what forbids treatment forbids it too, unless a nested provision permits it by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache

TREATMENT, BREAK_GLASS = "TREAT", "BTG"

_BELOW: Mapping[str, tuple[str, ...]] = {
    "HOPERAT": (
        "CAREMGT", "DONAT", "FRAUD", "GOV", "HACCRED", "HCOMPL", "HDECD", "HDIRECT", "HDM", "HLEGAL", "HOUTCOMS",
        "HPRGRP", "HQUALIMP", "HSYSADMIN", "MEMADMIN", "MILCDM", "PATADMIN", "PATSFTY", "PERFMSR", "RECORDMGT",
        "SYSDEV", "TRAIN",
    ),
    "HSYSADMIN": ("LABELING", "METAMGT"),
    "SYSDEV": ("HTEST",),
    "HPAYMT": ("CLMATTCH", "COVAUTH", "COVERAGE", "REMITADV"),
    "COVERAGE": ("ELIGDTRM", "ELIGVER", "ENROLLM", "MILDCRG"),
    "HRESCH": ("BIORCH", "CLINTRCH", "DSRCH", "POARCH", "TRANSRCH"),
    "CLINTRCH": ("CLINTRCHNPC", "CLINTRCHPC", "PRECLINTRCH"),
    "PATRQT": ("FAMRQT", "PWATRNY", "SUPNWK"),
    "PUBHLTH": ("DISASTER", "THREAT"),
    "TREAT": ("CLINTRL", "COC", "ETREAT", "POPHLTH"),
    "ETREAT": ("BTG", "ERTREAT"),
    "PurposeOfUse": ("HMARKT", "HOPERAT", "HPAYMT", "HRESCH", "PATRQT", "PUBHLTH", "TREAT"),
}  # fmt: skip
_ABOVE = {code: above for above, codes in _BELOW.items() for code in codes}


def is_known(purpose: str) -> bool:
    """Whether it is one of ActReason's."""
    return purpose in _ABOVE


@cache
def with_wider(purpose: str) -> frozenset[str]:
    """The purpose and all that cover it; a code of another vocabulary is covered by itself alone."""
    above = _ABOVE.get(purpose)
    return frozenset((purpose,)) if above is None else with_wider(above) | {purpose}


def covers(listed: Collection[str] | None, purpose: str) -> bool:
    """Whether what speaks of these purposes (`None`: of all) speaks of this one; nothing covers a purpose not told."""
    if not purpose:
        return False
    return listed is None or not with_wider(purpose).isdisjoint(listed)
