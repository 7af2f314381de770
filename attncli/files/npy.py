"""NPY files: their header is read here, before any memory is taken, and nothing is unpickled.

A header is a Python literal. It must name a type of numbers, and a shape whose bytes are exactly
those that follow it.
"""

import ast
import os
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from attncli.errors import InputError, Place
from attncli.files.mapped import watched
from attncli.files.reading import opened
from attncli.files.snapshot import SMALL
from attncli.files.yaml import quoted

MAGIC = b"\x93NUMPY"
VERSIONS = {(1, 0): (2, "latin1"), (2, 0): (4, "latin1"), (3, 0): (4, "utf-8")}
"""Version → how many bytes say the header's length, and its encoding."""

MOST_HEADER = 64 * 1024
MOST_LITERAL = 4096
"""Characters of a header without its padding; 32 axes need a tenth."""
MOST_AXES = 32
MOST_BYTES = 1 << 62
MAPPED = SMALL
"""Files larger than this are mapped, not read."""
PIECE = 1 << 20
KEYS = {"descr", "fortran_order", "shape"}
KIND = re.compile(r"[<>|=]?(?:[fiu][1248]|f(?:12|16)|c\d+|[?bBOSUVMm]\d*(?:\[\w+\])?)")
NUMBERS = "float16, float32, float64, integers or booleans"


class Readable(Protocol):
    """A file, or a member of an archive."""

    def read(self, size: int, /) -> bytes: ...
    def readinto(self, buffer: memoryview, /) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Header:
    """The shape and type of an array, and where its bytes lie in the file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool = False
    offset: int = 0

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return " × ".join(map(str, self.shape or (1,))) + f" of {self.dtype}"


def npy_header(path: Path, place: Place | None = None) -> Header:
    """The shape and type of an NPY file, of any type; nothing else is read.

    Raises `InputError` if there is no such header.
    """
    with opened(path, place) as file:
        return read_header(file)


def read_npy(path: Path, *, place: Place | None = None) -> np.ndarray[Any, np.dtype[Any]]:
    """The array of an NPY file, in native byte order; over 1 MiB a read-only map of the file.

    A map keeps the byte order of the file. `place` is where the reference to the file stands.
    Raises `InputError`.
    """
    with opened(path, place) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        header = read_header(file)
        refuse_other_kinds(header)
        refuse_other_size(header, size - header.offset)
        if size <= MAPPED:
            return read_array(file, header)
        order = "F" if header.fortran else "C"
        array = np.memmap(file, header.dtype, "r", header.offset, header.shape, order)  # type: ignore[call-overload]
        array.filename = os.path.abspath(path)  # which a file that has no name in Python lacks
        watched(array)
        refuse_odd_booleans(array)
        return array  # type: ignore[no-any-return]


def write_npy(file: BinaryIO, array: Any) -> None:
    """Write an array as NPY 1.0, row by row and little-endian: the same bytes for equal arrays."""
    values = _written(array)
    file.write(header_for(values.dtype, values.shape))
    if values.size:
        # The stubs know nditer as yielding tuples only.
        pieces: Any = np.nditer(values, ("external_loop", "buffered"), order="C", buffersize=PIECE)
        for piece in pieces:
            file.write(piece.tobytes())


def npy_bytes(array: Any) -> bytes:
    """What `write_npy` writes of a small array."""
    values = _written(array)
    return header_for(values.dtype, values.shape) + values.tobytes()


def _written(array: Any) -> np.ndarray[Any, np.dtype[Any]]:
    values = np.asarray(array)
    if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
        raise TypeError(f"{values.dtype} is no type of numbers that attncli computes with")
    return values.astype(values.dtype.newbyteorder("<"), copy=False)


@lru_cache(maxsize=256)
def header_for(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The header of an NPY 1.0 file whose rows follow in C order."""
    stream = BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        stream, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


def read_header(stream: Readable, noun: str = "the array") -> Header:
    """The header at the beginning of a stream; `noun` is what errors call the array.

    Raises `InputError` (without a place) if it is malformed, or promises what no file can hold.
    """
    start = stream.read(8)
    if start[:6] != MAGIC:
        raise InputError(
            f"{noun} is not in NPY format",
            expected=r"\x93NUMPY at its beginning",
            found=_bytes(start),
            hint="it is an archive: call it .npz" if start[:2] == b"PK" else "save it with np.save",
        )
    version = (*start[6:],)
    if version not in VERSIONS:
        raise InputError(
            f"{noun} has an unknown NPY version",
            expected="1.0, 2.0 or 3.0",
            found=".".join(map(str, version)) or "none",
            hint="save it with np.save",
        )
    width, encoding = VERSIONS[version]
    length = int.from_bytes(_exactly(stream, width, noun), "little")
    if length > MOST_HEADER:
        raise InputError(
            f"the header of {noun} is too long", expected="at most 64 KiB", found=f"{length} bytes"
        )
    text = _exactly(stream, length, noun).decode(encoding, "replace").strip()
    shape, dtype, fortran = _parsed(text, noun)
    header = Header(shape, dtype, fortran, 8 + width + length)
    if prod(max(1, n) for n in shape) * max(1, dtype.itemsize) > MOST_BYTES:
        raise InputError(f"the header of {noun} promises more bytes than a file can hold")
    return header


def header_of(part: memoryview) -> Header:
    """The header at the beginning of a part of a file, as `read_header` reads it."""
    size = 10 + int.from_bytes(part[8:10], "little")
    return _header(bytes(part[:size]))


@lru_cache(maxsize=256)
def _header(start: bytes) -> Header:
    """A header; most arrays of a batch have the same."""
    return read_header(BytesIO(start))


def read_array(
    stream: Readable, header: Header, noun: str = "the array"
) -> np.ndarray[Any, np.dtype[Any]]:
    """The array whose bytes come next in a stream, in native byte order."""
    buffer = np.empty(header.nbytes, np.uint8)
    view, there = buffer.data, 0
    while there < header.nbytes:
        count = stream.readinto(view[there : there + PIECE]) or 0
        if not count:
            refuse_other_size(header, there, noun)
        there += count
    array = buffer.view(header.dtype).reshape(header.shape, order="F" if header.fortran else "C")
    refuse_odd_booleans(array, noun)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def refuse_other_kinds(header: Header, noun: str = "the array") -> None:
    """Raise `InputError` for objects, text, complex numbers, … with how to save numbers."""
    dtype = header.dtype
    if dtype.kind in "biu" or (dtype.kind == "f" and dtype.itemsize <= 8):
        return
    holds, hint = REMEDIES.get(dtype.kind, REMEDIES["V"])
    raise InputError(
        f"{noun} holds {holds.format(dtype)}",
        expected=NUMBERS,
        found=str(dtype),
        hint=hint.format("savez(path, name=" if noun != "the array" else "save(path, "),
    )


REMEDIES = {
    "O": (
        "Python objects (dtype {}), which attncli never unpickles",
        "save it with np.{}array.astype(float))",
    ),
    "c": ("complex numbers", "save one part with np.{}array.real)"),
    "f": (
        "long doubles, which differ from machine to machine",
        "save it with np.{}array.astype(float))",
    ),
    "S": ("text", "numbers only: labels stand in the problem file"),
    "U": ("text", "numbers only: labels stand in the problem file"),
    "M": ("dates", "save numbers with np.{}array.astype(float))"),
    "m": ("durations", "save numbers with np.{}array.astype(float))"),
    "V": (
        "records, or a type that NumPy does not have such as bfloat16",
        "save it with np.{}array.astype(np.float32))",
    ),
}
"""Kind of type → what the array holds, and how to save what attncli reads."""


def refuse_other_size(header: Header, there: int, noun: str = "the array") -> None:
    """Raise `InputError` if not exactly the bytes that the header promises are there."""
    if there == header.nbytes:
        return
    what = "is cut short" if there < header.nbytes else "is followed by other bytes"
    raise InputError(
        f"{noun} {what}",
        expected=f"{header.nbytes} bytes after the header, as it promises ({header})",
        found=str(there),
        hint="copy the file again, or save it again",
    )


def refuse_odd_booleans(array: np.ndarray[Any, np.dtype[Any]], noun: str = "the array") -> None:
    """Raise `InputError` for a truth value other than 0 and 1, which NumPy would compute with."""
    if array.dtype.kind != "b":
        return
    flat = array.view(np.uint8).reshape(-1, order="A")
    if any((flat[start : start + PIECE] > 1).any() for start in range(0, flat.size, PIECE)):
        raise InputError(
            f"{noun} holds booleans other than 0 and 1", hint="save it again with np.save"
        )


def _exactly(stream: Readable, count: int, noun: str) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise InputError(
            f"the header of {noun} is cut short",
            expected=f"{count} bytes",
            found=str(len(content)),
            hint="copy the file again, or save it again",
        )
    return content


def _parsed(text: str, noun: str) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape, type and order that a header's literal says."""
    malformed = InputError(
        f"the header of {noun} is malformed",
        expected="{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4)}",
        found=quoted(text, 100),
        hint="save it with np.save",
    )
    content = _literal(text)
    if not isinstance(content, dict) or content.keys() != KEYS:
        raise malformed
    shape, fortran, descr = content["shape"], content["fortran_order"], content["descr"]
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise malformed
    if not isinstance(fortran, bool):
        raise malformed
    if len(shape) > MOST_AXES:
        raise InputError(
            f"{noun} has too many axes", expected=f"at most {MOST_AXES}", found=str(len(shape))
        )
    if isinstance(descr, list | tuple):
        return shape, np.dtype("V"), fortran
    if not isinstance(descr, str) or not KIND.fullmatch(descr):
        raise malformed
    try:
        return shape, np.dtype(descr), fortran
    except (TypeError, ValueError):
        raise malformed from None


def _literal(text: str) -> Any:
    """The value of a Python literal; None if it is none."""
    if len(text) > MOST_LITERAL:
        return None
    # Python 2 wrote long integers as 3L.
    text = re.sub(r"(\d)L\b", r"\1", text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None


def _bytes(content: bytes) -> str:
    return repr(content)[2:-1] or "nothing"
