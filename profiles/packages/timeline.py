"""The operation `$timeline`: what was imaged, reported, measured and noted of a patient, in one order of time."""

from __future__ import annotations

from typing import Any

from profiles.packages.canonical import head

_TEXT = """\
Gives imaging studies, their reports, vital signs, scores, fluids and nursing notes of a period in order of time, and
for each study the nearest value of each item before and after it.

The answer is a Bundle of type `collection`. Its first entry is a Parameters resource, the table; the entries after it
are the resources themselves, each once, in the same order. In the table each `event` has the parts `kind`
(`imaging-study`, `report`, `observation`, `note`), `resource` (a reference), `time` as recorded, `start` and `end` (the
interval it stands for: a day without a time of day is the whole day), and for observations one `value` for each coded
item, with `code`, `quantity` in the unit of the item and `recorded` where that is another unit. `duplicate` parts
name readings folded into the event: same device, code, time and value.

Each `study` has the parts `resource`, `time` and one `nearest` for each item, with `code`, and `before` and `after`,
each with `resource`, `quantity`, `time` and `minutes`: the signed distance to the study, 0 where the recorded interval
holds the study's time. Nothing is interpolated: where no value lies within the window the part is absent.

Times are compared as instants and given with the offset they were recorded with. What was entered in error is left out.
"""


def resources() -> tuple[dict[str, Any], ...]:
    return (
        head("OperationDefinition", "Patient-timeline", "PatientTimeline", "Timeline of a patient", _TEXT)
        | {
            "kind": "operation",
            "affectsState": False,
            "code": "timeline",
            "resource": ["Patient"],
            "system": False,
            "type": False,
            "instance": True,
            "parameter": [
                _in("start", "date", "Begin of the period, inclusive. A week before its end where absent."),
                _in("end", "date", "End of the period, inclusive. Now where absent."),
                _in("code", "string", "Only these items: LOINC codes; several with commas.", maximum="*"),
                _in("around", "string", "One study: a reference to an ImagingStudy, its id, or a Study Instance UID. "
                    "Then the period is the study's time with its window, where none is given."),
                _in("window", "string", "How far a value may be from a study: `4h`, or before and after as `4h/30min`; "
                    "units are min, h and d. Where absent each item has its own: 4 h for vital signs and pain, 30 d "
                    "before for weight, 365 d before for height, 7 d before for risk scores, a day for fluids."),
                {
                    "name": "return",
                    "use": "out",
                    "min": 1,
                    "max": "1",
                    "documentation": "The table and the resources, in order of time.",
                    "type": "Bundle",
                },
            ],
        },
    )  # fmt: skip


def _in(name: str, kind: str, text: str, maximum: str = "1") -> dict[str, Any]:
    return {"name": name, "use": "in", "min": 0, "max": maximum, "documentation": text, "type": kind}
