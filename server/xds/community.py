"""This community's own names: OIDs under one root, from the settings or made once and kept.

A root that was made follows from a random UUID (`2.25.<number>`, X.667), so two servers never share one by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from storage.errors import VersionConflict
from storage.ports import Put, Records

_COLLECTION, _ID = "xds-community", "own"


@dataclass(frozen=True, slots=True)
class Community:
    """OIDs without `urn:oid:` except `home`."""

    root: str
    patient_authority: str
    """Assigning authority of the affinity domain's patient ids: the master numbers."""

    @property
    def home(self) -> str:
        """homeCommunityId."""
        return f"urn:oid:{self.root}"

    @property
    def repository(self) -> str:
        """repositoryUniqueId."""
        return f"{self.root}.1"

    @property
    def imaging_source(self) -> str:
        """Retrieve Location UID of the images kept here."""
        return f"{self.root}.2"

    @property
    def source(self) -> str:
        """sourceId of what this server submits itself."""
        return f"{self.root}.3"

    @property
    def accession_authority(self) -> str:
        """Of examination numbers whose issuer no image and no institution tells."""
        return f"{self.root}.5"

    @property
    def index_authority(self) -> str:
        """Of the regional index: keyed digests of institution, citizen and examination number."""
        return f"{self.root}.6"

    @property
    def local_patient_authority(self) -> str:
        """Of patient numbers whose issuer no image and no institution tells."""
        return f"{self.root}.7"


async def open_community(records: Records, root: str = "", patient_authority: str = "") -> Community:
    """`root` and `patient_authority` are OIDs from the settings; empty ones are made or follow from the root."""
    root = root.removeprefix("urn:oid:") or await _own_root(records)
    return Community(root, patient_authority.removeprefix("urn:oid:") or f"{root}.4")


async def _own_root(records: Records) -> str:
    while not (found := await records.get(_COLLECTION, [_ID])):
        try:
            await records.commit([Put(_COLLECTION, _ID, f"2.25.{uuid4().int}".encode(), expected=0)])
        except VersionConflict:
            continue
    return bytes(found[0].body).decode()
