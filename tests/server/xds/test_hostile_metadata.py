"""Messages that are bent at random: they are read or refused, and nothing else happens."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from server.kernel.problem import Kind, Problem
from server.xds import vocabulary as v
from server.xds.ebxml_reading import read_adhoc_query, read_submission
from server.xds.ebxml_writing import write_object
from server.xds.errors import errors_of
from server.xds.metadata import RegistryObject
from server.xds.removing import read_removal
from server.xds.structure import check_structure
from server.xds.update_operations import read_operations
from tests.data import xds_objects as samples

_WHOLE = samples.submission(samples.document(), folders=(samples.folder(),))
_OBJECTS: tuple[RegistryObject, ...] = (
    *_WHOLE.submission_sets,
    *_WHOLE.documents,
    *_WHOLE.folders,
    *_WHOLE.associations,
)
_MESSAGE = b'<rim:RegistryObjectList xmlns:rim="%s">%s</rim:RegistryObjectList>' % (
    v.RIM.encode(),
    b"".join(map(write_object, _OBJECTS)),
)
_VALUES = ["", "x", "urn:uuid:", "urn:uuid:X", "~", "^^^", "1|2", "&", "9" * 30, "\u4e2d" * 300, v.HAS_MEMBER, v.FOLDER]

bends = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 5), st.sampled_from(_VALUES)), min_size=1, max_size=6)


def _bend(root: etree._Element, place: int, how: int, value: str) -> None:
    found = list(root.iter("*"))
    element = found[place % len(found)]
    parent = element.getparent()
    match how:
        case 0 if parent is not None:
            parent.remove(element)
        case 1 if parent is not None:
            parent.append(etree.fromstring(etree.tostring(element)))
        case 2 if element.attrib:
            element.set(sorted(element.attrib)[place % len(element.attrib)], value)
        case 3 if element.attrib:
            del element.attrib[sorted(element.attrib)[place % len(element.attrib)]]
        case 4:
            element.text = value
        case _:
            element.tag = f"{{{v.RIM}}}Classification"


@given(bends)
def test_a_bent_message_is_read_or_refused(bent: list[tuple[int, int, str]]) -> None:
    root = etree.fromstring(_MESSAGE)
    for place, how, value in bent:
        _bend(root, place, how, value)
    with suppress(Problem):
        read = read_submission(root)
        for act in ("ITI-42", "ITI-57", "ITI-61"):
            check_structure(read, act=act)
        if len(read.submission_sets) == 1:
            read_operations(read)


_MANY = '<rim:ObjectRef id="a"/>' * 6000


def _removal(inside: str) -> etree._Element:
    return etree.fromstring(
        f'<lcm:RemoveObjectsRequest xmlns:lcm="{v.LCM}" xmlns:rim="{v.RIM}">{inside}</lcm:RemoveObjectsRequest>'
    )


def test_a_removal_names_each_object_once() -> None:
    listed = '<rim:ObjectRef id="urn:uuid:A"/><!-- --><rim:ObjectRef id=" urn:uuid:a"/><rim:ObjectRef id="urn:uuid:b"/>'
    assert read_removal(_removal(f"<rim:ObjectRefList>{listed}</rim:ObjectRefList>")) == ("urn:uuid:a", "urn:uuid:b")


@pytest.mark.parametrize(
    ("inside", "kind", "code"),
    [
        ("", Kind.INVALID, "XDSRegistryMetadataError"),
        ("<rim:ObjectRefList/>", Kind.INVALID, "XDSRegistryMetadataError"),
        (f"<rim:ObjectRefList>{_MANY}</rim:ObjectRefList>", Kind.TOO_LARGE, "XDSRegistryOutOfResources"),
    ],
)
def test_a_removal_of_nothing_or_too_much_is_refused(inside: str, kind: Kind, code: str) -> None:
    with pytest.raises(Problem) as raised:
        read_removal(_removal(inside))
    assert raised.value.kind is kind
    assert [each.code for each in errors_of(raised.value)] == [code]


@pytest.mark.parametrize(
    "inside",
    [
        "<r:Slot/>" * 1001,
        "<r:Slot>" + "<r:ValueList/>" * 9 + "</r:Slot>",
        "<r:Slot><r:ValueList>" + "<r:Value/>" * 10_001 + "</r:ValueList></r:Slot>",
    ],
)
def test_a_query_of_too_many_parameters_is_refused_before_it_is_read(inside: str) -> None:
    head = f'<q:Request xmlns:q="{v.QUERY}" xmlns:r="{v.RIM}"><r:AdhocQuery id="urn:uuid:1">'
    query = f"{head}{inside}</r:AdhocQuery></q:Request>"
    with pytest.raises(Problem) as raised:
        read_adhoc_query(etree.fromstring(query))
    assert [each.code for each in errors_of(raised.value)] == ["XDSRegistryError"]
