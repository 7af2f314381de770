"""An NPY file that is written by rows, in any order and by any thread, while they are computed.

Its place on the disk is taken before the first row is computed: a full disk is an error then, and
not after an hour.
"""

import os
import stat
from collections.abc import Callable
from math import prod
from typing import Any, BinaryIO

import numpy as np

from attncli.files.npy import header_for


class RowsFile:
    """Stands for an array `(… n d)` that lies in a file; takes whole rows by index and slice."""

    def __init__(self, file: BinaryIO, shape: tuple[int, ...], dtype: str) -> None:
        self.file = file
        self.shape = shape
        self.dtype = np.dtype(dtype).newbyteorder("<")
        file.write(header_for(self.dtype, shape))
        file.flush()
        self.start = file.tell()
        size = prod(shape) * self.dtype.itemsize
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, self.start + size)
        else:
            file.truncate(self.start + size)

    def __setitem__(self, index: tuple[Any, ...], rows: Any) -> None:
        """`array[i, j, first:stop, :] = rows`."""
        *leading, span, _ = index
        place = 0
        for position, size in zip(leading, self.shape, strict=False):
            place = place * size + position
        n, d = self.shape[-2:]
        offset = self.start + (place * n + span.start) * d * self.dtype.itemsize
        content = memoryview(np.ascontiguousarray(rows, dtype=self.dtype).data).cast("B")
        while content:
            written = os.pwrite(self.file.fileno(), content, offset)
            content, offset = content[written:], offset + written

    def mapped(self) -> Any:
        """What has been written, as an array."""
        path = self.file.name
        return np.memmap(path, self.dtype, mode="r", offset=self.start, shape=self.shape)


def allocator(file: BinaryIO) -> Callable[[tuple[int, ...], str], RowsFile] | None:
    """What makes a `RowsFile` of a shape and a type; None for a file that takes bytes in order."""
    if not hasattr(os, "pwrite") or not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return None
    return lambda shape, dtype: RowsFile(file, shape, dtype)
