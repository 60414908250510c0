"""How stored queries are written, and what is wrong with those that cannot be meant."""

from __future__ import annotations

import pytest

from server.kernel.problem import Problem
from server.xds.ebxml_reading import MOST_VALUES, AdhocQuery
from server.xds.errors import errors_of
from server.xds.metadata import Slot
from server.xds.query_parameters import MOST_PATTERNS
from server.xds.query_reading import read_query
from server.xds.stored_queries import (
    FindDocuments,
    FindSubmissionSets,
    GetAssociations,
    GetDocuments,
    QueryId,
    Span,
    StoredQuery,
)

PATIENT = ("$XDSDocumentEntryPatientId", "'7^^^&1.2.3&ISO'")
APPROVED = ("$XDSDocumentEntryStatus", "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')")
FIND = (PATIENT, APPROVED)
CLASS = "$XDSDocumentEntryClassCode"
EVENT = "$XDSDocumentEntryEventCodeList"
UUID = "urn:uuid:a96d7361-6617-488a-891c-ee3f37d1f218"


def read(id_: QueryId, *slots: tuple[str, ...]) -> StoredQuery:
    return read_query(AdhocQuery(id_, tuple(Slot(name, tuple(values)) for name, *values in slots), "ObjectRef"))


def found(*slots: tuple[str, ...]) -> FindDocuments:
    query = read(QueryId.FIND_DOCUMENTS, *FIND, *slots)
    assert isinstance(query, FindDocuments)
    return query


def refusal(id_: str, *slots: tuple[str, ...]) -> tuple[str, str]:
    with pytest.raises(Problem) as raised:
        read(QueryId(id_), *slots)
    (error,) = errors_of(raised.value)
    return error.code, error.context


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("'7^^^&1.2.3&ISO'", "7^^^&1.2.3&ISO"),
        ("7^^^&1.2.3&ISO", "7^^^&1.2.3&ISO"),
        ('"7^^^&1.2.3&ISO"', "7^^^&1.2.3&ISO"),
        ("('7^^^&1.2.3&ISO')", "7^^^&1.2.3&ISO"),
        (" ( '7^^^&1.2.3&ISO' ) ", "7^^^&1.2.3&ISO"),
        ("'O''Brien'", "O'Brien"),
        ("'a,b (c)'", "a,b (c)"),
        ("Smith, John", "Smith, John"),
    ],
)
def test_a_single_text_is_read_in_every_form_that_is_met(written: str, meant: str) -> None:
    query = read(QueryId.FIND_DOCUMENTS, (PATIENT[0], written), APPROVED)

    assert isinstance(query, FindDocuments)
    assert query.patients == (meant,)


@pytest.mark.parametrize(
    "values",
    [
        ("('a^^1','b^^1')",),
        ("('a^^1')", "('b^^1')"),
        ("'a^^1'", "'b^^1'"),
        ("( 'a^^1' ,\n 'b^^1' )",),
        ('("a^^1",b^^1)',),
        ("('a^^1','b^^1','a^^1')",),
    ],
)
def test_several_values_may_stand_together_or_apart(values: tuple[str, ...]) -> None:
    assert found((CLASS, *values)).coded.classes == ("a^^1", "b^^1")


def test_a_repeated_slot_means_and_where_that_is_allowed() -> None:
    assert found((EVENT, "('a^^1','b^^1')"), (EVENT, "('c^^1')")).coded.events == (("a^^1", "b^^1"), ("c^^1",))
    assert refusal(QueryId.FIND_DOCUMENTS, *FIND, (CLASS, "('a^^1')"), (CLASS, "('b^^1')"))[0] == (
        "XDSStoredQueryParamNumber"
    )


@pytest.mark.parametrize("written", ["a", "a^^", "^^1", "a^b^1", "a^^1^2"])
def test_a_code_without_both_its_parts_is_refused_and_named(written: str) -> None:
    code, context = refusal(QueryId.FIND_DOCUMENTS, *FIND, (CLASS, f"('x^^1', '{written}')"))

    assert code == "XDSRegistryError"
    assert repr(written) in context


@pytest.mark.parametrize("written", ["('a^^1'", "('a^^1',)", "('a^^1' 'b^^1')", "'a^^1', 'b^^1", "(a'b^^1)"])
def test_a_list_that_is_no_list_is_refused(written: str) -> None:
    assert refusal(QueryId.FIND_DOCUMENTS, *FIND, (CLASS, written))[0] == "XDSRegistryError"


def test_times_are_read_as_the_first_moment_they_name() -> None:
    query = found(("$XDSDocumentEntryCreationTimeFrom", "2004"), ("$XDSDocumentEntryCreationTimeTo", "'200412252359'"))

    assert query.created == Span(20040101000000, 20041225235900)
    assert query.started == Span()
    for odd in ("yesterday", "20041", "20041301", "20041225T10"):
        assert refusal(QueryId.FIND_DOCUMENTS, *FIND, ("$XDSDocumentEntryCreationTimeFrom", odd))[0] == (
            "XDSRegistryError"
        )


def test_a_status_not_understood_counts_as_not_given() -> None:
    odd = "'urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Approved'"
    both = read(QueryId.FIND_DOCUMENTS, PATIENT, (APPROVED[0], f"({odd})", APPROVED[1]))

    assert isinstance(both, FindDocuments)
    assert both.statuses == ("Approved",)
    assert refusal(QueryId.FIND_DOCUMENTS, PATIENT, (APPROVED[0], f"({odd})"))[0] == "XDSStoredQueryMissingParam"


def test_only_stable_documents_are_meant_unless_told() -> None:
    on_demand = "('urn:uuid:34268E47-fdf5-41a6-ba33-82133c465248')"

    assert found().kinds == ("stable",)
    assert found(("$XDSDocumentEntryType", on_demand)).kinds == ("on-demand",)
    assert found(("$XDSDocumentEntryType", "('urn:uuid:00000000-0000-0000-0000-000000000000')")).kinds == ()


def test_ids_are_read_whatever_their_case_and_spaces() -> None:
    written = ("('urn:uuid: A96D7361-6617-488a-891c-ee3f37d1f218')", f"{UUID} ")

    assert read(QueryId.GET_ASSOCIATIONS, ("$uuid", *written)) == GetAssociations((UUID,))


def test_slots_that_a_query_does_not_know_are_ignored() -> None:
    assert found(("$XDSDocumentEntryPracticeSettingCodeScheme", "('a','b'"), ("$Other", "x"), ("", "y")) == found()
    assert found(("$XDSDocumentEntryReferenceIdList", "('A^^^^urn:x')")) == found()


@pytest.mark.parametrize(
    ("id_", "slots", "code"),
    [
        (QueryId.FIND_DOCUMENTS, [APPROVED], "XDSStoredQueryMissingParam"),
        (QueryId.FIND_DOCUMENTS, [(PATIENT[0], "''"), APPROVED], "XDSStoredQueryMissingParam"),
        (QueryId.FIND_DOCUMENTS, [PATIENT], "XDSStoredQueryMissingParam"),
        (QueryId.FIND_DOCUMENTS, [(PATIENT[0], "('a','b')"), APPROVED], "XDSStoredQueryParamNumber"),
        (QueryId.FIND_DOCUMENTS, [PATIENT, PATIENT, APPROVED], "XDSStoredQueryParamNumber"),
        (QueryId.FIND_DOCUMENTS_BY_REFERENCE_ID, [*FIND], "XDSStoredQueryMissingParam"),
        (QueryId.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS, [APPROVED], "XDSStoredQueryMissingParam"),
        (QueryId.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS, [APPROVED, ("$XDSDocumentEntryTypeCode", "('a^^1')")],
         "XDSStoredQueryMissingParam"),
        (QueryId.FIND_DOCUMENTS_EXCLUDE, [*FIND, (CLASS, "('a^^1')"), (CLASS + "Exclude", "('b^^1')")],
         "XDSStoredQueryParamNumber"),
        (QueryId.FIND_FOLDERS_FOR_MULTIPLE_PATIENTS, [("$XDSFolderStatus", APPROVED[1])], "XDSStoredQueryMissingParam"),
        (QueryId.GET_DOCUMENTS, [], "XDSStoredQueryMissingParam"),
        (QueryId.GET_DOCUMENTS, [("$XDSDocumentEntryEntryUUID", UUID), ("$XDSDocumentEntryUniqueId", "'1.2'")],
         "XDSStoredQueryParamNumber"),
        (QueryId.GET_FOLDER_AND_CONTENTS, [("$XDSFolderUniqueId", "('1.2','1.3')")], "XDSStoredQueryParamNumber"),
        (QueryId.GET_RELATED_DOCUMENTS, [("$XDSDocumentEntryUniqueId", "'1.2'")], "XDSStoredQueryMissingParam"),
        (QueryId.GET_SUBMISSION_SETS, [("$uuid", "()")], "XDSStoredQueryMissingParam"),
    ],
)  # fmt: skip
def test_what_a_query_needs_and_forbids(id_: QueryId, slots: list[tuple[str, ...]], code: str) -> None:
    assert refusal(id_, *slots)[0] == code


def test_the_author_of_submission_sets_is_one_pattern() -> None:
    status = ("$XDSSubmissionSetStatus", APPROVED[1])
    asked = [("$XDSSubmissionSetPatientId", "'7'"), status, ("$XDSSubmissionSetAuthorPerson", "'%Smitty%'")]
    query = read(QueryId.FIND_SUBMISSION_SETS, *asked)

    assert isinstance(query, FindSubmissionSets)
    assert query.authors == ("%Smitty%",)
    asked[2] = (asked[2][0], "('a','b')")
    assert refusal(QueryId.FIND_SUBMISSION_SETS, *asked)[0] == "XDSStoredQueryParamNumber"
    asked[2] = (asked[2][0], "'" + "%a" * 1000 + "'")
    assert refusal(QueryId.FIND_SUBMISSION_SETS, *asked)[0] == "XDSRegistryError"


def test_an_unknown_query_is_refused() -> None:
    with pytest.raises(Problem) as raised:
        read_query(AdhocQuery("urn:uuid:00000000-0000-0000-0000-000000000000", (), "ObjectRef"))
    assert errors_of(raised.value)[0].code == "XDSUnknownStoredQuery"


def test_the_number_of_values_is_bounded() -> None:
    ids = ",".join(f"'1.2.{number}'" for number in range(MOST_VALUES))
    query = read(QueryId.GET_DOCUMENTS, ("$XDSDocumentEntryUniqueId", f"({ids})"))

    assert isinstance(query, GetDocuments)
    assert len(query.documents.unique_ids) == MOST_VALUES
    assert refusal(QueryId.GET_DOCUMENTS, ("$XDSDocumentEntryUniqueId", f"({ids})", "('1.3')"))[0] == "XDSRegistryError"


def test_the_number_of_patterns_is_bounded() -> None:
    def asked(count: int) -> tuple[str, str]:
        patterns = ",".join(f"'%{number}%'" for number in range(count))
        return "$XDSDocumentEntryAuthorPerson", f"({patterns})"

    assert isinstance(read(QueryId.FIND_DOCUMENTS, *FIND, asked(MOST_PATTERNS)), FindDocuments)
    assert refusal(QueryId.FIND_DOCUMENTS, *FIND, asked(MOST_PATTERNS + 1))[0] == "XDSRegistryError"


def test_hostile_quotes_are_read_in_no_time() -> None:
    assert refusal(QueryId.FIND_DOCUMENTS, *FIND, (CLASS, "(" + "'" * 100_001 + ")"))[0] == "XDSRegistryError"
    assert refusal(QueryId.FIND_DOCUMENTS, *FIND, (CLASS, "('" + "a" * 100_000))[0] == "XDSRegistryError"
