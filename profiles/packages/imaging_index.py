"""The operation `$imaging-index`: where the images of an examination are."""

from __future__ import annotations

from typing import Any

from profiles.packages.canonical import BASE, head

DEFINITION = f"{BASE}/OperationDefinition/ImagingStudy-imaging-index"

_TEXT = """\
Finds examinations of the regional index and tells where their images are: the WADO-RS address of each study, its
ImagingStudy, and the documents (manifests) that name its images, with repository and community, as XDS retrieves them.

At least one of `index`, `citizen` and `number` is given; several narrow the answer, and `institution` narrows it too.
The citizen number, in either form, is posted in a Parameters resource and refused in a URL. Only what the caller may
see is in the answer; what is hidden, or has no images here, is left out as if it were not there. An examination is
found under the citizen number of its patient also where that number became known after it was registered.
"""


def resources() -> tuple[dict[str, Any], ...]:
    return (
        head("OperationDefinition", "ImagingStudy-imaging-index", "ImagingIndex", "Where images are", _TEXT)
        | {
            "kind": "operation",
            "affectsState": False,
            "code": "imaging-index",
            "resource": ["ImagingStudy"],
            "system": False,
            "type": True,
            "instance": False,
            "parameter": [
                _in("index", "uuid", "Regional index of the examination."),
                _in("citizen", "string", "Citizen identification number of the patient."),
                _in("number", "string", "Examination number (accession number) as the institution gave it."),
                _in("institution", "string", "Code of the institution."),
                {
                    **_out("examination", "0", "*", "One for each examination found."),
                    "part": [
                        _out("index", "1", "1", "Regional index.", "uuid"),
                        _out("institution", "1", "1", "Code of the institution.", "string"),
                        _out("name", "0", "1", "Name of the institution.", "string"),
                        _out("number", "1", "1", "Examination number.", "string"),
                        {
                            **_out("study", "1", "*", "One for each study."),
                            "part": [
                                _out("uid", "1", "1", "Study Instance UID.", "oid"),
                                _out("resource", "1", "1", "Its ImagingStudy.", "Reference"),
                                _out("address", "1", "1", "Where WADO-RS retrieves it.", "url"),
                                {
                                    **_out("document", "0", "*", "A manifest of its images."),
                                    "part": [
                                        _out("repository", "1", "1", "repositoryUniqueId.", "oid"),
                                        _out("uniqueId", "1", "1", "DocumentEntry.uniqueId.", "string"),
                                        _out("community", "1", "1", "homeCommunityId.", "oid"),
                                    ],
                                },
                            ],
                        },
                    ],
                },
            ],
        },
    )


def _in(name: str, kind: str, text: str) -> dict[str, Any]:
    return {"name": name, "use": "in", "min": 0, "max": "1", "documentation": text, "type": kind}


def _out(name: str, minimum: str, maximum: str, text: str, kind: str = "") -> dict[str, Any]:
    made = {"name": name, "use": "out", "min": int(minimum), "max": maximum, "documentation": text}
    return made | ({"type": kind} if kind else {})
