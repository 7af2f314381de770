"""NPZ archives: the directory and the headers are held against each other before anything is read.

An archive may promise any size. Memory is taken only for the tensor asked for, once what its header
promises is known to be there, and to fit.
"""

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from attncli.errors import InputError, Place
from attncli.files.npy import (
    MAGIC,
    Header,
    header_of,
    npy_bytes,
    read_array,
    read_header,
    refuse_other_kinds,
    refuse_other_size,
    write_npy,
)
from attncli.files.npz_stored import archived, stored
from attncli.files.reading import no_member, opened, refuse_oversize
from attncli.files.snapshot import SMALL, current
from attncli.files.yaml import quoted

SUFFIX = ".npy"
EPOCH = (1980, 1, 1, 0, 0, 0)
READ_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The two that NumPy writes."""
ENCRYPTED = 1
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What the standard reader raises for a broken archive."""

Directory = dict[str, zipfile.ZipInfo]
Plain = dict[str, tuple[Header, np.ndarray[Any, np.dtype[Any]]]]


def members(path: Path, place: Place | None = None) -> dict[str, Header]:
    """Name (without .npy) → shape and type of every array; the arrays are not read.

    Raises `InputError`.
    """
    if plain := _plain(path, place):
        return {name: header for name, (header, _) in plain.items()}
    with _archive(path, place) as (archive, directory):
        return {name: _header(archive, name, info) for name, info in directory.items()}


def read_plain(path: Path) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """All arrays of a small archive that a snapshot has read already; none of any other."""
    return {name: array for name, (_, array) in (_plain(path, None) or {}).items()}


def read_member(
    path: Path, name: str, place: Place | None = None
) -> np.ndarray[Any, np.dtype[Any]]:
    """One array of an archive.

    `place` is where the reference to the archive stands. Raises `InputError`, and `LimitError` if
    the array exceeds the free memory.
    """
    plain = _plain(path, place)
    if plain and name in plain:
        return plain[name][1]
    with _archive(path, place) as (archive, directory):
        if name not in directory:
            raise no_member(path, name, directory, place)
        noun, info = quoted(name), directory[name]
        with _stream(archive, name, info) as stream:
            header = read_header(stream, noun)
            refuse_other_kinds(header, noun)
            refuse_other_size(header, info.file_size - header.offset, noun)
            refuse_oversize(noun, header.nbytes)
            array = read_array(stream, header, noun)
            stream.read(1)  # the checksum is compared at the end
            return array


def write_npz(file: BinaryIO, arrays: Mapping[str, Any]) -> None:
    """Write arrays under their names, uncompressed, without dates: the same bytes for the same."""
    if sum(np.asarray(array).nbytes for array in arrays.values()) <= SMALL and all(
        name.isascii() for name in arrays
    ):
        file.write(archived({name + SUFFIX: npy_bytes(array) for name, array in arrays.items()}))
        return
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as target:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(name + SUFFIX, EPOCH)
            info.create_system = 3  # Unix, on every system
            info.external_attr = 0o644 << 16
            with target.open(info, "w", force_zip64=True) as member:
                write_npy(member, array)  # type: ignore[arg-type]


def _plain(path: Path, place: Place | None) -> Plain | None:
    """All arrays of a small archive in a snapshot, made once; None unless it is plain and sound."""
    snapshot = current()
    if snapshot is None:
        return None
    name = str(path)
    if name not in snapshot.made:
        with opened(path, place):
            content = snapshot.content(path)
        snapshot.made[name] = None if content is None else _plain_arrays(content)
    plain: Plain | None = snapshot.made[name]
    return plain


def _plain_arrays(content: bytes) -> Plain | None:
    plain: Plain = {}
    for file, part in (stored(content) or {}).items():
        name = file.removesuffix(SUFFIX)
        if name == file:
            continue
        try:
            header = header_of(part)
            refuse_other_kinds(header)
            refuse_other_size(header, len(part) - header.offset)
        except InputError:
            return None  # the standard path says what is wrong, and in which array
        if header.dtype.kind == "b" or header.dtype.byteorder == ">":
            return None
        flat = np.frombuffer(part, header.dtype, offset=header.offset)
        plain[name] = header, flat.reshape(header.shape, order="F" if header.fortran else "C")
    return plain


@contextmanager
def _archive(path: Path, place: Place | None) -> Iterator[tuple[zipfile.ZipFile, Directory]]:
    """The open archive and its arrays; what the standard reader raises becomes `InputError`."""
    with opened(path, place) as file:
        try:
            if not zipfile.is_zipfile(file):
                raise _no_archive(file)
            with zipfile.ZipFile(file) as archive:
                yield archive, _directory(archive)
        except DAMAGED as error:
            raise _damaged(str(error)) from None
        except OSError as error:
            if error.errno != errno.EINVAL:  # a broken directory leads before the file's beginning
                raise
            raise _damaged("an offset leads out of the file") from None


def _damaged(why: str) -> InputError:
    why = quoted(why[:1].lower() + why[1:], 100)
    return InputError(
        f"the archive is damaged: {why}" if why else "the archive is damaged",
        hint="copy the file again, or save it again",
    )


def _no_archive(file: BinaryIO) -> InputError:
    file.seek(0)
    start = file.read(len(MAGIC))
    if start[:2] == b"PK":
        return _damaged("its directory, which stands at the end, is missing")
    return InputError(
        "this is no NPZ archive",
        hint="it is one array: call it .npy" if start == MAGIC else "save it with np.savez",
    )


def _directory(archive: zipfile.ZipFile) -> Directory:
    directory: Directory = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(SUFFIX)
        if name == info.filename:
            continue
        if name in directory:
            raise InputError(
                f"the archive has {quoted(name)} twice", hint="save it again with np.savez"
            )
        directory[name] = info
    return directory


def _header(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Header:
    with _stream(archive, name, info) as stream:
        return read_header(stream, quoted(name))


def _stream(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Any:
    if info.flag_bits & ENCRYPTED:
        raise InputError(f"{quoted(name)} is encrypted", hint="save it with np.savez")
    if info.compress_type not in READ_COMPRESSIONS:
        method = zipfile.compressor_names.get(info.compress_type, str(info.compress_type))  # type: ignore[attr-defined]
        raise InputError(
            f"{quoted(name)} is compressed in another way than NumPy's",
            expected="stored or deflate",
            found=method,
            hint="save it with np.savez or np.savez_compressed",
        )
    return archive.open(info)
