"""What is asked of every DICOMweb endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from server.http.surface import Endpoint
from tests.access.asking import Ask
from tests.access.records import UIDS, image
from tests.contract.imaging_samples import STOW, stow_body


def imaging(rows: tuple[Endpoint, ...]) -> Iterator[Ask]:
    """Every row that retrieves, of a barred series, of its open neighbour and of another patient."""
    places = (("d-part", "e-psy", "i-psy"), ("d-part", "e-open", "i-open"), ("d-q", "e-q", "i-q"))
    for row in rows:
        seen = set()
        for study, series, instance in places:
            path = row.path.replace("{attribute:path}", "7FE00010").replace("{frames}", "1")
            for name, value in (("study", study), ("series", series), ("instance", instance)):
                path = path.replace("{" + name + "}", UIDS[value])
            is_bulk = row.name.endswith(("data", "thumbnail")) and row.name != "wado.study.metadata"
            is_left_out = instance != "i-psy" and (is_bulk or (study == "d-q" and row.name not in _OF_OTHERS))
            if row.interaction != "read" or row.name == "wado.uri" or is_left_out or path in seen:
                continue
            seen.add(path)
            yield Ask(row.name, "GET", "/dicomweb" + path, None, _ACCEPT.get(row.name, {}))
    yield from uri(*places)
    yield from queries()


_OF_OTHERS = ("wado.study", "wado.study.metadata", "wado.study.rendered", "wado.frames", "wado.frames.rendered")
_RAW = {"accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
_ACCEPT = {"wado.frames": _RAW}


def uri(*places: tuple[str, str, str]) -> Iterator[Ask]:
    for study, series, instance in places:
        named = f"studyUID={UIDS[study]}&seriesUID={UIDS[series]}&objectUID={UIDS[instance]}"
        yield Ask("wado.uri", "GET", f"/dicomweb/wado?requestType=WADO&{named}&contentType=application/dicom")


def queries() -> Iterator[Ask]:
    part, psy = UIDS["d-part"], UIDS["e-psy"]
    asked = {
        "qido.studies": (
            "studies?includefield=all",
            "studies?limit=1&offset=1",
            f"studies?StudyInstanceUID={part}&includefield=NumberOfStudyRelatedInstances",
            "studies?ModalitiesInStudy=MR",
            "studies?PatientName=secret-p&fuzzymatching=true",
            "studies?PatientID=number-q",
            "studies?StudyDescription=SECRET*",
        ),
        "qido.series": ("series?includefield=all", f"series?SeriesInstanceUID={psy}", "series?Modality=MR"),
        "qido.instances": ("instances?includefield=all", f"instances?SOPInstanceUID={UIDS['i-psy']}"),
        "qido.study.series": (f"studies/{part}/series?includefield=all", f"studies/{UIDS['d-q']}/series"),
        "qido.study.instances": (f"studies/{part}/instances?includefield=all",),
        "qido.series.instances": (f"studies/{part}/series/{psy}/instances",),
    }
    for row, paths in asked.items():
        for each in paths:
            yield Ask(row, "GET", f"/dicomweb/{each}")


def imaging_writes() -> Iterator[Ask]:
    body = stow_body(image("p", "d-new", "e-new", "i-new"))
    sent = {"content-type": STOW, "accept": "application/dicom+json"}
    yield Ask("stow.studies", "POST", "/dicomweb/studies", body, sent, "POST a new study of p")
    body = stow_body(image("p", "d-part", "e-psy", "i-psy", "MR"))
    yield Ask("stow.study", "POST", f"/dicomweb/studies/{UIDS['d-part']}", body, sent, "POST what is there already")
    study = f"/dicomweb/studies/{UIDS['d-spare']}"
    yield Ask("delete.instance", "DELETE", f"{study}/series/{UIDS['e-spare']}/instances/{UIDS['i-spare']}")
    yield Ask("delete.series", "DELETE", f"{study}/series/{UIDS['e-other']}")
    yield Ask("delete.study", "DELETE", study)
    yield Ask("delete.study", "DELETE", f"/dicomweb/studies/{UIDS['d-q']}9")
