"""What messages of HL7 version 3 say of a patient, and what says too little."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from lxml import etree

from server.ihe.identity_feed import acknowledgement
from server.ihe.identity_message import V3, read_envelope, read_events
from server.kernel.problem import Problem
from server.mpi.identity import Identifier

MERGE = (
    f'<PRPA_IN201304UV02 xmlns="{V3}"><id root="1.2" extension="m&amp;1"/><processingCode code="T"/>'
    '<receiver><device><id root="1.8"/></device></receiver><sender><device><id root="1.9"/></device></sender>'
    '<controlActProcess><subject><registrationEvent><subject1><patient><id root="1.2.3" extension="C"/>'
    '<id root="none" extension="x"/><id nullFlavor="UNK"/><patientPerson><name>Li Lei</name><name><family>李</family>'
    "<given>雷</given></name><telecom value='mailto:a@b.cn'/><telecom value='123'/><birthTime value='197001'/>"
    "<addr><streetAddressLine>Road 1</streetAddressLine><city>Beijing</city></addr></patientPerson></patient>"
    "</subject1><replacementOf><priorRegistration><subject1><priorRegisteredRole>"
    '<id root="1.2.3" extension="B"/></priorRegisteredRole></subject1></priorRegistration></replacementOf>'
    "</registrationEvent></subject></controlActProcess></PRPA_IN201304UV02>"
)


def test_a_merge_says_who_stays_and_who_goes() -> None:
    message = etree.fromstring(MERGE)
    [told] = read_events(message, is_merge=True)
    assert told.numbers == (Identifier("urn:oid:1.2.3", "C"),)
    assert told.replaced == (Identifier("urn:oid:1.2.3", "B"),)
    assert told.patient == {
        "name": [{"text": "Li Lei"}, {"family": "李", "given": ["雷"]}],
        "telecom": [{"system": "email", "value": "a@b.cn"}, {"system": "phone", "value": "123"}],
        "birthDate": "1970-01",
        "address": [{"line": ["Road 1"], "city": "Beijing"}],
    }
    answer = etree.fromstring(acknowledgement(read_envelope(message), "20260101", "CE", "204", "a < b"))
    receiver = answer.find(f"{{{V3}}}receiver/{{{V3}}}device/{{{V3}}}id")
    assert receiver is not None
    assert receiver.get("root") == "1.9"
    assert answer.find(f".//{{{V3}}}targetMessage/{{{V3}}}id").get("extension") == "m&1"  # type: ignore[union-attr]
    assert answer.findtext(f".//{{{V3}}}acknowledgementDetail/{{{V3}}}text") == "a < b"


def test_whatever_is_missing_is_refused_or_done_without() -> None:
    whole = etree.fromstring(MERGE)
    outcomes = set()
    for place, _ in enumerate([*whole.iter()][1:], 1):
        message = copy.deepcopy(whole)
        gone = [*message.iter()][place]
        gone.getparent().remove(gone)  # type: ignore[union-attr]
        acknowledgement(read_envelope(message), "20260101", "CA")
        try:
            read_events(message, is_merge=True)
        except Problem:
            outcomes.add("refused")
        else:
            outcomes.add("read")
    assert outcomes == {"refused", "read"}
    many = etree.fromstring(MERGE)
    process = many.find(f"{{{V3}}}controlActProcess")
    assert process is not None
    process.extend([copy.deepcopy(process[0]) for _ in range(60)])
    with pytest.raises(Problem):
        read_events(many, is_merge=True)


def test_samples_of_others_are_read(shared: Path) -> None:
    folder = shared / "data/xds"
    several = read_events(etree.parse(folder / "ipf/iti44-multipatient-request-1.xml").getroot(), is_merge=False)
    assert [len(each.numbers) for each in several] == [2, 2]
    captured = etree.parse(folder / "ch-epr/soap/ITI-44_request_raw.xml").getroot()
    [told] = read_events(next(captured.iter(f"{{{V3}}}PRPA_IN201301UV02")), is_merge=False)
    assert Identifier("urn:oid:2.16.756.5.30.1.127.3.10.3", "761337610435201235") in told.numbers
    assert told.patient["name"][0] == {"family": "Muster", "given": ["Maja"]}
    assert told.patient["gender"] == "female"
