"""Rows of a tensor read by position, on whatever machine sees its file: a path or an fsspec URL.

Nothing is mapped: the pages of a map would count against the memory limit of a cluster's worker.
What is read is kept by blocks, the latest of them, for all tasks of a process together.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from io import FileIO
from secrets import token_hex
from typing import Any

import numpy as np

from attncli.errors import BackendError, RefusedError

BLOCK = 4 << 20
"""Bytes read at a time."""
N_BLOCKS = 64
"""Blocks that a process keeps: 256 MiB."""
SAMPLES, SAMPLE = 16, 4096
"""Pieces of a file that make its fingerprint, and bytes of each."""

Array = np.ndarray[Any, np.dtype[Any]]


def is_url(text: str) -> bool:
    """Whether a place is for fsspec."""
    return "://" in text


def size_of(where: str) -> int:
    """Bytes of a file or of what a URL names; raises `OSError`."""
    if not is_url(where):
        return os.stat(where).st_size
    file_system, path = _remote(where)
    return int(file_system.size(path))


def read_at(where: str, start: int, stop: int) -> bytes:
    """The bytes from `start` to `stop`; raises `OSError` where they are not there."""
    if is_url(where):
        file_system, path = _remote(where)
        content: bytes = file_system.cat_file(path, start=start, end=stop)
    else:
        with open(where, "rb", buffering=0) as file:
            file.seek(start)
            content = b"".join(_pieces(file, stop - start))
    if len(content) < stop - start:
        raise OSError(f"{where} is cut short")
    return content


def _pieces(file: FileIO, size: int) -> Iterator[bytes]:
    """The next bytes of a file; the system may give them in parts."""
    while size and (piece := file.read(size)):
        size -= len(piece)
        yield piece


@lru_cache(maxsize=64)
def _remote(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    file_system, path = url_to_fs(url)
    return file_system, path


def fingerprint(where: str) -> str | None:
    """What a file looks like from here: its size and a hash of pieces of it; None: unreadable."""
    try:
        size = size_of(where)
        digest = hashlib.sha256()
        step = max(SAMPLE, -(-(size - SAMPLE) // (SAMPLES - 1)))
        for start in (*range(0, size - SAMPLE, step), max(0, size - SAMPLE)):
            digest.update(read_at(where, start, min(start + SAMPLE, size)))
    except (OSError, ValueError):
        return None
    return f"{size}-{digest.hexdigest()[:16]}"


@lru_cache(maxsize=N_BLOCKS)
def _block(where: str, run: str, number: int, size: int) -> bytes:
    """One block of a file, as one computation has read it."""
    start = number * BLOCK
    return read_at(where, start, min(start + BLOCK, size))


@lru_cache(maxsize=64)
def _trusted(where: str, mark: str, run: str) -> int:
    """The size of a file that looks as it did where the task was made."""
    if fingerprint(where) != mark:
        raise BackendError(
            f"a worker does not see the {where} that is seen here",
            hint="put the file into a directory that all machines share, or name it by a URL",
        )
    return size_of(where)


@dataclass(frozen=True)
class Rows:
    """Stands for an array `(n d)` that lies in a file, in any order of its axes."""

    where: str
    mark: str
    """The fingerprint of the file where the task was made."""
    run: str
    """Of the computation: what another one has read of the file may be out of date."""
    offset: int
    shape: tuple[int, int]
    strides: tuple[int, int]
    type: str

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.type)

    def __getitem__(self, index: tuple[slice, slice]) -> Array:
        """`rows[first:stop, begin:end]`, read now."""
        first, stop, _ = index[0].indices(self.shape[0])
        begin, end, _ = index[1].indices(self.shape[1])
        n, d = max(0, stop - first), max(0, end - begin)
        start = self.offset + first * self.strides[0] + begin * self.strides[1]
        if d < self.shape[1]:  # of the scores of a long problem, a row is long
            lines = [self._span(start + row * self.strides[0], 1, d) for row in range(n)]
            return np.concatenate(lines) if lines else np.empty((0, d), self.dtype)
        return self._span(start, n, d)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self[:, :]

    def _span(self, start: int, n: int, d: int) -> Array:
        """`(n d)` numbers from a place in the file."""
        if not n or not d:
            return np.empty((n, d), self.dtype)
        last = start + (n - 1) * self.strides[0] + (d - 1) * self.strides[1]
        content = self._bytes(start, last + self.dtype.itemsize)
        rows = np.ascontiguousarray(np.ndarray((n, d), self.dtype, content, 0, self.strides))
        if is_url(self.where) and not np.isfinite(rows).all():
            raise RefusedError(
                f"{self.where} holds NaN or infinity", hint="clean it before it is used"
            )
        return rows

    def _bytes(self, start: int, stop: int) -> bytes:
        size = _trusted(self.where, self.mark, self.run)
        blocks = range(start // BLOCK, (stop - 1) // BLOCK + 1)
        parts = []
        for number in blocks:
            block = memoryview(_block(self.where, self.run, number, size))
            begin = number * BLOCK
            parts.append(block[max(0, start - begin) : stop - begin])
        return b"".join(parts)


def url_of(array: Array) -> str | None:
    """The URL under which the numbers of an array lie; here there are only zeros."""
    root = _root(array)
    return str(root.filename) if root is not None and is_url(str(root.filename)) else None


def _root(array: Any) -> Any:
    """The map that an array is a part of, or None."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array if isinstance(array, np.memmap) else None


@dataclass
class Atlas:
    """Where arrays lie, as one computation finds it."""

    run: str = field(default_factory=lambda: token_hex(8))
    marks: dict[str, str | None] = field(default_factory=dict)
    """Place → fingerprint, found once."""

    def rows_of(self, array: Array) -> Rows | None:
        """Where the numbers of an array `(n d)` lie, if they are a part of a mapped file."""
        root = _root(array)
        if root is None or array.ndim != 2 or min(array.strides) < 0:
            return None
        where = str(root.filename)
        if where not in self.marks:
            self.marks[where] = fingerprint(where)
        mark = self.marks[where]
        if mark is None:
            return None
        begin = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        (n, d), (first, second) = array.shape, array.strides
        offset = root.offset + begin
        return Rows(where, mark, self.run, offset, (n, d), (first, second), array.dtype.str)
