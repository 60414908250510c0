"""The names in a retrieve path: UIDs and frame lists, checked before anything is looked up (PS3.18 10.1)."""

from __future__ import annotations

import re

from server.dicom.uid import is_uid
from server.http.surface import Call
from server.kernel.problem import Kind, Problem

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"

_FRAMES = re.compile(r"\s*[0-9]{1,10}\s*(?:,\s*[0-9]{1,10}\s*)*", re.ASCII)
_MOST_FRAMES = 10_000


def study_of(call: Call) -> str:
    return _uid(call, "study", "Study")


def series_of(call: Call) -> tuple[str, str]:
    return study_of(call), _uid(call, "series", "Series")


def instance_of(call: Call) -> tuple[str, str, str]:
    return *series_of(call), _uid(call, "instance", "SOP")


def level_of(call: Call) -> tuple[str, str | None, str | None]:
    """Study, series and instance, the latter two where the path names them."""
    study = study_of(call)
    series = _uid(call, "series", "Series") if "series" in call.path else None
    return study, series, _uid(call, "instance", "SOP") if "instance" in call.path else None


def frames_of(call: Call) -> tuple[int, ...]:
    """The frame numbers in the order asked, each once (PS3.18 10.4)."""
    text = call.path["frames"]
    if not _FRAMES.fullmatch(text):
        raise Problem(Kind.INVALID, "A frame list is frame numbers from 1, separated by commas.")
    if text.count(",") >= _MOST_FRAMES:
        raise Problem(Kind.INVALID, f"A frame list names at most {_MOST_FRAMES} frames.")
    numbers = tuple(int(each) for each in text.split(","))
    if 0 in numbers:
        raise Problem(Kind.INVALID, "Frames are numbered from 1.")
    if len(set(numbers)) != len(numbers):
        raise Problem(Kind.INVALID, "A frame list names each frame once.")
    return numbers


def _uid(call: Call, name: str, kind: str) -> str:
    uid = call.path[name]
    if not is_uid(uid):
        raise Problem(Kind.INVALID, f"The {kind} Instance UID in the path is not a UID (PS3.5 9.1).")
    return uid
