"""The operation `$timeline`: what was imaged, reported, measured and noted of a patient, in one order of time."""

from __future__ import annotations

from typing import Any

from profiles.packages.canonical import head

_TEXT = """\
Gives imaging studies, their reports, observations of nurses and notes of a period in order of time, and for studies the
nearest value of each item before and after them.

The answer is a Bundle of type `collection`. Its first entry is a Parameters resource, the table: `patient`, `period`,
then one `event` for each resource of the period and one `study` for each study that is read against values. The entries
after it are the resources themselves, each once: those of the events in the same order, then those that lie outside the
period and are near a study. A patient of whom nothing is known in the period has a table without events.

Events are ImagingStudy resources by `started`; DiagnosticReport resources with an imagingStudy, or a category of
radiology or imaging, by `effective[x]` or, without that, `issued`; Composition resources of any type by `date`; and
Observation resources by `effective[x]`: those of the categories vital-signs, survey and exam, or, where `code` is
given, those of these codes in any category. What has no such time, was entered in error or cancelled is left out, and
so is a report that another one of the period replaces (extension diagnosticReport-replaces).

Each `event` has the parts `kind` (`imaging-study`, `report`, `observation`, `note`), `resource` (a reference), `time`
as recorded, `start` and, where it is no single moment, `end` (the interval it stands for, as instants: a day without a
time is the whole day, to the beginning of the next), and for observations one `value` for each coded quantity, in
components too, with `code`, `quantity` in the unit of the item, and `recorded` where that is another unit. A quantity
without a UCUM unit is given as recorded. `duplicate` parts name observations folded into the event, which is the one
stored first: same device (none counts as one), codes, time, values and units, once units are made equal.

Each `study` has the parts `resource`, `time` and one `nearest` for each item that has a value in its window, also
outside the period, with `code`, and `before` and `after`, each with `resource`, `quantity`, `recorded`, `time` and
`minutes`: the signed distance to the study, 0 (under `before`) where the interval of one holds the other's time.
Nothing is interpolated: without a value in the window the part is absent. Of two equally near the one amended or
corrected counts before a final and that before a preliminary one, then the one issued later.

Times are compared as instants and given with the offset they were recorded with. Days, and times without an offset, in
parameters as in resources, are those of the site's time zone. More than 10000 resources of one kind are refused
(too-costly).
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
                _in("start", "dateTime", "Begin of the period: a date, a month, a year, or a time with its offset from "
                    "UTC; the whole of it belongs to the period. A week before the end where absent."),
                _in("end", "dateTime", "End of the period, likewise. Now where absent."),
                _in("code", "string", "Only observations of these codes, and only these values near studies: LOINC "
                    "codes, or `system|code`; several with commas or by repeating the parameter. A component is found "
                    "by its own code, all components by the code of a panel without a value. Without it values near "
                    "studies are those of the vital signs, scores and fluids that have profiles here. Studies, "
                    "reports and notes are listed in any case.", maximum="*"),
                _in("around", "string", "Only this study is read against values: a reference to an ImagingStudy, its "
                    "id, or a Study Instance UID. Where neither start nor end is given the period is the study's time "
                    "with the window, 4 h to both sides where none is given. Without it each study of the period is."),
                _in("window", "string", "How far a value may be from a study: `4h`, or before and after as `4h/30min`; "
                    "units are min, h and d, a year at most. Where absent each item has its own: 4 h for vital signs, "
                    "pain and coma scores, 30 d before for weight and BMI, 365 d before for height, 7 d before for "
                    "risk scores, a day for fluids; 4 h for other codes."),
                {
                    "name": "return",
                    "use": "out",
                    "min": 1,
                    "max": "1",
                    "documentation": "The table, then the resources.",
                    "type": "Bundle",
                },
            ],
        },
    )  # fmt: skip


def _in(name: str, kind: str, text: str, maximum: str = "1") -> dict[str, Any]:
    return {"name": name, "use": "in", "min": 0, "max": maximum, "documentation": text, "type": kind}
