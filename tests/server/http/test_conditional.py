"""Validators and byte ranges, by the letter of RFC 9110."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.conditional import ByteRange, byte_range, etag, not_modified, weak_etag
from server.http.surface import Answer, Call
from server.kernel.context import LOCAL_ACTOR, Context


def call(method: str = "GET", **headers: str) -> Call:
    named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope: dict[str, Any] = {"method": method, "headers": named, "query_string": b""}

    async def receive() -> dict[str, Any]:
        raise AssertionError

    return Call(scope, receive, {}, "", Context(LOCAL_ACTOR, "test"))


@pytest.mark.parametrize("asked", ['"a-b"', 'W/"a-b"', '"x", "a-b"', "*", ' "a-b" '])
def test_a_client_that_has_it_is_told_so(asked: str) -> None:
    for tag in (etag("a", "b"), weak_etag("a", "b")):
        answer = not_modified(call(if_none_match=asked), tag)
        assert answer is not None
        assert answer.status == 304
        assert ("ETag", tag) in answer.headers


@pytest.mark.parametrize("asked", ['"a"', "a-b", "", '"a-b'])
def test_a_client_that_has_something_else_gets_it(asked: str) -> None:
    assert not_modified(call(if_none_match=asked), etag("a", "b")) is None


def test_only_reading_is_conditional() -> None:
    assert not_modified(call("POST", if_none_match="*"), etag("a")) is None
    assert not_modified(call("HEAD", if_none_match="*"), etag("a")) is not None


@pytest.mark.parametrize(
    ("asked", "start", "length"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=90-", 90, 10),
        ("bytes=-5", 95, 5),
        ("bytes=95-200", 95, 5),
        ("Bytes = 1 - 1", 1, 1),
    ],
)
def test_one_range_is_honoured(asked: str, start: int, length: int) -> None:
    found = byte_range(call(range=asked), 100, '"t"')
    assert found == ByteRange(start, length, 100)


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "items=0-1", "bytes=-", "bytes=5-2", "bytes=a-b", "0-1", "bytes=--1"]
)
def test_other_ranges_are_passed_over(asked: str) -> None:
    assert byte_range(call(range=asked), 100, '"t"') is None


def test_a_range_outside_is_refused_with_the_size() -> None:
    for asked in ("bytes=100-", "bytes=500-600", "bytes=-0"):
        answer = byte_range(call(range=asked), 100, '"t"')
        assert isinstance(answer, Answer)
        assert answer.status == 416
        assert ("Content-Range", "bytes */100") in answer.headers


def test_a_range_of_another_version_is_the_whole() -> None:
    assert byte_range(call(range="bytes=0-1", if_range='"other"'), 100, '"t"') is None
    assert isinstance(byte_range(call(range="bytes=0-1", if_range='"t"'), 100, '"t"'), ByteRange)
    assert byte_range(call("HEAD", range="bytes=0-1"), 100, '"t"') is None


@given(st.text(alphabet="bytes=0123456789-, ", max_size=40), st.integers(0, 1 << 40))
def test_whatever_is_asked_stays_within_the_whole(asked: str, size: int) -> None:
    found = byte_range(call(range=asked), size, '"t"')
    if isinstance(found, ByteRange):
        assert 0 <= found.start < found.start + found.length <= size
        assert found.content_range.endswith(f"/{size}")
