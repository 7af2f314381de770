"""Somebody else's results: steps in any file that `attend` writes, or tables in YAML, JSON or CSV.

A number in text says how exactly it was meant: half of its last digit. So the texts are read here,
not only the numbers; files of tensors say their type instead.
"""

import csv
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from yaml.events import MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent

from attncli.errors import InputError, Place
from attncli.files.cells import NUMBER, number
from attncli.files.problem import TEXT_SUFFIXES
from attncli.files.reading import no_member, opened, refuse_oversize
from attncli.files.schema import ARCHIVES, FOREIGN, TABLES
from attncli.files.tables import read_texts
from attncli.files.tensors import NAMED, load, members
from attncli.files.yaml import Cursor, quoted, read

Numbers = np.ndarray[Any, np.dtype[Any]]

NAMES = {
    **FOREIGN,
    **dict.fromkeys(("out", "o", "O", "y", "Y", "attn_output", "context"), "output"),
    **dict.fromkeys(("attn_weights", "attn_output_weights", "p_attn", "attn_probs"), "weights"),
    **dict.fromkeys(("logits", "attn_scores", "energy"), "scores"),
}
"""What other libraries call the steps."""

PICTURED = (".md", ".txt", ".tex", ".html", ".svg")
"""Reports for people."""

FULL = 9
"""From so many significant digits on a program wrote the number, and left out zeros at its end."""

ENDS = {"nan": ".nan", "inf": ".inf", "-inf": "-.inf", "infinity": ".inf", "-infinity": "-.inf"}


@dataclass(frozen=True, eq=False)
class Result:
    """One step of theirs."""

    value: Numbers
    dtype: str | None = None
    """The type in the file; None where it was text."""
    half_digit: Numbers | None = None
    """Half of the last digit that was written, number by number; None for tensors."""
    blank: Numbers | None = None
    """Where a text has no number: JSON's null (NaN or an infinity, but nobody knows which), or a
    blank `_` that was not filled in."""
    axes: tuple[str, ...] | None = None
    """What its axes are, where the file says so; else they lie as ours do."""


def read_results(reference: str) -> dict[str, Result]:
    """The steps of a file, by our names where those are known; one without a name is ''.

    `FILE:NAME` chooses one. Raises `InputError` for what cannot be read.
    """
    path, name = _split(reference)
    suffix = path.suffix.lower()
    if suffix in TEXT_SUFFIXES:
        found = _document(path)
    elif suffix in TABLES:
        found = _csv(path)
    elif suffix in ARCHIVES:
        loaded = {key: load(f"{path}:{key}", Path()).array for key in members(path)}
        bfloat16 = _bfloat16(path) if suffix == ".safetensors" else set()
        found = {
            key: _tensor(array, "bfloat16" if key in bfloat16 else None)
            for key, array in loaded.items()
        }
    elif suffix in PICTURED and os.path.isfile(path):
        raise InputError(
            f"{path.name} is a report to look at, its numbers are rounded",
            expected="numbers: .npy .npz .safetensors .json .yaml .csv .tsv",
            found=suffix,
            hint="attncli attend PROBLEM -o theirs.npz",
            place=Place(str(path)),
        )
    else:
        found = {"": _tensor(load(str(path), Path(), Place(str(path))).array)}
    ours = {NAMES.get(key, key): result for key, result in found.items()}
    ours = ours if len(ours) == len(found) else found
    if name is None:
        return ours
    if name not in {**found, **ours}:
        raise no_member(path, name, [key for key in found if key], Place(reference))
    return {NAMES.get(name, name): {**ours, **found}[name]}


def _split(reference: str) -> tuple[Path, str | None]:
    match = re.fullmatch(rf"{NAMED.pattern}|(?P<text>.*?\.(?:ya?ml|json)):(?P<key>.*)", reference)
    if match is None or os.path.isfile(reference):
        return Path(reference), None
    path, name = (match["path"], match["name"]) if match["path"] else (match["text"], match["key"])
    return Path(path), name


def _tensor(array: Numbers, dtype: str | None = None) -> Result:
    dtype = dtype or (str(array.dtype) if array.dtype.kind == "f" else "float64")
    return Result(array.astype(np.float64), dtype)


def _bfloat16(path: Path) -> set[str]:
    """The tensors whose numbers are bfloat16; they come as float32, which holds them exactly."""
    return {name for name, header in members(path).items() if str(header.dtype) == "bfloat16"}


# --- YAML and JSON


def _document(path: Path) -> dict[str, Result]:
    """A report of ours (`steps`, `output`), a mapping of names to tables, or one table."""
    with opened(path, Place(str(path))) as file:
        # A level of Python lists takes some forty times its text.
        content = file.read()
        refuse_oversize(f"{path.name} as text", 40 * len(content))
    tree = read(content, str(path), _tree)
    if not isinstance(tree, dict):
        return {"": _texts(tree, "the table", path)}
    if isinstance(tree.get("steps"), list):
        found = {}
        for step in tree["steps"]:
            if not isinstance(step, dict) or not {"name", "value"} <= step.keys():
                raise InputError(
                    "a step has no name or no value",
                    expected="steps: [{name: weights, value: [[…]]}]",
                    place=Place(str(path)),
                )
            found[str(step["name"])] = _texts(step["value"], str(step["name"]), path)
        if "output" in tree:
            found["output"] = _texts(tree["output"], "output", path)
        return found
    return {
        name: _texts(part, name, path)
        for name, part in tree.items()
        if isinstance(part, list) or NUMBER.fullmatch(str(part))
    }


def _tree(cursor: Cursor) -> Any:
    """A document as nested dicts, lists and texts."""
    event = cursor.next()
    if isinstance(event, ScalarEvent):
        if event.style == "|":
            lines = [line.split() for line in event.value.splitlines() if line.strip()]
            return [[word.strip("[],") for word in words] for words in lines]
        return event.value
    if isinstance(event, MappingStartEvent):
        mapping = {}
        while not isinstance(cursor.peek(), MappingEndEvent):
            key = cursor.next()
            if not isinstance(key, ScalarEvent):
                cursor.fail(key, "a key is no text")
            if key.value in mapping:
                cursor.fail(key, f"{quoted(key.value)} stands here a second time")
            mapping[key.value] = _tree(cursor)
        cursor.next()
        return mapping
    items: list[Any] = []
    while not isinstance(cursor.peek(), SequenceEndEvent):
        row = cursor.scalars()
        items += [scalar.value for scalar in row] or [_tree(cursor)]
    cursor.next()
    return items


def _texts(nested: Any, name: str, path: Path) -> Result:
    """Nested lists of texts as an array, with half of each last digit."""
    flat: list[str] = []
    try:
        shape = _flatten(nested, flat)
    except ValueError:
        raise InputError(
            f"the rows of {quoted(name)} are not equally long",
            expected="a table: rows of equal length",
            place=Place(str(path)),
        ) from None
    return _numbers(flat, shape, name, path)


def _flatten(nested: Any, flat: list[str]) -> tuple[int, ...]:
    if not isinstance(nested, list):
        flat.append(nested if isinstance(nested, str) else "{}")
        return ()
    shapes = {_flatten(part, flat) for part in nested}
    if len(shapes) > 1:
        raise ValueError
    return (len(nested), *(shapes.pop() if shapes else ()))


def _numbers(flat: list[str], shape: tuple[int, ...], name: str, path: Path) -> Result:
    values, halves = np.empty(len(flat)), np.zeros(len(flat))
    blank = np.zeros(len(flat), dtype=bool)
    n_full = 0
    for i, text in enumerate(flat):
        text = ENDS.get(text.lower(), text.replace("\u2212", "-"))
        if text in ("null", "~", "") or not text.strip("_"):
            values[i], blank[i] = np.nan, True
            continue
        if not NUMBER.fullmatch(text):
            raise InputError(
                f"{quoted(flat[i]) or 'an empty text'} in {quoted(name)} is no number",
                expected="a number",
                place=Place(str(path)),
            )
        values[i] = number(text)
        if np.isfinite(values[i]):
            halves[i], n_digits = _half_digit(text)
            n_full += n_digits >= FULL
    if n_full and halves.any():
        # The shortest text of 0.5 has one digit, beside numbers that have all of theirs.
        halves[:] = halves[halves > 0].min()
    return Result(
        values.reshape(shape),
        None,
        halves.reshape(shape),
        blank.reshape(shape) if blank.any() else None,
    )


def _half_digit(text: str) -> tuple[float, int]:
    """Half of the last digit of a number, and how many significant digits it has.

    `float` reads the half, too: an exponent can have any length. That of a zero says nothing where
    it is positive; `0E-8` is how Python's `Decimal` writes eight decimals.
    """
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, decimals = mantissa.lstrip("+-").partition(".")
    digits = (whole + decimals).strip("0")
    power = exponent if digits or exponent.startswith("-") else ""
    return float(f"0.{'0' * len(decimals)}5e{power or 0}"), len(digits)


# --- CSV


def _csv(path: Path) -> dict[str, Result]:
    """The long CSV that `attend` writes (`step, …, value`), or a table."""
    with opened(path, Place(str(path))) as file:
        head = file.readline().decode("utf-8-sig", "replace")
        rest = file.read().decode("utf-8", "replace")
    try:
        columns = next(csv.reader([head]), [])
    except csv.Error:
        columns = []  # of another delimiter, it can be one long cell
    if "step" not in columns or "value" not in columns:
        table = load(str(path), Path(), Place(str(path))).array
        texts = read_texts(path)
        # Somebody may have written another table meanwhile.
        plain = len(texts) == table.size and all(map(NUMBER.fullmatch, texts))
        return {"": _numbers(texts, table.shape, path.name, path) if plain else _tensor(table)}
    axes = [column for column in columns[: columns.index("value")] if column != "step"]
    steps: dict[str, dict[tuple[int, ...], str]] = {}
    used: dict[str, tuple[str, ...]] = {}
    for line, row in _rows(rest, path, 2):
        if not row:
            continue
        cells = dict(zip(columns, row, strict=False))
        try:
            used[cells["step"]] = tuple(axis for axis in axes if cells[axis])
            place = tuple(int(cells[axis]) for axis in used[cells["step"]])
            steps.setdefault(cells["step"], {})[place] = cells["value"]
        except (KeyError, ValueError):
            raise InputError(
                "this line has no step, places and value",
                expected=head.strip(),
                place=Place(str(path), line, None, ",".join(row)),
            ) from None
    return {
        name: replace(_placed(cells, name, path), axes=used[name]) for name, cells in steps.items()
    }


def _rows(text: str, path: Path, first: int) -> Iterator[tuple[int, list[str]]]:
    """The rows of a text whose lines are numbered from `first`, each with a number."""
    reader = csv.reader(text.splitlines())
    try:
        yield from enumerate(reader, first)
    except csv.Error as error:
        raise InputError(
            f"this line is no row of a table: {error}",
            place=Place(str(path), first + reader.line_num - 1),
        ) from None


def _placed(cells: Mapping[tuple[int, ...], str], name: str, path: Path) -> Result:
    ranks = {len(place) for place in cells}
    shape = tuple(max(places) + 1 for places in zip(*cells, strict=False))
    whole = len(ranks) == 1 and len(cells) == prod(shape)
    if not whole or any(n < 0 for place in cells for n in place):
        raise InputError(
            f"{quoted(name)} has not one value for each of its places",
            expected="positions from 0, each once",
            hint="a report made with --focus holds only a part: write all of it",
            place=Place(str(path)),
        )
    texts = [cells[place] for place in np.ndindex(shape)]
    return _numbers(texts, shape, name, path)
