"""Vectors that only the workers of a cluster read: NPY files under a URL that fsspec knows.

Here only the header is read. The array is a map of an empty file of that size, which takes no
memory and no disk; whoever computes with it must ask where it lies (`positions.rows_of`).
"""

import tempfile
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np

from attncli.errors import InputError, Place
from attncli.files.npy import MOST_HEADER, read_header, refuse_other_kinds, refuse_other_size
from attncli.files.positions import is_url, read_at, size_of
from attncli.files.vectors import VECTORS, Source, Tensor


@dataclass
class Remote(Source):
    """An opened problem whose query, key and value may lie under URLs."""

    kinds: dict[str, str] = field(default_factory=dict)
    """URL → the type of its numbers."""

    def get(self, key: str, default: Any = None) -> Any:
        value = super().get(key, default)
        if key == "dtype" and self.kinds:
            kinds = {*self.kinds.values(), *([value] if value else [])}
            if len(kinds) > 1:
                raise InputError(
                    f"{' and '.join(sorted(kinds))}: what lies under a URL is not converted",
                    hint="save all vectors in one type, and leave dtype out",
                    subject="dtype",
                )
            return kinds.pop()
        return value

    def _loaded(self, key: str, text: str, place: Place | None) -> Tensor:
        if not is_url(text):
            return super()._loaded(key, text, place)
        if key not in VECTORS or not text.endswith(".npy") or super().get("allow_nonfinite"):
            raise InputError(
                f"{key}: {text} cannot stay where it is",
                expected="query, key and value in NPY files, without allow_nonfinite",
                found=key,
                hint="copy the file to a directory",
                place=place,
            )
        array = _stand_in(text, place)
        self.kinds[text] = str(array.dtype)
        return array


def _stand_in(url: str, place: Place | None) -> Tensor:
    try:
        size = size_of(url)
        header = read_header(BytesIO(read_at(url, 0, min(size, MOST_HEADER))))
    except (OSError, ValueError, ImportError) as error:
        why = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise InputError(f"{url} cannot be read: {why}", place=place) from None
    refuse_other_kinds(header)
    refuse_other_size(header, size - header.offset)
    if header.dtype not in (np.float32, np.float64) or not header.dtype.isnative:
        raise InputError(
            f"{url} holds {header.dtype}",
            expected="float32 or float64, in this machine's byte order",
            found=str(header.dtype),
            hint="what lies under a URL is not converted",
            place=place,
        )
    order = "F" if header.fortran else "C"
    with tempfile.TemporaryFile() as empty:
        empty.truncate(size)
        array = np.memmap(empty, header.dtype, "r", header.offset, header.shape, order)  # type: ignore[call-overload]
    array.filename = url
    return array  # type: ignore[no-any-return]
