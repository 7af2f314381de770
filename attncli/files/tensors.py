"""What a problem file writes for a tensor that lies elsewhere: `q.npy`, `p.npz:name`, `t.csv`."""

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from attncli.errors import InputError, Place
from attncli.files import npz, safetensors
from attncli.files.npy import Header, npy_header, read_npy
from attncli.files.reading import no_member, opened
from attncli.files.schema import ARCHIVES, PICTURES, TABLES
from attncli.files.tables import read_table
from attncli.files.yaml import quoted


class Archive(Protocol):
    """A module that reads files of named tensors."""

    def members(self, path: Path, place: Place | None = None) -> dict[str, Header]: ...
    def read_member(
        self, path: Path, name: str, place: Place | None = None
    ) -> np.ndarray[Any, np.dtype[Any]]: ...


READERS: dict[str, Archive] = {".npz": npz, ".safetensors": safetensors}
SUFFIXES = (".npy", *ARCHIVES, *TABLES, *PICTURES)
NAMED = re.compile(
    r"(?P<path>.*?\.(?:npy|npz|safetensors|csv|tsv|png|jpe?g)):(?P<name>.*)", re.I | re.S
)
"""A file, a colon and a name; the colon of a drive has no such suffix before it."""

FOREIGN = {
    ".pt": "save it from torch with np.save('q.npy', tensor.numpy())",
    ".pth": "save it from torch with np.save('q.npy', tensor.numpy())",
    ".bin": "save it as q.npy with np.save: raw bytes do not say their type",
    ".xlsx": "save it from the spreadsheet as CSV UTF-8",
    ".xls": "save it from the spreadsheet as CSV UTF-8",
    ".ods": "save it from the spreadsheet as CSV UTF-8",
    ".txt": "call it .csv if commas separate its numbers, .tsv if tabs do",
    ".mat": "save it from Python: np.save('q.npy', scipy.io.loadmat(path)['q'])",
    ".h5": "save it from Python: np.save('q.npy', h5py.File(path)['q'])",
    ".gif": "save it as PNG",
    ".bmp": "save it as PNG",
    ".webp": "save it as PNG",
    ".tif": "save it as PNG",
    ".tiff": "save it as PNG",
    ".pkl": "save it as q.npy with np.save: attncli never unpickles",
}
"""Suffixes of other programs → how to bring their numbers here."""


@dataclass(frozen=True)
class Loaded:
    """An array, and the labels that a table brought along."""

    array: np.ndarray[Any, np.dtype[Any]]
    row_labels: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()


def load(reference: str, base: Path, place: Place | None = None) -> Loaded:
    """The tensor that a reference stands for; `place` is where the reference stands.

    A path is relative to `base`. An archive with one tensor needs no name. Raises `InputError`, and
    `LimitError` where an archive's tensor exceeds the free memory.
    """
    path, name = _split(reference, base, place)
    suffix = path.suffix.lower()
    if suffix in ARCHIVES:
        return Loaded(_member(path, suffix, name, place))
    if name is not None:
        raise InputError(
            f"{quoted(path.name, 80)} holds one tensor, which has no name",
            found=f"the name {quoted(name) or '(empty)'} after the colon",
            hint=f"write {reference[: -len(name) - 1]}",
            place=place or Place(str(path)),
        )
    if suffix in TABLES:
        table = read_table(path, place)
        return Loaded(table.values, table.rows, table.columns)
    if suffix in PICTURES:
        from attncli.files.pictures import read_picture  # few problems have one

        return Loaded(read_picture(path, place))
    return Loaded(read_npy(path, place=place))


def members(path: Path, place: Place | None = None) -> dict[str, Header]:
    """Name → shape and type of every tensor of a file; one without a name gets the file's.

    Only a table and a picture are read for it. Raises `InputError`.
    """
    suffix = path.suffix.lower()
    if suffix in ARCHIVES:
        return READERS[suffix].members(path, place)
    if suffix == ".npy":
        return {path.stem: npy_header(path, place)}
    if suffix in TABLES:
        values = read_table(path, place).values
        return {path.stem: Header(values.shape, values.dtype)}
    if suffix in PICTURES:
        pixels = load(path.name, path.parent, place).array
        return {path.stem: Header(pixels.shape, pixels.dtype)}
    raise _unknown(path, place)


def file_of(reference: str, base: Path, place: Place | None = None) -> Path:
    """The file that a reference names."""
    return _split(reference, base, place)[0]


def header(reference: str, base: Path, place: Place | None = None) -> Header:
    """The shape and type of the tensor that a reference stands for; see `load` and `members`."""
    path, name = _split(reference, base, place)
    there = members(path, place)
    if name is None and len(there) == 1:
        return next(iter(there.values()))
    if name is None or name not in there:
        raise no_member(path, name or "", there, place)
    return there[name]


def is_reference_path(text: str) -> bool:
    """Whether a text looks like a file: it ends as one of ours, or has a separator in it."""
    ends = text.lower().endswith(SUFFIXES)
    return ends or NAMED.fullmatch(text) is not None or "/" in text or os.sep in text


def _split(reference: str, base: Path, place: Place | None) -> tuple[Path, str | None]:
    """The file, and the name after the colon, if any; a file with a colon in it comes first."""
    match = NAMED.fullmatch(reference)
    ends = reference.lower().endswith(SUFFIXES)
    if match and not ends:
        return _joined(base, match["path"]), match["name"]
    whole = _joined(base, reference)
    if ends and (match is None or os.path.isfile(whole)):
        return whole, None
    if match:
        return _joined(base, match["path"]), match["name"]
    if os.path.isdir(whole) or (is_reference_path(reference) and not whole.suffix):
        with opened(whole, place):  # says why not, with what is near
            pass
    raise _unknown(whole, place, reference)


@lru_cache(maxsize=128)
def _joined(base: Path, name: str) -> Path:
    """A path, joined once for all tensors of a file: that takes as long as reading a small one."""
    return base / name


def _member(
    path: Path, suffix: str, name: str | None, place: Place | None
) -> np.ndarray[Any, np.dtype[Any]]:
    archive = READERS[suffix]
    if name is not None:
        return archive.read_member(path, name, place)
    names = list(archive.members(path, place))
    if len(names) == 1:
        return archive.read_member(path, names[0], place)
    if not names:
        raise no_member(path, "", names, place)
    shown = [quoted(name) for name in sorted(names)[:8]]
    raise InputError(
        f"{quoted(path.name, 80)} holds {len(names)} tensors",
        expected="the name of one: " + ", ".join(shown + ["…"] * (len(names) > 8)),
        hint=f"write {quoted(path.name, 80)}:{shown[0]}",
        place=place or Place(str(path)),
    )


def _unknown(path: Path, place: Place | None, reference: str = "") -> InputError:
    text = reference or str(path)
    return InputError(
        f"{quoted(text, 80)} is no file of a tensor",
        expected="a name that ends in " + ", ".join(SUFFIXES),
        found=quoted(path.suffix) or "no suffix",
        hint=FOREIGN.get(path.suffix.lower(), "save it with np.save, and write q.npy"),
        place=place or Place(str(path)),
    )
