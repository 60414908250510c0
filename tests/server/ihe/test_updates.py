"""ITI-57, 61 and 62 as a SOAP client sees them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from server.kernel.offload import Offload
from server.xds import vocabulary as v
from server.xds.ebxml_writing import write_object, write_reference
from server.xds.metadata import RegistryObject, Slot, Submission
from storage.sqlite.records import SqliteRecords
from tests.data.soap_messages import Answered
from tests.data.xds_objects import association, document, submission
from tests.xds_corpus.node import Node, open_node
from tests.xds_corpus.runner import counts

_UPDATE, _REMOVE = "urn:ihe:iti:2010:UpdateDocumentSet", "urn:ihe:iti:2010:DeleteDocumentSet"
_REGISTER, _QUERY = "urn:ihe:iti:2007:RegisterDocumentSet-b", "urn:ihe:iti:2007:RegistryStoredQuery"
_ON_DEMAND = "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry"
_ALL = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3"


def _submitted(made: Submission) -> bytes:
    objects: tuple[RegistryObject, ...] = (*made.submission_sets, *made.documents, *made.folders, *made.associations)
    listed = b"".join(map(write_object, objects))
    return b'<l:SubmitObjectsRequest xmlns:l="%s" xmlns:rim="%s"><rim:RegistryObjectList>%s' % (
        v.LCM.encode(),
        v.RIM.encode(),
        listed + b"</rim:RegistryObjectList></l:SubmitObjectsRequest>",
    )


def _removal(*ids: str) -> bytes:
    return b'<l:RemoveObjectsRequest xmlns:l="%s" xmlns:rim="%s"><rim:ObjectRefList>%s' % (
        v.LCM.encode(),
        v.RIM.encode(),
        b"".join(map(write_reference, ids)) + b"</rim:ObjectRefList></l:RemoveObjectsRequest>",
    )


def _everything(patient: str) -> bytes:
    def slot(name: str, value: str) -> str:
        return f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList></rim:Slot>'

    both = f"('{v.APPROVED}','{v.DEPRECATED}')"
    slots = [slot("$patientId", f"'{patient.replace('&', '&amp;')}'")]
    slots += [slot(f"$XDS{kind}Status", both) for kind in ("DocumentEntry", "SubmissionSet", "Folder")]
    slots.append(slot("$XDSDocumentEntryType", f"('{v.STABLE}','{v.ON_DEMAND}')"))
    return (
        f'<q:AdhocQueryRequest xmlns:q="{v.QUERY}" xmlns:rim="{v.RIM}"><q:ResponseOption returnType="LeafClass"/>'
        f'<rim:AdhocQuery id="{_ALL}">{"".join(slots)}</rim:AdhocQuery></q:AdhocQueryRequest>'
    ).encode()


async def _exchanged(node: Node) -> dict[str, Answered]:
    patient = await node.admit("P1")
    own, other = (
        document(patient_id=patient),
        document(
            patient_id=patient, unique_id="1.2.3.100.2", object_type=v.ON_DEMAND, creation_time="", hash="", size=None
        ),
    )

    async def ask(action: str, body: bytes) -> Answered:
        return await node.send("/xds/registry", action, body)

    found = {"registered": await ask(_REGISTER, _submitted(submission(own, patient_id=patient)))}
    on_demand = _submitted(submission(other, patient_id=patient, unique_id="1.2.3.200.2"))
    found["on demand"] = await ask(_ON_DEMAND, on_demand)
    found["before"] = await ask(_QUERY, _everything(patient))
    entries = [str(each.get("id")) for each in found["before"].body.iter("{*}ExtrinsicObject")]
    slots = (Slot("OriginalStatus", (v.APPROVED,)), Slot("NewStatus", (v.DEPRECATED,)))
    change = association("SubmissionSet01", entries[0], v.UPDATE_AVAILABILITY, id="change", slots=slots)
    asked = _submitted(submission(associations=(change,), patient_id=patient, unique_id="1.2.3.200.3"))
    found["updated"] = await ask(_UPDATE, asked)
    found["after"] = await ask(_QUERY, _everything(patient))
    found["half removed"] = await ask(_REMOVE, _removal(entries[0]))
    objects = ("ExtrinsicObject", "RegistryPackage", "Association")
    ids = [str(each.get("id")) for name in objects for each in found["after"].body.iter(f"{{*}}{name}")]
    found["removed"] = await ask(_REMOVE, _removal(*ids))
    found["at last"] = await ask(_QUERY, _everything(patient))
    return found


def test_metadata_are_updated_and_removed(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()

    async def work() -> dict[str, Answered]:
        offload = Offload()
        records = SqliteRecords(tmp_path / "records.sqlite", offload)
        try:
            return await _exchanged(await open_node(records, offload, tmp_path / "blobs"))
        finally:
            await records.close()
            offload.close()

    found = asyncio.run(work())
    assert {name: (each.status, each.errors) for name, each in found.items() if each.errors} == {
        "half removed": ("Failure", ["ReferencesExistException"])
    }
    assert sorted(counts(found["before"]).statuses) == ["Approved", "Approved"]
    assert sorted(counts(found["after"]).statuses) == ["Approved", "Deprecated"]
    assert counts(found["after"]).sets == 3
    assert (counts(found["at last"]).documents, counts(found["at last"]).sets) == (0, 0)
