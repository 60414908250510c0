"""From samples to pictures: each step of the pipeline, and every image of the corpus."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom.data import get_testdata_file
from pydicom.pixels.processing import apply_voi_lut

from server.dicom import transfer_syntax as ts
from server.dicom.pixels.codecs import Frame
from server.dicom.pixels.description import PixelDescription
from server.dicom.render import encoders, pipeline, viewport
from server.dicom.render.overlays import Overlay, Shutter, draw_overlay, draw_shutter
from server.dicom.render.parameters import (
    Annotation,
    IccProfile,
    RenderOptions,
    Viewport,
    Window,
    WindowFunction,
)
from server.dicom.render.presentation import Presentation
from server.dicom.render.tables import Lut, expand_segments, windowed
from server.kernel.problem import Kind, Problem


def us(*values: int) -> dict[str, Any]:
    return {"vr": "US", "Value": list(values)}


def ds(*values: float) -> dict[str, Any]:
    return {"vr": "DS", "Value": list(values)}


def cs(*values: str) -> dict[str, Any]:
    return {"vr": "CS", "Value": list(values)}


def sq(*items: dict[str, Any]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)}


def inline(vr: str, data: bytes) -> dict[str, Any]:
    return {"vr": vr, "InlineBinary": base64.b64encode(data).decode()}


def grey(rows: int, columns: int, **more: dict[str, Any]) -> dict[str, Any]:
    return {
        "00280002": us(1),
        "00280004": cs("MONOCHROME2"),
        "00280010": us(rows),
        "00280011": us(columns),
        "00280100": us(16),
        "00280101": us(16),
        "00280103": us(0),
        "7FE00010": {"vr": "OW"},
        **more,
    }


def shown(dataset: dict[str, Any], samples: NDArray[Any], **options: Any) -> NDArray[Any]:
    presentation = Presentation.of(dataset, ts.EXPLICIT_LITTLE, options.get("frame_number", 1))
    return picture(samples, presentation, **options)


def picture(samples: NDArray[Any], presentation: Presentation, **options: Any) -> NDArray[Any]:
    """As it comes out of a PNG, which changes nothing."""
    coded = pipeline.render_stored(stored(samples), presentation, RenderOptions(media_type="image/png", **options))
    return np.asarray(Image.open(BytesIO(coded)))


def stored(samples: NDArray[Any]) -> bytes:
    return samples.astype(samples.dtype.newbyteorder("<")).tobytes()


def one_row(*values: int, kind: str = "u2") -> NDArray[Any]:
    return np.array([values], kind)


def test_a_window_is_applied_after_rescaling() -> None:
    dataset = grey(1, 4, **{"00281053": ds(2), "00281052": ds(-1000), "00281050": ds(0), "00281051": ds(201)})
    assert shown(dataset, one_row(0, 475, 500, 600)).tolist() == [[0, 64, 128, 255]]


def test_the_first_of_several_windows_is_used_and_a_request_overrides_it() -> None:
    dataset = grey(1, 2, **{"00281050": ds(100, 500), "00281051": ds(1, 1)})
    assert shown(dataset, one_row(99, 100)).tolist() == [[0, 255]]
    assert shown(dataset, one_row(499, 500), window=Window(500, 1)).tolist() == [[0, 255]]


def test_enhanced_objects_have_their_window_and_rescaling_by_frame() -> None:
    def group(slope: int, center: int) -> dict[str, Any]:
        return {
            "00289145": sq({"00281053": ds(slope), "00281052": ds(0)}),
            "00289132": sq({"00281050": ds(center), "00281051": ds(1)}),
        }

    dataset = grey(1, 2, **{"00280008": {"vr": "IS", "Value": [2]}, "52009230": sq(group(1, 10), group(2, 30))})
    assert shown(dataset, one_row(9, 10), frame_number=1).tolist() == [[0, 255]]
    assert shown(dataset, one_row(14, 15), frame_number=2).tolist() == [[0, 255]]
    shared = grey(1, 2, **{"52009229": sq(group(1, 10)), "52009230": sq({})})
    assert shown(shared, one_row(9, 10)).tolist() == [[0, 255]]


@given(
    st.floats(-2000, 2000),
    st.floats(1, 4000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_windows_agree_with_pydicom(center: float, width: float, function: str) -> None:
    dataset = pydicom.Dataset()
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = (
        str(round(center, 3)),
        str(round(width, 3)),
        function,
    )
    dataset.PhotometricInterpretation, dataset.BitsStored, dataset.PixelRepresentation = "MONOCHROME2", 16, 1
    values = np.linspace(-3000, 3000, 601).round().astype("i2")
    with np.errstate(over="ignore"):
        theirs = (apply_voi_lut(values, dataset).astype(float) + 32768) / 65535
    named = WindowFunction(function.lower().replace("_", "-"))
    ours = windowed(values, Window(float(dataset.WindowCenter), float(dataset.WindowWidth), named))
    assert np.abs(ours - theirs).max() < 1e-6


def test_no_window_shows_all_that_is_there() -> None:
    assert shown(grey(1, 3), one_row(100, 150, 200)).tolist() == [[0, 128, 255]]
    eight = grey(1, 3, **{"00280100": us(8), "00280101": us(8)})
    assert shown(eight, one_row(0, 100, 200, kind="u1")).tolist() == [[0, 100, 200]]
    assert shown(grey(1, 2), one_row(7, 7)).shape == (1, 2)


def test_projections_without_a_window_leave_out_extremes() -> None:
    dataset = grey(100, 100, **{"00080060": cs("DX")})
    samples = np.tile(np.arange(1000, 1100, dtype="u2"), (100, 1))
    samples[0, 0] = 65535
    assert shown(dataset, samples)[50, 99] > 240
    assert shown(grey(100, 100), samples)[50, 99] < 5


def test_padding_is_black_and_does_not_stretch_the_window() -> None:
    dataset = grey(1, 4, **{"00280120": us(0), "00280121": us(5), "00280004": cs("MONOCHROME1")})
    assert shown(dataset, one_row(3, 100, 150, 200)).tolist() == [[0, 255, 128, 0]]
    signed = grey(1, 3, **{"00280103": us(1), "00280120": us(63536)})
    assert shown(signed, one_row(-2000, 0, 100, kind="i2")).tolist() == [[0, 0, 255]]


def test_monochrome1_is_inverted_once() -> None:
    window = {"00281050": ds(1), "00281051": ds(1)}
    assert shown(grey(1, 2, **window, **{"00280004": cs("MONOCHROME1")}), one_row(0, 1)).tolist() == [[255, 0]]
    both = grey(1, 2, **window, **{"00280004": cs("MONOCHROME1"), "20500020": cs("INVERSE")})
    assert shown(both, one_row(0, 1)).tolist() == [[255, 0]]
    assert shown(grey(1, 2, **window, **{"20500020": cs("INVERSE")}), one_row(0, 1)).tolist() == [[255, 0]]


def test_modality_and_voi_tables_are_followed() -> None:
    lut = {"00283002": us(3, 10, 8), "00283006": us(0, 128, 255)}
    assert shown(grey(1, 5, **{"00283010": sq(lut)}), one_row(0, 10, 11, 12, 99)).tolist() == [[0, 0, 128, 255, 255]]
    modality = grey(1, 3, **{"00283000": sq({"00283002": us(2, 0, 16), "00283006": us(0, 65535)})})
    assert shown(modality, one_row(0, 1, 9)).tolist() == [[0, 255, 255]]


def test_float_pixels_and_wide_integers_are_shown() -> None:
    dataset = {key: value for key, value in grey(1, 3).items() if key != "7FE00010"} | {"7FE00008": {"vr": "OF"}}
    assert shown(dataset, np.array([[0.0, 0.5, np.nan]], "f4")).tolist()[0][1] == 255
    wide = grey(1, 3, **{"00280100": us(32), "00280101": us(32)})
    assert shown(wide, one_row(0, 1 << 30, (1 << 31), kind="u4")).tolist() == [[0, 128, 255]]


def palette(rows: int, columns: int, **more: dict[str, Any]) -> dict[str, Any]:
    return grey(rows, columns, **{"00280004": cs("PALETTE COLOR"), "00280100": us(8), "00280101": us(8)}, **more)


def table(*values: int) -> dict[str, Any]:
    return inline("OW", struct.pack(f"<{len(values)}H", *values))


def test_a_palette_is_clamped_to_its_ends() -> None:
    tables = {f"0028120{each}": table(0, 0x8000, 0xFF00) for each in (1, 2, 3)}
    dataset = palette(1, 4, **{f"0028110{each}": us(3, 10, 16) for each in (1, 2, 3)}, **tables)
    assert shown(dataset, one_row(0, 10, 11, 255, kind="u1"))[0, :, 0].tolist() == [0, 0, 128, 255]


def test_a_palette_of_8_bits_may_be_packed_or_in_words() -> None:
    descriptors = {f"0028110{each}": us(4, 0, 8) for each in (1, 2, 3)}
    for data in (inline("OW", bytes([1, 2, 3, 4])), table(1, 2, 3, 4)):
        dataset = palette(1, 4, **descriptors, **{f"0028120{each}": data for each in (1, 2, 3)})
        assert shown(dataset, one_row(0, 1, 2, 3, kind="u1"))[0, :, 1].tolist() == [1, 2, 3, 4]


def test_a_segmented_palette_is_expanded() -> None:
    assert expand_segments(np.array([0, 2, 0, 10, 1, 2, 30], "u2"), 9).tolist() == [0, 10, 20, 30]
    repeated = np.array([0, 2, 5, 6, 2, 1, 0, 0], "u2")
    assert expand_segments(repeated, 9).tolist() == [5, 6, 5, 6]


@given(st.binary(max_size=400).filter(lambda data: len(data) % 2 == 0), st.integers(0, 65536))
def test_any_segments_stay_within_their_table(data: bytes, entries: int) -> None:
    assert expand_segments(np.frombuffer(data, "<u2"), entries).size <= entries


def test_a_missing_palette_is_a_problem_and_missing_bulk_is_named() -> None:
    with pytest.raises(Problem) as caught:
        shown(palette(1, 1), one_row(0, kind="u1"))
    assert caught.value.kind is Kind.INVALID
    bulk = {f"0028120{each}": {"vr": "OW", "BulkDataURI": "elsewhere"} for each in (1, 2, 3)}
    dataset = palette(1, 2, **{f"0028110{each}": us(2, 0, 16) for each in (1, 2, 3)}, **bulk)
    presentation = Presentation.of(dataset, ts.EXPLICIT_LITTLE)
    assert presentation.missing == ("00281201", "00281202", "00281203")
    with pytest.raises(Problem):
        picture(one_row(0, 1, kind="u1"), presentation)
    given_now = Presentation.of(
        dataset, ts.EXPLICIT_LITTLE, bulk=dict.fromkeys(presentation.missing, struct.pack("<2H", 0, 0xFFFF))
    )
    assert given_now.missing == ()
    assert picture(one_row(0, 1, kind="u1"), given_now).tolist() == [[[0] * 3, [255] * 3]]


def test_tables_in_sequences_have_their_path() -> None:
    item = {"00283002": us(2, 0, 16), "00283006": {"vr": "OW", "BulkDataURI": "elsewhere"}}
    assert Presentation.of(grey(1, 1, **{"00283010": sq(item)}), ts.EXPLICIT_LITTLE).missing == ("00283010/0/00283006",)


@pytest.mark.parametrize(("allocated", "factor"), [(8, 1), (16, 257)])
def test_ybr_becomes_rgb(allocated: int, factor: int, describe: Callable[..., PixelDescription]) -> None:
    description = describe(rows=1, columns=3, samples=3, photometric="YBR_FULL", allocated=allocated, stored=allocated)
    ybr = np.array([[[0, 128, 128], [255, 128, 128], [76, 85, 255]]]) * factor
    found = pipeline.to_rgb(Frame(ybr.astype(description.dtype), "YBR_FULL"), description)
    assert np.abs(found.astype(int) - [[[0, 0, 0], [255, 255, 255], [254, 0, 0]]]).max() <= 2


def test_colour_that_nobody_can_show_is_not_acceptable(describe: Callable[..., PixelDescription]) -> None:
    description = describe(samples=4, photometric="CMYK", allocated=8, stored=8)
    with pytest.raises(Problem) as caught:
        pipeline.to_rgb(Frame(np.zeros((4, 6, 4), "u1"), "CMYK"), description)
    assert caught.value.kind is Kind.NOT_ACCEPTABLE


def test_overlays_are_drawn_where_they_touch_the_image() -> None:
    picture = np.zeros((3, 3), "u1")
    draw_overlay(picture, Overlay(2, 2, -1, 2, bytes([0b0100]), 0))
    assert picture.tolist() == [[0, 0, 255], [0, 0, 0], [0, 0, 0]]
    draw_overlay(picture, Overlay(1, 1, 50, 50, b"\xff", 0))


def test_an_overlay_of_the_data_set_shows_but_not_on_a_thumbnail() -> None:
    overlay = {
        "60000010": us(2),
        "60000011": us(2),
        "60000050": {"vr": "SS", "Value": [1, 1]},
        "60003000": inline("OW", b"\x01\x00"),
    }
    dataset = grey(2, 2, **overlay, **{"00281050": ds(500), "00281051": ds(1)})
    blank = np.zeros((2, 2), "u2")
    assert shown(dataset, blank).tolist() == [[255, 0], [0, 0]]
    assert not shown(dataset, blank, thumbnail=True).any()


def test_a_shutter_hides_what_lies_outside() -> None:
    picture = np.full((5, 5), 9, "u1")
    draw_shutter(picture, Shutter((("RECTANGULAR", (2, 2, 4, 4)),)))
    assert (picture > 0).sum() == 9
    round_one = np.full((9, 9), 9, "u1")
    draw_shutter(round_one, Shutter((("CIRCULAR", (5, 5, 2)), ("POLYGONAL", (1, 1, 1, 9, 9, 9, 9, 1)))))
    assert round_one[4, 4]
    assert not round_one[0, 0]


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        (Viewport(10, 10), (5, 10)),
        (Viewport(40, 5), (5, 10)),
        (Viewport(100, 100), (50, 100)),
        (Viewport(None, 5), (5, 10)),
        (Viewport(10, None), (5, 10)),
        (Viewport(10, 10, 0, 0, 10, 10), (10, 10)),
        (Viewport(10, 10, 0.5, 0, 0.5, 1, relative=True), (10, 10)),
        (Viewport(None, None, 5, 2, 3, 4), (4, 3)),
        (Viewport(10, 10, 15, 0, 100, 100), (10, 5)),
    ],
)
def test_a_viewport_is_touched_and_never_overflown(box: Viewport, shape: tuple[int, int]) -> None:
    assert viewport.apply(np.zeros((10, 20), "u1"), box).shape == shape


def test_crops_and_flips_pick_the_right_pixels() -> None:
    picture = np.arange(12, dtype="u1").reshape(3, 4)
    assert viewport.apply(picture, Viewport(2, 2, 1, 1, 2, 2)).tolist() == [[5, 6], [9, 10]]
    assert viewport.apply(picture, Viewport(2, 2, 1, 1, 2, 2, flip_horizontally=True)).tolist() == [[6, 5], [10, 9]]
    assert viewport.apply(picture, Viewport(2, 2, 1, 1, 2, 2, flip_vertically=True)).tolist() == [[9, 10], [5, 6]]
    with pytest.raises(Problem):
        viewport.apply(picture, Viewport(2, 2, 4, 0))


@settings(max_examples=80)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(*[st.floats(0, 50)] * 2),
    st.tuples(*[st.none() | st.floats(0.01, 60)] * 2),
)
def test_any_viewport_gives_a_picture_within_it(
    size: tuple[int, int], box: tuple[int, int], corner: tuple[float, float], crop: tuple[float | None, float | None]
) -> None:
    picture = np.zeros((*size, 3), "u1")
    asked = Viewport(*box, *corner, *crop)
    if corner[0] >= size[1] or corner[1] >= size[0]:
        with pytest.raises(Problem):
            viewport.apply(picture, asked)
    else:
        rows, columns = viewport.apply(picture, asked).shape[:2]
        assert 1 <= columns <= box[0]
        assert 1 <= rows <= box[1]


@pytest.mark.parametrize("media_type", encoders.STILL_TYPES)
@pytest.mark.parametrize("colour", [False, True])
def test_every_type_is_what_it_says(media_type: str, colour: bool) -> None:
    gradient = np.add.outer(np.arange(40), np.arange(30)).astype("u1")
    picture = np.stack([gradient, gradient, 255 - gradient], axis=-1) if colour else gradient
    image = Image.open(BytesIO(encoders.encode(picture, media_type)))
    assert Image.MIME[str(image.format)] == media_type
    assert image.size == (30, 40)
    assert np.abs(np.asarray(image.convert("RGB" if colour else "L")).astype(int) - picture).max() <= 12


def test_quality_changes_the_length_of_lossy_types_only() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64)).astype("u1")
    for media_type in ("image/jpeg", "image/jp2"):
        lengths = [len(encoders.encode(noise, media_type, quality=quality)) for quality in (10, 95)]
        assert lengths[0] < lengths[1]
    assert encoders.encode(noise, "image/png", quality=1) == encoders.encode(noise, "image/png")


def test_other_types_are_not_acceptable() -> None:
    with pytest.raises(Problem) as caught:
        encoders.encode(np.zeros((2, 2), "u1"), "image/bmp")
    assert caught.value.kind is Kind.NOT_ACCEPTABLE


def colour(**more: dict[str, Any]) -> dict[str, Any]:
    return grey(8, 8, **{"00280002": us(3), "00280004": cs("RGB"), "00280100": us(8), "00280101": us(8)}, **more)


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
def test_a_profile_is_embedded_and_converted(media_type: str) -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    dataset = colour(**{"00282000": inline("OB", own)})
    for wanted in (IccProfile.YES, IccProfile.SRGB):
        coded = profiled(np.full((8, 8, 3), 90, "u1"), dataset, wanted, media_type)
        assert Image.open(BytesIO(coded)).info["icc_profile"][36:40] == b"acsp"
    plain = profiled(np.zeros((8, 8, 3), "u1"), dataset, IccProfile.NO, media_type)
    assert "icc_profile" not in Image.open(BytesIO(plain)).info


def profiled(samples: NDArray[Any], dataset: dict[str, Any], wanted: IccProfile, media_type: str) -> bytes:
    presentation = Presentation.of(dataset, ts.EXPLICIT_LITTLE, profile=wanted is not IccProfile.NO)
    options = RenderOptions(media_type=media_type, iccprofile=wanted)
    return pipeline.render_stored(stored(samples), presentation, options)


def test_a_damaged_profile_is_a_problem() -> None:
    dataset = colour(**{"00282000": inline("OB", b"x" * 300)})
    with pytest.raises(Problem):
        profiled(np.zeros((8, 8, 3), "u1"), dataset, IccProfile.SRGB, "image/jpeg")


def test_annotation_is_burned_in_but_never_into_a_thumbnail() -> None:
    dataset = grey(
        128,
        128,
        **{
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
            "00080060": cs("CT"),
            "00281050": ds(500),
            "00281051": ds(1),
        },
    )
    blank = np.zeros((128, 128), "u2")
    patient = shown(dataset, blank, annotation=Annotation(patient=True))
    technique = shown(dataset, blank, annotation=Annotation(technique=True))
    assert patient[:64].any()
    assert not patient[64:].any()
    assert technique[64:].any()
    assert not technique[:64].any()
    assert not shown(dataset, blank, annotation=Annotation(True, True), thumbnail=True).any()


def test_a_thumbnail_is_small_and_refused_where_text_is_burned_in() -> None:
    assert shown(grey(300, 600), np.zeros((300, 600), "u2"), thumbnail=True).shape == (64, 128)
    dataset = grey(2, 2, **{"00280301": cs("YES")})
    assert shown(dataset, np.zeros((2, 2), "u2")).shape == (2, 2)
    with pytest.raises(Problem) as caught:
        shown(dataset, np.zeros((2, 2), "u2"), thumbnail=True)
    assert caught.value.kind is Kind.NOT_ACCEPTABLE


def test_frames_become_an_animation_at_their_own_pace(bundled: Callable[[str], Any]) -> None:
    stored = bundled("SC_rgb_rle_2frame.dcm")
    presentation = Presentation.of({**stored.instance.dataset, "00181063": ds(40)}, stored.uid)
    coded = pipeline.render_animation(stored.frames(), presentation, RenderOptions(media_type="image/gif"))
    image = Image.open(BytesIO(coded))
    assert getattr(image, "n_frames", 1) == 2
    assert image.info["duration"] == 40
    with pytest.raises(Problem):
        pipeline.render_animation([], presentation, RenderOptions())


def rendered(stored: Any, media_type: str = "image/png", **options: Any) -> NDArray[Any]:
    presentation = Presentation.of(stored.instance.dataset, stored.uid)
    if presentation.missing:
        places = {each.path: each for each in stored.instance.bulk}
        bulk = {path: stored.file[places[path].start :][: places[path].length] for path in presentation.missing}
        presentation = Presentation.of(stored.instance.dataset, stored.uid, bulk=bulk)
    raw, bit_offset = stored.first()
    coded = pipeline.render_stored(
        raw, presentation, RenderOptions(media_type=media_type, **options), bit_offset=bit_offset
    )
    return np.asarray(imagecodecs.imread(coded)) if media_type != "image/gif" else np.frombuffer(coded, "u1")


@pytest.mark.parametrize(
    "name", ["examples_palette.dcm", "examples_ybr_color.dcm", "examples_rgb_color.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
)
def test_colour_agrees_with_pydicom(name: str, bundled: Callable[[str], Any]) -> None:
    stored = bundled(name)
    dataset = pydicom.dcmread(str(get_testdata_file(name, download=False)))
    theirs = pydicom.pixels.pixel_array(dataset, index=0)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colours = pydicom.pixels.apply_color_lut(theirs, dataset)
        theirs = colours >> 8 if colours.dtype == np.uint16 else colours
    assert np.abs(rendered(stored).astype(int) - theirs.astype(int)).max() <= 2


def test_every_image_of_the_corpus_is_rendered(images: list[tuple[dict[str, Any], Any]]) -> None:
    done, refused = 0, []
    for entry, stored in images:
        syntax = ts.get(stored.uid)
        if syntax is None or syntax.video or syntax.referenced:
            continue
        try:
            picture = rendered(stored, viewport=Viewport(64, 64))
        except Problem as problem:
            refused.append((entry["path"], problem.kind))
            continue
        assert max(picture.shape[:2]) == 64
        done += 1
    assert done >= 190
    assert all(path.startswith(("hard/", "derived/")) for path, _ in refused), refused


def test_a_ct_and_its_lossless_copies_are_one_picture(images: list[tuple[dict[str, Any], Any]]) -> None:
    names = (
        "ct_explicit_le",
        "ct_explicit_be",
        "ct_implicit_le",
        "ct_rle",
        "ct_jpegls_lossless_80",
        "ct_j2k_lossless_90",
    )
    pictures = [rendered(stored) for _, stored in images if stored.name.removesuffix(".dcm") in names]
    assert len(pictures) == len(names)
    assert all(np.array_equal(pictures[0], each) for each in pictures[1:])


def test_a_lut_index_never_leaves_its_table() -> None:
    lut = Lut(0, 8, struct.pack("<2H", 1, 2))
    assert lut.of(np.array([-1e300, 0, 1, 5, 1e300, np.nan])).tolist() == [1, 1, 2, 2, 2, 1]
