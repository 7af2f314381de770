"""Limits are what is documented, and each is refused one beyond it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attncli import attend, load
from attncli.core.picture import Picture
from attncli.errors import InputError, LimitError
from attncli.files import (
    cells,
    huggingface,
    images,
    npy,
    npz,
    pictures,
    positions,
    problem,
    reading,
    results,
    samples,
    schema,
    staging,
    tables,
    yaml,
)
from attncli.files.types import Entry, Reference
from attncli.files.vectors import Source

MIB = 1024 * 1024

LIMITS = [
    (tables.LARGEST, 256 * MIB),
    (problem.LARGEST_TEXT, 256 * MIB),
    (huggingface.LARGEST_JSON, 16 * MIB),
    (huggingface.MOST_LAYERS, 1000),
    (huggingface.LEAST, 1e-18),
    (huggingface.GREATEST, 1e18),
    (images.MOST, 65_536),
    (npy.MAPPED, MIB),
    (npy.MOST_HEADER, 65_536),
    (npy.MOST_LITERAL, 4096),
    (npy.MOST_AXES, 32),
    (npy.MOST_BYTES, 4_611_686_018_427_387_904),
    (npy.VERSIONS, {(1, 0): (2, "latin1"), (2, 0): (4, "latin1"), (3, 0): (4, "utf-8")}),
    (npz.EPOCH, (1980, 1, 1, 0, 0, 0)),
    (set(pictures.DEPTHS.values()), {65_535}),
    (positions.BLOCK, 4 * MIB),
    (positions.N_BLOCKS * positions.BLOCK, 256 * MIB),
    (positions.SAMPLES * positions.SAMPLE, 65_536),
    (results.FULL, 9),
    (cells.LONGEST, 200),
    (yaml.DEPTH, 64),
    (yaml.RUN, 4096),
    (yaml.TWIN_LIMIT, 262_144),
    (staging.FEW, 8),
    (staging.FLAGS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)),
]


@pytest.mark.parametrize(("limit", "documented"), LIMITS)
def test_a_limit_is_what_is_documented(limit: object, documented: object) -> None:
    assert limit == documented


class Huge(bytes):
    """Content that is as long as somebody says."""

    size = 0

    def __len__(self) -> int:
        return self.size


READERS: dict[str, tuple[Any, Callable[[Path], object], int, str]] = {
    "table": (tables, tables.read_table, 256, "the table is larger than 256 MiB"),
    "problem": (
        reading,
        lambda path: problem.read_content(str(path)),
        256,
        "the file is larger than 256 MiB",
    ),
    "configuration": (
        huggingface,
        lambda path: huggingface._json(path, None),
        16,
        "the file is larger than 16 MiB",
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_a_text_of_one_byte_too_many_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, read, mib, words = READERS[name]
    asked: list[int] = []

    class File:
        def seek(self, offset: int, whence: int = 0) -> int:
            return 2**40 if whence else offset

        def read(self, size: int) -> bytes:
            asked.append(size)
            return content

    @contextmanager
    def opened(*_: object) -> Iterator[File]:
        yield File()

    monkeypatch.setattr(module, "opened", opened)
    content = Huge(b"{}")
    content.size = mib * MIB + 1
    with pytest.raises(LimitError) as caught:
        read(tmp_path / "t.csv")
    assert caught.value.what == words
    assert asked == [content.size]
    content.size -= 1
    with suppress(InputError):  # it may be refused, but for what is in it
        read(tmp_path / "t.csv")


def test_a_picture_makes_so_many_vectors_and_no_more(tmp_path: Path) -> None:
    source = Source({"input": Entry(Reference("p.png"))}, tmp_path)
    for height, width in ((256, 256), (1, 65_536)):
        Image.new("L", (width, height)).save(tmp_path / "p.png")
        images.refuse_large(source, "input")
        images.picture(source, "input", np.zeros((height, width, 1)))
    for height, width in ((257, 256), (1, 65_537)):
        Image.new("L", (width, height)).save(tmp_path / "p.png")
        with pytest.raises(LimitError):
            images.refuse_large(source, "input")
        with pytest.raises(LimitError) as caught:
            images.picture(source, "input", np.zeros((height, width, 1)))
        what = f"the picture of {height} × {width} pixels makes {height * width} vectors"
        assert caught.value.what == what
        assert (caught.value.expected, caught.value.found) == ("at most 65536", str(height * width))


def test_patches_count_rather_than_pixels(tmp_path: Path) -> None:
    entries = {"input": Entry(Reference("p.png")), "patch": Entry(2)}
    Image.new("L", (514, 512)).save(tmp_path / "p.png")
    with pytest.raises(LimitError, match="makes 65792 vectors"):
        images.refuse_large(Source(entries, tmp_path), "input")
    images.refuse_large(Source(entries | {"patch": Entry(4)}, tmp_path), "input")
    odd = Source(entries | {"patch": Entry(300)}, tmp_path)
    images.refuse_large(odd, "input")


@pytest.mark.parametrize("size", [(3, 5), (7, 2)])
def test_reading_a_picture_takes_forty_bytes_a_pixel(
    size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", size).save(tmp_path / "p.png")
    asked = []
    monkeypatch.setattr(pictures, "refuse_oversize", lambda *given: asked.append(given))
    assert pictures.read_picture(tmp_path / "p.png").shape == (*size[::-1], 3)
    assert asked == [("the picture", 40 * size[0] * size[1])]


def test_memory_that_just_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "free_memory", lambda: 8)
    reading.refuse_oversize("it", 8)
    with pytest.raises(LimitError) as caught:
        reading.refuse_oversize("it", 9)
    assert caught.value.what == "reading it takes 9 bytes of memory"
    assert (caught.value.expected, caught.value.found) == ("at most 8", "9")


def test_samples_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "HOMES", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(InputError, match="the samples are missing from this installation"):
        samples.names()


def test_a_count_is_at_least_one() -> None:
    for key in ("heads", "kv_heads", "patch"):
        kind = schema.KEYS[key].type
        assert kind.accept(1) == 1
        with pytest.raises(InputError):
            kind.accept(0)


def test_white_is_one_in_every_depth(tmp_path: Path) -> None:
    for mode, white, dtype in (("L", 255, np.uint8), ("I;16", 65_535, np.uint16)):
        Image.fromarray(np.full((2, 3), white, dtype)).save(tmp_path / "p.png")
        made = pictures.read_picture(tmp_path / "p.png")
        assert (mode, made.shape, made.dtype) == (mode, (2, 3, 1), np.float32)
        assert (made == 1).all()


def test_cells_of_any_length() -> None:
    assert cells.advice("1" * 15 + "/" + "1" * 15) == "write 1.0"
    assert cells.advice("1" * 16 + "/1") == ""
    assert cells.advice("1/" + "1" * 16) == ""
    assert cells.advice("0" + "1" * 199) == f"write {'1' * 199}, without leading zeros"
    assert cells.advice("0" + "1" * 200) == ""
    assert cells.advice(" 1 ") == ""
    assert cells.advice(" 1  2 ") == "write 1, 2: commas between numbers, brackets around a row"


def test_a_picture_keeps_its_axes() -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    chw = Source({"input": Entry(array), "layout": Entry("chw")})
    hwc = Source({"input": Entry(array), "layout": Entry("hwc")})
    np.testing.assert_array_equal(images.pixels(chw, "input", array), array.transpose(1, 2, 0))
    assert images.pixels(hwc, "input", array) is array
    for source in (chw, hwc):
        np.testing.assert_array_equal(
            images.pixels(source, "input", array[0]), array[0][:, :, None]
        )
    several = np.stack([array, array])
    np.testing.assert_array_equal(
        images.pixels(chw, "input", several), several.transpose(0, 2, 3, 1)
    )
    white = np.full((1, 1, 1), 255, np.uint8)
    assert images.pixels(hwc, "input", white).item() == 1
    assert isinstance(images.picture(hwc, "input", array), Picture)


def test_what_says_that_an_input_is_a_picture() -> None:
    flat, deep = np.ones((2, 2)), np.ones((2, 2, 1))

    def is_picture(array: np.ndarray, **keys: Any) -> bool:
        entries = {"input": Entry(array), **{key: Entry(value) for key, value in keys.items()}}
        return images.is_picture(Source(entries), "input", array)

    assert not is_picture(deep)
    assert not is_picture(deep, layout="tokens-first")
    assert is_picture(deep, layout="hwc")
    assert is_picture(flat, patch=1)
    assert is_picture(deep, patch=1, source=flat)
    assert not is_picture(flat, patch=1, source=deep)
    assert images.is_picture(Source({"input": Entry(Reference("a.PNG"))}), "input", flat)
    assert not images.is_picture(Source({"input": Entry(Reference("a.npy"))}), "input", flat)


def test_problems_of_pictures_say_so(tmp_path: Path) -> None:
    problem_of = load(input=np.ones((2, 2, 1)), patch=1)
    assert attend(problem_of)["weights"].shape == (4, 4)
