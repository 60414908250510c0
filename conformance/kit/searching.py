"""QIDO-RS: resources, matching, returned attributes and paging (PS3.18 10.6, 8.3.4; PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from conformance.kit.report import Check, Checks
from conformance.kit.session import DICOM_JSON, DICOM_XML, JsonRow, Session, related, value, values
from conformance.kit.verdict import Skipped, expect

_STUDY_RETURNED = (
    *("00080020", "00080030", "00080050", "00080061", "00080090", "00100010", "00100020", "00100030", "00100040"),
    *("0020000D", "00200010", "00201206", "00201208"),
)
_SERIES_RETURNED = ("00080060", "0020000E", "00200011", "00201209", "00081190")
_INSTANCE_RETURNED = ("00080016", "00080018", "00200013", "00081190")
_STUDY_UID, _SERIES_UID, _INSTANCE_UID = "0020000D", "0020000E", "00080018"


def _expect_studies(session: Session, query: str, *samples: int) -> None:
    """The query, within this run's studies, finds exactly those of the samples at these places in `studies`."""
    rows = session.search(f"/studies?{query}")
    ours = {each for each in values(rows, _STUDY_UID) if each in session.samples.studies}
    expected = {session.samples.studies[place] for place in samples}
    expect(ours == expected, f"{query} found {len(ours)} of this run's studies, expected {len(expected)}")


def finds_studies_with_required_attributes(session: Session) -> None:
    rows = session.search(f"/studies?StudyInstanceUID={session.samples.ct[0].study}")
    expect(len(rows) == 1, f"{len(rows)} rows for one Study Instance UID")
    _expect_returned(rows[0], _STUDY_RETURNED)
    expect(value(rows[0], "00201206") == 2 and value(rows[0], "00201208") == 4, "the counts of series and instances")
    expect(sorted(rows[0]["00080061"]["Value"]) == ["CT", "MR"], "Modalities in Study")


def finds_series_of_a_study(session: Session) -> None:
    rows = session.search(f"{session.samples.ct[0].study_path}/series")
    expect(len(rows) == 2, f"{len(rows)} series, expected 2")
    _expect_returned(rows[0], _SERIES_RETURNED)


def finds_instances_of_a_series(session: Session) -> None:
    rows = session.search(f"{session.samples.ct[0].series_path}/instances")
    expect(len(rows) == 3, f"{len(rows)} instances, expected 3")
    _expect_returned(rows[0], _INSTANCE_RETURNED)


def finds_instances_of_a_study(session: Session) -> None:
    rows = session.search(f"{session.samples.ct[0].study_path}/instances")
    expect(len(rows) == 4, f"{len(rows)} instances, expected 4")


def finds_series_anywhere(session: Session) -> None:
    sample = session.samples.mr
    rows = session.search(f"/series?PatientID={sample.patient_id}&Modality=MR")
    expect(values(rows, _SERIES_UID) == [sample.series], "the MR series of the patient is not the one result")
    expect(value(rows[0], _STUDY_UID) == sample.study, "a series found without its study does not name it")


def finds_instances_anywhere(session: Session) -> None:
    sample = session.samples.ct[1]
    rows = session.search(f"/instances?PatientID={sample.patient_id}&InstanceNumber=2")
    expect(values(rows, _INSTANCE_UID) == [sample.instance], "Instance Number 2 of the patient is not the one result")


def answers_nothing_found_with_an_empty_list(session: Session) -> None:
    answer = session.client.get("/studies?PatientID=no-such-patient-in-any-archive", DICOM_JSON)
    expect(answer.status == 200 and answer.json() == [], f"nothing found gave {answer.status}, expected 200 and []")


def matches_by_keyword_and_by_tag(session: Session) -> None:
    _expect_studies(session, f"AccessionNumber=A{session.samples.token}", 0)
    _expect_studies(session, f"00080050=A{session.samples.token}", 0)


def matches_wildcards(session: Session) -> None:
    token = session.samples.token
    _expect_studies(session, f"PatientID=?{token}", 0, 1, 2)
    _expect_studies(session, f"PatientID=K{token[:-1]}*", 0)
    _expect_studies(session, f"AccessionNumber=*{token[1:]}&PatientName=*Anna*", 0)


def matches_names_beyond_ascii(session: Session) -> None:
    mine = f"PatientID=?{session.samples.token}"
    _expect_studies(session, f"{mine}&PatientName={quote('*王*')}", 0)
    _expect_studies(session, f"{mine}&PatientName=*{quote('Béla')}", 1, 2)


def matches_dates(session: Session) -> None:
    mine = f"PatientID=?{session.samples.token}"
    _expect_studies(session, f"{mine}&StudyDate=20240229", 0)
    _expect_studies(session, f"{mine}&StudyDate=20240201-20240331", 0)
    _expect_studies(session, f"{mine}&StudyDate=-19991231", 1, 2)
    _expect_studies(session, f"{mine}&StudyDate=20000101-", 0)


def matches_times(session: Session) -> None:
    mine = f"PatientID=?{session.samples.token}"
    _expect_studies(session, f"{mine}&StudyTime=1015", 0)
    _expect_studies(session, f"{mine}&StudyTime=2359-235959.9", 1, 2)


def matches_date_and_time_as_one(session: Session) -> None:
    mine = f"PatientID=?{session.samples.token}"
    _expect_studies(session, f"{mine}&StudyDate=20240228-20240301&StudyTime=1200-0900", 0)
    _expect_studies(session, f"{mine}&StudyDate=20240229-20240301&StudyTime=1100-0900")


def matches_lists_of_uids(session: Session) -> None:
    one, two, _ = session.samples.studies
    _expect_studies(session, f"StudyInstanceUID={one},{two}", 0, 1)


def matches_modalities_in_study(session: Session) -> None:
    mine = f"PatientID=?{session.samples.token}"
    _expect_studies(session, f"{mine}&ModalitiesInStudy=MR", 0)
    _expect_studies(session, f"{mine}&ModalitiesInStudy=XA", 1)


def matches_inside_sequences(session: Session) -> None:
    sample = session.samples.ct[0]
    keyword = "RequestAttributesSequence.ScheduledProcedureStepID"
    expect(len(session.search(f"{sample.study_path}/series?{keyword}=KIT-SPS-1")) == 2, f"{keyword} did not match")
    expect(not session.search(f"{sample.study_path}/series?00400275.00400009=OTHER"), "another value matched")


def takes_an_empty_value_as_universal(session: Session) -> None:
    _expect_studies(session, f"PatientID=?{session.samples.token}&StudyDescription=", 0, 1, 2)


def includes_fields_asked_for(session: Session) -> None:
    base = f"/studies?StudyInstanceUID={session.samples.ct[0].study}"
    for query in ("includefield=StudyDescription", "includefield=00081030", "includefield=00081030,00100030"):
        rows = session.search(f"{base}&{query}")
        expect(value(rows[0], "00081030") == "Kit study 肺", f"{query} did not bring Study Description")
    everything = session.search(f"{base}&includefield=all")
    expect("00081030" in everything[0], "includefield=all did not bring Study Description")


def returns_what_was_matched(session: Session) -> None:
    rows = session.search(f"/studies?StudyInstanceUID={session.samples.ct[0].study}&StudyDescription=Kit*")
    expect(len(rows) == 1 and "00081030" in rows[0], "an attribute used for matching is not in the result")


def pages_by_limit_and_offset(session: Session) -> None:
    base = f"{session.samples.ct[0].study_path}/instances"
    whole = values(session.search(base), _INSTANCE_UID)
    paged = [values(session.search(f"{base}?limit=1&offset={place}"), _INSTANCE_UID) for place in range(5)]
    expect([uid for page in paged for uid in page] == whole, "pages of one do not add up to the whole, in order")
    expect(paged[4] == [], "an offset past the end is not an empty page")


def warns_when_more_remain(session: Session) -> None:
    _, answer = session.searched(f"{session.samples.ct[0].study_path}/instances?limit=3")
    warning = answer.headers.get("warning", "")
    expect(bool(re.match(r"299 \S+: .*\b1\b.*additional", warning)), f"Warning is {warning!r}")


def ignores_unknown_parameters(session: Session) -> None:
    rows, _ = session.searched(f"{session.samples.ct[0].study_path}/series?NoSuchKeyword=1")
    expect(len(rows) == 2, "an unknown parameter changed the result")


def refuses_bad_values(session: Session) -> None:
    for query in ("limit=some", "offset=-1", "StudyDate=2024-02-30-x", "StudyTime=99"):
        answer = session.client.get(f"/studies?{query}", DICOM_JSON)
        expect(answer.status == 400, f"{query} gave {answer.status}, expected 400")


def answers_in_xml(session: Session) -> None:
    path = f"/studies?StudyInstanceUID={session.samples.ct[0].study}"
    parts = session.retrieve(path, related(DICOM_XML)).parts()
    expect(len(parts) == 1 and b"NativeDicomModel" in parts[0].body, "not one part in the Native DICOM Model")


def refuses_an_unanswerable_accept(session: Session) -> None:
    answer = session.client.get("/studies?limit=1", "text/csv")
    expect(answer.status == 406, f"Accept: text/csv gave {answer.status}, expected 406")


def takes_the_accept_parameter(session: Session) -> None:
    answer = session.client.get("/studies?limit=1&accept=application/dicom%2Bjson", "*/*")
    expect(answer.status == 200 and answer.media_type == DICOM_JSON, f"{answer.status} {answer.media_type}")


def follows_the_json_model(session: Session) -> None:
    row = session.search(f"/studies?StudyInstanceUID={session.samples.ct[0].study}&includefield=all")[0]
    expect(list(row) == sorted(row), "tags are not in ascending order")
    expect(all(re.fullmatch("[0-9A-F]{8}", tag) for tag in row), "a tag is not eight upper-case hexadecimal digits")
    expect(all("vr" in attribute for attribute in row.values()), "an attribute lacks vr")
    name = value(row, "00100010")
    token = session.samples.token
    expect(name == {"Alphabetic": f"Kit{token}^Anna", "Ideographic": "王^小东"}, f"Patient's Name is {name}")


def matches_names_fuzzily(session: Session) -> None:
    mine = f"PatientID=?{session.samples.token}"
    path = f"/studies?{mine}&PatientName=anna&fuzzymatching=true"
    rows, answer = session.searched(path)
    if "warning" in answer.headers:
        raise Skipped("fuzzy matching is optional, and the server says that it matched literally")
    expect(values(rows, _STUDY_UID) == [session.samples.ct[0].study], "fuzzy matching did not find anna in Kit^Anna")


def _expect_returned(row: JsonRow, tags: Sequence[str]) -> None:
    missing = [tag for tag in tags if tag not in row]
    expect(not missing, f"missing from the row: {', '.join(missing)}")


CHECKS: Checks = (
    Check("finds studies with every required attribute", "10.6.3.3.1", finds_studies_with_required_attributes),
    Check("finds the series of a study", "10.6.1, 10.6.3.3.2", finds_series_of_a_study),
    Check("finds the instances of a series", "10.6.1, 10.6.3.3.3", finds_instances_of_a_series),
    Check("finds the instances of a study", "10.6.1", finds_instances_of_a_study),
    Check("finds series in the whole archive", "10.6.1", finds_series_anywhere),
    Check("finds instances in the whole archive", "10.6.1", finds_instances_anywhere),
    Check("answers nothing found with an empty list", "10.6.3.1", answers_nothing_found_with_an_empty_list),
    Check("matches by keyword and by tag", "8.3.4.1", matches_by_keyword_and_by_tag),
    Check("matches wildcards", "PS3.4 C.2.2.2.4", matches_wildcards),
    Check("matches names beyond ASCII", "8.3.4.1, PS3.4 C.2.2.2", matches_names_beyond_ascii),
    Check("matches dates and ranges of dates", "PS3.4 C.2.2.2.5", matches_dates),
    Check("matches times and ranges of times", "PS3.4 C.2.2.2.5", matches_times),
    Check("matches a date with a time as one moment", "8.3.4.1, PS3.4 C.2.2.2.5", matches_date_and_time_as_one),
    Check("matches lists of UIDs", "PS3.4 C.2.2.2.2", matches_lists_of_uids),
    Check("matches Modalities in Study", "10.6.1, PS3.4 C.3.4", matches_modalities_in_study),
    Check("matches inside sequences", "8.3.4.1, PS3.4 C.2.2.2.6", matches_inside_sequences),
    Check("takes an empty value as universal", "PS3.4 C.2.2.2.3", takes_an_empty_value_as_universal),
    Check("includes the fields asked for", "8.3.4.3", includes_fields_asked_for),
    Check("returns what was matched", "10.6.3.3", returns_what_was_matched),
    Check("pages by limit and offset", "8.3.4.4", pages_by_limit_and_offset),
    Check("warns when more results remain", "8.3.4.4", warns_when_more_remain),
    Check("ignores unknown parameters", "8.3.1", ignores_unknown_parameters),
    Check("refuses bad values with 400", "8.3.1", refuses_bad_values),
    Check("answers a search in XML", "10.6.4, F", answers_in_xml),
    Check("refuses a search it cannot answer with 406", "8.7.5", refuses_an_unanswerable_accept),
    Check("takes the accept parameter", "8.3.3.1", takes_the_accept_parameter),
    Check("follows the DICOM JSON Model", "F.2.2", follows_the_json_model),
    Check("matches names fuzzily", "8.3.4.2", matches_names_fuzzily),
)
