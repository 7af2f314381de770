"""PNG and JPEG: pixels from 0 to 1, as a viewer shows them, and clear words for what is none."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attncli.errors import InputError, LimitError
from attncli.files import reading
from attncli.files.pictures import read_picture

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
CLEAR = RANDOM.integers(0, 256, (5, 7, 4), dtype=np.uint8)


@pytest.mark.parametrize("pixels", [COLOUR, GREY, CLEAR], ids=["colour", "grey", "transparent"])
def test_a_png_gives_its_bytes_over_255(pixels: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(pixels).save(tmp_path / "p.png")
    read = read_picture(tmp_path / "p.png")
    assert read.dtype == np.float32
    expected = pixels if pixels.ndim == 3 else pixels[:, :, None]
    np.testing.assert_array_equal(read, (expected / np.float32(255)).astype(np.float32))


def test_sixteen_bits_are_read_whole(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 65536, (5, 7), dtype=np.uint16)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    read = read_picture(tmp_path / "p.png")
    np.testing.assert_allclose(read[..., 0], pixels / 65535, rtol=1e-6)


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("P", 3), ("LA", 2), ("CMYK", 3), ("YCbCr", 3)]
)
def test_other_modes_become_grey_or_colour(mode: str, channels: int, tmp_path: Path) -> None:
    suffix = "jpg" if mode in ("CMYK", "YCbCr") else "png"
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / f"p.{suffix}")
    read = read_picture(tmp_path / f"p.{suffix}")
    assert read.shape == (5, 7, channels)
    assert 0 <= read.min() <= read.max() <= 1


def test_a_palette_with_transparency_keeps_it(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR).convert("P")
    image.save(tmp_path / "p.png", transparency=0)
    assert read_picture(tmp_path / "p.png").shape == (5, 7, 4)


def test_a_jpeg_is_near_what_was_saved_and_turned_upright(tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(0, 255, 40, dtype=np.uint8)[:, None, None], (1, 24, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(smooth).save(tmp_path / "p.jpeg", quality=95, exif=exif)
    read = read_picture(tmp_path / "p.jpeg")
    assert read.shape == (24, 40, 3)
    np.testing.assert_allclose(read, np.rot90(smooth / 255, -1), atol=0.03)


def test_without_pillow_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InputError) as caught:
        read_picture(tmp_path / "p.png")
    assert "attncli[pictures]" in caught.value.hint


@pytest.mark.parametrize("cut", [8, 30, 60, -60])
def test_a_damaged_png_is_refused(cut: int, tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "p.png")
    whole = (tmp_path / "p.png").read_bytes()
    (tmp_path / "p.png").write_bytes(whole[:cut])
    with pytest.raises(InputError):
        read_picture(tmp_path / "p.png")


def test_another_kind_of_picture_is_refused_whatever_its_suffix(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "p.gif")
    (tmp_path / "p.gif").rename(tmp_path / "p.png")
    with pytest.raises(InputError, match="no PNG or JPEG"):
        read_picture(tmp_path / "p.png")


def test_the_pixels_are_counted_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "p.png")
    monkeypatch.setattr(reading, "free_memory", lambda: 5 * 7 * 4 * 8 - 1)
    with pytest.raises(LimitError):
        read_picture(tmp_path / "p.png")


def test_what_pillow_says_of_a_damaged_picture_is_kept_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ValueError("x" * 121)

    Image.fromarray(GREY).save(tmp_path / "p.png")
    monkeypatch.setattr(Image, "open", failing)
    with pytest.raises(InputError) as caught:
        read_picture(tmp_path / "p.png")
    assert caught.value.what == "the picture is damaged: " + "x" * 120
