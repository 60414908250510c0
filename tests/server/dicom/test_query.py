"""Queries: how the text of a search is read, and how it is compiled."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dicom.conditions import (
    Absent,
    Condition,
    DateTimes,
    Either,
    Every,
    Literals,
    Moments,
    NameGroups,
    NamePattern,
    NameWords,
    Numbers,
    Pattern,
    Span,
    Universal,
)
from server.dicom.levels import Level
from server.dicom.query import Match, Query, parse
from server.dicom.query_index import compile_query
from server.kernel.problem import Kind, Problem
from storage.query import EVERYTHING, NOTHING, All, Any, Between, Equals, Like, OneOf, Predicate


def read(text: str, level: Level = Level.STUDY) -> Query:
    return parse(level, parse_qsl(text, keep_blank_values=True))


def condition(text: str, level: Level = Level.INSTANCE) -> Condition:
    (match,) = read(text, level).matches
    return match.condition


@pytest.mark.parametrize("name", ["PatientID", "00100020"])
def test_an_attribute_is_named_by_keyword_or_tag(name: str) -> None:
    assert read(f"{name}=X").matches == (Match(Level.STUDY, ("00100020",), "LO", Literals(("X",))),)


@pytest.mark.parametrize("name", ["0020000d", "0020000D", "StudyInstanceUID"])
def test_hexadecimal_digits_may_be_of_either_case(name: str) -> None:
    assert read(f"{name}=1.2").matches[0].path == ("0020000D",)


@pytest.mark.parametrize(
    "name",
    ["RequestAttributesSequence.ScheduledProcedureStepID", "00400275.00400009", "00400275.ScheduledProcedureStepID"],
)
def test_an_attribute_in_a_sequence_is_named_by_its_path(name: str) -> None:
    (match,) = read(f"{name}=X", Level.SERIES).matches
    assert match.path == ("00400275", "00400009")
    assert match.vr == "SH"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PatientID=", Universal()),
        ("PatientID=*", Universal()),
        ("PatientName=**", Universal()),
        ("StudyDate=*", Universal()),
        ("RequestAttributesSequence=", Universal()),
        ("TimezoneOffsetFromUTC=%2B0800", Universal()),
        ("PatientID=A*", Pattern("A*")),
        ("PatientID=A**B", Pattern("A*B")),
        ("PatientID=A%5CB", Literals(("A", "B"))),
        ("PatientID=A,B", Literals(("A,B",))),
        ("PatientID=A*%5CB", Either((Pattern("A*"), Literals(("B",))))),
        ("PatientID=e%CC%81", Literals(("é",))),
        ("PatientID=%20A%20", Literals(("A",))),
        ("ModalitiesInStudy=CT,MR", Literals(("CT", "MR"))),
        ("PatientAge=04?Y", Literals(("04?Y",))),
        ("StudyInstanceUID=1.2,1.3%5C1.4", Literals(("1.2", "1.3", "1.4"))),
        ("StudyInstanceUID=1.2&0020000D=1.3", Literals(("1.2", "1.3"))),
        ("PatientName=Wang^W*", NamePattern(("wang^w*",))),
        ("PatientName=W%C3%84NG%5E*", NamePattern(("wang^*", "wang"))),
        ("PatientName=Wang=%E7%8E%8B*", NameGroups("wang", "王*", "")),
        ("PatientName==%E7%8E%8B", NameGroups("", "王", "")),
        ("PatientName=Wang,+Wei&fuzzymatching=true", NameWords(("wang", "wei"))),
        ("PatientName=*wang*&fuzzymatching=true", NameWords(("*wang*",))),
        ("StudyDate=20240105", Span("20240105", "20240105")),
        ("StudyDate=2024.01.05", Span("20240105", "20240105")),
        ("StudyDate=20240105-", Span("20240105", None)),
        ("StudyDate=-20240105", Span(None, "20240105")),
        ("StudyDate=20240105+-+20240107", Span("20240105", "20240107")),
        ("StudyDate=20240105,20240107", Either((Span("20240105", "20240105"), Span("20240107", "20240107")))),
        ("StudyTime=2230", Span("223000", "223000")),
        ("StudyTime=1000-1800", Span("100000", "1800:")),
        ("Rows=512", Numbers((512.0,))),
        ("SliceThickness=2.50", Numbers((2.5,))),
        ("SeriesNumber=1,2", Either((Numbers((1.0,)), Numbers((2.0,))))),
        ("FrameIncrementPointer=PatientID", Literals(("00100020",))),
        ("AcquisitionDateTime=2024-2025", DateTimes("20240101000000", "2025:")),
        ("AcquisitionDateTime=20240105-0500", DateTimes("20240105050000", "20240105050000", -300)),
        ("AcquisitionDateTime=20240105+0800", DateTimes("20240104160000", "20240104160000", 480)),
        ("00091010=x&00090010=ACME", None),
    ],
)
def test_values(text: str, expected: Condition | None) -> None:
    if expected is None:
        assert [match.condition for match in read(text, Level.INSTANCE).matches] == [
            Literals(("x",)),
            Literals(("ACME",)),
        ]
    else:
        assert condition(text) == expected


def test_empty_values_are_asked_for_by_two_quotation_marks() -> None:
    assert condition('PatientID=""&emptyvaluematching=true') == Absent()
    assert condition('PatientID=""') == Literals(('""',))


def test_several_values_can_be_asked_for_together() -> None:
    asked = "ModalitiesInStudy=CT%5CPT"
    assert condition(asked + "&multiplevaluematching=true") == Every((Literals(("CT",)), Literals(("PT",))))
    assert condition(asked) == Literals(("CT", "PT"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("StudyDate=20060705-20060707&StudyTime=1000-1800", Moments("00080030", "20060705100000", "200607071800:")),
        ("StudyTime=1000-1800&StudyDate=20060705-20060707", Moments("00080030", "20060705100000", "200607071800:")),
        ("StudyDate=20060705-20060707&StudyTime=1800-1000", Moments("00080030", "20060705180000", "200607071000:")),
        ("StudyDate=20060705&StudyTime=1000-1800", Moments("00080030", "20060705100000", "200607051800:")),
        ("StudyDate=20060705-&StudyTime=1000-", Moments("00080030", "20060705100000", None)),
        ("StudyDate=-20060707&StudyTime=-1800", Moments("00080030", None, "200607071800:")),
        ("StudyDate=20060705-20060707&StudyTime=1000-", Moments("00080030", "20060705100000", "20060707:")),
    ],
)
def test_a_range_of_dates_and_one_of_times_are_one_interval(text: str, expected: Moments) -> None:
    query = read(text)
    assert [match.condition for match in query.matches] == [expected]
    assert query.returned(Level.STUDY) == {"00080020", "00080030"}


def test_a_single_time_is_not_joined_to_a_range_of_dates() -> None:
    assert len(read("StudyDate=20060705-20060707&StudyTime=1000").matches) == 2


def test_the_time_zone_of_a_query_counts_for_its_intervals() -> None:
    query = read("StudyDate=20240105&StudyTime=00-01&TimezoneOffsetFromUTC=-0500")
    assert Moments("00080030", "20240105000000", "2024010501:", -300) in [match.condition for match in query.matches]


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("StudyDate=20241301", "StudyDate"),
        ("StudyDate=garbage", "StudyDate"),
        ("00080020=2024-01-05", "StudyDate"),
        ("StudyDate=-", "StudyDate"),
        ("StudyDate=20240107-20240105", "StudyDate"),
        ("StudyDate=20240101-20240102-20240103", "StudyDate"),
        ("StudyTime=2530", "StudyTime"),
        ("StudyTime=1800-1000", "StudyTime"),
        ("StudyDate=20240105&StudyTime=1800-1000", "StudyTime"),
        ("AcquisitionDateTime=202401051", "AcquisitionDateTime"),
        ("Rows=many", "Rows"),
        ("Rows=1e9999999", "Rows"),
        ("StudyInstanceUID=abc", "StudyInstanceUID"),
        ("StudyInstanceUID=1.2*", "StudyInstanceUID"),
        ("PatientID=A&00100020=B", "PatientID"),
        ("PatientID=a*b*c*d*e*f*g*h*i*j", "PatientID"),
        ("PatientName=a*b*c*d*e*f*g*h*i*j", "PatientName"),
        ("PatientName=" + "x" * 400, "PatientName"),
        ("RequestAttributesSequence=x", "RequestAttributesSequence"),
        ("TimezoneOffsetFromUTC=Beijing", "TimezoneOffsetFromUTC"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("offset=1.5", "offset"),
        ("offset=" + "9" * 30, "offset"),
        ("fuzzymatching=maybe", "fuzzymatching"),
        ("SOPInstanceUID=" + ",".join(["1"] * 3000), "SOPInstanceUID"),
    ],
)
def test_what_cannot_be_read_is_a_problem_that_names_the_place(text: str, location: str) -> None:
    with pytest.raises(Problem) as caught:
        read(text, Level.INSTANCE)
    assert caught.value.kind is Kind.INVALID
    assert caught.value.issues[0].location == location
    assert location in caught.value.text


def test_a_bad_date_is_repeated_in_the_problem() -> None:
    with pytest.raises(Problem, match="StudyDate: '20241301'"):
        read("StudyDate=20241301")


def test_what_means_nothing_here_is_passed_over_with_a_warning() -> None:
    query = read(
        "frobnicate=1&Rows=512&PixelData=1&includefield=Nonsense&orderby=%E7%8E%8B&accept=x&charset=y&PatientID=1"
    )
    assert [match.path for match in query.matches] == [("00100020",)]
    assert query.warnings == (
        "These parameters are not supported here and were ignored: frobnicate, Rows, PixelData, Nonsense, orderby",
    )


def test_a_warning_holds_only_what_a_header_may_hold() -> None:
    (warning,) = read("a%0d%0aSet-Cookie:%20x=1&%E7%8E%8B=2").warnings
    assert warning.isprintable()
    assert warning.isascii()


def test_includefields_come_repeated_in_lists_or_as_all() -> None:
    query = read("includefield=00081030,PatientSex&includefield=EthnicGroup&includefield=Rows")
    assert query.includefields == ((Level.STUDY, "00081030"), (Level.STUDY, "00100040"), (Level.STUDY, "00102160"))
    assert not query.warnings
    assert read("includefield=all").include_all


def test_paging_is_read_and_bounded() -> None:
    query = read("limit=5&offset=999999999999")
    assert (query.limit, query.offset) == (5, 2**31 - 1)


def compiled(text: str, level: Level = Level.STUDY) -> Predicate:
    result = compile_query(read(text, level), level)
    assert not result.residual
    return result.predicate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", EVERYTHING),
        ("PatientID=", EVERYTHING),
        ("PatientID=A", Equals("PatientID", "A")),
        ("PatientID=A*", Like("PatientID", "A*")),
        ("PatientID=A%5CB", OneOf("PatientID", ("A", "B"))),
        ("PatientID=A*%5CB", Any((Like("PatientID", "A*"), Equals("PatientID", "B")))),
        ("PatientID=A&PatientSex=M", All((Equals("PatientID", "A"), Equals("PatientSex", "M")))),
        ("StudyDate=20240105", Between("StudyDateTime", "20240105", "20240105:")),
        ("StudyDate=-20240105", Between("StudyDateTime", "0", "20240105:")),
        ("StudyDate=20240105-", Between("StudyDateTime", "20240105", None)),
        (
            "StudyDate=20240105-20240106&StudyTime=10-",
            Between("StudyDateTime", "20240105100000", "20240106:"),
        ),
        ("PatientBirthDate=19700101", Equals("PatientBirthDate", "19700101")),
        ("PatientBirthDate=-19700101", Between("PatientBirthDate", None, "19700101")),
        ("PatientName=wang", Equals("PatientName", "wang")),
        ("PatientName=wang*", Like("PatientName", "wang*")),
        ("PatientName=*%E7%8E%8B*", Equals("PatientName.character", "王")),
        (
            "PatientName=%E7%8E%8B*",
            All((Equals("PatientName.character", "王"), Like("PatientName", "王*"))),
        ),
        (
            "PatientName=wa+we&fuzzymatching=true",
            All((Like("PatientName.fuzzy", "wa*"), Like("PatientName.fuzzy", "we*"))),
        ),
        ("InstanceAvailability=NEARLINE", NOTHING),
        ("InstanceAvailability=ON*", EVERYTHING),
    ],
)
def test_what_keys_can_say_compiles_to_a_predicate(text: str, expected: Predicate) -> None:
    assert compiled(text) == expected


@pytest.mark.parametrize(
    ("text", "level", "predicate"),
    [
        ("EthnicGroup=Han", Level.STUDY, EVERYTHING),
        ("PatientName=wang=li", Level.STUDY, All((Equals("PatientName", "wang"), Equals("PatientName", "li")))),
        ("PatientName=%5Cwang=li%5Cx", Level.STUDY, None),
        ("SeriesNumber=2147483647", Level.SERIES, Equals("SeriesOrder", 2147483647)),
        ('PatientName=""&emptyvaluematching=true', Level.STUDY, EVERYTHING),
        ('StudyDate=""&emptyvaluematching=true', Level.STUDY, Equals("StudyDateTime", "")),
        ('00400275.00400009=""&emptyvaluematching=true', Level.SERIES, EVERYTHING),
        (
            "StudyDate=20240105&StudyTime=00-01&TimezoneOffsetFromUTC=-0500",
            Level.STUDY,
            Between("StudyDateTime", "20240103", "20240107:"),
        ),
        (
            "PerformedProcedureStepStartDate=20240105&PerformedProcedureStepStartTime=00-01",
            Level.SERIES,
            Between("PerformedProcedureStepStartDate", "20240105", "20240105"),
        ),
    ],
)
def test_what_keys_cannot_say_whole_is_left_to_be_read(text: str, level: Level, predicate: Predicate | None) -> None:
    result = compile_query(read(text, level), level)
    assert result.residual
    assert predicate is None or result.predicate == predicate


def test_two_attributes_of_one_sequence_must_be_read_to_be_of_one_item() -> None:
    result = compile_query(read("00400275.00400009=A&00400275.00401001=B", Level.SERIES), Level.SERIES)
    assert len(result.residual) == 2
    assert result.predicate == All(
        (
            Equals("RequestAttributesSequence.ScheduledProcedureStepID", "A"),
            Equals("RequestAttributesSequence.RequestedProcedureID", "B"),
        )
    )


_names = st.sampled_from(
    ["PatientID", "PatientName", "StudyDate", "StudyTime", "StudyInstanceUID", "Rows", "AcquisitionDateTime"]
    + ["TimezoneOffsetFromUTC", "SeriesNumber", "00400275.00400009", "PixelData", "limit", "offset", "includefield"]
    + ["fuzzymatching", "emptyvaluematching", "multiplevaluematching"]
)
_texts = st.text(max_size=30) | st.text('0123456789-+.*?\\,"= :', max_size=30)


@given(st.sampled_from(list(Level)), st.lists(st.tuples(_names | _texts, _texts), max_size=6))
def test_any_parameters_give_a_query_or_a_problem(level: Level, parameters: list[tuple[str, str]]) -> None:
    try:
        query = parse(level, parameters)
    except Problem:
        return
    for each in Level:
        compile_query(query, each)
        query.returned(each)
