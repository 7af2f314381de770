"""Markdown for pages on GitHub: one table for each step, head and batch entry."""

import re
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from attncli.formats.blocks import MOST_TABLES, Shape, shape_of
from attncli.formats.display import Display, plain, spelled
from attncli.formats.grid import PLURALS, corners, sum_of_weights
from attncli.formats.numbers import Number, fixed, split
from attncli.formats.view import Positions, View, numbered

if TYPE_CHECKING:
    from attncli.solve import Trace

MOST = 24
EDGE = 8
"""First and last rows and columns of a table that has more than `MOST`."""
SPECIAL = re.compile(r"[\\`*_{}\[\]#~$]")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "&#64;"}
LINKS = (("://", "&#58;//"), ("www.", "www&#46;"))
BLOCK = re.compile(r"^(?=[-+])|(?<=^\d)(?=[.)])")
"""Where a line would begin a list."""


def render(trace: "Trace", display: Display) -> str:
    """A heading, what was computed, and the steps."""
    own = spelled if display.ascii else str
    title = trace.problem.presentation.title or "Attention"
    facts = " · ".join([trace.notation, *trace.problem.facts()])
    parts = [f"## {_text(' '.join(title.split()), display)}", own(facts).replace("*", "\\*")]
    for number, view in numbered(trace, display):
        parts += _step(view, trace, display, number)
    if trace.notes:
        parts.append("\n".join(f"- {_text(own(note), display)}" for note in trace.notes))
    return "\n\n".join(parts) + "\n"


def _step(view: View, trace: "Trace", display: Display, number: str) -> list[str]:
    own = spelled if display.ascii else str
    title = trace.title(view.step)
    formula = f": `{own(title.formula)}`" if title.formula else ""
    parts = [f"### {number} {_text(title.title, display)}{formula}".replace("#  ", "# ")]
    view = view.tabular(trace.notation)
    if 0 in view.value.shape:
        return [*parts, "empty"]
    shape = shape_of(view, trace, display.digits)
    for index in islice(view.tables(), MOST_TABLES):
        if heading := view.heading(index):
            heading = heading.replace(" · ", ", ") if display.ascii else heading
            parts.append(f"**{_text(heading, display)}**")
        parts.append(_table(view, shape, index, display))
    total = int(np.prod(view.value.shape[:-2], dtype=np.int64))
    left_out = [f"{total - MOST_TABLES} of {total} tables"] if total > MOST_TABLES else []
    for axis, n in zip(view.axes[-2:], view.value.shape[-2:], strict=True):
        if n > MOST:
            left_out.append(f"{n - 2 * EDGE} of {n} {PLURALS.get(axis, axis)}")
    if left_out:
        parts.append(own(f"… {', '.join(left_out)} left out"))
    return parts


def _table(view: View, shape: Shape, index: tuple[int, ...], display: Display) -> str:
    values = view.value[index]
    rows, columns = map(_shown, values.shape)
    batch = view.batch(index)
    row_names = _names(view, -2, rows, batch, display)
    column_names = _names(view, -1, columns, batch, display) or [""] * len(columns)
    cells = [_cells(view, shape, index, rows, int(column), display) for column in columns]
    lines = [list(row) for row in zip(*cells, strict=True)]
    if row_names:
        lines = [[name, *line] for name, line in zip(row_names, lines, strict=True)]
        column_names = ["", *column_names]
    sums = None if shape.sums is None else np.atleast_1d(shape.sums[index])
    sigma = "sum" if display.ascii else "Σ"
    if sums is not None and view.axes[-1] == "key":
        column_names.append(sigma)
        for line, row in zip(lines, rows, strict=True):
            line.append(_sum(view, float(sums[row]), display))
    elif sums is not None:
        feet = [_sum(view, float(sums[column]), display) for column in columns]
        lines.append([sigma, *feet] if row_names else feet)
    dots = "..." if display.ascii else "…"
    if len(columns) < values.shape[1]:
        at = EDGE + bool(row_names)
        for line in (column_names, *lines):
            line.insert(at, dots)
    if len(rows) < values.shape[0]:
        lines.insert(EDGE, [dots] * len(column_names))
    ruler = ["---:"] * len(column_names)
    if row_names:
        ruler[0] = ":---"
    return "\n".join("| " + " | ".join(line) + " |" for line in (column_names, ruler, *lines))


def _shown(n: int) -> Positions:
    return np.arange(n) if n <= MOST else corners(n, EDGE)


def _names(view: View, axis: int, shown: Positions, batch: int, display: Display) -> list[str]:
    names = view.names(axis % len(view.axes), shown, batch)
    return [_text(name, display) for name in names]


def _cells(
    view: View,
    shape: Shape,
    index: tuple[int, ...],
    rows: Positions,
    column: int,
    display: Display,
) -> Sequence[str]:
    """The numbers of one column, as in the table for terminals."""
    values = [float(value) for value in view.value[index][rows, column]]
    as_fixed = shape.as_fixed
    if as_fixed is None:
        as_fixed = fixed(values, display.digits, every=view.axes[-1] == "measure")
    numbers = split(values, display.digits, integers=shape.integers, as_fixed=as_fixed)
    if shape.masked is not None:
        for i in np.flatnonzero(shape.masked[index][rows, column]):
            numbers[i] = Number("·")
    texts = [number.before + number.after for number in numbers]
    marks = {"−∞": "-inf", "∞": "inf", "·": "."} if display.ascii else {}
    return [marks.get(text, text) for text in texts]


def _sum(view: View, value: float, display: Display) -> str:
    number = sum_of_weights(value, view, display.digits)
    return number.before + number.after


def _text(text: str, display: Display) -> str:
    """A text of an input that GitHub shows as it is: no markup, no HTML, no mention, no link."""
    text = SPECIAL.sub(r"\\\g<0>", plain(text, ascii=display.ascii))
    text = "".join(ENTITIES.get(letter, letter) for letter in text)
    for link, broken in LINKS:
        text = text.replace(link, broken)
    return BLOCK.sub(r"\\", text)
