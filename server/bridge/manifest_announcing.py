"""Announcing that a study's manifest may have to change: a record in the commit of whatever changes the study's
ImagingStudy, the bridge after images came and people who label or correct it alike.

So none is missed by a process that dies, and whoever deals with announcements shares them with other processes. An
archive that had studies before it published any has them all announced once, and so has one whose images are to be had
at another address than before.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.archive.recount import pages
from server.archive.rows import STUDY
from server.bridge.announced import WAITING
from server.dicom.uid import is_uid
from server.fhir.json_form import reread
from server.fhir.series_labels import study_uids
from server.fhir.writing import Act, Change, Ruling
from storage.ports import Delete, Put, Records

OUTBOX = "bridge-manifest-due"
"""By Study Instance UID; the version grows with each announcement."""
_STATE, _ADOPTED = "bridge-state", "manifests"


def announcement(study_instance_uid: str) -> Put:
    return Put(OUTBOX, study_instance_uid, WAITING)


class ManifestAnnouncements:
    """Rules of ImagingStudy that refuse nothing: what they add to a commit is the announcement."""

    types = frozenset(("ImagingStudy",))

    async def check(self, changes: Sequence[Change]) -> list[Ruling]:
        return [_acts(each) for each in changes]


def _acts(change: Change) -> tuple[Act, ...]:
    current = change.standing.current
    study = change.resource or (reread(current.body) if current is not None else {})
    return tuple(announcement(uid) for uid in dict.fromkeys(study_uids(study)) if is_uid(uid))


async def announce_all(records: Records, address: str) -> bool:
    """Every study of the archive, unless that was done for manifests that name this address."""
    marked = await records.get(_STATE, [_ADOPTED])
    if marked and marked[0].body == address.encode():
        return False
    async for page in pages(records, STUDY):
        await records.commit([announcement(each.id) for each in page])
    await records.commit([Put(_STATE, _ADOPTED, address.encode())])
    return True


async def forget_announcing(records: Records) -> None:
    """For as long as no manifests are made: those of studies that change meanwhile are made up for afterwards."""
    await records.commit([Delete(_STATE, _ADOPTED)])
