"""A picture cut into patches, held to plain loops."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attncli import attend
from attncli.core.picture import Picture
from attncli.errors import InputError, LimitError


@given(
    st.sampled_from([(), (2,), (2, 3)]),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 5),
)
def test_patches_go_row_by_row_and_inside_by_row_column_channel(
    lead: tuple[int, ...], rows: int, columns: int, patch: int, channels: int
) -> None:
    shape = (*lead, rows * patch, columns * patch, channels)
    pixels = np.arange(np.prod(shape)).reshape(shape)
    picture = Picture(pixels, patch)
    expected = [
        [
            pixels[..., row * patch + i, column * patch + j, channel]
            for i in range(patch)
            for j in range(patch)
            for channel in range(channels)
        ]
        for row in range(rows)
        for column in range(columns)
    ]
    theirs = np.moveaxis(np.array(expected), (0, 1), (-2, -1))
    np.testing.assert_array_equal(picture.vectors(np), theirs)
    assert picture.extent == (rows, columns)


def test_names_and_places_count_rows_and_columns_from_0_behind_what_is_skipped() -> None:
    picture = Picture(np.zeros((4, 6, 1)), 2, skip=1)
    assert picture.names() == ("class", "r0c0", "r0c1", "r0c2", "r1c0", "r1c1", "r1c2")
    assert [picture.place(i) for i in (0, 1, 6)] == [None, (0, 0), (1, 2)]


def test_patches_that_do_not_fill_the_picture_are_refused() -> None:
    with pytest.raises(InputError, match="5 × 7 pixels, which patches of 2 × 2 do not fill"):
        Picture(np.zeros((5, 7, 3)), 2)


@pytest.mark.parametrize("shape", [(5, 8, 3), (8, 5, 3), (2, 5, 7, 3)])
def test_patches_must_fill_both_sides(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="of 2 × 2 do not fill") as refused:
        Picture(np.zeros(shape), 2)
    assert (refused.value.found, refused.value.hint[:13]) == ("2", "choose anothe")


@pytest.mark.parametrize(
    ("shape", "chw"),
    [((3, 7, 11), True), ((4, 7, 5), True), ((5, 7, 11), False), ((3, 7, 4), False)],
)
def test_channels_that_seem_to_come_first_are_named(shape: tuple[int, ...], chw: bool) -> None:
    for lead in ((), (2,)):
        with pytest.raises(InputError) as refused:
            Picture(np.zeros((*lead, *shape)), 6)
        assert ("layout: chw" in refused.value.hint) is chw


@pytest.mark.parametrize("shape", [(2, 3), (0, 3, 1), (2, 3, 0)])
def test_what_has_no_pixels_is_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="the picture has the shape"):
        Picture(np.zeros(shape))


def test_a_picture_in_words() -> None:
    assert Picture(np.zeros((2, 3, 5, 1))).facts() == "3 × 5 pixels"
    assert Picture(np.zeros((3, 1, 2))).facts() == "3 × 1 pixel"
    assert Picture(np.zeros((4, 6, 1)), 2).facts() == "2 × 3 patches of 2 × 2"
    plain = Picture(np.zeros((2, 3, 1)))
    assert (plain.patch, plain.skip, plain.names()[0]) == (1, 0, "r0c0")
    two = Picture(np.zeros((2, 3, 1)), skip=2)
    assert [two.place(vector) for vector in (0, 1, 2, 5)] == [None, None, (0, 0), (1, 0)]
    assert two.names()[:3] == ("class", "class", "r0c0")


@pytest.mark.parametrize("notation", ["rows", "columns"])
def test_attention_over_a_picture_is_attention_over_its_patches(notation: str) -> None:
    pixels = np.random.default_rng(1).random((3, 2 * 3, 2 * 5, 2))
    wanted = attend(input=Picture(pixels, 2).vectors(np), similarity="cosine")
    got = attend(input=pixels, patch=2, similarity="cosine", notation=notation)
    output = got.output if notation == "rows" else np.swapaxes(got.output, -1, -2)
    np.testing.assert_array_equal(output, wanted.output)
    chw = np.moveaxis(pixels, -1, -3)
    again = attend(input=chw, patch=2, layout="chw", similarity="cosine", notation=notation)
    np.testing.assert_array_equal(again.output, got.output)
    assert got.problem.presentation.labels.query[:6] == (
        "r0c0",
        "r0c1",
        "r0c2",
        "r0c3",
        "r0c4",
        "r1c0",
    )


def test_a_picture_may_be_attended_to_by_vectors() -> None:
    random = np.random.default_rng(2)
    words, pixels = random.normal(size=(3, 5)), random.normal(size=(4, 6, 5))
    got = attend(input=words, source=pixels, layout="hwc")
    wanted = attend(input=words, source=pixels.reshape(24, 5))
    np.testing.assert_array_equal(got.output, wanted.output)
    assert {*got.problem.presentation.pictures} == {"key"}


def test_bytes_are_a_picture_as_its_png_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    from_file = attend(input=str(tmp_path / "p.png"), similarity="euclidean")
    from_array = attend(input=pixels, layout="hwc", similarity="euclidean")
    np.testing.assert_array_equal(from_file.output, from_array.output)


def test_pictures_too_large_are_refused_from_their_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attncli.files import pictures

    Image.new("L", (2000, 1000)).save(tmp_path / "p.png")
    monkeypatch.setattr(pictures, "read_picture", None)
    for keys in ({}, {"kind": "encoder"}):
        with pytest.raises(LimitError, match="1000 × 2000 pixels makes 2000000 vectors"):
            attend(input=str(tmp_path / "p.png"), **keys)


def test_a_picture_is_no_query(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "p.png")
    file = str(tmp_path / "p.png")
    with pytest.raises(InputError, match="query is a picture"):
        attend(query=file, key=file)
