"""Vectors under a URL: what may stay where it is, and what must be copied."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli.errors import InputError, Place, RefusedError
from attncli.files import positions, urls
from attncli.files.positions import Atlas, Rows, fingerprint, url_of
from attncli.files.types import Entry, Reference
from attncli.files.urls import Remote

pytest.importorskip("fsspec")
ARRAY = np.arange(12.0).reshape(3, 4)


def remote(folder: Path, key: str = "query", array: Any = ARRAY, **keys: Any) -> Remote:
    """A problem with one array under a URL."""
    np.save(folder / "a.npy", array)
    entries = {name: Entry(value) for name, value in keys.items()}
    place = Place("p.yaml", 2, 3)
    return Remote({key: Entry(Reference(f"file://{folder}/a.npy"), place), **entries}, folder)


@pytest.mark.parametrize("array", [ARRAY, ARRAY.astype(np.float32), np.asfortranarray(ARRAY)])
def test_an_array_is_stood_in_for_by_its_shape(array: np.ndarray, tmp_path: Path) -> None:
    source = remote(tmp_path, array=array)
    stand_in = source.tensor("query")
    assert stand_in is not None
    assert (stand_in.shape, stand_in.dtype) == (array.shape, array.dtype)
    assert stand_in.strides == array.strides
    assert not stand_in.any()
    assert url_of(stand_in) == f"file://{tmp_path}/a.npy"
    assert source.get("dtype") == str(array.dtype)
    rows = Atlas().rows_of(stand_in)
    assert rows is not None
    np.testing.assert_array_equal(rows[0:3, :], array)


@pytest.mark.parametrize("dtype", [">f8", ">f4", "f2", "i8"])
def test_another_type_is_not_converted(dtype: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        remote(tmp_path, array=ARRAY.astype(dtype)).tensor("query")
    assert caught.value.what == f"file://{tmp_path}/a.npy holds {np.dtype(dtype)}"
    assert caught.value.found == str(np.dtype(dtype))
    assert caught.value.place == Place("p.yaml", 2, 3)


@pytest.mark.parametrize("key", ["mask", "input"])
def test_only_vectors_stay_where_they_are(key: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot stay where it is"):
        remote(tmp_path, key).tensor(key)
    with pytest.raises(InputError, match="cannot stay where it is"):
        remote(tmp_path, allow_nonfinite=True).tensor("query")
    entries = {"query": Entry(Reference(f"file://{tmp_path}/a.npz:query"))}
    with pytest.raises(InputError, match="cannot stay where it is"):
        Remote(entries, tmp_path).tensor("query")


def test_types_that_differ_are_refused(tmp_path: Path) -> None:
    source = remote(tmp_path, dtype="float32")
    assert source.get("dtype") == "float32"  # nothing is known of the URL yet
    source.tensor("query")
    with pytest.raises(InputError, match="float32 and float64: what lies under a URL"):
        source.get("dtype")


def test_what_is_on_this_machine_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", ARRAY)
    source = Remote({"query": Entry(Reference("b.npy"))}, tmp_path)
    np.testing.assert_array_equal(source.tensor("query"), ARRAY)
    assert source.get("dtype", "mine") == "mine"


@pytest.mark.parametrize("name", ["nothing.npy", "cut.npy"])
def test_what_cannot_be_read_is_said(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ARRAY)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    entries = {"query": Entry(Reference(f"file://{tmp_path}/{name}"))}
    with pytest.raises(InputError, match=r"cannot be read|is cut short"):
        Remote(entries, tmp_path).tensor("query")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError("no such host\nask somebody"), "no such host"),
        (ImportError("install s3fs"), "install s3fs"),
        (ValueError(), "ValueError"),
    ],
)
def test_why_it_cannot_be_read_is_one_line(
    error: Exception, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(url: str) -> int:
        raise error

    monkeypatch.setattr(urls, "size_of", failing)
    with pytest.raises(InputError) as caught:
        remote(tmp_path).tensor("query")
    assert caught.value.what == f"file://{tmp_path}/a.npy cannot be read: {why}"
    assert caught.value.place == Place("p.yaml", 2, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_of_a_url_are_finite(bad: float, tmp_path: Path) -> None:
    array = ARRAY.copy()
    array[2, 1] = bad
    np.save(tmp_path / "a.npy", array)
    offset = (tmp_path / "a.npy").stat().st_size - array.nbytes
    for where in (f"file://{tmp_path}/a.npy", str(tmp_path / "a.npy")):
        rows = Rows(where, fingerprint(where) or "", "", offset, (3, 4), (32, 8), "<f8")
        np.testing.assert_array_equal(rows[0:2, :], array[:2])
        if positions.is_url(where):
            with pytest.raises(RefusedError, match="holds NaN or infinity"):
                rows[0:3, :]
        else:
            np.testing.assert_array_equal(rows[0:3, :], array)
