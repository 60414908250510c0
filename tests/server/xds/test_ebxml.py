"""Metadata as ebRIM and back: nothing is lost, what is written keeps the schema, messages are refused whole."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from server.kernel.problem import Kind, Problem
from server.xds import vocabulary as v
from server.xds.ebxml_reading import read_adhoc_query, read_object, read_objects, read_submission, take_submission
from server.xds.ebxml_writing import write_object, write_reference
from server.xds.metadata import (
    Association,
    Author,
    Code,
    DocumentEntry,
    Folder,
    Localized,
    RegistryObject,
    Slot,
    SubmissionSet,
)
from tests.data import xds_objects as samples

_WRAP = (
    f'<lcm:SubmitObjectsRequest xmlns:lcm="{v.LCM}" xmlns:rim="{v.RIM}"><rim:RegistryObjectList>',
    "</rim:RegistryObjectList></lcm:SubmitObjectsRequest>",
)


def _legal(character: str) -> bool:
    number = ord(character)
    return number in (9, 10, 13) or 0x20 <= number <= 0xD7FF or 0xE000 <= number <= 0xFFFD or number > 0xFFFF


characters = st.characters(codec="utf-8").filter(_legal)
texts = st.text(characters, max_size=12).map(lambda text: text.strip(" \t\r\n"))
some = texts.filter(bool)
values = st.lists(some, max_size=3).map(tuple)
ids = st.one_of(st.uuids().map(lambda each: f"urn:uuid:{each}"), st.just("Document01"))
localized = st.lists(st.builds(Localized, some, st.sampled_from(["", "zh-CN"])), max_size=2).map(tuple)
codes = st.builds(Code.named, some, some, localized)
authors = st.lists(st.builds(Author, texts, values, values, values, values), max_size=2).map(tuple)
several = st.lists(codes, max_size=2).map(tuple)
slots = st.dictionaries(texts.map(lambda text: f"urn:x:{text}"), values, max_size=2).map(
    lambda found: tuple(Slot(name, kept) for name, kept in found.items())
)
states = st.sampled_from([v.APPROVED, v.DEPRECATED])

_WORDS = {"title": localized, "comments": localized, "slots": slots, "home": texts, "status": states, "id": ids}

documents = st.builds(
    DocumentEntry,
    **_WORDS,
    unique_id=texts,
    patient_id=texts,
    mime_type=texts,
    **{f"{name}_code": st.none() | codes for name in ("class", "type", "format", "facility_type", "practice_setting")},
    **{f"{name}_codes": several for name in ("confidentiality", "event")},
    **dict.fromkeys(("creation_time", "service_start_time", "service_stop_time", "language_code", "uri"), texts),
    **dict.fromkeys(("legal_authenticator", "source_patient_id", "repository_unique_id", "availability"), texts),
    version=texts,
    authors=authors,
    object_type=st.sampled_from([v.STABLE, v.ON_DEMAND]),
    hash=st.sampled_from(["", samples.SHA1]),
    size=st.none() | st.integers(0, 10**18 - 1),
    source_patient_info=values,
    reference_ids=values,
    logical_id=ids,
    is_limited=st.booleans(),
)
objects: st.SearchStrategy[RegistryObject] = st.one_of(
    documents,
    st.builds(
        SubmissionSet,
        **_WORDS,
        **dict.fromkeys(("unique_id", "patient_id", "source_id", "submission_time"), texts),
        content_type_code=st.none() | codes,
        authors=authors,
        intended_recipients=values,
        is_limited=st.booleans(),
    ),
    st.builds(
        Folder,
        **_WORDS,
        **dict.fromkeys(("unique_id", "patient_id", "last_update_time", "version"), texts),
        codes=several,
        logical_id=ids,
        is_limited=st.booleans(),
    ),
    st.builds(
        Association,
        id=ids,
        type=texts,
        source=ids,
        target=ids,
        status=states,
        is_original=st.none() | st.booleans(),
        previous_version=texts,
        documentation=st.none() | codes,
        home=texts,
        slots=slots,
    ),
)


def _list(*bodies: bytes) -> etree._Element:
    return etree.fromstring((_WRAP[0] + b"".join(bodies).decode() + _WRAP[1]).encode())


@given(objects)
def test_whatever_xml_can_hold_comes_back(found: RegistryObject) -> None:
    assert read_object(write_object(found)) == found


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_what_xml_cannot_hold_becomes_a_replacement_character(text: str) -> None:
    read = read_object(write_object(samples.document(uri=f"a{text}b")))
    assert isinstance(read, DocumentEntry)
    assert len(read.uri) == len(text) + 2


def _complete() -> list[RegistryObject]:
    updated = samples.document(
        id="urn:uuid:00000000-0000-0000-0000-000000000001",
        logical_id="urn:uuid:00000000-0000-0000-0000-000000000002",
        version="2",
        comments=(Localized("Remarks", "en"), Localized("备注", "zh-CN")),
        slots=(Slot("urn:x:own", ("a", "b")), Slot("urn:x:none", ())),
        availability=v.ONLINE,
        legal_authenticator="^Li^Wei",
        uri="http://example.org/?a=1&b=2",
        is_limited=True,
        home="urn:oid:1.2.3",
    )
    member = samples.association("a", "b", is_original=True, documentation=samples.code("why"), previous_version="1")
    return [samples.document(), updated, samples.submission_set(), samples.folder(version="2"), member]


def test_what_is_written_keeps_the_schema(shared: Path) -> None:
    schema = etree.XMLSchema(etree.parse(shared / "data/xds/schema/nist-v3/lcm.xsd"))
    bodies = [write_object(each) for each in _complete()]
    schema.assertValid(_list(*bodies, write_reference("urn:uuid:1", "urn:oid:1.2.3")))


def test_an_answer_may_hold_references_beside_objects() -> None:
    request = _list(write_object(samples.folder()), write_reference("urn:uuid:AB"))
    assert read_objects(request[0]) == ([samples.folder()], ["urn:uuid:ab"])


def test_what_was_taken_is_no_longer_in_the_message() -> None:
    bodies = [write_object(each) for each in (samples.submission_set(), samples.document())]
    request = _list(*bodies)
    assert take_submission(request[0]) == read_submission(_list(*bodies)[0])
    assert [len(each) for each in request[0]] == [0, 0]

    refused = _list(bodies[0].replace(b'id="', b'no="', 1), bodies[1])
    with pytest.raises(Problem):
        take_submission(refused[0])
    assert [len(each) for each in refused[0]] == [0, 0]


def test_the_samples_keep_their_meaning(shared: Path) -> None:
    count = 0
    for path in sorted((shared / "data/xds/toolkit").rglob("*.v3.xml")):
        submission = read_submission(etree.parse(path).getroot())
        assert len(submission.submission_sets) == 1, path
        groups = (submission.submission_sets, submission.documents, submission.folders, submission.associations)
        bodies = [write_object(each) for group in groups for each in group]
        assert read_submission(_list(*bodies)) == submission
        count += len(bodies)
    assert count > 200


def test_a_node_classification_may_stand_beside_its_package() -> None:
    inside = write_object(samples.folder())
    element = _list(inside)
    package = element[0][0]
    node = next(each for each in package if each.get("classificationNode"))
    element[0].append(node)
    assert read_submission(element).folders == (samples.folder(),)


def test_white_space_of_pretty_printing_means_nothing() -> None:
    body = write_object(samples.document(hash=samples.SHA1.upper())).replace(b"<rim:Value>", b"<rim:Value>\n  ")
    body = body.replace(b"</rim:Value>", b"<!-- x -->\n</rim:Value>")
    assert read_submission(_list(body)).documents == (samples.document(),)


def _faults(body: bytes) -> set[str]:
    with pytest.raises(Problem) as caught:
        read_submission(_list(body))
    assert {each.code for each in caught.value.issues} == {"XDSRegistryMetadataError"}
    assert {each.location for each in caught.value.issues} == {"Document01"}
    return {each.text for each in caught.value.issues}


def test_what_a_value_cannot_say_is_refused_all_at_once() -> None:
    twice = replace(samples.document(), confidentiality_codes=(), event_codes=(samples.code("a"), samples.code("b")))
    body = write_object(twice).replace(v.DOCUMENT_EVENT.encode(), v.DOCUMENT_TYPE.encode())
    body = body.replace(b"<rim:Value>0</rim:Value>", b"<rim:Value>1e3</rim:Value>")
    body = body.replace(b">20240102</rim:Value>", b">20240102</rim:Value><rim:Value>2025</rim:Value>")
    assert _faults(body) == {
        "typeCode stands more than once.",
        "Slot size is no whole number.",
        "Slot serviceStopTime has more than one value.",
    }


def test_a_repeated_slot_may_only_repeat_itself() -> None:
    slot = b'<rim:Slot name="languageCode"><rim:ValueList><rim:Value>%s</rim:Value></rim:ValueList></rim:Slot>'
    body = write_object(samples.document())
    start = body.index(b"<rim:Slot")
    same = body[:start] + slot % b"zh-CN" + body[start:]
    assert read_submission(_list(same)).documents == (samples.document(),)
    other = body[:start] + slot % b"en" + body[start:]
    assert _faults(other) == {"Slot languageCode stands more than once, with different values."}


def test_a_long_uri_travels_in_pieces() -> None:
    entry = samples.document(uri="http://example.org/" + "x" * 600)
    body = write_object(entry)
    assert body.count(b"<rim:Value>1|http://example.org/") == 1
    assert read_submission(_list(body)).documents == (entry,)
    assert _faults(body.replace(b">2|", b">1|")) == {"Slot URI has several values that are no numbered pieces of one."}


def test_elements_stand_in_the_order_of_the_schema_and_in_their_own_object() -> None:
    body = write_object(samples.document())
    start, end = body.index(b"<rim:Name>"), body.index(b"</rim:Name>") + len(b"</rim:Name>")
    first = body.index(b"<rim:Slot")
    moved = body[:first] + body[start:end] + body[first:start] + body[end:]
    assert _faults(moved) == {"The elements of the object are not in the order of the schema."}
    assert read_object(moved) == samples.document()
    for other in (b'classifiedObject="Document02"', b""):
        foreign = body.replace(b'classifiedObject="Document01"', other, 1)
        assert _faults(foreign) == {"A classification or identifier within the object does not name it."}


def test_what_no_value_has_a_place_for_is_told() -> None:
    body = write_object(samples.document()).replace(v.DOCUMENT_EVENT.encode(), b"urn:uuid:of-another-profile")
    read = read_submission(_list(body))
    assert read.unsaved == ("Document01",)
    assert read.documents[0].event_codes == ()


@pytest.mark.parametrize("name", ["Organization", "AdhocQuery", "Service"])
def test_objects_of_other_kinds_are_refused(name: str) -> None:
    with pytest.raises(Problem, match=name):
        read_submission(_list(f'<rim:{name} id="a"/>'.encode()))


def test_a_message_of_an_older_schema_is_refused() -> None:
    with pytest.raises(Problem, match=r"ebRIM 3\.0"):
        read_submission(
            etree.fromstring('<SubmitObjectsRequest xmlns="urn:oasis:names:tc:ebxml-regrep:registry:xsd:2.1"/>')
        )


def test_a_message_of_a_hundred_thousand_objects_is_refused_unread() -> None:
    request = _list(b'<rim:ObjectRef id="a"/>' * 100_000)
    began = time.process_time()
    with pytest.raises(Problem) as caught:
        read_submission(request)
    assert caught.value.kind is Kind.TOO_LARGE
    assert time.process_time() - began < 0.1


def test_the_cost_of_an_object_does_not_grow_with_their_number() -> None:
    """A bound with much room: what is to be seen is a square, not a slow machine."""
    body = write_object(samples.document())

    def seconds(count: int) -> float:
        request = _list(body * count)
        began = time.process_time()
        assert len(read_submission(request).documents) == count
        return (time.process_time() - began) / count

    few = min(seconds(100) for _ in range(3))
    assert seconds(2000) < 5 * few + 0.0005


def test_parameters_of_a_query_stay_in_order_with_their_repeats() -> None:
    def slot(name: str, *found: str) -> str:
        inside = "".join(f"<rim:Value>{each}</rim:Value>" for each in found)
        return f'<rim:Slot name="{name}"><rim:ValueList>{inside}</rim:ValueList></rim:Slot>'

    query: Any = etree.fromstring(
        f'<query:AdhocQueryRequest xmlns:query="{v.QUERY}" xmlns:rim="{v.RIM}">'
        '<query:ResponseOption returnType="LeafClass" returnComposedObjects="true"/>'
        '<rim:AdhocQuery id=" urn:uuid:14D4DEBF-8f97-4251-9a74-a90016b0af0d " home="urn:oid:1.2">'
        f"{slot('$a', '(1)', '(2)')}{slot('$b', ' 3 ')}{slot('$a', '(4)')}</rim:AdhocQuery></query:AdhocQueryRequest>"
    )
    read = read_adhoc_query(query)
    assert (read.id, read.return_type, read.home) == (
        "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
        "LeafClass",
        "urn:oid:1.2",
    )
    assert read.slots == (Slot("$a", ("(1)", "(2)")), Slot("$b", ("3",)), Slot("$a", ("(4)",)))


def test_a_query_request_without_a_query_is_refused() -> None:
    with pytest.raises(Problem, match="AdhocQuery"):
        read_adhoc_query(etree.fromstring(f'<query:AdhocQueryRequest xmlns:query="{v.QUERY}"/>'))
