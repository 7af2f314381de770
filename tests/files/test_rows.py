"""NPY files written by rows while they are computed, and what happens when that goes wrong."""

import os
from pathlib import Path

import numpy as np
import pytest

from attncli.commands.boundary import run
from attncli.files.rows import RowsFile, allocator

RANDOM = np.random.default_rng(0)


def test_rows_in_any_order_make_the_file_that_numpy_reads(tmp_path: Path) -> None:
    whole = RANDOM.normal(size=(2, 3, 7, 5)).astype(np.float32)
    spans = [
        (b, h, slice(n, min(n + 2, 7))) for b in range(2) for h in range(3) for n in (0, 2, 4, 6)
    ]
    with (tmp_path / "o.npy").open("wb") as file:
        rows = RowsFile(file, whole.shape, "float32")
        for i in RANDOM.permutation(len(spans)):
            b, h, span = spans[i]
            rows[b, h, span, :] = whole[b, h, span]
        np.testing.assert_array_equal(rows.mapped(), whole)
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), whole)


def test_the_place_is_taken_before_the_first_row(tmp_path: Path) -> None:
    with (tmp_path / "o.npy").open("wb") as file:
        make = allocator(file)
        assert make is not None
        make((11, 13), "float64")
        assert os.stat(tmp_path / "o.npy").st_size == 128 + 11 * 13 * 8


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command whose steps would not fit the budget."""
    from attncli import solve

    monkeypatch.setattr(solve, "BUDGET", 1000)
    monkeypatch.chdir(tmp_path)
    for name in "qkv":
        np.save(f"{name}.npy", RANDOM.normal(size=(2, 3, 41, 8)).astype(np.float32))
    return ["attend", "q.npy", "k.npy", "v.npy", "-o", "o.npy", "--causal"]


@pytest.mark.parametrize("flags", [[], ["--notation", "columns"]])
def test_a_long_output_is_the_short_one(long: list[str], flags: list[str]) -> None:
    assert run([*long, *flags]) == 0
    short = [*long[:4], "-o", "s.npy", "--causal", "--tile", "none", *flags]
    assert run(short) == 0
    np.testing.assert_allclose(np.load("o.npy"), np.load("s.npy"), rtol=1e-5, atol=1e-6)


def test_a_full_disk_is_an_error_before_anything_is_computed(
    long: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    before = {*os.listdir()}
    assert run(long) == 5
    assert "no space left" in capsys.readouterr().err
    assert {*os.listdir()} == before


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_what_fails_on_the_way_leaves_nothing_behind(
    error: BaseException, long: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    original = os.pwrite

    def failing(*given: object) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise error
        return original(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "pwrite", failing)
    before = {*os.listdir()}
    assert run(long) == (5 if isinstance(error, OSError) else 130)
    assert {*os.listdir()} == before


def test_an_existing_output_stays_where_the_run_fails(
    long: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("o.npy").write_bytes(b"precious")
    assert run(long) == 5
    monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(5, "broken")))
    assert run([*long, "--force"]) == 5
    assert Path("o.npy").read_bytes() == b"precious"


def test_a_system_that_cannot_take_a_place_makes_the_file_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    with (tmp_path / "o.npy").open("wb") as file:
        rows = RowsFile(file, (11, 13), "float32")
        assert os.stat(tmp_path / "o.npy").st_size == 128 + 11 * 13 * 4
        rows[slice(0, 11), :] = np.ones((11, 13))
        assert (rows.mapped() == 1).all()


def test_a_file_that_takes_bytes_in_order_is_left_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull, "wb") as device:
        assert allocator(device) is None
    with (tmp_path / "o.npy").open("wb") as file:
        assert allocator(file) is not None
        monkeypatch.delattr(os, "pwrite")
        assert allocator(file) is None


def test_a_write_that_takes_only_a_part_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, part, at: original(file, part[:7], at))
    whole = RANDOM.normal(size=(3, 5))
    with (tmp_path / "o.npy").open("wb") as file:
        rows = RowsFile(file, (3, 5), "float64")
        rows[slice(0, 3), :] = whole
        np.testing.assert_array_equal(rows.mapped(), whole)
