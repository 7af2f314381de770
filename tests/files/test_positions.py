"""Rows by position: the numbers of any view of a map, from a path and from a URL."""

from itertools import pairwise
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


def test_a_file_is_looked_at_once_for_all_its_arrays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas, array = Atlas(), read_npy(path)
    first = atlas.rows_of(array[0])
    monkeypatch.setattr(positions, "fingerprint", lambda where: None)
    second = atlas.rows_of(array[1])
    assert first is not None
    assert second is not None
    assert (first.where, first.mark, first.run) == (second.where, second.mark, second.run)
    assert second.offset - first.offset == array[0].nbytes


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


def test_a_file_that_is_gone_lies_nowhere(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((N, D)))
    array = read_npy(tmp_path / "a.npy")
    (tmp_path / "a.npy").unlink()
    assert Atlas().rows_of(array) is None


@pytest.mark.parametrize("block", [1, 7, 8, 9, 64, 4096])
@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_of_any_size_make_the_same_rows(
    block: int, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    array = np.asarray(np.arange(35.0).reshape(7, 5), order=order)  # type: ignore[call-overload]
    file.write_bytes(b"head" + array.tobytes(order))
    monkeypatch.setattr(positions, "BLOCK", block)
    positions._block.cache_clear()
    first, second = array.strides
    mark = fingerprint(str(file)) or ""
    rows = Rows(str(file), mark, str(block), 4, (7, 5), (first, second), "<f8")
    for top in range(8):
        for stop in range(8):
            for index in ((slice(top, stop), slice(0, 5)), (slice(top, stop), slice(1, 4))):
                found = rows[index]
                np.testing.assert_array_equal(found, array[index])
                assert found.dtype == array.dtype
    np.testing.assert_array_equal(rows[2:3, 4:2], np.empty((1, 0)))
    positions._block.cache_clear()


def test_only_the_blocks_that_are_needed_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    file.write_bytes(bytes(100))
    asked: list[tuple[int, int]] = []
    original = positions.read_at

    def noted(where: str, start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return original(where, start, stop)

    rows = Rows(str(file), fingerprint(str(file)) or "", "noted", 0, (12, 1), (8, 8), "<f8")
    rows[0:1, :]  # which trusts the file
    monkeypatch.setattr(positions, "BLOCK", 16)
    monkeypatch.setattr(positions, "read_at", noted)
    for index, wanted in (
        (slice(2, 4), [(16, 32)]),
        (slice(3, 5), [(32, 48)]),  # the one before is kept
        (slice(11, 12), [(80, 96)]),
        (slice(4, 4), []),
    ):
        asked.clear()
        rows[index, :]
        assert asked == wanted


@pytest.mark.parametrize("size", [4095, 4096, 4097, 16 * 4096, 16 * 4096 + 1, 1_000_003])
def test_a_fingerprint_reads_sixteen_pieces_with_the_first_and_the_last(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "f"
    file.write_bytes(bytes(size))
    pieces: list[tuple[int, int]] = []
    original = positions.read_at

    def noted(where: str, start: int, stop: int) -> bytes:
        pieces.append((start, stop))
        return original(where, start, stop)

    monkeypatch.setattr(positions, "read_at", noted)
    fingerprint(str(file))
    assert pieces[0][0] == 0
    assert pieces[-1][1] == size
    assert all(stop - start == min(4096, size) for start, stop in pieces)
    assert len({*pieces}) == max(1, min(16, -(-size // 4096)))
    gaps = [after[0] - before[0] for before, after in pairwise(pieces)]
    assert all(gap <= max(4096, size // 15) for gap in gaps)
