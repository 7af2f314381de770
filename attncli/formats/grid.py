"""One table of numbers, as much of it as fits: whole columns only, and corners of what is large."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attncli.core.labels import plural
from attncli.formats.layout import Panel, Paper, Span
from attncli.formats.numbers import Number, aligned, fixed, split, total
from attncli.formats.view import Numbers, Positions, View

MOST_ROWS = 20
EDGE = 6
"""First and last rows of a table that has more than `MOST_ROWS`."""
MOST_TURNED_ROWS = 40
"""The same for a single query or key, which has no second axis to read."""
MOST_CUT_ROWS = 12
CUT_EDGE = 3
"""The same where features do not fit either: only the corners are left to see."""
BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_:-=+*#@"
SHADES = (0.1, 0.25, 0.45, 0.7)
"""Weights from which on the next shade is used."""
INDENT = 2


@dataclass(frozen=True, eq=False)
class Shape:
    """What a step's tables have in common: how numbers are written, bars, sums, masked cells."""

    integers: bool
    as_fixed: bool | None
    """None: each column decides for itself."""
    bars: bool
    sums: Numbers | None
    """`(… n)`: sums over the keys, of the places that are shown."""
    masked: Numbers | None
    """Booleans of the view's shape."""

    def column(self, values: Sequence[float], axis: str, digits: int) -> list[Number]:
        """Numbers of one column, one of the places of an axis."""
        as_fixed = self.as_fixed
        if as_fixed is None:
            as_fixed = fixed(values, digits, every=axis == "measure")
        return split(values, digits, integers=self.integers, as_fixed=as_fixed)


@dataclass(frozen=True, eq=False)
class Source:
    """One table of a view, and how its numbers are written."""

    view: View
    index: tuple[int, ...]
    shape: Shape

    @property
    def sums(self) -> Numbers | None:
        return None if self.shape.sums is None else np.atleast_1d(self.shape.sums[self.index])

    @property
    def masked(self) -> Numbers | None:
        return None if self.shape.masked is None else self.shape.masked[self.index]


@dataclass(frozen=True, slots=True)
class Column:
    """A name above texts of equal width, each with a bar and a style."""

    name: str
    texts: list[str]
    bars: list[str]
    styles: list[str]
    foot: str = ""

    def width(self, paper: Paper) -> int:
        field = max(len(self.texts[0]), len(self.foot), paper.measure(self.name))
        return field + (4 if self.bars else 2)


def sum_of_weights(value: float, view: View, digits: int) -> Number:
    """A sum over all keys of a view of the weights."""
    n_keys = view.sizes[view.axes.index("key")]
    return total(value, n_keys, float(np.finfo(view.value.dtype).eps), digits)


def places_of(axis: str) -> str:
    """What the rows or columns of a table are; an axis that only makes it a table has no name."""
    return plural(axis) if axis else "columns"


def shade(weight: float) -> str:
    """The style of a weight: the more, the fuller."""
    level = sum(weight >= bound for bound in SHADES)
    return f"shade{level}" if level else ""


def corners(n: int, edge: int) -> Positions:
    """The first and last positions of `n`."""
    return np.concatenate([np.arange(edge), np.arange(n - edge, n)])


def grid(source: Source, paper: Paper) -> "Grid":
    """The table on paper. A single row of queries or keys that is too long becomes a column."""
    upright = Grid(source, paper)
    if upright.overflows and upright.n_rows == 1 and {*upright.axes} <= {"query", "key"}:
        return Grid(source, paper, is_turned=True)
    return upright


class Grid:
    """A table in the making: `lines` are what fits, `remark` says what does not.

    Its columns are all that there are with whole names, else with short ones, else the corners.
    """

    def __init__(self, source: Source, paper: Paper, *, is_turned: bool = False) -> None:
        self.source = source
        self.paper = paper
        self.is_turned = is_turned
        self.marks = {"−∞": "-inf", "∞": "inf"} if paper.display.ascii else {}
        self.room = paper.width - INDENT
        self.overflows = False
        self.sum_column: Column | None = None
        self.edge = EDGE
        self.rows = self._rows(MOST_TURNED_ROWS if is_turned else MOST_ROWS)
        for widths in ((None, None), (max(8, paper.width // 4), 8), (5, 3)):
            self._name(*widths)
            self.left, self.right = self._chosen()
            if not self.left and self.sum_column:
                self.sum_column = None  # better a weight without the sum than the sum alone
                self.left, self.right = self._chosen()
            if self.left and not (self.overflows and widths == (None, None)):
                break
            if self.overflows and self.axes[1] == "feature" and self.edge == EDGE:
                self.edge = CUT_EDGE
                self.rows = self._rows(MOST_CUT_ROWS)

    # --- the table's orientation

    @cached_property
    def values(self) -> Numbers:
        table: Numbers = self.source.view.value[self.source.index]
        return table.T if self.is_turned else table

    @cached_property
    def masked(self) -> Numbers | None:
        masked = self.source.masked
        return masked.T if masked is not None and self.is_turned else masked

    @property
    def axes(self) -> tuple[str, str]:
        first, second = self.source.view.axes[-2:]
        return (second, first) if self.is_turned else (first, second)

    @property
    def n_rows(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_columns(self) -> int:
        return int(self.values.shape[1])

    @property
    def sums_are_column(self) -> bool:
        return self.source.sums is not None and self.axes[1] == "key"

    @property
    def sums_are_row(self) -> bool:
        return self.source.sums is not None and self.axes[0] == "key"

    # --- what may be shown

    def _rows(self, most: int) -> Positions:
        """The rows that are shown: all, if there are not more than `most`."""
        if self.n_rows <= most:
            return np.arange(self.n_rows)
        return corners(self.n_rows, self.edge)

    @cached_property
    def columns(self) -> Positions:
        """The columns that could be shown: no number takes less than three cells."""
        most = self.paper.width // 3 + 1
        if self.n_columns <= most:
            return np.arange(self.n_columns)
        return corners(self.n_columns, most // 2)

    def _names(self, position: int, shown: Positions, width: int | None) -> list[str]:
        view = self.source.view
        axis = position - 2 if not self.is_turned else -1 - position
        axis %= len(view.axes)
        names = view.names(axis, shown, view.batch(self.source.index))
        texts = [self.paper.theirs(name) for name in names]
        if width is None or not texts:
            return texts
        return self.paper.shorten(texts, map(int, view.places[axis][shown]), width)

    def _name(self, row_width: int | None, column_width: int | None) -> None:
        """Build all columns under names of at most these widths."""
        self.row_names = self._names(0, self.rows, row_width)
        if self.row_names and self.sums_are_row:
            self.row_names.append(self._sigma)
        self.label_width = max(map(self.paper.measure, self.row_names), default=0)
        names = self._names(1, self.columns, column_width)
        self.candidates = [
            self._column(int(place), names[i] if names else "")
            for i, place in enumerate(self.columns)
        ]
        self.widths = [column.width(self.paper) for column in self.candidates]
        self.sum_column = self._sum_column()

    @property
    def _sigma(self) -> str:
        return self.paper.own("Σ")

    @property
    def _used(self) -> int:
        """Cells beside the columns: the names of the rows, and the sums."""
        return self.label_width + 1 + (self.sum_column.width(self.paper) if self.sum_column else 0)

    @property
    def _gap_width(self) -> int:
        return len(self.paper.ellipsis) + 2

    def _chosen(self) -> tuple[int, int]:
        """How many first and last columns are shown."""
        n = len(self.candidates)
        # The last cell's blank on the right is never written.
        room = self.room + 1 - self._used
        self.overflows = n < self.n_columns or sum(self.widths) > room
        if not self.overflows:
            return n, 0
        room -= self._gap_width
        left = right = 0
        while left + right < n:
            width = self.widths[left if left <= right else n - 1 - right]
            if width > room:
                break
            room -= width
            if left <= right:
                left += 1
            else:
                right += 1
        return left, right

    # --- cells

    def _column(self, place: int, name: str) -> Column:
        values = [float(value) for value in self.values[self.rows, place]]
        numbers = self._numbers(values)
        styles = ["dim" if np.isinf(value) else "" for value in values]
        bars = [self._bar(value) for value in values] if self.source.shape.bars else []
        if bars:
            styles = [shade(value) for value in values]
        if self.masked is not None:
            for i in np.flatnonzero(self.masked[self.rows, place]):
                dot = "." if self.paper.display.ascii else "·"
                has_point = any(number.after for number in numbers)
                numbers[i] = Number("", dot) if has_point else Number(dot)
                styles[i] = "dim"
        if self.sums_are_row and self.source.sums is not None:
            numbers.append(self._sum(float(self.source.sums[place])))
        texts = aligned(numbers, self.marks)
        foot = texts.pop() if self.sums_are_row else ""
        return Column(name, texts, bars, styles, foot)

    def _numbers(self, values: Sequence[float]) -> list[Number]:
        return self.source.shape.column(values, self.axes[1], self.paper.display.digits)

    def _sum(self, value: float) -> Number:
        return sum_of_weights(value, self.source.view, self.paper.display.digits)

    def _sum_column(self) -> Column | None:
        sums = self.source.sums
        if sums is None or not self.sums_are_column:
            return None
        texts = aligned([self._sum(float(value)) for value in sums[self.rows]], self.marks)
        return Column(self._sigma, texts, [], [""] * len(texts))

    def _bar(self, weight: float) -> str:
        if not weight > 0:
            return " "
        bars = ASCII_BARS if self.paper.display.ascii else BARS
        return bars[max(round(min(weight, 1) * len(bars)), 1) - 1]

    # --- lines

    @property
    def remark(self) -> str:
        """What is left out: `… 57 of 64 features, 5 of 17 queries left out`."""
        parts = []
        for axis, shown, n in (
            (self.axes[0], len(self.rows), self.n_rows),
            (self.axes[1], self.left + self.right, self.n_columns),
        ):
            if shown < n:
                parts.append(f"{n - shown} of {n} {places_of(axis)}")
        return self.paper.own(f"… {', '.join(parts)} left out") if parts else ""

    def lines(self) -> Panel:
        """The names of the columns, the rows, the sums."""
        if not self.left:
            return []
        shown = [*self.candidates[: self.left]]
        if self.left + self.right < self.n_columns:
            shown.append(self._ellipsis_column())
        shown += self.candidates[len(self.candidates) - self.right :]
        if self.sum_column:
            shown.append(self.sum_column)
        lines = []
        if any(column.name for column in shown if column.name != self.paper.ellipsis):
            names = [Span(self._cell(column, column.name)) for column in shown]
            lines.append(self._line("", names))
        for i in range(len(self.rows)):
            if len(self.rows) < self.n_rows and i == self.edge:
                mark = self.paper.own("⋮")
                gaps = [Span(self._cell(column, mark), "dim") for column in shown]
                lines.append(self._line(mark if self.row_names else "", gaps))
            cells = [
                Span(
                    self._cell(column, column.texts[i], column.bars[i] if column.bars else ""),
                    column.styles[i],
                )
                for column in shown
            ]
            lines.append(self._line(self.row_names[i] if self.row_names else "", cells))
        if self.sums_are_row:
            feet = [Span(self._cell(column, column.foot)) for column in shown]
            lines.append(self._line(self._sigma, feet))
        return [self.paper.line(*spans) for spans in lines]

    def _ellipsis_column(self) -> Column:
        n = len(self.rows)
        dots = self.paper.ellipsis
        return Column(dots, [dots] * n, [], ["dim"] * n, dots if self.sums_are_row else "")

    def _cell(self, column: Column, text: str, bar: str = "") -> str:
        field = column.width(self.paper) - (4 if column.bars else 2)
        text = self.paper.pad(text, field, right=True)
        return f" {text} {bar or ' '} " if column.bars else f" {text} "

    def _line(self, name: str, cells: list[Span]) -> tuple[Span, ...]:
        """A line without blanks at its end."""
        while cells and not cells[-1].text.strip():
            cells.pop()
        if cells:
            cells[-1] = Span(cells[-1].text.rstrip(), cells[-1].style)
        label = self.paper.pad(name, self.label_width) + " " if self.label_width else " "
        return (Span(" " * INDENT + label[1 - bool(self.label_width) :]), *cells)
