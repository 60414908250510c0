"""What became of reports: which document is the present one of a DiagnosticReport, and which of the two came first."""

from __future__ import annotations

import msgspec

from storage.ports import Put, Records
from storage.query import Equals

MEMO = "xds-report"
FHIR, XDS = "fhir", "xds"
_MOST = 100


class Memo(msgspec.Struct, frozen=True):
    entry: str
    """entryUUID of the document."""
    origin: str
    """`FHIR` or `XDS`: the side that was written, from which the other is made; so none is ever made of what was."""
    digest: str = ""
    """Of what the document was made from."""

    def put(self, report_id: str) -> Put:
        keys = {"entry": frozenset({self.entry}), "_id": frozenset({report_id})}
        return Put(MEMO, report_id, msgspec.json.encode(self), keys)


async def memo_of(records: Records, report_id: str) -> Memo | None:
    for record in await records.get(MEMO, [report_id]):
        return msgspec.json.decode(record.body, type=Memo)
    return None


async def reports_of(records: Records, entry: str) -> list[str]:
    """Ids of the DiagnosticReports whose present document this is."""
    return [str(each) for each in await records.values(MEMO, "_id", Equals("entry", entry), at_most=_MOST)]
