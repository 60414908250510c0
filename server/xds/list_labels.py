"""How secret a submission set or folder is: as the least secret document it holds, so it shows where one of these does.

Its title and sender speak of what it holds, and whoever sees none of that may not learn it from the List. Labels of an
entry never change (a correction is an entry of its own), so those of a List change only with its members.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.access.labels import LEVELS, labels_of, level_of
from server.xds.fhir_codes import coding, level
from server.xds.metadata import Code, DocumentEntry


def shared_labels(documents: Iterable[DocumentEntry]) -> tuple[Code, ...]:
    """The lowest level, and what labels them all; nothing where there are none."""
    labelled = [each.confidentiality_codes for each in documents]
    if not labelled:
        return ()
    levels = [_level(each) for each in labelled]
    lowest = min(-1 if each is None else each for each in levels)
    others = [labels_of(map(coding, each)) for each in labelled[1:]]
    common = (each for each in labelled[0] if _level([each]) is None or len(each.code) > 1)
    shared = tuple(each for each in common if all(each.code in labels for labels in others))
    return (*((level(LEVELS[lowest]),) if lowest >= 0 else ()), *shared)


def _level(codes: Sequence[Code]) -> int | None:
    return level_of(map(coding, codes))
