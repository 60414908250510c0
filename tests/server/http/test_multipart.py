"""Multipart bodies are read as they come, however they are cut, and written so that they can be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.http.multipart import (
    Bytes,
    Limits,
    OutgoingPart,
    closing,
    encode_parts,
    encode_whole,
    multipart_type,
    new_boundary,
    part_length,
    parts,
)
from server.kernel.problem import Kind, Problem

Read = list[tuple[dict[str, str], bytes | Problem]]


async def _stream(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _read(pieces: Sequence[bytes], boundary: str, limits: Limits | None = None) -> Read:
    found: Read = []
    async for part in parts(_stream(pieces), boundary, limits):
        content = bytearray()
        try:
            async for chunk in part.chunks:
                content += chunk
        except Problem as problem:
            found.append((dict(part.headers), problem))
        else:
            found.append((dict(part.headers), bytes(content)))
    return found


def read(body: bytes, boundary: str = "b", *, step: int = 0, limits: Limits | None = None) -> Read:
    pieces = [body[i : i + step] for i in range(0, len(body), step)] if step else [body]
    return asyncio.run(_read(pieces, boundary, limits))


def contents(body: bytes, boundary: str = "b", *, step: int = 0) -> list[bytes | Problem]:
    return [content for _, content in read(body, boundary, step=step)]


PLAIN = b"--b\r\nContent-Type: application/dicom\r\n\r\nfirst\r\n--b\r\nContent-ID: <2>\r\n\r\nsecond\r\n--b--\r\n"


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7])
def test_parts_come_in_order_with_their_headers_whatever_the_chunking(step: int) -> None:
    assert read(PLAIN, step=step) == [
        ({"content-type": "application/dicom"}, b"first"),
        ({"content-id": "<2>"}, b"second"),
    ]


@pytest.mark.parametrize("step", [0, 1, 5])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"\r\n" + PLAIN, [b"first", b"second"]),
        (b"a preamble\r\n" + PLAIN + b"an epilogue", [b"first", b"second"]),
        (PLAIN.replace(b"\r\n", b"\n"), [b"first", b"second"]),
        (b"--b  \t\r\n\r\nx\r\n--b \r\n\r\ny\r\n--b--", [b"x", b"y"]),
        (b"--b\r\n\r\n\r\n--b--", [b""]),
        (b"--b\r\nContent-Type: a/b\r\n\r\n--b--", [b""]),
        (b"--b\r\nContent-Type: a/b\r\n--b--\r\n", [b""]),
        (b"--b--", []),
        (b"--b\r\n\r\n\r\nx\r\n\r\n--b--", [b"\r\nx\r\n"]),
        (b"--b\r\n\r\nx\n--b\r\ny\r\n--bc\r\n--b--", [b"x\n--b\r\ny\r\n--bc"]),
        (b"--b\r\n\r\nx\r\n--b-\r\n--b--", [b"x\r\n--b-"]),
        (b"--b\n\nx\r\n--b--", [b"x\r"]),
    ],
)
def test_what_clients_send_besides_the_grammar_is_understood(body: bytes, expected: list[bytes], step: int) -> None:
    assert contents(body, step=step) == expected


def test_header_lines_may_be_folded_and_lack_a_colon() -> None:
    body = b"--b\r\nContent-Type: multipart/related;\r\n type=x\r\nnonsense\r\nX: 1\r\nx: 2\r\n\r\n\r\n--b--"
    assert read(body) == [({"content-type": "multipart/related; type=x", "x": "1"}, b"")]


@pytest.mark.parametrize("cut", range(len(b"--b\r\nA: 1\r\n\r\n"), len(PLAIN) - len(b"--\r\n")))
def test_a_body_cut_short_fails_its_last_part_only(cut: int) -> None:
    *whole, last = contents(PLAIN[:cut])
    assert isinstance(last, Problem)
    assert last.kind is Kind.INVALID
    assert whole == [b"first"][: len(whole)]


@pytest.mark.parametrize("body", [b"", b"\r\n", b"not multipart at all", b"--c\r\n\r\nx\r\n--c--", b"x--b\r\n"])
def test_a_body_without_its_boundary_is_a_problem(body: bytes) -> None:
    with pytest.raises(Problem) as raised:
        read(body)
    assert raised.value.kind is Kind.INVALID


@pytest.mark.parametrize("boundary", ["", "x" * 300, "a\r\nb", "é"])
def test_a_boundary_that_cannot_be_one_is_a_problem(boundary: str) -> None:
    with pytest.raises(Problem):
        read(PLAIN, boundary)


def test_headers_preamble_and_parts_are_bounded() -> None:
    limits = Limits(parts=2, header_bytes=64, preamble_bytes=64)
    endless = b"--b\r\nX: " + b"y" * 200
    many_lines = b"--b\r\n" + b"X: y\r\n" * 40
    for body in (endless, many_lines, b"p" * 500 + b"\r\n" + PLAIN, b"--b\r\n\r\nx\r\n" * 3 + b"--b--"):
        for step in (0, 1):
            with pytest.raises(Problem):
                read(body, step=step, limits=limits)


def test_what_is_not_read_of_a_part_is_skipped() -> None:
    async def second() -> bytes:
        async for part in parts(_stream([PLAIN[i : i + 4] for i in range(0, len(PLAIN), 4)]), "b"):
            if part.number == 1:
                await anext(part.chunks)
            if part.number == 2:
                return b"".join([bytes(chunk) async for chunk in part.chunks])
        raise AssertionError("there are two parts")

    assert asyncio.run(second()) == b"second"


def test_the_reader_holds_no_more_than_what_arrived_last() -> None:
    async def longest() -> int:
        pieces = [b"--b\r\n\r\n", *[b"\r\n--" * 4096] * 64, b"\r\n--b--"]
        sizes = [len(chunk) async for part in parts(_stream(pieces), "b") async for chunk in part.chunks]
        assert sum(sizes) == 64 * 4 * 4096
        return max(sizes)

    assert asyncio.run(longest()) < 4 * 4096 + 8


def test_the_clients_leaving_is_not_taken_for_the_end() -> None:
    async def leaving() -> AsyncIterator[bytes]:
        yield PLAIN[:60]
        raise ConnectionError

    async def run() -> None:
        async for part in parts(leaving(), "b"):
            async for _ in part.chunks:
                pass

    with pytest.raises(ConnectionError):
        asyncio.run(run())


_headers = st.dictionaries(
    st.from_regex(r"[a-z][a-z-]{0,10}", fullmatch=True),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    max_size=3,
)
_boundaries = st.from_regex(r"[A-Za-z0-9'()+_,./:=?-]{1,70}", fullmatch=True)
_hostile = st.lists(st.sampled_from([b"\r", b"\n", b"--", b"-", b"b", b"--b", b"x", b": ", b" ", b"\r\n--b--"])).map(
    b"".join
)


@given(st.data(), st.lists(st.tuples(_headers, st.one_of(st.binary(max_size=300), _hostile)), max_size=5), _boundaries)
def test_what_is_encoded_reads_back_in_any_chunking(
    data: st.DataObject, sent: list[tuple[dict[str, str], bytes]], boundary: str
) -> None:
    sent = [(headers, body) for headers, body in sent if f"--{boundary}".encode() not in body]
    body = b"".join(encode_whole(boundary, [(list(headers.items()), content) for headers, content in sent]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[i:j] for i, j in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert asyncio.run(_read(pieces, boundary)) == sent


@given(st.one_of(st.binary(max_size=400), _hostile, _hostile.map(lambda tail: b"--b\r\n" + tail)), st.integers(1, 9))
@example(b"--b\r\n\r\n--b", 1)
@example(b"--b\n--b\r\n\r\n\n--b--", 1)
def test_no_bytes_raise_anything_but_a_problem_and_chunking_never_matters(body: bytes, step: int) -> None:
    def outcome(step: int) -> object:
        try:
            found = read(body, step=step)
        except Problem as problem:
            return str(problem)
        return [(headers, str(content) if isinstance(content, Problem) else content) for headers, content in found]

    assert outcome(step) == outcome(0)


def test_the_length_of_the_whole_is_known_beforehand() -> None:
    boundary = new_boundary()
    headers = [("Content-Type", "application/dicom"), ("Content-Location", "http://h/studies/1.2")]
    bodies = [b"one", b"", b"three" * 100]

    async def streamed(body: bytes) -> AsyncIterator[Bytes]:
        for i in range(0, len(body), 7):
            yield memoryview(body)[i : i + 7]

    async def outgoing() -> AsyncIterator[OutgoingPart]:
        for i, body in enumerate(bodies):
            yield OutgoingPart(headers, body if i % 2 else streamed(body), len(body))

    async def whole() -> bytes:
        return b"".join([bytes(chunk) async for chunk in encode_parts(boundary, outgoing())])

    encoded = asyncio.run(whole())
    expected = sum(part_length(boundary, headers, len(body)) for body in bodies) + len(closing(boundary))
    assert len(encoded) == expected
    assert encoded.startswith(b"--" + boundary.encode())
    assert contents(encoded, boundary) == bodies
    assert encoded == b"".join(encode_whole(boundary, [(headers, body) for body in bodies]))


def test_a_stored_value_in_a_header_cannot_break_the_frame() -> None:
    body = b"".join(encode_whole("b", [([("Content-Type", "text/plain\r\nX-Evil: 1\r\n\r\n--b--")], b"x")]))
    assert read(body) == [({"content-type": "text/plain  X-Evil: 1    --b--"}, b"x")]


def test_an_answers_type_quotes_its_root_type() -> None:
    assert multipart_type("application/dicom", "b") == 'multipart/related; type="application/dicom"; boundary=b'
    assert new_boundary() != new_boundary()
