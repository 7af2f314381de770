"""Where a pixel looks: in a terminal with and without colour, in ASCII, and as SVG."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from attncli import attend
from attncli.formats import render
from attncli.formats.display import Display
from attncli.formats.maps import colours, maps, resampled
from attncli.formats.view import views
from attncli.solve import Trace

SVG = "{http://www.w3.org/2000/svg}"
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def trace() -> Trace:
    """3×5 pixels: a pixel looks at those of its own colour."""
    image = np.zeros((3, 5, 3))
    image[1, 1:3] = [1, 0, 0]
    return attend(input=image, layout="hwc", similarity="euclidean", scale=50.0)


def focused(**keys: object) -> Display:
    return Display(steps=("weights",), focus={"query": 6}, **keys)  # type: ignore[arg-type]


def test_the_map_has_the_weights_where_the_pixels_are(trace: Trace) -> None:
    (view,) = views(trace, focused())
    (one,) = maps(view, trace)
    np.testing.assert_array_equal(one.weights.ravel(), trace["weights"][6])
    assert (one.name, one.own, one.most) == ("r1c1", (1, 1), "most 0.500 at r1c1")


def test_only_a_single_query_has_a_map(trace: Trace) -> None:
    for focus in ({}, {"query": slice(0, 2)}, {"query": 6, "key": slice(0, 3)}):
        (view,) = views(trace, Display(steps=("weights",), focus=focus))
        assert not list(maps(view, trace))


def test_without_colour_shades_show_it_and_marks_the_pixel(trace: Trace) -> None:
    lines = render(trace, focused()).splitlines()
    start = next(i for i, line in enumerate(lines) if "Where r1c1 looks" in line)
    marks, *rows = lines[start + 3 : start + 10]
    assert marks.split() == ["▾", "▾"]
    drawn = [row.split()[-1] for row in rows]  # two lines and four letters a pixel
    assert drawn == [*["·" * 20] * 2, *["····████████········"] * 2, *["·" * 20] * 2]
    assert [row.startswith("▸ ") for row in rows] == [False] * 3 + [True] + [False] * 2


def test_ascii_and_narrow_terminals_show_it_too(trace: Trace) -> None:
    for width in (20, 40, 60, 140):
        text = render(trace, focused(width=width, ascii=True))
        assert text.isascii()
        assert all(len(line) <= width for line in text.splitlines())
        assert "v" in text
        assert "> " in text


def test_in_colour_half_blocks_show_two_rows_a_line(trace: Trace) -> None:
    for width in (20, 60):
        text = render(trace, focused(width=width, color=True))
        assert "▀" in text
        assert all(cell_len(ESCAPE.sub("", line)) <= width for line in text.splitlines())


def test_in_columns_the_map_is_the_same(trace: Trace) -> None:
    image = np.zeros((3, 5, 3))
    image[1, 1:3] = [1, 0, 0]
    keys = {"similarity": "euclidean", "scale": 50.0, "layout": "hwc", "notation": "columns"}
    turned = attend(input=image, **keys)
    (view,) = views(turned, focused())
    (one,) = maps(view, turned)
    np.testing.assert_array_equal(one.weights.ravel(), trace["weights"][6])


def test_the_svg_has_a_rectangle_a_pixel_that_says_its_weight(trace: Trace) -> None:
    root = ET.fromstring(render(trace, focused(), "svg"))
    titles = [e.text for e in root.iter(f"{SVG}title")]
    assert titles[0] == "Where r1c1 looks"
    said = dict(title.split(": ") for title in titles[1:] if title)
    assert len(said) == 15
    assert float(said["r1c2"]) == pytest.approx(0.5, abs=1e-6)
    assert len([e for e in root.iter(f"{SVG}rect") if e.get("class") == "own"]) == 2


def test_what_has_no_picture_becomes_the_terminal_view() -> None:
    plain = attend(query=[[1, 0]], key=[[1, 0], [0, 1]], labels={"key": ["<b>", "&amp;\x1b[31m"]})
    text = render(plain, Display(), "svg")
    words = "".join(ET.fromstring(text).itertext())
    assert "Weights" in words
    assert "<b>" in words
    assert "\x1b" not in text
    assert "url(http" not in text
    assert "@import" not in text


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20), st.integers(1, 20))
def test_resampling_keeps_a_flat_picture_and_the_mean_of_halves(
    h: int, w: int, rows: int, columns: int
) -> None:
    flat = np.full((h, w, 1), 0.3)
    np.testing.assert_allclose(resampled(flat, rows, columns), np.full((rows, columns, 1), 0.3))
    values = np.random.default_rng(h * 10 + w).random((2 * h, 3 * w, 2))
    halved = resampled(values, h, w)
    np.testing.assert_allclose(halved, values.reshape(h, 2, w, 3, 2).mean((1, 3)))


def test_pixels_beyond_0_to_1_and_odd_channels_can_be_shown() -> None:
    random = np.random.default_rng(0)
    for channels in (1, 2, 3, 4, 5):
        shown = colours(random.normal(size=(3, 5, channels)) * 9)
        assert shown.shape == (3, 5, 3)
        assert shown.min() >= 0
        assert shown.max() <= 1


def test_a_query_that_sees_nothing_has_an_empty_map() -> None:
    image = np.zeros((3, 5, 3), dtype=np.float32)
    blind = attend(input=image, layout="hwc", key_mask=[False] * 15)
    assert "most 0.000" in render(blind, focused())
    ET.fromstring(render(blind, focused(), "svg"))


def test_a_query_of_another_picture_has_no_place_in_this_one() -> None:
    keys = {"layout": "hwc", "similarity": "euclidean"}
    crossed = attend(input=np.zeros((3, 5, 3)), source=np.ones((3, 5, 3)), **keys)
    (view,) = views(crossed, focused())
    (one,) = maps(view, crossed)
    assert one.own is None
