"""What a job has read, and whether it is still that."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from attncli.errors import InputError
from attncli.files.reading import opened
from attncli.files.snapshot import SMALL, hash_of, taking


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "large.npy"
    np.save(path, np.ones(SMALL // 8 + 7))
    return path


def edited(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(SMALL // 2)
        file.write(b"other")
    os.utime(path, ns=(0, 0))


@pytest.mark.parametrize("change", [edited, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_large_file_that_changes_while_it_is_read_is_refused(change: object, path: Path) -> None:
    with taking() as seen:
        with opened(path) as file:
            assert file.read(6) == b"\x93NUMPY"
        seen.check()
        change(path)  # type: ignore[operator]
        with pytest.raises(InputError, match="the file changed while it was read"):
            seen.check()


def test_a_small_file_is_what_it_was_when_it_was_first_opened(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"first")
    with taking() as seen:
        for _ in range(2):
            with opened(path) as file:
                assert file.read() == b"first"
            path.write_bytes(b"second")
        seen.check()
        assert seen.content(path) == b"first"
        assert seen.hashes[str(path)] == hashlib.sha256(b"first").hexdigest()
    assert hash_of(path) == hashlib.sha256(b"second").hexdigest()
    assert hash_of(tmp_path / "missing") is None


def test_the_hash_of_a_large_file_is_that_of_its_bytes(path: Path) -> None:
    whole = hashlib.sha256(path.read_bytes()).hexdigest()
    with taking() as seen, opened(path):
        assert seen.hashes[str(path)] == whole
    assert hash_of(path) == whole
    edited(path)
    assert hash_of(path) == hashlib.sha256(path.read_bytes()).hexdigest() != whole
