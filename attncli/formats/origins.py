"""What each number of a page was made of: its arithmetic, and the cells that it came from.

The worked arithmetic speaks of cells in rows notation; a page has tables, in its notation and
focus. Here the one becomes the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from attncli.core.arrangement import shown
from attncli.core.step import Step
from attncli.errors import AttncliError
from attncli.formats.view import Numbers, View

if TYPE_CHECKING:
    from attncli.solve import Trace
    from attncli.worked import Working

MOST_WORKED = 10_000
"""Numbers of one page whose arithmetic is written: some 160 bytes and 0.2 ms each."""
LARGEST = 64 * 1024**2
"""Bytes of steps beyond which a problem is not worked at all."""

Box = tuple[int, int, int, int, int, int]
"""Step, table, first and last row, first and last column: of those on the page."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """The tables of one step on a page, `(n_tables n_rows n_columns)`."""

    view: View
    """Not yet tabular."""
    at: tuple[Numbers, Numbers]
    """The rows and columns of the tabular view that the page shows."""
    n_tables: int


@dataclass(frozen=True, eq=False)
class Origin:
    """For each number of a table, row by row, its arithmetic and where it came from."""

    lines: list[str]
    boxes: list[list[Box]]


def working(trace: "Trace") -> "Working | None":
    """The problem worked by hand; None where it is too large for that."""
    from attncli.solve import excerpt
    from attncli.worked import Working

    problem = trace.problem
    if trace.queries is not None:
        problem = excerpt(problem, trace.queries)
    if problem.memory(None) > LARGEST:
        return None
    try:
        return Working(problem)
    except AttncliError:
        return None


def places(sheet: Sheet, trace: "Trace", working: "Working | None") -> Numbers | None:
    """For each place of a sheet, the position of its cell in the worked step's flat array."""
    name = sheet.view.name
    if working is None or name not in working.steps or not sheet.n_tables:
        return None
    extent = tuple(working.steps[name].value.shape)
    numbers = np.arange(int(np.prod(extent, dtype=np.int64))).reshape(extent)
    ids = np.asarray(shown(Step(name, numbers, working.steps[name].axes), trace.notation, np).value)
    if ids.shape != np.shape(sheet.view.step.value):
        return None
    value = replace(sheet.view, value=sheet.view.select(ids)).tabular(trace.notation).value
    flat = value.reshape(-1, *value.shape[-2:])[: sheet.n_tables]
    rows, columns = sheet.at
    picked: Numbers = flat[:, rows][:, :, columns]
    return picked


class Origins:
    """Where the numbers of a page's sheets came from, as far as the page has room for it."""

    def __init__(self, trace: "Trace", sheets: Sequence[Sheet], digits: int) -> None:
        self._digits = digits
        self._sheets = sheets
        self._working = working(trace)
        self._ids = [places(sheet, trace, self._working) for sheet in sheets]
        self._number = {sheet.view.name: i for i, sheet in enumerate(sheets)}
        self._spots = [
            None if ids is None else _spots(ids, self._extent(sheet.view.name))
            for ids, sheet in self._pairs()
        ]
        self.total = sum(self._size(sheet) * sheet.n_tables for sheet in sheets)
        """Numbers on the page."""
        self.worked = 0
        """How many of them are worked."""
        self.tables = self._chosen()

    def _pairs(self) -> Iterable[tuple[Numbers | None, Sheet]]:
        return zip(self._ids, self._sheets, strict=True)

    def _extent(self, name: str) -> tuple[int, ...]:
        """The shape of a step's array in rows notation."""
        assert self._working is not None
        return tuple(self._working.steps[name].value.shape)

    @staticmethod
    def _size(sheet: Sheet) -> int:
        return len(sheet.at[0]) * len(sheet.at[1])

    def _chosen(self) -> dict[tuple[int, int], Origin]:
        """The first tables of the steps, last steps first, then the second …, as room is left."""
        found: dict[tuple[int, int], Origin] = {}
        for table in range(max((sheet.n_tables for sheet in self._sheets), default=0)):
            for number, (ids, sheet) in reversed([*enumerate(self._pairs())]):
                room = self.worked + self._size(sheet) <= MOST_WORKED
                if ids is not None and table < sheet.n_tables and room:
                    found[number, table] = self._origin(sheet.view.name, ids[table])
                    self.worked += self._size(sheet)
        return found

    def _origin(self, name: str, ids: Numbers) -> Origin:
        assert self._working is not None
        extent = self._extent(name)
        lines, boxes = [], []
        for cell in ids.ravel():
            index = tuple(int(i) for i in np.unravel_index(int(cell), extent))
            lines.append(self._working.line(name, index, self._digits))
            boxes.append(self._boxes(self._working.sources(name, index)))
        return Origin(lines, boxes)

    def _boxes(self, cells: Iterable[tuple[str, tuple[int, ...]]]) -> list[Box]:
        found: dict[int, set[int]] = {}
        for name, index in cells:
            number = self._number.get(name)
            spots = None if number is None else self._spots[number]
            if number is None or spots is None:
                continue
            spot = int(spots[index])
            if spot >= 0:
                found.setdefault(number, set()).add(spot)
        return [
            box
            for number, spots in sorted(found.items())
            for box in _covered(number, spots, self._sheets[number])
        ]


def _spots(ids: Numbers, extent: tuple[int, ...]) -> Numbers:
    """The inverse: for each cell of the step, where it stands on the page; -1 where it does not."""
    spots = np.full(int(np.prod(extent, dtype=np.int64)), -1)
    spots[ids.ravel()] = np.arange(ids.size)
    return spots.reshape(extent)


def _covered(number: int, spots: set[int], sheet: Sheet) -> list[Box]:
    """The fewest boxes, as far as rows of equal reach make one, that hold exactly these spots."""
    n_rows, n_columns = len(sheet.at[0]), len(sheet.at[1])
    reach: dict[tuple[int, int, int], list[int]] = {}
    for start, stop in _runs(sorted(spots), n_columns):
        table, rest = divmod(start, n_rows * n_columns)
        row, column = divmod(rest, n_columns)
        reach.setdefault((table, column, column + stop - start), []).append(row)
    return [
        (number, table, top, bottom, first, last)
        for (table, first, last), rows in sorted(reach.items())
        for top, bottom in _runs(rows, 0)
    ]


def _runs(numbers: Sequence[int], width: int) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers; none goes on into a next row."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1 and (not width or number % width):
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
