"""HL7 version 2 as octets: charsets, fields, and input that is none of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import hl7
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.hl7v2.acknowledging import Code, Outcome, acknowledgement
from server.hl7v2.listening import _read
from server.hl7v2.messages import Unreadable, head_of, part, read_message, repetitions
from server.hl7v2.patient_feed import described, groups, numbers
from server.mpi.identity import Identifier
from server.mpi.identity_feed import birth_date

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
A01 = (
    "MSH|^~\\&|HIS|一院|WEFT|REGION|20260101||ADT^A01^ADT_A01|M1|P|2.3.1||||||{charset}\rEVN|A01|20260101\r"
    "PID|1||P1^^^HIS&1.2.3&ISO^PI~P2^^^NAMED~&^^^&1.2.4&ISO||张^三^^^^^L~Zhang\\T\\Li^San||19700131120000|M|||"
    "长安街1号&长安街^^北京^^100000^CN||13900001111^PRN^PH^a@b.cn\rPV1|1|O\r"
)


def only_patient(message: bytes) -> hl7.Segment:
    [(patient, _)] = groups(read_message(message))
    return patient


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("UNICODE UTF-8", "utf-8"), ("", "utf-8"), ("GB 18030-2000", "gb18030"), ("gbk", "gbk"), ("GB2312", "gb2312")],
)
def test_names_arrive_in_the_charset_that_is_named(charset: str, codec: str) -> None:
    patient = only_patient(A01.format(charset=charset).encode(codec))
    assert numbers(patient, 3) == [Identifier("urn:oid:1.2.3", "P1")]
    assert described(patient) == {
        "name": [{"use": "official", "family": "张", "given": ["三"]}, {"family": "Zhang&Li", "given": ["San"]}],
        "telecom": [
            {"system": "phone", "value": "13900001111", "use": "home"},
            {"system": "email", "value": "a@b.cn", "use": "home"},
        ],
        "gender": "male",
        "birthDate": "1970-01-31",
        "address": [{"line": ["长安街1号"], "city": "北京", "postalCode": "100000", "country": "CN"}],
    }


def test_a_separator_within_a_character_of_the_head_is_none() -> None:
    """The second octet of the first character is a bar."""
    facility = b"\x81|".decode("gb18030")
    message = A01.format(charset="GB18030").replace("一院", facility).encode("gb18030")
    assert head_of(message).facility == facility
    assert head_of(message).control_id == "M1"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", "100"),
        (b"PID|1\rMSH|^~\\&|A", "100"),
        (b"MSH#^~\\&#A#B", "100"),
        (A01.format(charset="UNICODE UTF-8").encode("gb18030"), "103"),
        (A01.format(charset="ISO IR87").encode(), "103"),
        (A01.format(charset="").replace("M1", "").encode(), "101"),
        (b"MSH|^~\\&|A|B|C|D|1||ADT^A01|1|P|2.3.1\rPID|" + b"~" * 6000, "207"),
        (b"MSH|^~\\&|A|B|C|D|1||ADT^A01|1|P|2.3.1\r" + b"NTE|1\r" * 1001, "207"),
        (A01.format(charset="").replace("PID|1", "MSH|1").encode(), "100"),
    ],
)
def test_what_cannot_be_read_is_refused(message: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read_message(message)
    assert raised.value.code == code


def test_an_acknowledgement_answers_to_its_message() -> None:
    head = head_of(A01.format(charset="GB 18030-2000").encode("gb18030"))
    told = acknowledgement(head, Outcome(), "7", NOW).decode("gb18030").split("\r")
    assert told[0] == "MSH|^~\\&|WEFT|REGION|HIS|一院|20260102030405||ACK^A01|7|P|2.3.1||||||GB 18030-2000"
    assert told[1:] == ["MSA|AA|M1|", ""]
    refused = Outcome(Code.ERROR, "No | such", "204", "PID^3")
    assert acknowledgement(head, refused, "7", NOW).split(b"\r")[1:3] == [
        b"MSA|AE|M1|No \\F\\ such", b"ERR|PID^1^3^204&Unknown key identifier&HL70357",
    ]  # fmt: skip


def test_samples_of_others_are_read(shared: Path) -> None:
    folder = shared / "data/xds/ipf"
    merge = read_message((folder / "iti8-a40.hl7").read_bytes())
    [(patient, merged)] = groups(merge)
    assert merged is not None
    assert numbers(patient, 3)[0] == Identifier("urn:oid:2.16.840.1.113883.3.37.4.1.1.2.1.1", "305014")
    assert [each.value for each in numbers(merged, 1)] == ["7200117359"]
    [(patient, merged)] = groups(read_message((folder / "iti-8.hl7").read_bytes()))
    assert merged is not None
    assert [each.value for each in (*numbers(patient, 3), *numbers(merged, 1))] == ["PDQ113XX35", "PDQ113XX03"]
    for name in ("iti8-a01-incomplete.hl7", "hl7v2message.hl7"):
        with pytest.raises(Unreadable):
            groups(read_message((folder / name).read_bytes()))


_PIECES = st.sampled_from(
    [b"|", b"^", b"~", b"&", b"\\", b"\\X", b"\\F\\", b"\r", b"\n", b"MSH|", b"PID|", b"MRG|", b'""', b"\x00", b"\xff"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 12), _PIECES | st.binary(max_size=6)), max_size=12))
def test_mutations_are_read_or_refused(changes: list[tuple[int, int, bytes]]) -> None:
    message = A01.format(charset="").replace("A01", "A40").encode() + b"MRG|9^^^&1.2.3&ISO\r"
    for place, length, piece in changes:
        message = message[:place] + piece + message[place + length :]
    acknowledgement(head_of(message), Outcome(), "1", NOW)
    try:
        for patient, merged in groups(_read(message)):
            described(patient)
            numbers(merged or patient, 1)
            [part(each, 9, 9) for each in repetitions(patient, 99)]
    except Unreadable:
        pass


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("19700131", "1970-01-31"), ("197001", "1970-01"), ("1970", "1970"), ("19700000", "1970"),
        ("19700200", "1970-02"), ("19700230", "1970-02"), ("197013", "1970"), ("00000000", ""), ("", ""), ("none", ""),
    ],
)  # fmt: skip
def test_of_a_birth_date_as_much_is_kept_as_is_one(told: str, meant: str) -> None:
    assert birth_date(told) == meant
