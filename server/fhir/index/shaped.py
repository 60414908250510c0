"""One key of subject, code and time for Observations: the latest values of a code for a patient are one short range.

A key is `Type/id`, U+001F, a code without its system (folded), U+001F and the end of the time in sixteen hexadecimal
digits that sort as the moments do. What such a range leaves open, the terms of the search itself still say.
"""

from __future__ import annotations

from server.fhir.index.facets import SEPARATOR, Found
from storage.query import Key

NAME = "@subject,code,date"
TYPES = frozenset({"Observation"})
OFFSET = 1 << 63
"""Added to a moment, so that earlier ones than 1970 are no negative numbers."""

_SUBJECT, _CODE, _DATE = "subject", "code", "date"


def keys(found: Found) -> frozenset[Key]:
    """The keys of an Observation whose subject and code have theirs; one without a time comes before all times."""
    ends = [f"{end + OFFSET:016x}" for _, end in found.spans.get(_DATE, ())] or [""]
    codes = {str(each).partition("|")[0].casefold() for each in found.keys.get(_CODE, ())}
    return frozenset(
        f"{subject}{SEPARATOR}{code}{SEPARATOR}{end}"
        for subject in found.keys.get(_SUBJECT, ())
        for code in codes
        for end in ends
    )
