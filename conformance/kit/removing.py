"""DELETE of instance, series and study: an extension many servers share; it also clears up after the run."""

from __future__ import annotations

from conformance.kit.report import Check, Checks
from conformance.kit.session import Session, related
from conformance.kit.verdict import Skipped, expect


def _delete(session: Session, path: str) -> None:
    answer = session.client.request("DELETE", path)
    if answer.status in (403, 405, 501):
        raise Skipped(f"DELETE is not offered ({answer.status})")
    expect(answer.status in (200, 204), f"DELETE gave {answer.status}")
    gone = session.client.get(path, related("application/dicom", "*"))
    expect(gone.status in (404, 410), f"what was deleted still answers {gone.status}")


def deletes_an_instance(session: Session) -> None:
    sample = session.samples.ct[2]
    _delete(session, sample.path)
    expect(len(session.search(f"{sample.series_path}/instances")) == 2, "the other instances did not remain alone")


def deletes_a_series(session: Session) -> None:
    sample = session.samples.mr
    _delete(session, sample.series_path)
    expect(len(session.search(f"{sample.study_path}/series")) == 1, "the other series did not remain alone")


def deletes_studies(session: Session) -> None:
    for study in session.samples.studies:
        _delete(session, f"/studies/{study}")
    expect(not session.search(f"/studies?PatientID=?{session.samples.token}"), "deleted studies are still found")


def knows_what_to_delete(session: Session) -> None:
    answer = session.client.request("DELETE", session.samples.mr.study_path)
    if answer.status in (403, 405, 501):
        raise Skipped("DELETE is not offered")
    expect(answer.status in (404, 410), f"deleting what is gone gave {answer.status}, expected 404")


CHECKS: Checks = (
    Check("deletes an instance", "extension", deletes_an_instance),
    Check("deletes a series", "extension", deletes_a_series),
    Check("deletes studies", "extension", deletes_studies),
    Check("does not delete what is not there", "extension", knows_what_to_delete),
)
