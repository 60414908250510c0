"""Texts with inner structure: what is read comes back, and what is none of the type is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.xds.datatypes import (
    Cx,
    Cxi,
    Dtm,
    Xcn,
    Xon,
    is_language,
    is_mime_type,
    is_oid,
    is_sha1,
    is_uuid,
)

texts = st.text(st.characters(codec="utf-8"), max_size=20)
some = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
oids = st.sampled_from(["1.2.3", "2.16.156.10011.1.3", "1.0"])


@given(some, oids)
def test_a_patient_id_comes_back(number: str, authority: str) -> None:
    assert Cx.parse(str(Cx(number, authority))) == Cx(number, authority)


@given(some, st.one_of(st.just(""), oids, st.just("named")), some, st.sampled_from(["", "urn:oid:1.2.9"]))
def test_a_reference_id_comes_back(number: str, authority: str, kind: str, home: str) -> None:
    found = Cxi(number, authority, kind, home)
    assert Cxi.parse(str(found)) == found


@given(some, texts, texts, texts, st.one_of(st.just(""), oids))
def test_a_person_comes_back(family: str, given_: str, prefix: str, id_: str, authority: str) -> None:
    found = Xcn(id_, family, given_, prefix=prefix, authority=authority)
    assert Xcn.parse(str(found)) == found


@given(some, st.one_of(st.just(""), oids), texts)
def test_an_organization_comes_back(name: str, authority: str, id_: str) -> None:
    assert Xon.parse(str(Xon(name, authority, id_))) == Xon(name, authority, id_)


@given(st.text(max_size=40), st.sampled_from([Cx.parse, Cxi.parse, Xcn.parse, Xon.parse, Dtm.parse]))
def test_reading_fails_in_one_way(text: str, parse: Callable[[str], object]) -> None:
    with contextlib.suppress(ValueError):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "7", "7^^^", "^^^&1.2&ISO", "7^^^&1.2", "7^^^&1.2&L", "7^^^NS&1.2&ISO", "7^^^&1.02&ISO", "7^^^&1.2&ISO^MR"],
)
def test_what_is_no_patient_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="patient id|authority"):
        Cx.parse(text)


def test_trailing_empty_components_and_escapes_are_read() -> None:
    assert Cx.parse(r"a\T\b^^^&1.2&ISO^^^") == Cx("a&b", "1.2")
    assert Cxi.parse("1.2.3^^^^urn:ihe:iti:xds:2016:studyInstanceUID").authority == ""
    assert Xcn.parse("12^Li^Wei^^^^^^NAME&1.2.3&ISO").authority == "1.2.3"
    assert Xon.parse("Some Hospital^^^^^^^^^1.2.3.4").id == "1.2.3.4"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("2024", 20240101000000),
        ("202402", 20240201000000),
        ("20240229", 20240229000000),
        ("2024022923", 20240229230000),
        ("202402292359", 20240229235900),
        ("20240229235958", 20240229235958),
    ],
)
def test_a_time_stands_for_its_first_second(text: str, start: int) -> None:
    assert Dtm.parse(text).start == start


@pytest.mark.parametrize("text", ["", "24", "20240", "20230229", "20240101T10", "202401011060", "2024-01-01", "٢٠٢٤"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a time"):
        Dtm.parse(text)


def test_times_are_written_in_utc() -> None:
    moment = datetime(2024, 1, 2, 7, 4, 5, tzinfo=timezone(timedelta(hours=8)))
    assert str(Dtm.of(moment)) == "20240101230405"
    assert Dtm.parse("20240101230405").moment == moment.astimezone(UTC)


@pytest.mark.parametrize(
    ("is_one", "yes", "no"),
    [
        (is_oid, "2.16.156", "1"),
        (is_oid, "1.0", "1.02"),
        (is_oid, "1." + "2" * 62, "1." + "2" * 63),
        (is_uuid, "urn:uuid:00000000-0000-0000-0000-00000000000a", "urn:uuid:00000000-0000-0000-0000-00000000000A"),
        (is_mime_type, "text/plain; charset=utf-8", "text"),
        (is_mime_type, 'text/plain;a="b"', "text/plain;\r\nSet-Cookie: a=b"),
        (is_mime_type, "text/plain;", "text/plain; name=报告"),
        (is_sha1, "aB" * 20, "g" * 40),
        (is_language, "zh-Hans-CN", "中文"),
    ],
)
def test_forms_are_told_apart(is_one: Callable[[str], bool], yes: str, no: str) -> None:
    assert is_one(yes)
    assert not is_one(no)
