"""Query parameters of rendered resources: every text is a value or a problem that names it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dicom.render import parameters
from server.dicom.render.parameters import (
    Annotation,
    IccProfile,
    Viewport,
    Window,
    WindowFunction,
    parse_annotation,
    parse_frame_number,
    parse_iccprofile,
    parse_quality,
    parse_viewport,
    parse_window,
    wado_uri_viewport,
    wado_uri_window,
)
from server.kernel.problem import Kind, Problem


@pytest.mark.parametrize(
    ("text", "viewport"),
    [
        ("100,50", Viewport(100, 50)),
        ("100,50,,", Viewport(100, 50)),
        ("100,50,10,20", Viewport(100, 50, 10, 20)),
        ("100,50,10.5,20,30,40", Viewport(100, 50, 10.5, 20, 30, 40)),
        ("100,50,,,30,40", Viewport(100, 50, 0, 0, 30, 40)),
        ("100,50,-10,-20,-30,40", Viewport(100, 50, 10, 20, 30, 40, flip_horizontally=True)),
        ("100,50,,,,-40", Viewport(100, 50, 0, 0, None, 40, flip_vertically=True)),
    ],
)
def test_a_viewport_is_read_with_its_defaults(text: str, viewport: Viewport) -> None:
    assert parse_viewport(text) == viewport


@pytest.mark.parametrize(
    "text",
    ["", "100", "100,", "0,1", "-5,5", "1.5,2", "a,b", "1,2,3,4,5,6,7", "1,2,x", "1,2,,,0,5", "99999,1", "16384,16384"],
)
def test_an_ill_formed_viewport_is_named(text: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_viewport(text)
    assert (caught.value.kind, caught.value.issues[0].location) == (Kind.INVALID, "viewport")


def test_a_thumbnail_takes_no_crop() -> None:
    assert parse_viewport("10,10", crop=False) == Viewport(10, 10)
    with pytest.raises(Problem):
        parse_viewport("10,10,0,0,5,5", crop=False)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("40,400,linear", Window(40, 400)),
        ("-1e2, 1 ,LINEAR-EXACT", Window(-100, 1, WindowFunction.LINEAR_EXACT)),
        (".5,0.25,sigmoid", Window(0.5, 0.25, WindowFunction.SIGMOID)),
    ],
)
def test_a_window_has_center_width_and_function(text: str, window: Window) -> None:
    assert parse_window(text) == window


@pytest.mark.parametrize(
    "text",
    ["", "40", "40,400", "40,400,cubic", "40,0,sigmoid", "40,0.5,linear", "nan,1,linear", "1,inf,linear", "1,2,"],
)
def test_an_ill_formed_window_is_named(text: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_window(text)
    assert caught.value.issues[0].location == "window"


@pytest.mark.parametrize("text", ["0", "101", "-1", "1.5", "", "x", "1e1"])
def test_quality_is_from_1_to_100(text: str) -> None:
    assert parse_quality("1") == 1
    assert parse_quality("100") == 100
    with pytest.raises(Problem):
        parse_quality(text)


def test_unknown_annotation_is_reported_and_garbage_refused() -> None:
    assert parse_annotation("patient,technique") == Annotation(True, True)
    assert parse_annotation("technique,logo") == Annotation(False, True, ("logo",))
    for text in ("", "logo", "Patient"):
        with pytest.raises(Problem):
            parse_annotation(text)


def test_a_profile_needs_a_type_that_carries_it() -> None:
    assert parse_iccprofile("srgb", media_type="image/png") is IccProfile.SRGB
    assert parse_iccprofile("no", media_type="image/gif") is IccProfile.NO
    for text, media_type in (("yes", "image/gif"), ("adobergb", "image/jpeg"), ("", "image/png")):
        with pytest.raises(Problem):
            parse_iccprofile(text, media_type=media_type)


def test_a_frame_number_lies_among_the_frames() -> None:
    assert parse_frame_number("3", 3) == 3
    for text in ("0", "4", "-1", "x"):
        with pytest.raises(Problem):
            parse_frame_number(text, 3)


def test_wado_uri_has_its_own_names() -> None:
    assert wado_uri_viewport(rows=None, columns=None, region=None) is None
    assert wado_uri_viewport(rows="10", columns=None, region=None) == Viewport(None, 10)
    assert wado_uri_viewport(rows="10", columns="20", region="0.25,0,0.75,1") == (
        Viewport(20, 10, 0.25, 0, 0.5, 1, relative=True)
    )
    assert wado_uri_window("40", "400") == Window(40, 400)
    assert wado_uri_window(None, None) is None
    for call, name in (
        (lambda: wado_uri_viewport(rows="x", columns=None, region=None), "rows"),
        (lambda: wado_uri_viewport(rows=None, columns=None, region="0,0,1"), "region"),
        (lambda: wado_uri_viewport(rows=None, columns=None, region="0.5,0,0.5,1"), "region"),
        (lambda: wado_uri_viewport(rows=None, columns=None, region="0,0,1,1.5"), "region"),
        (lambda: wado_uri_window("40", None), "windowWidth"),
        (lambda: wado_uri_window(None, "1"), "windowCenter"),
    ):
        assert refused(call) == name


def refused(call: Callable[[], Any]) -> str | None:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value.issues[0].location


numbers = st.integers(-30000, 30000).map(str) | st.floats().map(str) | st.text("0123456789.,+-eE xnaif", max_size=8)


@given(st.lists(numbers, max_size=8).map(",".join) | st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (parse_viewport, parse_window, parse_quality, parse_annotation):
        with contextlib.suppress(Problem):
            parse(text)
    with contextlib.suppress(Problem):
        found = parse_viewport(text)
        assert found.width is not None
        assert 1 <= found.width <= parameters.LARGEST_SIDE
        assert found.left >= 0
    with contextlib.suppress(Problem):
        assert parse_window(text).width > 0
    with contextlib.suppress(Problem):
        wado_uri_viewport(rows=text, columns=text, region=text)
    with contextlib.suppress(Problem):
        wado_uri_window(text, text)


@given(
    st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    st.tuples(*[st.floats(0.5, 1e4).map(lambda value: round(value, 3))] * 4),
    st.tuples(st.booleans(), st.booleans()),
)
def test_a_viewport_survives_being_written(
    box: tuple[int, int], crop: tuple[float, ...], flips: tuple[bool, bool]
) -> None:
    signs = [-1 if flip else 1 for flip in flips]
    text = f"{box[0]},{box[1]},{crop[0]},{crop[1]},{signs[0] * crop[2]},{signs[1] * crop[3]}"
    assert parse_viewport(text) == Viewport(*box, *crop, flip_horizontally=flips[0], flip_vertically=flips[1])
