"""Vectors as a problem file lies, turned into what the core knows: rows, heads first, one dtype."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from attncli.core.shapes import by
from attncli.errors import InputError, Place, RefusedError
from attncli.files.types import Entry, Reference

Tensor = np.ndarray[Any, np.dtype[Any]]
HERE = Path()
VECTORS = ("query", "key", "value")
PART = 1 << 20
"""Elements looked at together."""
ALIASES = frozenset((*VECTORS, "scores"))
"""Tensors that another tensor may name instead of a file."""


def base_of(place: Place | None, base: Path) -> Path:
    """The directory that a path is relative to: its file's, or of a flag the current one."""
    return HERE if place is not None and place.is_flag else base


@dataclass
class Source:
    """An opened problem: its entries, and the tensors they stand for."""

    entries: Mapping[str, Entry]
    base: Path = field(default_factory=Path)
    """The directory of the file; see `base_of`."""
    table_labels: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)
    """Row and column labels that a table file brought along, by key."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or its default where the file is silent."""
        return self.entries[key].value if key in self.entries else default

    def place(self, key: str) -> Place | None:
        return self.entries[key].place if key in self.entries else None

    def choices(self) -> dict[str, Any]:
        """The keys in force that are plain values."""
        plain = (str, int, float, bool, tuple, list)
        chosen: dict[str, Any] = {
            key: entry.value
            for key, entry in self.entries.items()
            if isinstance(entry.value, plain) and key not in ("title", "notation")
        }
        for key in ("scale", "sink"):
            if key in self.entries and key not in chosen:
                given = self.tensor(key)
                chosen[key] = None if given is None else given.tolist()
        return chosen

    def labels_of(self, key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What a table file calls the vectors of a tensor, and their features; () for no labels."""
        rows, columns = self.table_labels.get(key, ((), ()))
        return (columns, rows) if self.get("notation") == "columns" else (rows, columns)

    def table_names(self) -> dict[str, tuple[str, ...]]:
        """What table files call the vectors of an attention, by axis; those of an input serve
        what is made of it, but for its features."""
        names: dict[str, tuple[str, ...]] = {}
        keys = "source" if "source" in self.entries else "input"
        made = (("query", "query"), ("key", "key"), ("value", "key"))
        for tensor, axis in (*made, ("input", "query"), (keys, "key")):
            vectors, features = self.labels_of(tensor)
            if vectors:
                names.setdefault(axis, vectors)
            if features and (tensor, axis) in made:
                names.setdefault("feature", features)
        return names

    def tensor(self, key: str, entry: Entry | None = None) -> Tensor | None:
        """The array of a key (or of an entry inside it), read from where it lies; None without."""
        entry = self.entries.get(key) if entry is None else entry
        seen = [key]
        while entry is not None and isinstance(entry.value, Reference):
            text = entry.value.text
            if text not in ALIASES:
                return self._loaded(key, text, entry.place)
            if text in seen or text not in self.entries:
                raise InputError(
                    f"{seen[-1]} is said to be {text}, which is "
                    + ("a circle" if text in seen else "not given"),
                    hint=f"a file of that name is written ./{text}",
                    place=entry.place,
                )
            seen.append(text)
            entry = self.entries[text]
        return None if entry is None else np.asarray(entry.value)

    def _loaded(self, key: str, text: str, place: Place | None) -> Tensor:
        from attncli.files.tensors import load  # its readers cost a tenth of a start

        loaded = load(text, base_of(place, self.base), place)
        if loaded.row_labels or loaded.column_labels:
            self.table_labels[key] = (loaded.row_labels, loaded.column_labels)
        array: Tensor = loaded.array
        return array


def widest(arrays: list[Tensor]) -> str:
    """The computing type: the widest of the arrays, float32 at least; integers count as float64."""
    kinds = {array.dtype.kind for array in arrays}
    wide = any(array.dtype.itemsize > 4 for array in arrays) or bool(kinds - {"f"})
    return "float64" if wide else "float32"


def cast(name: str, array: Tensor, dtype: str, *, allow_nonfinite: bool | None = None) -> Tensor:
    """The array, as it is written, in the computing type.

    NaN and infinity are refused with their first place, unless the key `allow_nonfinite` is true;
    None stands for an array of which it does not speak.
    """
    if array.dtype.kind == "b":
        raise InputError(
            f"{name} holds true and false", expected="numbers", found="booleans", subject=name
        )
    with np.errstate(over="ignore"):
        if array.size > 1 and not any(array.strides):  # one number, seen many times: it stays one
            result = np.broadcast_to(array.reshape(-1)[:1].astype(dtype), array.shape)
        else:
            result = np.asarray(array, dtype=dtype)
    if not allow_nonfinite:
        refuse_nonfinite(name, result, array, can_be_allowed=allow_nonfinite is not None)
    return result


def refuse_nonfinite(
    name: str, array: Tensor, original: Tensor | None = None, *, can_be_allowed: bool = False
) -> None:
    """Raise `RefusedError` for the first NaN or infinity; looks part by part, copies nothing.

    `original` is the array before it was cast, if it was.
    """
    in_order = array.T if array.flags.f_contiguous else array
    flat = in_order.reshape(-1)
    parts = range(0, flat.size, PART)
    if all(np.isfinite(flat[start : start + PART]).all() for start in parts):
        return
    index = tuple(int(place) for place in np.argwhere(~np.isfinite(array))[0])
    place = f"[{', '.join(map(str, index))}]" if index else ""
    found = "NaN" if np.isnan(array[index]) else "infinity"
    if original is not None and np.isfinite(original[index]):
        found = f"{found} in {array.dtype}"
        hint = "it is too large for that type: --dtype float64"
    elif can_be_allowed:
        hint = "mend it, or say allow_nonfinite: true (--set allow_nonfinite=true)"
    else:
        hint = "mend it: allow_nonfinite speaks of vectors, not of this"
    raise RefusedError(f"{name}{place} is {found}", hint=hint, subject=name)


def as_rows(array: Tensor, notation: str) -> Tensor:
    """A table in rows notation; a lone vector becomes a table of one vector."""
    if array.ndim == 1:
        return array[None, :]
    return np.swapaxes(array, -1, -2) if notation == "columns" else array


@dataclass(frozen=True)
class Arrangement:
    """How the axes of the vectors of a problem lie, and how packed heads are split."""

    notation: str = "rows"
    layout: str = "heads-first"
    heads: int | None = None
    kv_heads: int | None = None

    def arrange(self, name: str, array: Tensor) -> tuple[Tensor, bool]:
        """`(… n d)`, or `(… H n d)` and True where the array itself has a head axis."""
        if array.ndim == 0:
            raise InputError(
                f"{name} is a single number",
                expected="a table such as [[1, 0], [0, 1]], or one vector [1, 0]",
                subject=name,
            )
        if 0 in array.shape:
            raise InputError(
                f"{name} has the shape {by(array.shape)}: there is nothing in it", subject=name
            )
        array = as_rows(array, self.notation)
        count = self.kv_heads or self.heads if name != "query" else self.heads
        if self.layout == "sequence-first":
            if array.ndim > 3:
                raise InputError(
                    f"{name} has {array.ndim} axes; sequence-first (n B d) has 3", subject=name
                )
            return (np.moveaxis(array, 0, 1) if array.ndim == 3 else array), False
        if self.layout == "tokens-first" and array.ndim > 2:
            packed = array.ndim == 3 and count is not None and array.shape[-2] != count
            if not packed:
                return self._counted(name, np.swapaxes(array, -2, -3)), True
        if array.ndim > 3:
            return self._counted(name, array), True
        return array, False

    def _counted(self, name: str, array: Tensor) -> Tensor:
        key = "heads" if name == "query" else "kv_heads"
        count = self.heads if name == "query" else self.kv_heads
        if count not in (None, array.shape[-3]):
            raise InputError(
                f"{name} has {array.shape[-3]} heads, {key} says {count}",
                hint="with four axes the second is heads (layout: tokens-first: the third)",
                subject=name,
            )
        return array
