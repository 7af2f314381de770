"""Rows by position: the numbers of any view of a map, from a path and from a URL."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attncli.errors import BackendError
from attncli.files import positions
from attncli.files.npy import read_npy
from attncli.files.positions import Atlas, Rows, fingerprint, url_of

N, D = 4099, 67


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("rows") / "a.npy"
    np.save(made, np.random.default_rng(3).normal(size=(5, N, D)).astype(np.float32))
    return made


VIEWS = {
    "a head": lambda array: array[3],
    "columns": lambda array: array[2].T,
    "tokens first": lambda array: array[1].reshape(N, D)[:, 7:51],
    "every other": lambda array: array[4][::2],
    "cast": lambda array: np.asarray(array[0], dtype="float32"),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_a_map_are_found_in_its_file(
    name: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "BLOCK", 4093)  # blocks end inside numbers
    positions._block.cache_clear()
    array = VIEWS[name](read_npy(path))
    rows = Atlas().rows_of(array)
    assert rows is not None
    assert (rows.shape, rows.dtype) == (array.shape, array.dtype)
    for index in (
        (slice(0, 1), slice(None)),
        (slice(11, 53), slice(None)),
        (slice(len(array) - 3, len(array) + 9), slice(None)),
        (slice(5, 23), slice(3, 31)),
        (slice(7, 7), slice(None)),
    ):
        np.testing.assert_array_equal(rows[index], array[index])
    np.testing.assert_array_equal(np.asarray(rows), array)
    positions._block.cache_clear()


@given(data=st.data())
def test_any_rows_are_read(data: st.DataObject, path: Path) -> None:
    array = read_npy(path)[2]
    rows = Atlas().rows_of(array)
    assert rows is not None
    first = data.draw(st.integers(0, N))
    stop = data.draw(st.integers(0, N))
    np.testing.assert_array_equal(rows[first:stop, :], array[first:stop, :])


def test_what_is_in_memory_lies_nowhere(path: Path) -> None:
    assert Atlas().rows_of(np.array(read_npy(path)[0])) is None
    assert Atlas().rows_of(read_npy(path)[0] * 2) is None
    assert Atlas().rows_of(read_npy(path)) is None  # three axes: not the rows of one head
    assert Atlas().rows_of(read_npy(path)[0][::-1]) is None
    assert url_of(read_npy(path)) is None


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 70_000, 300_001])
def test_fingerprints_tell_files_apart(size: int, tmp_path: Path) -> None:
    file = tmp_path / "f"
    content = np.random.default_rng(size).bytes(size)
    file.write_bytes(content)
    mark = fingerprint(str(file))
    assert mark == fingerprint(f"file://{file}")
    assert mark is not None
    assert mark.startswith(f"{size}-")
    for place in {0, size - 1} if size else ():
        other = bytearray(content)
        other[place] ^= 1
        file.write_bytes(other)
        assert fingerprint(str(file)) != mark
    file.write_bytes(content + b"x")
    assert fingerprint(str(file)) != mark
    file.unlink()
    assert fingerprint(str(file)) is None


def test_what_an_earlier_computation_read_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    for value in (1.0, 2.0):
        array = np.zeros((N, D))
        array[111, 13] = value  # between two samples
        np.save(file, array)
        rows = Atlas().rows_of(read_npy(file))
        assert rows is not None
        assert rows[111:112, :][0, 13] == value


def test_a_file_that_is_another_one_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(bytes(999))
    rows = Rows(str(file), "999-0", "", 0, (3, 5), (20, 4), "<f4")
    with pytest.raises(BackendError, match="does not see"):
        rows[0:1, :]


def test_a_file_that_ends_too_early_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(bytes(99))
    for where in (str(file), f"file://{file}"):
        with pytest.raises(OSError, match="cut short"):
            positions.read_at(where, 90, 101)
