"""The tables of a step as texts, before a format dresses them: names, numbers, sums, what is cut.

Markdown, LaTeX and HTML write the same numbers; only their signs and their escapes differ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from attncli.formats.grid import Shape, corners, places_of, sum_of_weights
from attncli.formats.numbers import Number
from attncli.formats.view import Positions, View


@dataclass(frozen=True, eq=False)
class Table:
    """One table of a tabular view. Names are texts of the input: not yet harmless anywhere."""

    index: tuple[int, ...]
    heading: str
    """Batch entry and head; empty for the only table."""
    rows: Positions
    columns: Positions
    """The places within the view that are shown."""
    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    """Empty where the axis has no names."""
    cells: list[list[str]]
    """Numbers, `·` where a key is left out, −∞, ∞, nan."""
    row_sums: list[str]
    column_sums: list[str]
    """Of weights over all keys, along the one axis that has them; else empty."""
    row_gap: int | None
    column_gap: int | None
    """How many rows, or columns, stand before those that are cut; None where none is."""


def tables(
    view: View, shape: Shape, digits: int, *, most: int, edge: int, limit: int
) -> Iterator[Table]:
    """The first `limit` tables; of an axis longer than `most` its first and last `edge` places."""
    across = [np.arange(n) if n <= most else corners(n, edge) for n in view.value.shape[-2:]]
    gaps = [edge if n > most else None for n in view.value.shape[-2:]]
    rows, columns = across
    for index in islice(view.tables(), limit):
        batch = view.batch(index)
        numbers = [_column(view, shape, index, rows, int(column), digits) for column in columns]
        sums = _sums(view, shape, index, digits, rows if view.axes[-1] == "key" else columns)
        yield Table(
            index,
            view.heading(index),
            rows,
            columns,
            view.names(len(view.axes) - 2, rows, batch),
            view.names(len(view.axes) - 1, columns, batch),
            [list(row) for row in zip(*numbers, strict=True)],
            sums if view.axes[-1] == "key" else [],
            sums if view.axes[-1] != "key" else [],
            *gaps,
        )


def cut(view: View, *, most: int, edge: int, limit: int) -> list[str]:
    """What of a step's tables is not shown: `3 of 7 tables`, `24 of 40 queries`."""
    total = int(np.prod(view.value.shape[:-2], dtype=np.int64))
    parts = [f"{total - limit} of {total} tables"] if total > limit else []
    for axis, n in zip(view.axes[-2:], view.value.shape[-2:], strict=True):
        if n > most:
            parts.append(f"{n - 2 * edge} of {n} {places_of(axis)}")
    return parts


def _column(
    view: View,
    shape: Shape,
    index: tuple[int, ...],
    rows: Positions,
    column: int,
    digits: int,
) -> Sequence[str]:
    """The numbers of one column, as in the table for terminals."""
    values = [float(value) for value in view.value[index][rows, column]]
    numbers = shape.column(values, view.axes[-1], digits)
    if shape.masked is not None:
        for i in np.flatnonzero(shape.masked[index][rows, column]):
            numbers[i] = Number("·")
    return [number.before + number.after for number in numbers]


def _sums(
    view: View, shape: Shape, index: tuple[int, ...], digits: int, shown: Positions
) -> list[str]:
    if shape.sums is None:
        return []
    sums = np.atleast_1d(shape.sums[index])
    numbers = (sum_of_weights(float(sums[place]), view, digits) for place in shown)
    return [number.before + number.after for number in numbers]
