"""Each call with which a file is read fails in turn: an error with its name, never half of it."""

import io
import itertools
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from attncli.errors import AttncliError, OutputError, known
from tests.faults.calls import CODES, LOOKING, Slow, faults
from tests.fuzz.readers import KINDS, ROOT, quietly

WORDS = (
    "cannot be read: ",
    "the archive is damaged",  # zipfile takes a directory that it cannot read for none
    "there is no sample",  # so does glob
)
MOST = 400
"""Calls that are tried of one file; large samples have thousands of the same read."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in (ROOT / "samples").iterdir():
        if path.is_file() and path.suffix != ".yaml":
            shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def slow_files(number: int, fault: str) -> Iterator[list[Slow]]:
    """Files give 64 bytes at a time; the `number`-th read of all fails."""
    made: list[Slow] = []

    def slow(descriptor: int, mode: str) -> io.BufferedReader:
        left = number - sum(one.reads for one in made)
        made.append(Slow(descriptor, left, fault))
        return io.BufferedReader(made[-1], 64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdopen", slow)
        yield made


def outcome(kind: str, path: Path) -> AttncliError | None:
    """How it ends, as the command line would say it."""
    try:
        quietly(KINDS[kind][1], path)
    except Exception as error:
        return known(error)
    return None


def refused(error: AttncliError | None, what: str) -> None:
    assert error is not None, f"{what}: it was read all the same"
    said = "\n".join(error.lines())
    if isinstance(error, OutputError):  # attncli's own samples, and what this test lays around
        assert re.match(r"error: cannot use (/|picture\.yaml)", said), f"{what}: {said}"
        return
    assert error.exit_code == 3, f"{what}: {said}"
    assert any(words in said for words in WORDS), f"{what}: {said}"
    assert len(error.lines()) <= 4


def files(kind: str, most: int) -> Iterator[Path]:
    suffix, _, corpus = KINDS[kind]
    for content in corpus()[:most]:
        path = Path(f"file{suffix}")
        path.write_bytes(content)
        yield path


BY_US = sorted({*KINDS} - {"safetensors"})
"""Kinds of files whose bytes we read ourselves: that one's library opens it once more."""


@pytest.mark.parametrize("fault", CODES)
@pytest.mark.parametrize("kind", BY_US)
def test_each_read_fails_in_turn(kind: str, fault: str, here: Path) -> None:
    count = 0
    for path in files(kind, 2):
        for number in range(1, MOST):
            with slow_files(number, fault) as made:
                error = outcome(kind, path)
            if not any(one.spoiled for one in made):
                assert error is None
                break
            count += 1
            refused(error, f"{kind}: read {number}, {fault}")
    assert count > 1


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_come_in_small_pieces_are_whole(kind: str, here: Path) -> None:
    for path in files(kind, 3):
        with slow_files(0, "half") as made:
            assert outcome(kind, path) is None
        assert made


@pytest.mark.parametrize("fault", CODES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_look_at_a_file_fails_in_turn(kind: str, fault: str, here: Path) -> None:
    for path in files(kind, 1):
        assert outcome(kind, path) is None
        for number in itertools.count(1):
            with faults(number, fault, LOOKING) as bomb:
                error = outcome(kind, path)
            if not bomb.spoiled:
                break
            if error is not None:
                refused(error, f"{kind}: call {number}, {bomb.spoiled}, {fault}")
        assert number > 2


def test_a_file_that_cannot_be_mapped_is_an_error(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("large.npy")
    np.save(path, np.ones((20_011, 131)))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(np, "memmap", refuse)
    refused(outcome("npy", path), "npy")
